// Package backlog says what a BackfillRequest is to its stream: pure functions that
// those who run the stream and those who keep its requests share, so that the two
// never disagree.
package backlog

// This file tells the operator's own requests from their users', and those that come first.

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// MadeByUs tells the operator's own requests from those of users. The annotation alone
// says nothing: a user's own may be a copy of one of ours. Only ours is controlled by its
// stream; of a user's the stream is an owner and no more.
func MadeByUs(q *v1.BackfillRequest) bool {
	_, says := q.Annotations[v1.AnnotationMadeBy]
	by := metav1.GetControllerOf(q)
	return says && by != nil && by.Kind == v1.KindStream
}

// MadeFor tells whether the operator made a request for this very stream, for this reason.
func MadeFor(s *v1.Stream, q *v1.BackfillRequest, reason string) bool {
	return q.Annotations[v1.AnnotationMadeBy] == reason && MadeByUs(q) && metav1.IsControlledBy(q, s)
}

// Unrecorded tells whether a request is the operator's own and not (yet) noted in the
// stream's status: it is about to be recorded, or deleted, and served by nobody till then.
func Unrecorded(s *v1.Stream, q *v1.BackfillRequest) bool {
	return MadeFor(s, q, v1.RequestInitial) && q.UID != s.Status.InitialRequestUID ||
		MadeFor(s, q, v1.RequestGap) && q.UID != s.Status.GapRequestUID
}

// ComesFirst tells whether a stream runs nothing before a request has ended: the
// initial backfill, and the one that a failure asked for.
func ComesFirst(s *v1.Stream, q *v1.BackfillRequest) bool {
	return q.UID == s.Status.InitialRequestUID || q.UID == s.Status.GapRequestUID
}
