package backfill

// This file says whom a change in the cluster wakes, never what happened.

import (
	"context"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
)

// The indexes by which the cache finds what belongs together.
const (
	// byStreamID finds the requests for a stream: its name.
	byStreamID = "backfill.arcane/stream-id"
	// byOpen finds the requests that have not ended: "true".
	byOpen = "backfill.arcane/open"
	// byTemplate finds the requests that name a template of their own: "namespace/name".
	byTemplate = "backfill.arcane/template"
	// byClass finds the Streams of a class.
	byClass = "backfill.arcane/class"
)

// indexed are the indexes, and what they are made from.
var indexed = []struct {
	object client.Object
	field  string
	values client.IndexerFunc
}{
	{&v1.BackfillRequest{}, byStreamID, ofRequests(func(q *v1.BackfillRequest) []string { return []string{q.Spec.StreamID} })},
	{&v1.BackfillRequest{}, byOpen, ofRequests(func(q *v1.BackfillRequest) []string {
		if backlog.Ended(q) {
			return nil
		}
		return []string{"true"}
	})},
	{&v1.BackfillRequest{}, byTemplate, ofRequests(func(q *v1.BackfillRequest) []string {
		ref := q.Spec.JobTemplateRef
		switch {
		case ref == nil || backlog.Ended(q):
			return nil
		case ref.Namespace == "":
			return []string{q.Namespace + "/" + ref.Name}
		}
		return []string{ref.Namespace + "/" + ref.Name}
	})},
	{&v1.Stream{}, byClass, func(o client.Object) []string {
		s, ok := o.(*v1.Stream)
		if !ok {
			return nil
		}
		return []string{s.Spec.StreamClass}
	}},
}

func ofRequests(values func(q *v1.BackfillRequest) []string) client.IndexerFunc {
	return func(o client.Object) []string {
		q, ok := o.(*v1.BackfillRequest)
		if !ok {
			return nil
		}
		return values(q)
	}
}

func indexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range indexed {
		if err := indexer.IndexField(ctx, i.object, i.field, i.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", i.object, i.field, err)
		}
	}
	return nil
}

// moment is what a stream is given to carry on its requests before they are looked at.
const moment = time.Second

// later wakes requests after a moment: what happens to a stream usually makes the
// stream itself carry its requests on, and then there is nothing to be told. At
// the start every request is looked at anyway.
func later(whom func(context.Context, client.Object) []reconcile.Request) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(ctx context.Context, o client.Object, q queue) {
		for _, request := range whom(ctx, o) {
			q.AddAfter(request, moment)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				add(ctx, e.Object, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { add(ctx, e.ObjectNew, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { add(ctx, e.Object, q) },
	}
}

// requestsOf are the requests of a stream that are not yet at their end.
func (r *Reconciler) requestsOf(ctx context.Context, o client.Object) []reconcile.Request {
	all, err := requestsFor(ctx, r.Client, o.GetNamespace(), o.GetName())
	if err != nil {
		logf.FromContext(ctx).Error(err, "wake the requests of a stream")
		return nil
	}
	return keysOf(all, func(q *v1.BackfillRequest) bool { return !q.Status.Phase.Final() })
}

// othersOf are the requests that a request which has ended makes room for: those
// that wait, and those of our own that are now one older.
func (r *Reconciler) othersOf(ctx context.Context, o client.Object) []reconcile.Request {
	q, ok := o.(*v1.BackfillRequest)
	if !ok {
		return nil
	}
	all, err := requestsFor(ctx, r.Client, q.Namespace, q.Spec.StreamID)
	if err != nil {
		logf.FromContext(ctx).Error(err, "wake the other requests of a stream")
		return nil
	}
	return keysOf(all, func(other *v1.BackfillRequest) bool { return other.UID != q.UID && !kept(other) })
}

// requestsNaming are the requests that name a template of their own.
func (r *Reconciler) requestsNaming(ctx context.Context, o client.Object) []reconcile.Request {
	var list v1.BackfillRequestList
	err := r.Client.List(ctx, &list, client.MatchingFields{byTemplate: o.GetNamespace() + "/" + o.GetName()},
		client.UnsafeDisableDeepCopy, &client.ListOptions{DisableReadYourWritesConsistency: true})
	if err != nil {
		logf.FromContext(ctx).Error(err, "wake the requests that name a template")
		return nil
	}
	return keysOf(list.Items, func(*v1.BackfillRequest) bool { return true })
}

func keysOf(list []v1.BackfillRequest, which func(*v1.BackfillRequest) bool) []reconcile.Request {
	var keys []reconcile.Request
	for i := range list {
		if which(&list[i]) {
			keys = append(keys, reconcile.Request{NamespacedName: keyOf(&list[i])})
		}
	}
	return keys
}

// classOfRequest is the class in whose queue a request stands: its stream's.
func (s *Slots) classOfRequest(ctx context.Context, o client.Object) []reconcile.Request {
	q, ok := o.(*v1.BackfillRequest)
	if !ok {
		return nil
	}
	stream := &v1.Stream{}
	key := types.NamespacedName{Namespace: q.Namespace, Name: q.Spec.StreamID}
	if err := s.Client.Get(ctx, key, stream, &client.GetOptions{DisableReadYourWritesConsistency: true}); err != nil {
		return nil // when the stream appears, it wakes its class itself
	}
	return classOfStream(ctx, stream)
}

func classOfStream(_ context.Context, o client.Object) []reconcile.Request {
	s, ok := o.(*v1.Stream)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: s.Spec.StreamClass}}}
}

