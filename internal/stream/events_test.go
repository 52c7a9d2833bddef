package stream

// This file holds the page of reasons to the events of streams.

import (
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

func TestEventsAreAsThePageOfReasonsSays(t *testing.T) {
	for _, chapter := range v1.Chapters() {
		for _, e := range chapter.Reasons {
			for _, p := range e.Places {
				if p.Kind != v1.KindStream || p.Event == "" {
					continue
				}
				got := announced(e.Reason, p.In)
				if !strings.HasPrefix(got, p.Event+" "+string(e.Reason)+" ") {
					t.Errorf("%s comes as %q, meanings.go says %s", e.Reason, got, p.Event)
				}
			}
		}
	}
}

// announced is the event of a transition to a reason in a condition.
func announced(reason v1.Reason, in string) string {
	recorder := events.NewFakeRecorder(2)
	p := &pass{Reconciler: &Reconciler{Events: recorder}, world: &world{stream: &v1.Stream{}, class: &v1.StreamClass{}, job: &batchv1.Job{}}}
	p.definition.Restart = definition.Restart{Policy: v1.RestartOnFailure, MaxRestarts: 1}
	p.stream.Status.Failure = &v1.Failure{Job: "orders-1", Reason: "BackoffLimitExceeded"}
	before, after := &v1.StreamStatus{Phase: v1.StreamRunning}, &v1.StreamStatus{Phase: v1.StreamPending}
	p.decision = lifecycle.Decision{Phase: v1.StreamPending, Reason: reason}
	switch {
	case in == v1.ConditionStalled:
		p.decision.Reason = v1.ReasonWaitingForJob
		p.stall = &stall{reason: reason, message: "it does not get on"}
		before.Phase = after.Phase
	case in == v1.ConditionAccepted:
		p.problem = &definition.Problem{Reason: reason, Message: "it is wrong"}
		p.decision.Reason = v1.ReasonNotAccepted
		after.Conditions = []metav1.Condition{{Type: v1.ConditionAccepted, Status: metav1.ConditionFalse}}
	case reason == v1.ReasonNameConflict, reason == v1.ReasonJobRefused, reason == v1.ReasonRequestRefused:
		p.obstacle = &obstacle{reason: reason, detail: "It is that one."}
	case reason == v1.ReasonJobFailed:
		after.Phase = v1.StreamFailed
	}
	p.announce(before, after)
	close(recorder.Events)
	return <-recorder.Events
}

// What is missing at first may be wrong once it is there: its owner must hear of both, of each once.
func TestEachNewReasonOfARefusalIsTold(t *testing.T) {
	recorder := events.NewFakeRecorder(4)
	p := &pass{Reconciler: &Reconciler{Events: recorder}, world: &world{stream: &v1.Stream{}}}
	p.decision = lifecycle.Decision{Phase: v1.StreamPending, Reason: v1.ReasonNotAccepted}
	status := &v1.StreamStatus{Phase: v1.StreamPending}
	for _, reason := range []v1.Reason{v1.ReasonTemplateNotFound, v1.ReasonTemplateInvalid, v1.ReasonTemplateInvalid} {
		p.problem = &definition.Problem{Reason: reason, Message: "it is wrong"}
		after := status.DeepCopy()
		p.conditions(after)
		p.announce(status, after)
		status = after
	}
	close(recorder.Events)
	var told []string
	for e := range recorder.Events {
		told = append(told, strings.Fields(e)[1])
	}
	if want := []string{string(v1.ReasonTemplateNotFound), string(v1.ReasonTemplateInvalid)}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// A decision that leaves phase and conditions as they are may come after the cause
// of a refusal was put right: what the status still says of it is no news.
func TestARefusalThatIsOverIsNoNews(t *testing.T) {
	recorder := events.NewFakeRecorder(4)
	refused := &pass{world: &world{stream: &v1.Stream{}, problem: &definition.Problem{Reason: v1.ReasonTemplateNotFound, Message: "it is missing"}}}
	refused.decision = lifecycle.Decision{Phase: v1.StreamPending, Reason: v1.ReasonNotAccepted}
	status := &v1.StreamStatus{Phase: v1.StreamPending}
	refused.conditions(status)
	repaired := &pass{Reconciler: &Reconciler{Events: recorder}, world: &world{stream: &v1.Stream{}}}
	repaired.decision = lifecycle.Decision{Reason: v1.ReasonWaitingForJob}
	repaired.announce(status, status.DeepCopy())
	if len(recorder.Events) > 0 {
		t.Errorf("told %q", <-recorder.Events)
	}
}
