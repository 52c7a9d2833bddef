// Package backlog says what a BackfillRequest is to its stream: pure functions that
// those who run the stream and those who keep its requests share, so that the two
// never disagree.
package backlog

// This file tells the operator's own requests from their users', and those that come first.

import (
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// InitialName is the name of the request for a stream's initial backfill. It holds the
// stream's UID, so that a stream that is created anew never finds the request of its
// former life.
func InitialName(stream string, uid types.UID) string {
	digits := strings.ReplaceAll(string(uid), "-", "")
	return stream + "-initial-" + digits[:min(8, len(digits))]
}

// GapName is the name of the request that a failure asks for. It holds the number of
// the run that failed: no run of a stream, nor of a later one of its name, has the same.
func GapName(stream string, run int64) string {
	return stream + "-gap-" + strconv.FormatInt(run, 10)
}

// MadeByUs tells the operator's own requests from those of users. Whoever may write a
// request may write its annotations and owners, and a user's own may be a copy of one of
// ours. Its name never changes, so a request is the operator's only where it also has the
// name that the operator derives from the stream that controls it.
func MadeByUs(q *v1.BackfillRequest) bool {
	by := metav1.GetControllerOf(q)
	if by == nil || by.Kind != v1.KindStream || by.Name != q.Spec.StreamID {
		return false
	}
	switch q.Annotations[v1.AnnotationMadeBy] {
	case v1.RequestInitial:
		return q.Name == InitialName(by.Name, by.UID)
	case v1.RequestGap:
		number, _ := strings.CutPrefix(q.Name, by.Name+"-gap-")
		run, err := strconv.ParseInt(number, 10, 64)
		return err == nil && q.Name == GapName(by.Name, run)
	}
	return false
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
