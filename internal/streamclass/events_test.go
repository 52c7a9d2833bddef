package streamclass

// This file holds the page of reasons to the events of classes.

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestEventsAreAsThePageOfReasonsSays(t *testing.T) {
	for _, chapter := range v1.Chapters() {
		for _, e := range chapter.Reasons {
			for _, p := range e.Places {
				if p.Kind != v1.KindStreamClass {
					continue
				}
				recorder := events.NewFakeRecorder(2)
				r := &Reconciler{Events: recorder}
				before := &v1.StreamClass{}
				before.Status.Conditions = []metav1.Condition{{Type: v1.ConditionReady, Reason: "Another"}}
				after := &v1.StreamClassStatus{Phase: v1.ClassFailed, Conditions: []metav1.Condition{{Type: v1.ConditionReady, Reason: string(e.Reason)}}}
				if e.Reason == v1.ReasonServed {
					after.Phase = v1.ClassReady
				}
				r.announce(t.Context(), &world{class: before}, after)
				close(recorder.Events)
				got := <-recorder.Events
				if !strings.HasPrefix(got, p.Event+" "+string(e.Reason)+" ") {
					t.Errorf("%s comes as %q, meanings.go says %s", e.Reason, got, p.Event)
				}
			}
		}
	}
}
