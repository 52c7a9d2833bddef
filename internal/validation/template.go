package validation

// This file judges a StreamingJobTemplate.

import (
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Template judges a StreamingJobTemplate that is created (old is nil) or changed.
func Template(old, new *v1.StreamingJobTemplate, around TemplateSurroundings) (warnings []string, errs field.ErrorList) {
	return nil, nil
}

// TemplateChanged tells whether an update changes anything that is judged.
func TemplateChanged(old, new *v1.StreamingJobTemplate) bool { return true }

// TemplateSecrets are the names of the Secrets that a template's pod names,
// sorted, each once: its environment, its volumes and its pulling of images.
func TemplateSecrets(t *v1.StreamingJobTemplate) []string { return nil }

// TemplateJob is a Job as it would come of the template alone, for a dry run: in
// the template's namespace, without owner, under a name that no real Job gets;
// nil where Template refuses it.
func TemplateJob(t *v1.StreamingJobTemplate) *batchv1.Job { return nil }
