package definition

// This file resolves which StreamingJobTemplate a job is built from, and who may name which.

import (
	"fmt"
	"slices"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Templates are a stream's references to the templates of its jobs and of its
// backfills, to be read and not written, namespaces filled in: its own, else the class's; nil where neither names one. A
// stream of a class that is gone keeps its own.
func Templates(s *v1.Stream, class *v1.StreamClass) (stream, backfill *v1.TemplateReference) {
	var classStream, classBackfill *v1.TemplateReference
	if class != nil {
		classStream, classBackfill = class.Spec.JobTemplateRef, class.Spec.BackfillJobTemplateRef
	}
	stream = firstReference(s.Namespace, s.Spec.JobTemplateRef, classStream)
	return stream, firstReference(s.Namespace, s.Spec.BackfillJobTemplateRef, classBackfill, stream)
}

// firstReference is the first that is there, with its namespace filled in: that
// very one where it has a namespace.
func firstReference(namespace string, refs ...*v1.TemplateReference) *v1.TemplateReference {
	for _, ref := range refs {
		switch {
		case ref == nil:
		case ref.Namespace != "":
			return ref
		default:
			return &v1.TemplateReference{Namespace: namespace, Name: ref.Name}
		}
	}
	return nil
}

// Template is the template that a job of this mode needs; of the backfill that
// serves the request, where one is given. What is wrong with a reference of the
// request is a Problem of kind BackfillRequest.
func Template(d Definition, class *v1.StreamClass, mode v1.Mode, request *v1.BackfillRequest) (v1.TemplateReference, *Problem) {
	ref := d.StreamTemplate
	if mode == v1.ModeBackfill {
		ref = d.BackfillTemplate
		if request != nil && request.Spec.JobTemplateRef != nil {
			own := firstReference(d.Namespace, request.Spec.JobTemplateRef)
			return *own, forbidden(d, class, *own, v1.KindBackfillRequest, "spec.jobTemplateRef.namespace",
				fmt.Sprintf("BackfillRequest %s: ", request.Name))
		}
	}
	if ref == nil {
		return v1.TemplateReference{}, &Problem{
			Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: "spec.jobTemplateRef",
			Message: fmt.Sprintf("spec.jobTemplateRef: neither the stream nor its StreamClass %s names a StreamingJobTemplate; set it here or there", d.Class),
		}
	}
	return *ref, nil
}

// forbiddenTemplates are the stream's own references that lead where they may not.
func forbiddenTemplates(d Definition, s *v1.Stream, class *v1.StreamClass) []*Problem {
	var all []*Problem
	own := []struct {
		field string
		ref   *v1.TemplateReference
	}{
		{"spec.jobTemplateRef.namespace", s.Spec.JobTemplateRef},
		{"spec.backfillJobTemplateRef.namespace", s.Spec.BackfillJobTemplateRef},
	}
	for _, o := range own {
		if o.ref == nil {
			continue
		}
		if p := forbidden(d, class, *firstReference(d.Namespace, o.ref), v1.KindStream, o.field, ""); p != nil {
			all = append(all, p)
		}
	}
	return all
}

// forbidden tells whether a reference leaves the stream's namespace for one that
// the class neither allows nor names itself: a template of somebody else's
// namespace would run with rights that its author never gave.
func forbidden(d Definition, class *v1.StreamClass, ref v1.TemplateReference, kind, field, prefix string) *Problem {
	if ref.Namespace == d.Namespace {
		return nil
	}
	if class != nil {
		if slices.Contains(class.Spec.AllowedTemplateNamespaces, ref.Namespace) {
			return nil
		}
		for _, named := range []*v1.TemplateReference{class.Spec.JobTemplateRef, class.Spec.BackfillJobTemplateRef} {
			if named != nil && *named == ref {
				return nil
			}
		}
	}
	return &Problem{
		Reason: v1.ReasonTemplateForbidden, Kind: kind, Field: field,
		Message: fmt.Sprintf("%s%s: StreamingJobTemplate %s/%s lies in another namespace, which StreamClass %s does not allow; "+
			"use a template in namespace %s, or have %s added to the class's spec.allowedTemplateNamespaces",
			prefix, field, ref.Namespace, ref.Name, d.Class, d.Namespace, ref.Namespace),
	}
}
