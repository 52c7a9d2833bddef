package webhooks

// This file adapts StreamPlugins.

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

// rendered is what a StreamPlugin installs.
type rendered struct {
	// err says why it cannot be rendered.
	err error
	// class and templates are the objects of our own kinds.
	class     *v1.StreamClass
	templates []*v1.StreamingJobTemplate
	// objects are all of them, by resource, without a verb.
	objects []authorizationv1.ResourceAttributes
	// taken: a StreamClass of the name exists that this StreamPlugin has not installed.
	taken bool
}

// plugins is the adapter of StreamPlugins. The operator writes what one renders with its own rights, so whoever writes the
// StreamPlugin must have these rights too.
func (s *server) plugins() kind[*v1.StreamPlugin, rendered] {
	return kind[*v1.StreamPlugin, rendered]{
		server: s, name: v1.KindStreamPlugin,
		fresh:   func() *v1.StreamPlugin { return &v1.StreamPlugin{} },
		changed: func(old, new *v1.StreamPlugin) bool { return !equality.Semantic.DeepEqual(old.Spec, new.Spec) },
		fill: func(_ context.Context, new *v1.StreamPlugin, _ bool) error {
			if s.chart != nil {
				new.Spec.Version = s.chart.Version(new)
			}
			return nil
		},
		around: s.render,
		needs: func(new *v1.StreamPlugin, create bool, around rendered) need {
			verb := "update"
			if create {
				verb = "create"
			}
			n := need{kind: v1.KindStreamPlugin, namespace: new.Namespace, objects: withVerb(verb, around.objects)}
			for _, t := range around.templates {
				n.secrets = append(n.secrets, validation.TemplateSecrets(t)...)
			}
			slices.Sort(n.secrets)
			n.secrets = slices.Compact(n.secrets)
			return n
		},
		check: checkPlugin,
		removal: func(ctx context.Context, old *v1.StreamPlugin) (need, error) {
			around, err := s.render(ctx, old)
			return need{kind: v1.KindStreamPlugin, namespace: old.Namespace, objects: withVerb("delete", around.objects), noJobs: true}, err
		},
		try: s.tryPlugin,
	}
}

// withVerb asks for one verb on each object. The API server authorizes a create without a name.
func withVerb(verb string, objects []authorizationv1.ResourceAttributes) []authorizationv1.ResourceAttributes {
	all := make([]authorizationv1.ResourceAttributes, 0, len(objects))
	for _, what := range objects {
		what.Verb = verb
		if verb == "create" {
			what.Name = ""
		}
		all = append(all, what)
	}
	return all
}

// errNotServed is the answer of an operator that serves no StreamPlugins.
var errNotServed = field.Forbidden(field.NewPath("kind"),
	"this operator serves no StreamPlugins: it runs with --namespaces or with --stream-plugins=false; install the plugin's StreamClass and StreamingJobTemplates yourself")

// render renders the chart, and looks up the resource of each object.
func (s *server) render(ctx context.Context, p *v1.StreamPlugin) (rendered, error) {
	if s.chart == nil {
		return rendered{err: errNotServed}, nil
	}
	capabilities, err := pluginchart.CapabilitiesOf(s.mapper)
	if err != nil {
		return rendered{}, err
	}
	objects, err := s.chart.Render(p, capabilities)
	if err != nil {
		return rendered{err: err}, nil //nolint:nilerr // The verdict is about the spec: checkPlugin refuses it by the field.
	}
	var r rendered
	for _, o := range objects {
		mapping, err := s.mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		if err != nil {
			return r, fmt.Errorf("find out what the API server calls a %s: %w", o.GetKind(), err)
		}
		r.objects = append(r.objects, authorizationv1.ResourceAttributes{
			Group: mapping.Resource.Group, Version: mapping.Resource.Version, Resource: mapping.Resource.Resource,
			Namespace: o.GetNamespace(), Name: o.GetName(),
		})
		if err := r.add(o); err != nil {
			return r, err
		}
	}
	r.taken, err = s.taken(ctx, p)
	return r, err
}

// add keeps the objects of our own kinds, typed.
func (r *rendered) add(o *unstructured.Unstructured) error {
	var into any
	switch o.GetKind() {
	case v1.KindStreamClass:
		r.class = &v1.StreamClass{}
		into = r.class
	case v1.KindStreamingJobTemplate:
		t := &v1.StreamingJobTemplate{}
		r.templates = append(r.templates, t)
		into = t
	default:
		return nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
		return fmt.Errorf("read the %s that the chart renders: %w", o.GetKind(), err)
	}
	return nil
}

// taken tells whether somebody else's StreamClass has the name.
func (s *server) taken(ctx context.Context, p *v1.StreamPlugin) (bool, error) {
	class := &v1.StreamClass{}
	err := s.cache.Get(ctx, client.ObjectKey{Name: pluginchart.ClassName(p)}, class)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up StreamClass %s: %w", pluginchart.ClassName(p), err)
	}
	return p.UID == "" || class.Annotations[pluginchart.AnnotationPluginUID] != string(p.UID), nil
}

// likelySecret are names of variables whose values are likely to be secret.
var likelySecret = regexp.MustCompile(`(?i)(password|passwd|secret|token|credential|private_?key|access_?key|api_?key|dsn)`)

// checkPlugin asks whether the spec can be rendered, and whether what it renders would be accepted.
func checkPlugin(_, new *v1.StreamPlugin, around rendered) (warnings []string, errs field.ErrorList) {
	spec := field.NewPath("spec")
	if around.err != nil {
		var at *field.Error
		if !errors.As(around.err, &at) {
			at = field.Forbidden(spec, around.err.Error())
		}
		return nil, field.ErrorList{at}
	}
	for i, variable := range new.Spec.Env {
		if variable.Value != "" && likelySecret.MatchString(variable.Name) {
			warnings = append(warnings, fmt.Sprintf("%s: everybody who may read the StreamPlugin or its templates can read this value; take a secret by valueFrom.secretKeyRef",
				spec.Child("env").Index(i).Child("value")))
		}
	}
	if around.taken {
		warnings = append(warnings, fmt.Sprintf("%s: StreamClass %s exists and does not belong to this StreamPlugin; the operator leaves it alone and installs nothing until it is gone, or name another class",
			spec.Child("className"), pluginchart.ClassName(new)))
	}
	if around.class != nil {
		_, found := validation.Class(nil, around.class, validation.ClassSurroundings{})
		errs = append(errs, ofRendered(spec, "StreamClass "+around.class.Name, found)...)
	}
	for _, t := range around.templates {
		_, found := validation.Template(nil, t, validation.TemplateSurroundings{})
		errs = append(errs, ofRendered(spec, "StreamingJobTemplate "+t.Name, found)...)
	}
	return warnings, errs
}

// ofRendered reports what is wrong with a rendered object as an error of the spec.
func ofRendered(spec *field.Path, object string, found field.ErrorList) (errs field.ErrorList) {
	for _, e := range found {
		errs = append(errs, field.Forbidden(spec, fmt.Sprintf("the %s that it renders would be refused: %v", object, e)))
	}
	return errs
}

// tryPlugin asks the API server, by a dry run, to take a Job of each template.
func (s *server) tryPlugin(ctx context.Context, _ *v1.StreamPlugin, around rendered) (v verdict) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, t := range around.templates {
		tried := s.tryTemplate(ctx, t, validation.TemplateSurroundings{})
		v.warnings = append(v.warnings, tried.warnings...)
		v.errs = append(v.errs, ofRendered(field.NewPath("spec"), "StreamingJobTemplate "+t.Name, tried.errs)...)
	}
	return v
}
