package validation

// This file completes what a user left out.

import (
	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// DefaultStream writes the default podFailurePolicy with its mark, the settings
// of restart and backfill, and at CREATE the mark of a stream that is born
// suspended. It is idempotent. A policy of the user's own is left alone; a marked
// default is computed anew when class or template have changed, and left as it is
// where one of them is not there.
func DefaultStream(s *v1.Stream, create bool, around StreamSurroundings) {}

// DefaultTemplate writes the pod's restartPolicy, Never, where there is none.
func DefaultTemplate(t *v1.StreamingJobTemplate) {}

// DefaultRequest writes the stream's class where the request names none, and at
// CREATE the stamp that tells our requests from those of an earlier Arcane.
// stream is nil where it is not there.
func DefaultRequest(q *v1.BackfillRequest, create bool, stream *v1.Stream) {}
