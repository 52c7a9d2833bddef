package streamclass

// This file says whom a change in the cluster wakes, never what happened.

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
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

// moment is how long a class waits for more of its streams to change.
const moment = time.Second

// later wakes the class of a stream after a moment. To count goes through all streams
// of the class: while thousands start, each of their changes would make it go through
// thousands.
func later() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(o client.Object, q queue) {
		for _, name := range classOf(o) {
			q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}, moment)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			add(e.ObjectOld, q)
			add(e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { add(e.Object, q) },
	}
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
