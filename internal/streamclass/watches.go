package streamclass

// This file says whom a change in the cluster wakes, never what happened.

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// byClass finds the Streams of a class.
const byClass = "streamclass.arcane/class"

func classOf(o client.Object) []string {
	s, ok := o.(*v1.Stream)
	if !ok {
		return nil
	}
	return []string{s.Spec.StreamClass}
}

func classOfStream(_ context.Context, o client.Object) []reconcile.Request {
	var woken []reconcile.Request
	for _, name := range classOf(o) {
		woken = append(woken, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	return woken
}

// classChanged keeps our own status writes from waking us.
func classChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration()
	}}
}

// phaseChanged lets pass what changes a count.
func phaseChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(*v1.Stream)
		after, okAfter := e.ObjectNew.(*v1.Stream)
		return okBefore && okAfter && (phaseOf(before) != phaseOf(after) || before.Spec.StreamClass != after.Spec.StreamClass)
	}}
}
