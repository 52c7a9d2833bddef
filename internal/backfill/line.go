package backfill

// This file says which requests wait, for what, and in which order: pure functions.

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
)

// blocked is why no request for this stream, or not this one, can be served now;
// empty where it can.
func blocked(s *v1.Stream, q *v1.BackfillRequest) v1.Reason {
	switch {
	case s == nil:
		return v1.ReasonStreamNotFound
	case !backlog.Matches(s, q):
		return v1.ReasonClassMismatch
	case s.Spec.Suspended:
		return v1.ReasonStreamSuspended
	case s.Status.Failure != nil:
		return v1.ReasonStreamFailed
	case meta.IsStatusConditionFalse(s.Status.Conditions, v1.ConditionAccepted):
		return v1.ReasonStreamNotReady
	default:
		return ""
	}
}

// orphaned tells whether a request is deleted because its stream is: also where
// another stream has taken the name since. It is not that one's.
func orphaned(s *v1.Stream, q *v1.BackfillRequest) bool {
	if s == nil {
		return backlog.OwnerOf(q) != ""
	}
	return s.DeletionTimestamp != nil || backlog.IsOfAnother(s, q)
}

// limit is how many backfills of a class may run at once; unlimited without one.
func limit(class *v1.StreamClass) (most int, limited bool) {
	if class == nil || class.Spec.Backfill == nil || class.Spec.Backfill.MaxConcurrent == nil {
		return 0, false
	}
	return int(*class.Spec.Backfill.MaxConcurrent), true
}

// recorded tells whether the stream's recorded job is the one that serves the request.
func recorded(s *v1.Stream, q *v1.BackfillRequest) bool {
	return backfilling(s) && s.Status.Job.RequestUID == q.UID
}

// backfilling tells whether the stream's recorded job is a backfill: running, on
// its way out, or ended and not yet carried out.
func backfilling(s *v1.Stream) bool {
	return s != nil && s.Status.Job != nil && s.Status.Job.Mode == v1.ModeBackfill
}

// occupies tells whether the stream's recorded job holds a slot: a backfill whose
// success is recorded has ended, also where its record stays until the next start.
func occupies(s *v1.Stream) bool {
	return backfilling(s) && s.Status.Job.Outcome == ""
}

// waiting tells whether a request stands in its stream's line.
func waiting(s *v1.Stream, q *v1.BackfillRequest) bool {
	return s.DeletionTimestamp == nil && backlog.Waits(s, q)
}

// isNext tells whether no other request comes before this one: the one whose job
// is recorded comes first, then the oldest, then by name.
func isNext(s *v1.Stream, q *v1.BackfillRequest, requests []v1.BackfillRequest) bool {
	if backfilling(s) {
		return recorded(s, q)
	}
	return !slices.ContainsFunc(requests, func(o v1.BackfillRequest) bool {
		return waiting(s, &o) && backlog.InOrder(&o, q) < 0
	})
}

// behindFirst tells whether one that nothing of the stream runs before comes before
// this request: the initial backfill's, or the one that a failure asked for. Whatever
// that one waits for, this one cannot be served, and has no use for a slot.
// Found are the open requests, by UID: those of a class may be many.
func behindFirst(s *v1.Stream, q *v1.BackfillRequest, found func(types.UID) *v1.BackfillRequest) bool {
	if recorded(s, q) {
		return false
	}
	return slices.ContainsFunc([]types.UID{s.Status.InitialRequestUID, s.Status.GapRequestUID}, func(first types.UID) bool {
		o := found(first)
		return o != nil && waiting(s, o) && backlog.InOrder(o, q) < 0
	})
}

// endOf is when a request ended.
func endOf(q *v1.BackfillRequest) metav1.Time {
	if q.Status.CompletionTime != nil {
		return *q.Status.CompletionTime
	}
	return q.CreationTimestamp
}
