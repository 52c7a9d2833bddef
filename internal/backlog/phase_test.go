package backlog

// This file holds the conditions of a request to its phase.

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// TestSetPhase: tools that read kstatus know by the condition Stalled that a request has failed, and a request that runs again
// has it no more.
func TestSetPhase(t *testing.T) {
	var s v1.BackfillRequestStatus
	for _, c := range []struct {
		phase          v1.RequestPhase
		ready, stalled bool
	}{
		{v1.RequestQueued, false, false},
		{v1.RequestFailed, false, true},
		{v1.RequestRunning, false, false},
		{v1.RequestCancelled, false, false},
		{v1.RequestCompleted, true, false},
	} {
		SetPhase(&s, c.phase, v1.ReasonRequestFailed, "why", 3, metav1.Time{})
		if got := meta.IsStatusConditionTrue(s.Conditions, v1.ConditionReady); got != c.ready {
			t.Errorf("%s: Ready %t", c.phase, got)
		}
		stalled := meta.FindStatusCondition(s.Conditions, v1.ConditionStalled)
		if (stalled != nil) != c.stalled {
			t.Errorf("%s: %+v", c.phase, stalled)
		}
		if stalled != nil && (stalled.Status != metav1.ConditionTrue || stalled.Message != "why" || stalled.ObservedGeneration != 3) {
			t.Errorf("%s: %+v", c.phase, stalled)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"", 5, ""},
		{"12345", 5, "12345"},
		{"123456", 5, "12…"},
		{"ææææ", 8, "ææææ"},
		{"æææææ", 8, "ææ…"}, // three bytes for the mark, and no half character
		{"😀😀😀", 10, "😀…"},
	} {
		if got := Truncate(c.in, c.most); got != c.want || len(got) > c.most {
			t.Errorf("Truncate(%q, %d) = %q, want %q", c.in, c.most, got, c.want)
		}
	}
}
