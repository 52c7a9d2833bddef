package backlog

// This file says which requests wait in the line of a stream.

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Ended tells whether a request will never be served again: completed by a job,
// cancelled by its user, or on its way out.
func Ended(q *v1.BackfillRequest) bool {
	return q.DeletionTimestamp != nil || q.Spec.Completed || q.Status.Phase.Final()
}

// Waits tells whether a request stands in the line of a stream. One of the operator's own
// that the stream does not know is about to be recorded by it, or deleted.
func Waits(s *v1.Stream, q *v1.BackfillRequest) bool {
	return !Ended(q) && !IsOfAnother(s, q) && Matches(s, q) && !Unrecorded(s, q)
}

// Matches tells whether a request is for this stream's class: it may leave the class out.
func Matches(s *v1.Stream, q *v1.BackfillRequest) bool {
	return q.Spec.StreamClass == "" || q.Spec.StreamClass == s.Spec.StreamClass
}

// IsOfAnother tells whether a request belongs to a stream that had this name before, and
// goes with it: that one owns it, and this one does not. Other owners say nothing.
func IsOfAnother(s *v1.Stream, q *v1.BackfillRequest) bool {
	owners := ownersOf(q)
	return len(owners) > 0 && !slices.Contains(owners, s.UID)
}

// OwnerOf is the UID of the first Stream that owns a request; empty where none does.
func OwnerOf(q *v1.BackfillRequest) types.UID {
	if owners := ownersOf(q); len(owners) > 0 {
		return owners[0]
	}
	return ""
}

// InOrder sorts requests: the oldest first, then by name, then, across namespaces, by namespace.
func InOrder(a, b *v1.BackfillRequest) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
}

// ownersOf are the Streams that own a request.
func ownersOf(q *v1.BackfillRequest) []types.UID {
	var owners []types.UID
	for _, ref := range q.OwnerReferences {
		if ref.Kind == v1.KindStream && ref.APIVersion == v1.GroupVersion.String() {
			owners = append(owners, ref.UID)
		}
	}
	return owners
}
