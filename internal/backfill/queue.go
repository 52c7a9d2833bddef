package backfill

// This file says whose turn it is within a class: pure functions.

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
)

// queue is what was read of a class's queue.
type queue struct {
	now   time.Time
	class *v1.StreamClass
	// streams of the class. Read only, like the requests.
	streams map[types.NamespacedName]*v1.Stream
	// requests that have not ended, for streams of any class.
	requests []v1.BackfillRequest
}

func (q *queue) setStreams(list []v1.Stream) {
	q.streams = make(map[types.NamespacedName]*v1.Stream, len(list))
	for i := range list {
		q.streams[keyOf(&list[i])] = &list[i]
	}
}

// candidate is a request that may be granted a slot.
type candidate struct {
	request *v1.BackfillRequest
	stream  *v1.Stream
	// claimed: its stream holds a slot for it anyway, so it gets its grant.
	claimed bool
}

// streamOf is the stream of the class that a request is for, nil where it is for another one.
func (q *queue) streamOf(r *v1.BackfillRequest) *v1.Stream {
	return q.streams[types.NamespacedName{Namespace: r.Namespace, Name: r.Spec.StreamID}]
}

// occupied are the streams that hold a slot: one of their requests has been
// granted or runs, or a backfill's job is still recorded, perhaps on its way out,
// without its success.
func (q *queue) occupied() map[types.UID]bool {
	occupied := map[types.UID]bool{}
	for _, s := range q.streams {
		if occupies(s) {
			occupied[s.UID] = true
		}
	}
	for i := range q.requests {
		r := &q.requests[i]
		if s := q.streamOf(r); s != nil && !backlog.Ended(r) && holds(r.Status.Phase) {
			occupied[s.UID] = true
		}
	}
	return occupied
}

// holds tells whether a request in this phase holds a slot.
func holds(phase v1.RequestPhase) bool {
	return phase == v1.RequestGranted || phase == v1.RequestRunning
}

// free is how many slots are left. A limit that was lowered takes nothing back.
func (q *queue) free() int {
	most, _ := limit(q.class)
	return max(0, most-len(q.occupied()))
}

// claims tells whether a stream holds a slot for a request that has no grant. It
// has recorded a job for it, and the grant was taken back, or the class got its
// limit, in the same moment. Or it starts nothing before this request, and its
// slot is that of a job whose own request has ended: nobody else will free it.
func (q *queue) claims(s *v1.Stream, r *v1.BackfillRequest) bool {
	if !occupies(s) || holds(r.Status.Phase) {
		return false
	}
	return recorded(s, r) || backlog.ComesFirst(s, r) && !slices.ContainsFunc(q.requests, func(o v1.BackfillRequest) bool { return recorded(s, &o) && !backlog.Ended(&o) })
}

// candidates are the requests that may be granted a slot, in the order in which
// they get one: the oldest first, then by name. Empty where no slot is free and
// none has to be given back.
func (q *queue) candidates() []candidate {
	occupied, full := q.occupied(), q.free() == 0
	byUID := make(map[types.UID]*v1.BackfillRequest, len(q.requests))
	for i := range q.requests {
		byUID[q.requests[i].UID] = &q.requests[i]
	}
	open := func(uid types.UID) *v1.BackfillRequest { return byUID[uid] }
	var list []candidate
	for i := range q.requests {
		r := &q.requests[i]
		s := q.streamOf(r)
		if s == nil || !waiting(s, r) || behindFirst(s, r, open) {
			continue
		}
		reason := blocked(s, r)
		// What the stream says of its definition may be old news: it waits for the
		// grant before it says anything new.
		claimed := q.claims(s, r) && (reason == "" || reason == v1.ReasonStreamNotReady)
		accepted := reason == "" && meta.IsStatusConditionTrue(s.Status.Conditions, v1.ConditionAccepted)
		if claimed || accepted && !full && !occupied[s.UID] {
			list = append(list, candidate{request: r, stream: s, claimed: claimed})
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return backlog.InOrder(a.request, b.request) })
	return list
}
