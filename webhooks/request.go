package webhooks

// This file adapts BackfillRequests.

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

func (s *server) requests() kind[*v1.BackfillRequest, validation.RequestSurroundings] {
	return kind[*v1.BackfillRequest, validation.RequestSurroundings]{
		server: s, name: v1.KindBackfillRequest,
		fresh:   func() *v1.BackfillRequest { return &v1.BackfillRequest{} },
		changed: validation.RequestChanged,
		wakes:   func(old, new *v1.BackfillRequest) bool { return old.Spec.Completed && !new.Spec.Completed },
		fill: func(ctx context.Context, old, new *v1.BackfillRequest, create bool) error {
			stream, err := s.stream(ctx, new.Namespace, new.Spec.StreamID)
			if err != nil {
				return err
			}
			validation.DefaultRequest(old, new, create, stream)
			return nil
		},
		around: s.aroundRequest,
		needs: func(new *v1.BackfillRequest, _ bool, _ validation.RequestSurroundings) need {
			return need{kind: v1.KindBackfillRequest, namespace: new.Namespace}
		},
		check: validation.Request,
	}
}

// aroundRequest looks up what a request names, and the other requests for its stream.
func (s *server) aroundRequest(ctx context.Context, q *v1.BackfillRequest) (around validation.RequestSurroundings, err error) {
	if around.Stream, err = s.stream(ctx, q.Namespace, q.Spec.StreamID); err != nil {
		return around, err
	}
	if around.Stream != nil {
		if around.Class, err = s.class(ctx, around.Stream.Spec.StreamClass); err != nil {
			return around, err
		}
	}
	if around.Template, err = s.template(ctx, validation.RequestTemplate(q, around.Stream, around.Class)); err != nil {
		return around, err
	}
	var list v1.BackfillRequestList
	if err := s.cache.List(ctx, &list, client.InNamespace(q.Namespace), client.MatchingFields{byStreamID: q.Spec.StreamID}, client.UnsafeDisableDeepCopy); err != nil {
		return around, fmt.Errorf("look up the other requests: %w", err)
	}
	for _, other := range list.Items {
		if other.Name != q.Name {
			around.Others = append(around.Others, other)
		}
	}
	return around, nil
}
