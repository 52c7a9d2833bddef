package validation

// This file judges a StreamClass.

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// Class judges a StreamClass that is created (old is nil) or changed.
func Class(old, new *v1.StreamClass, around ClassSurroundings) (warnings []string, errs field.ErrorList) {
	if new.DeletionTimestamp != nil || old != nil && equality.Semantic.DeepEqual(old.Spec, new.Spec) {
		return nil, nil
	}
	v := &verdict{kind: v1.KindStreamClass, object: new}
	v.classNames(new)
	for _, p := range definition.ClassProblems(new) {
		if p.Reason == v1.ReasonKindUnsupported && !definition.OfKindStream(new) {
			// Another version serves it: its class may be there first.
			v.warn(p.Message)
			continue
		}
		v.problems(p)
	}
	v.taken(new, around.Others)
	v.faults(jobspec.PolicyFaults(new.Spec.PodFailurePolicy, nil, "spec.podFailurePolicy"))
	if new.Spec.PodFailurePolicy != nil {
		v.undisrupted(new.Spec.PodFailurePolicy, "spec.podFailurePolicy")
	}
	if old != nil && len(v.errs) == 0 {
		v.restartsClass(old, new)
	}
	return v.answer()
}

// taken refuses a plugin's own kind that another class carries already: two
// classes would start two controllers for one object. Kind Stream is everybody's.
func (v *verdict) taken(c *v1.StreamClass, others []v1.StreamClass) {
	if definition.OfKindStream(c) {
		return
	}
	for i := range others {
		o := &others[i]
		if o.Name != c.Name && o.DeletionTimestamp == nil && o.Spec.KindRef == c.Spec.KindRef && o.Spec.APIGroupRef == c.Spec.APIGroupRef {
			v.refuse("spec.kindRef", fmt.Sprintf("of group %q is carried by StreamClass %s already; change that class or delete it first", c.Spec.APIGroupRef, o.Name), false)
		}
	}
}

// restartsClass warns of an edit that is part of what jobs are built from.
func (v *verdict) restartsClass(old, new *v1.StreamClass) {
	running := new.Status.Streams[v1.StreamRunning]
	if running == 0 {
		running = old.Status.Streams[v1.StreamRunning]
	}
	if running == 0 {
		return
	}
	part := func(c *v1.StreamClass) v1.StreamClassSpec {
		s := c.Spec
		return v1.StreamClassSpec{
			SecretRefs: s.SecretRefs, JobTemplateRef: s.JobTemplateRef, ContainerName: s.ContainerName,
			FailureClasses: s.FailureClasses, PodFailurePolicy: s.PodFailurePolicy,
		}
	}
	if !equality.Semantic.DeepEqual(part(old), part(new)) {
		v.warn(fmt.Sprintf("this edit restarts the class's streaming jobs that it concerns; %d are running", running))
	}
}
