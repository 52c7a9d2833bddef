package webhooks

// This file adapts Streams.

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

func (s *server) streams() kind[*v1.Stream, validation.StreamSurroundings] {
	return kind[*v1.Stream, validation.StreamSurroundings]{
		server: s, name: v1.KindStream,
		fresh:   func() *v1.Stream { return &v1.Stream{} },
		changed: validation.StreamChanged,
		// Whoever may change a stream may stop it; to let it run takes more.
		wakes: validation.StreamWakes,
		fill: func(ctx context.Context, _, new *v1.Stream, create bool) error {
			around, err := s.aroundStream(ctx, new)
			if err != nil {
				return err
			}
			validation.DefaultStream(new, create, around)
			return nil
		},
		around: s.aroundStream,
		needs: func(new *v1.Stream, _ bool, around validation.StreamSurroundings) need {
			return need{kind: v1.KindStream, namespace: new.Namespace, secrets: validation.StreamSecrets(new, around.Class)}
		},
		check: validation.Stream,
		try:   s.tryStream,
	}
}

// tryStream tries the Jobs that would come of a stream; that of its backfills only
// where it is built from another template.
func (s *server) tryStream(ctx context.Context, stream *v1.Stream, around validation.StreamSurroundings) (v verdict) {
	if around.Template != nil && around.Template == around.BackfillTemplate {
		around.BackfillTemplate = nil
	}
	jobs := validation.StreamJobs(stream, around)
	fields := []*field.Path{field.NewPath("spec", "jobTemplateRef"), field.NewPath("spec", "backfillJobTemplateRef")}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, job := range jobs {
		causes, warning := s.tryJob(ctx, job)
		if warning != "" {
			v.warnings = append(v.warnings, warning)
		}
		for _, cause := range causes {
			v.errs = append(v.errs, field.Forbidden(fields[min(i, 1)], fmt.Sprintf(
				"Kubernetes refuses the Job that would come of it: %s: %s; correct the template, or name another", cause.Field, cause.Message)))
		}
	}
	return v
}

// aroundStream looks up what a stream names. Like all that is looked up here it is
// the cache's own, and not a copy.
func (s *server) aroundStream(ctx context.Context, stream *v1.Stream) (around validation.StreamSurroundings, err error) {
	if around.Class, err = s.class(ctx, stream.Spec.StreamClass); err != nil {
		return around, err
	}
	around.Schema = s.schemas.Of(around.Class)
	streaming, backfill := validation.Templates(stream, around.Class)
	if around.Template, err = s.template(ctx, streaming); err != nil {
		return around, err
	}
	if ptr.Equal(streaming, backfill) {
		around.BackfillTemplate = around.Template
		return around, nil
	}
	around.BackfillTemplate, err = s.template(ctx, backfill)
	return around, err
}

// class is nil where there is none of that name.
func (s *server) class(ctx context.Context, name string) (*v1.StreamClass, error) {
	if name == "" {
		return nil, nil
	}
	class := &v1.StreamClass{}
	return found(class, s.cache.Get(ctx, client.ObjectKey{Name: name}, class, client.UnsafeDisableDeepCopy))
}

// template is nil where it is not there.
func (s *server) template(ctx context.Context, ref *v1.TemplateReference) (*v1.StreamingJobTemplate, error) {
	if ref == nil || ref.Name == "" {
		return nil, nil
	}
	t := &v1.StreamingJobTemplate{}
	return found(t, s.cache.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, t, client.UnsafeDisableDeepCopy))
}

// stream is nil where it is not there.
func (s *server) stream(ctx context.Context, namespace, name string) (*v1.Stream, error) {
	if name == "" {
		return nil, nil
	}
	stream := &v1.Stream{}
	return found(stream, s.cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, stream, client.UnsafeDisableDeepCopy))
}

// found is nil where there is nothing; that something could not be read is an error.
func found[T client.Object](o T, err error) (T, error) {
	var none T
	switch {
	case err == nil:
		return o, nil
	case apierrors.IsNotFound(err):
		return none, nil
	default:
		return none, fmt.Errorf("look up what the object names: %w", err)
	}
}
