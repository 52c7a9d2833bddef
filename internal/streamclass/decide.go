package streamclass

// This file decides what a class's status is: a pure function.

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// countEvery is how often the counts are written at most: with thousands of
// streams they would otherwise be written all the time.
const countEvery = 30 * time.Second

const served = "Streams of this class are being served."

// decide is the status that is true, and when to look again where the counts
// have to wait for their turn.
func decide(w *world) (status *v1.StreamClassStatus, wake time.Duration) {
	before := &w.class.Status
	status = before.DeepCopy()
	status.ObservedGeneration = w.class.Generation
	ready := metav1.Condition{
		Type: v1.ConditionReady, Status: metav1.ConditionTrue, Reason: string(v1.ReasonServed), Message: served,
		ObservedGeneration: w.class.Generation, LastTransitionTime: metav1.NewTime(w.now),
	}
	status.Phase = v1.ClassReady
	if p := w.problem; p != nil {
		status.Phase = v1.ClassFailed
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, string(p.Reason), p.Message
	}
	if w.ownKind {
		// Not wrong, only not yet served: the kind may come with another version of the operator.
		status.Phase = v1.ClassPending
	}
	meta.SetStatusCondition(&status.Conditions, ready)
	if ready.Status == metav1.ConditionTrue {
		meta.RemoveStatusCondition(&status.Conditions, v1.ConditionStalled)
	} else {
		// A class that is not served waits for somebody, which tools that read kstatus take from this condition.
		stalled := ready
		stalled.Type, stalled.Status = v1.ConditionStalled, metav1.ConditionTrue
		meta.SetStatusCondition(&status.Conditions, stalled)
	}
	if maps.Equal(before.Streams, w.streams) {
		return status, 0
	}
	// Counts that ride along cost no write of their own.
	alone := equality.Semantic.DeepEqual(before, status)
	if due := w.counted.Add(countEvery); alone && w.now.Before(due) {
		return status, due.Sub(w.now)
	}
	status.Streams = w.streams
	return status, 0
}
