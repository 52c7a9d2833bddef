package catalogue

// This file asks internal/validation of a case what the webhooks would ask it.

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

// Verdict is what the pure core makes of a manifest.
type Verdict struct {
	// Completed is the object with its defaults.
	Completed client.Object
	Warnings  []string
	Errs      field.ErrorList
}

// Judge asks the pure core about a case's manifest.
func (k *Catalogue) Judge(c *Case) (v Verdict, err error) {
	r := room{objects: map[string]client.Object{}}
	for _, object := range append(append([]Object{}, k.World...), c.Given...) {
		if err := r.put(object); err != nil {
			return v, err
		}
	}
	for who, phase := range c.Until {
		if err := r.reach(who, phase); err != nil {
			return v, err
		}
	}
	if v.Completed, err = typed(c.Manifest); err != nil {
		return v, err
	}
	v.Warnings, v.Errs = r.judge(r.objects[Name(c.Manifest)], v.Completed)
	return v, nil
}

// room holds the objects that are there, by their full name.
type room struct{ objects map[string]client.Object }

// typed is an object of ours; nil where it is another's.
func typed(o Object) (client.Object, error) {
	var into client.Object
	switch o["kind"] {
	case v1.KindStream:
		into = &v1.Stream{}
	case v1.KindBackfillRequest:
		into = &v1.BackfillRequest{}
	case v1.KindStreamClass:
		into = &v1.StreamClass{}
	case v1.KindStreamingJobTemplate:
		into = &v1.StreamingJobTemplate{}
	default:
		return nil, nil
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", Name(o), err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return nil, fmt.Errorf("read %s: %w", Name(o), err)
	}
	return into, nil
}

// put stores an object, completed as the webhooks complete it.
func (r room) put(o Object) error {
	object, err := typed(o)
	if err != nil || object == nil {
		return err
	}
	object.SetUID(types.UID("uid of " + object.GetName()))
	r.complete(nil, object)
	r.objects[Name(o)] = object
	return nil
}

// complete writes the defaults; old is nil at CREATE.
func (r room) complete(old, object client.Object) {
	create := old == nil
	switch o := object.(type) {
	case *v1.Stream:
		validation.DefaultStream(o, create, r.ofStream(o))
	case *v1.BackfillRequest:
		before, _ := old.(*v1.BackfillRequest)
		validation.DefaultRequest(before, o, create, get[*v1.Stream](r, v1.KindStream, o.Namespace, o.Spec.StreamID))
	case *v1.StreamingJobTemplate:
		validation.DefaultTemplate(o)
	}
}

// reach writes the status in which an object is in a phase.
func (r room) reach(who, phase string) error {
	kind, name, _ := strings.Cut(who, "/")
	in := namespace
	if kind == v1.KindStreamClass {
		in = "-"
	}
	switch o := r.objects[kind+"/"+in+"/"+name].(type) {
	case *v1.Stream:
		o.Status.Job = &v1.JobRecord{Name: "{job}", Mode: v1.ModeStream}
		if phase == string(v1.StreamBackfilling) {
			o.Status.Job.Mode, o.Status.Job.RequestUID = v1.ModeBackfill, types.UID("uid of "+name)
		}
	case *v1.BackfillRequest:
		o.Status.Phase = v1.RequestPhase(phase)
	case *v1.StreamClass:
		o.Status.Streams = map[v1.StreamPhase]int32{v1.StreamPhase(phase): 1}
	default:
		return fmt.Errorf("there is no %s that could reach %s", who, phase)
	}
	return nil
}

// judge asks the rules of the object's kind; old is nil at CREATE.
func (r room) judge(old, object client.Object) ([]string, field.ErrorList) {
	if old != nil {
		object.SetUID(old.GetUID())
	}
	r.complete(old, object)
	switch o := object.(type) {
	case *v1.Stream:
		before, _ := old.(*v1.Stream)
		return validation.Stream(before, o, r.ofStream(o))
	case *v1.BackfillRequest:
		before, _ := old.(*v1.BackfillRequest)
		return validation.Request(before, o, r.ofRequest(o))
	case *v1.StreamingJobTemplate:
		before, _ := old.(*v1.StreamingJobTemplate)
		return validation.Template(before, o, r.ofTemplate(o))
	case *v1.StreamClass:
		before, _ := old.(*v1.StreamClass)
		return validation.Class(before, o, validation.ClassSurroundings{Others: others[v1.StreamClass](r, o)})
	}
	return nil, nil
}

func (r room) ofStream(s *v1.Stream) validation.StreamSurroundings {
	around := validation.StreamSurroundings{Class: get[*v1.StreamClass](r, v1.KindStreamClass, "-", s.Spec.StreamClass)}
	if around.Class != nil {
		around.Schema = definition.SchemaOf(around.Class)
	}
	streaming, backfill := validation.Templates(s, around.Class)
	around.Template, around.BackfillTemplate = r.template(streaming), r.template(backfill)
	return around
}

func (r room) ofRequest(q *v1.BackfillRequest) validation.RequestSurroundings {
	around := validation.RequestSurroundings{Stream: get[*v1.Stream](r, v1.KindStream, q.Namespace, q.Spec.StreamID)}
	if around.Stream != nil {
		around.Class = get[*v1.StreamClass](r, v1.KindStreamClass, "-", around.Stream.Spec.StreamClass)
	}
	around.Template = r.template(validation.RequestTemplate(q, around.Stream, around.Class))
	around.Others = others[v1.BackfillRequest](r, q)
	return around
}

func (r room) ofTemplate(t *v1.StreamingJobTemplate) (around validation.TemplateSurroundings) {
	own := v1.TemplateReference{Namespace: t.Namespace, Name: t.Name}
	for _, object := range r.objects {
		stream, ok := object.(*v1.Stream)
		if !ok {
			continue
		}
		class := get[*v1.StreamClass](r, v1.KindStreamClass, "-", stream.Spec.StreamClass)
		streaming, backfill := validation.Templates(stream, class)
		if streaming != nil && *streaming == own || backfill != nil && *backfill == own {
			around.Users = append(around.Users, validation.TemplateUser{Stream: stream, Class: class})
		}
	}
	return around
}

func (r room) template(ref *v1.TemplateReference) *v1.StreamingJobTemplate {
	if ref == nil {
		return nil
	}
	return get[*v1.StreamingJobTemplate](r, v1.KindStreamingJobTemplate, ref.Namespace, ref.Name)
}

// get is an object by its name; nil where it is not there.
func get[T client.Object](r room, kind, namespace, name string) T {
	found, _ := r.objects[kind+"/"+namespace+"/"+name].(T)
	return found
}

// others are the objects of a kind beside this one.
func others[T any, P interface {
	*T
	client.Object
}](r room, than P,
) []T {
	var all []T
	for _, object := range r.objects {
		if o, ok := object.(P); ok && o.GetName() != than.GetName() {
			all = append(all, *o)
		}
	}
	return all
}
