package webhooks

// This file adapts StreamingJobTemplates.

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

func (s *server) templates() kind[*v1.StreamingJobTemplate, validation.TemplateSurroundings] {
	return kind[*v1.StreamingJobTemplate, validation.TemplateSurroundings]{
		server: s, name: v1.KindStreamingJobTemplate,
		fresh:   func() *v1.StreamingJobTemplate { return &v1.StreamingJobTemplate{} },
		changed: validation.TemplateChanged,
		fill: func(_ context.Context, _, new *v1.StreamingJobTemplate, _ bool) error {
			validation.DefaultTemplate(new)
			return nil
		},
		around: s.aroundTemplate,
		needs: func(new *v1.StreamingJobTemplate, _ bool, _ validation.TemplateSurroundings) need {
			return need{kind: v1.KindStreamingJobTemplate, namespace: new.Namespace, secrets: validation.TemplateSecrets(new)}
		},
		check: validation.Template,
		try:   s.tryTemplate,
	}
}

// tryTemplate tries a Job of the template alone.
func (s *server) tryTemplate(ctx context.Context, t *v1.StreamingJobTemplate, _ validation.TemplateSurroundings) (v verdict) {
	job := validation.TemplateJob(t)
	if job == nil {
		return v
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	causes, warning := s.tryJob(ctx, job)
	if warning != "" {
		v.warnings = append(v.warnings, warning)
	}
	for _, cause := range causes {
		// The Job's spec is the template's spec.spec.
		v.errs = append(v.errs, field.Forbidden(field.NewPath("spec."+cause.Field), fmt.Sprintf("Kubernetes refuses a Job of this template: %s; correct it", cause.Message)))
	}
	return v
}

// aroundTemplate finds the streams whose jobs are built from the template.
func (s *server) aroundTemplate(ctx context.Context, t *v1.StreamingJobTemplate) (around validation.TemplateSurroundings, err error) {
	streams, err := s.namers(ctx, t)
	if err != nil {
		return around, err
	}
	own := v1.TemplateReference{Namespace: t.Namespace, Name: t.Name}
	for _, stream := range streams {
		class, err := s.class(ctx, stream.Spec.StreamClass)
		if err != nil {
			return around, err
		}
		streaming, backfill := validation.Templates(stream, class)
		if streaming != nil && *streaming == own || backfill != nil && *backfill == own {
			around.Users = append(around.Users, validation.TemplateUser{Stream: stream, Class: class})
		}
	}
	return around, nil
}
