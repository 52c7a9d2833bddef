package backfill

// This file holds the page of reasons to the events of requests.

import (
	"testing"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestEventsAreAsThePageOfReasonsSays(t *testing.T) {
	for _, chapter := range v1.Chapters() {
		for _, e := range chapter.Reasons {
			want := ""
			for _, p := range e.Places {
				if p.Kind == v1.KindBackfillRequest {
					want = p.Event
				}
			}
			if got := eventType(e.Reason); got != want {
				t.Errorf("%s comes as event %q, meanings.go says %q", e.Reason, got, want)
			}
		}
	}
}
