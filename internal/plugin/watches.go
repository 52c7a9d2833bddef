package plugin

// This file says which StreamPlugins a change in the cluster enqueues.

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

const (
	// byClass finds the Streams of a class.
	byClass = "plugin.arcane/class"
	// byInstalled finds the StreamPlugins that install a class.
	byInstalled = "plugin.arcane/installed"
)

// index adds the indexes.
func index(ctx context.Context, indexer client.FieldIndexer) error {
	streams := func(o client.Object) []string {
		s, ok := o.(*v1.Stream)
		if !ok {
			return nil
		}
		return []string{s.Spec.StreamClass}
	}
	if err := indexer.IndexField(ctx, &v1.Stream{}, byClass, streams); err != nil {
		return fmt.Errorf("index Streams by class: %w", err)
	}
	plugins := func(o client.Object) []string {
		p, ok := o.(*v1.StreamPlugin)
		if !ok {
			return nil
		}
		return []string{pluginchart.ClassName(p)}
	}
	if err := indexer.IndexField(ctx, &v1.StreamPlugin{}, byInstalled, plugins); err != nil {
		return fmt.Errorf("index StreamPlugins by class: %w", err)
	}
	return nil
}

// specOrDeletionChanged keeps the controller's own status and finalizer writes from waking it. A finalizer that somebody takes
// away, as kubectl replace does, wakes it: it puts the finalizer back.
func specOrDeletionChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() ||
			e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			(e.ObjectOld.GetDeletionTimestamp() == nil) != (e.ObjectNew.GetDeletionTimestamp() == nil) ||
			controllerutil.ContainsFinalizer(e.ObjectOld, v1.FinalizerUninstall) && !controllerutil.ContainsFinalizer(e.ObjectNew, v1.FinalizerUninstall)
	}}
}

// deletedOnly lets only deletions pass: a Stream cannot change its class.
func deletedOnly() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(event.UpdateEvent) bool { return false },
	}
}

// enqueueWaiting enqueues the StreamPlugins that are being deleted and wait for the Streams of this one's class.
func (r *Reconciler) enqueueWaiting() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		s, ok := o.(*v1.Stream)
		if !ok {
			return nil
		}
		var list v1.StreamPluginList
		if err := r.Client.List(ctx, &list, client.MatchingFields{byInstalled: s.Spec.StreamClass}, client.UnsafeDisableDeepCopy); err != nil {
			logf.FromContext(ctx).Error(err, "look up the StreamPlugins that wait for a Stream", "class", s.Spec.StreamClass)
			return nil
		}
		var woken []reconcile.Request
		for i := range list.Items {
			if list.Items[i].DeletionTimestamp != nil {
				woken = append(woken, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
		return woken
	})
}
