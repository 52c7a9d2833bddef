package backlog

// This file writes how far a request has come.

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// maxMessage is how long the status lets a message be, in bytes: the definition of the kind says so.
const maxMessage = 1024

// SetPhase sets a phase and the conditions that go with it: Ready, and Stalled where the request has failed, by which tools that
// read kstatus know that waiting is in vain.
func SetPhase(s *v1.BackfillRequestStatus, phase v1.RequestPhase, reason v1.Reason, message string, generation int64, now metav1.Time) {
	s.Phase, s.Message, s.ObservedGeneration = phase, Truncate(message, maxMessage), generation
	condition := metav1.Condition{
		Type: v1.ConditionReady, Status: metav1.ConditionFalse, Reason: string(reason), Message: s.Message,
		ObservedGeneration: generation, LastTransitionTime: now,
	}
	if phase == v1.RequestCompleted {
		condition.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&s.Conditions, condition)
	if phase != v1.RequestFailed {
		meta.RemoveStatusCondition(&s.Conditions, v1.ConditionStalled)
		return
	}
	condition.Type, condition.Status = v1.ConditionStalled, metav1.ConditionTrue
	meta.SetStatusCondition(&s.Conditions, condition)
}

// SetObserved says that a status holds for this generation of the spec as well, and
// changes nothing else that it says.
func SetObserved(s *v1.BackfillRequestStatus, generation int64) {
	s.ObservedGeneration = generation
	for i := range s.Conditions {
		s.Conditions[i].ObservedGeneration = generation
	}
}

// Truncate cuts a text to that many bytes, between two letters, and shows that it is cut.
func Truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := limit - len("…")
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}
