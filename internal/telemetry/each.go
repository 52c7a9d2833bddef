package telemetry

// This file goes over what a cache holds without copying it.

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// each does something with all objects of a kind; it must not change them. A list
// copies their outermost layer, which for Jobs is most of them, so what the informer
// holds is taken where there is one informer. Several namespaces have several.
func each[T any, P interface {
	*T
	client.Object
}](ctx context.Context, from cache.Cache, list client.ObjectList, do func(P)) error {
	informer, err := from.GetInformer(ctx, P(new(T)))
	if err != nil {
		return fmt.Errorf("find the cache of %T: %w", list, err)
	}
	if one, ok := informer.(toolscache.SharedIndexInformer); ok {
		for _, o := range one.GetIndexer().List() {
			if object, ok := o.(P); ok {
				do(object)
			}
		}
		return nil
	}
	if err := from.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list %T: %w", list, err)
	}
	err = meta.EachListItem(list, func(o runtime.Object) error {
		if object, ok := o.(P); ok {
			do(object)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list %T: %w", list, err)
	}
	return nil
}