// onUpdate lets creations and deletions pass, and those updates that matter.
func onUpdate[T client.Object](matters func(before, after T) bool) predicate.Funcs {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, okBefore := e.ObjectOld.(T)
		after, okAfter := e.ObjectNew.(T)
		return okBefore && okAfter && (before.GetUID() != after.GetUID() || matters(before, after))
	}}
}

func specChanged() predicate.Predicate {
	return onUpdate(func(before, after client.Object) bool { return before.GetGeneration() != after.GetGeneration() })
}

// requestChanged lets pass what its user changed; its completion by the stream:
// then it may be time to clean up; and a grant: its stream may have been suspended
// in the same moment, and then the slot is given back. Our own status writes wake nobody.
func requestChanged() predicate.Predicate {
	return onUpdate(func(before, after *v1.BackfillRequest) bool {
		return before.Generation != after.Generation ||
			!maps.Equal(before.Annotations, after.Annotations) ||
			before.Status.Phase != after.Status.Phase && (after.Status.Phase == v1.RequestCompleted || after.Status.Phase == v1.RequestGranted)
	})
}

// requestEnded lets pass the end of a request, and its deletion.
func requestEnded() predicate.Predicate {
	p := onUpdate(func(before, after *v1.BackfillRequest) bool {
		return !backlog.Ended(before) && backlog.Ended(after) || !before.Status.Phase.Final() && after.Status.Phase.Final()
	})
	p.CreateFunc = func(event.CreateEvent) bool { return false }
	return p
}

// slotsMoved lets pass what can free a slot or make a request want one.
func slotsMoved() predicate.Predicate {
	return onUpdate(func(before, after *v1.BackfillRequest) bool {
		return backlog.Ended(before) != backlog.Ended(after) || holds(before.Status.Phase) != holds(after.Status.Phase) ||
			before.Generation != after.Generation || reasonOf(before) != reasonOf(after)
	})
}

// reasonOf is why a request waits: one that waits for a template may do without it.
func reasonOf(q *v1.BackfillRequest) string {
	c := meta.FindStatusCondition(q.Status.Conditions, v1.ConditionReady)
	if c == nil {
		return ""
	}
	return c.Reason
}

// streamChanged lets pass what its requests, or the slots of its class, depend on.
func streamChanged() predicate.Predicate {
	return onUpdate(func(before, after *v1.Stream) bool {
		return dependsOn(before) != dependsOn(after)
	})
}

// dependency is what is read of a stream.
type dependency struct {
	class                        string
	suspended, deleted, failed   bool
	accepted                     metav1.ConditionStatus
	initial                      v1.InitialBackfillDecision
	initialUID, gapUID, backfill types.UID
	occupies                     bool
}

func dependsOn(s *v1.Stream) dependency {
	d := dependency{
		class:      s.Spec.StreamClass,
		suspended:  s.Spec.Suspended,
		deleted:    s.DeletionTimestamp != nil,
		failed:     s.Status.Failure != nil,
		initial:    s.Status.InitialBackfill,
		initialUID: s.Status.InitialRequestUID,
		gapUID:     s.Status.GapRequestUID,
	}
	if c := meta.FindStatusCondition(s.Status.Conditions, v1.ConditionAccepted); c != nil {
		d.accepted = c.Status
	}
	if backfilling(s) {
		d.backfill, d.occupies = s.Status.Job.RequestUID, occupies(s)
	}
	return d
}
