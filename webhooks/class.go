package webhooks

// This file adapts StreamClasses.

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

// classes are an administrator's: who may write one may already decide what runs
// where, so nothing more is asked of them.
func (s *server) classes() kind[*v1.StreamClass, validation.ClassSurroundings] {
	return kind[*v1.StreamClass, validation.ClassSurroundings]{
		server: s, name: v1.KindStreamClass,
		fresh:   func() *v1.StreamClass { return &v1.StreamClass{} },
		changed: func(old, new *v1.StreamClass) bool { return !equality.Semantic.DeepEqual(old.Spec, new.Spec) },
		around: func(ctx context.Context, new *v1.StreamClass) (around validation.ClassSurroundings, err error) {
			var list v1.StreamClassList
			if err := s.cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
				return around, fmt.Errorf("look up the other classes: %w", err)
			}
			for _, other := range list.Items {
				if other.Name != new.Name {
					around.Others = append(around.Others, other)
				}
			}
			return around, nil
		},
		check: validation.Class,
	}
}
