package jobspec

// This file hashes the inputs that make a job another job.

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// hashed are the inputs, under names of their own: a field that is renamed in a
// library would otherwise restart every stream.
type hashed struct {
	Spec     any     `json:"spec"`
	Mode     v1.Mode `json:"mode"`
	Template any     `json:"template"`
	Class    any     `json:"class"`
	Payload  string  `json:"payload,omitempty"`
}

// hashedClass is the part of a class that changes a job.
type hashedClass struct {
	SecretRefs       []string                  `json:"secretRefs,omitempty"`
	ContainerName    string                    `json:"containerName,omitempty"`
	FailureClasses   []v1.FailureClass         `json:"failureClasses,omitempty"`
	PodFailurePolicy *batchv1.PodFailurePolicy `json:"podFailurePolicy,omitempty"`
}

// Hash is the configuration hash: of the stream's HashSpec, the mode, the
// template (which one, and its content), the class's part and, for a backfill,
// the request's payload. It is a function of the inputs, never of the Job that
// they lead to, so that an operator that builds Jobs differently restarts
// nothing; and it does not depend on the run, on resourceVersions, or on the
// class's policy where the stream or the template has its own.
func Hash(in Input) string {
	payload := ""
	if in.Mode == v1.ModeBackfill {
		b, err := override(in.Request)
		if err != nil {
			// Build refuses it; until then it is some configuration, and not that of a good one.
			b = []byte("unreadable")
		}
		payload = string(b)
	}
	return digest(hashed{
		Spec:     string(in.Definition.HashSpec),
		Mode:     in.Mode,
		Template: hashedTemplate(in.Template),
		Class:    classPart(in),
		Payload:  payload,
	})
}

func classPart(in Input) hashedClass {
	c := in.Class
	if c == nil {
		return hashedClass{}
	}
	part := hashedClass{SecretRefs: c.Spec.SecretRefs}
	switch sourceOfPolicy(in.Definition, c, in.Template) {
	case policyOfStream, policyOfTemplate:
	case policyOfClass:
		part.PodFailurePolicy = c.Spec.PodFailurePolicy
	case policyComputed:
		part.ContainerName, part.FailureClasses = c.Spec.ContainerName, c.Spec.FailureClasses
	}
	return part
}

// hashedTemplate is which template, its Job's labels and annotations, and its
// Job's spec. The pod's restartPolicy is left out: it is Never, whether the user,
// the defaulting webhook or only the builder says so.
func hashedTemplate(t *v1.StreamingJobTemplate) any {
	if t == nil {
		return nil
	}
	spec := t.Spec.Spec
	spec.Template.Spec.RestartPolicy = ""
	return map[string]any{
		"namespace":   t.Namespace,
		"name":        t.Name,
		"labels":      t.Spec.Labels,
		"annotations": t.Spec.Annotations,
		"spec":        spec,
	}
}

func digest(inputs hashed) string {
	b, err := definition.Essence(inputs)
	if err != nil {
		panic(fmt.Errorf("hash the configuration: %w", err)) // typed values can always be written
	}
	return definition.Digest(b)
}
