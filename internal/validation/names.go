package validation

// This file checks names: what bears a name that nothing can have is not late, it never comes.

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// name refuses a name that cannot be what; an empty one is another rule's.
func (v *verdict) name(path, name, what string, valid func(string) []string) {
	if errs := valid(name); name != "" && len(errs) > 0 {
		v.refuse(path, fmt.Sprintf("is not %s: %s", what, errs[0]), false)
	}
}

// templateName checks the name in a reference to a template. A class may name any
// namespace; whoever else names one that is none may not name it (see definition).
func (v *verdict) templateName(path string, ref *v1.TemplateReference) {
	if ref != nil {
		v.name(path+".name", ref.Name, "the name of a StreamingJobTemplate", validation.IsDNS1123Subdomain)
	}
}

// streamNames checks the names that a stream names.
func (v *verdict) streamNames(s *v1.Stream) {
	v.name("spec.streamClass", s.Spec.StreamClass, className, validation.IsDNS1123Subdomain)
	v.templateName("spec.jobTemplateRef", s.Spec.JobTemplateRef)
	v.templateName("spec.backfillJobTemplateRef", s.Spec.BackfillJobTemplateRef)
}

// requestNames checks the names that a request names.
func (v *verdict) requestNames(q *v1.BackfillRequest) {
	v.name("spec.streamClass", q.Spec.StreamClass, className, validation.IsDNS1123Subdomain)
	v.name("spec.streamId", q.Spec.StreamID, "the name of a Stream", validation.IsDNS1123Subdomain)
	v.templateName("spec.jobTemplateRef", q.Spec.JobTemplateRef)
}

const className = "the name of a StreamClass"

// classNames checks every name that a class holds as Kubernetes will when it is used.
func (v *verdict) classNames(c *v1.StreamClass) {
	v.name("spec.apiGroupRef", c.Spec.APIGroupRef, "the name of an API group", validation.IsDNS1123Subdomain)
	v.name("spec.apiVersion", c.Spec.APIVersion, "a version such as v1", validation.IsDNS1035Label)
	v.name("spec.kindRef", c.Spec.KindRef, "a kind such as Stream", func(kind string) []string { return validation.IsDNS1035Label(strings.ToLower(kind)) })
	v.name("spec.pluralName", c.Spec.PluralName, "a plural such as streams", validation.IsDNS1035Label)
	v.name("spec.containerName", c.Spec.ContainerName, "the name of a container", validation.IsDNS1123Label)
	for i, namespace := range c.Spec.AllowedTemplateNamespaces {
		path := fmt.Sprintf("spec.allowedTemplateNamespaces[%d]", i)
		if namespace == "" {
			v.refuse(path, "is empty; name a namespace or remove it", false)
		}
		v.name(path, namespace, "the name of a namespace; there are no patterns", validation.IsDNS1123Label)
	}
	for i, ref := range c.Spec.SecretRefs {
		for step := range strings.SplitSeq(ref, ".") {
			if step == "" {
				v.refuse(fmt.Sprintf("spec.secretRefs[%d]", i), "is not a path below a stream's spec, such as source.credentials; write the names of fields with dots between them", false)
				break
			}
		}
	}
	for _, at := range []struct {
		path string
		ref  *v1.TemplateReference
	}{{"spec.jobTemplateRef", c.Spec.JobTemplateRef}, {"spec.backfillJobTemplateRef", c.Spec.BackfillJobTemplateRef}} {
		v.templateName(at.path, at.ref)
		if at.ref != nil {
			v.name(at.path+".namespace", at.ref.Namespace, "the name of a namespace", validation.IsDNS1123Label)
		}
	}
}
