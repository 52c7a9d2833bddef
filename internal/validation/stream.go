package validation

// This file judges a Stream.

import (
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Stream judges a Stream that is created (old is nil) or changed.
func Stream(old, new *v1.Stream, around StreamSurroundings) (warnings []string, errs field.ErrorList) {
	return nil, nil
}

// StreamChanged tells whether an update changes anything that is judged. Where it
// does not, Stream refuses nothing, and neither a dry run nor a question about
// rights is called for.
func StreamChanged(old, new *v1.Stream) bool { return true }

// StreamSecrets are the names of the Secrets that a Stream's spec names, each
// once, in its own namespace; those that can be read where some cannot.
func StreamSecrets(s *v1.Stream, class *v1.StreamClass) []string { return nil }

// StreamJobs are the Jobs that would come of a Stream, streaming (or one run of
// its schedule) first and backfill second, for a dry run: without owner, under
// names that no real Job gets. What cannot be built is left out; Stream says why.
func StreamJobs(s *v1.Stream, around StreamSurroundings) []*batchv1.Job { return nil }
