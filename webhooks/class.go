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
func (s *server) classes() kind[*v1.StreamClass] {
	return kind[*v1.StreamClass]{
		server: s, name: v1.KindStreamClass,
		fresh:   func() *v1.StreamClass { return &v1.StreamClass{} },
		changed: func(old, new *v1.StreamClass) bool { return !equality.Semantic.DeepEqual(old.Spec, new.Spec) },
		check: func(ctx context.Context, old, new *v1.StreamClass) (v verdict, err error) {
			var list v1.StreamClassList
			if err := s.cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
				return v, fmt.Errorf("look up the other classes: %w", err)
			}
			var around validation.ClassSurroundings
			for _, other := range list.Items {
				if other.Name != new.Name {
					around.Others = append(around.Others, other)
				}
			}
			v.warnings, v.errs = validation.Class(old, new, around)
			return v, nil
		},
	}
}
