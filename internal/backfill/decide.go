package backfill

// This file decides what is left to do for a request: a pure function.

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
)

const (
	// patience is how long a request may wait before it is written down why: most
	// are served at once, and their stream may be a moment behind. A creation time
	// is in whole seconds, so up to one of these two is over at once.
	patience = 2 * time.Second
	// keepEnded is how many ended requests of the operator's own are kept for each stream.
	keepEnded = 3
)

// action is what is to be done next.
type action string

const (
	nothing action = ""
	own     action = "own"
	tell    action = "tell"
	remove  action = "remove"
)

// decision is what to do next; where that is nothing, when to look again.
type decision struct {
	does   action
	status v1.BackfillRequestStatus
	wake   time.Duration
}

func decide(w *world) decision {
	d := w.next()
	if d.does == nothing && w.unobserved() {
		status := *w.request.Status.DeepCopy()
		backlog.SetObserved(&status, w.request.Generation)
		return decision{does: tell, status: status}
	}
	return d
}

// unobserved tells whether the status says nothing of the present generation of the
// spec, and nobody is about to write it: the stream writes it of a request that runs or
// that its job has completed. A request that has ended stays as it is, whatever its user
// changes: a manifest that says completed: false sets the field back at each apply.
func (w *world) unobserved() bool {
	q := w.request
	switch {
	case q.Status.ObservedGeneration == q.Generation, q.Status.Phase == "", q.Status.Phase == v1.RequestRunning:
		return false
	case q.Status.Phase.Final():
		return true
	}
	return !q.Spec.Completed && !orphaned(w.stream, q)
}

func (w *world) next() decision {
	q := w.request
	switch {
	case q.Status.Phase.Final():
		return w.cleanUp()
	case q.Spec.Completed:
		return w.ending()
	case orphaned(w.stream, q):
		return decision{} // the garbage collector is about to take it
	case w.stream != nil && backlog.Matches(w.stream, q) && backlog.OwnerOf(q) == "":
		return decision{does: own}
	case w.stream != nil && (q.Status.Phase == v1.RequestRunning || q.Status.Phase == v1.RequestFailed):
		return decision{} // told by the stream, which runs the job
	}
	return w.queued()
}

// queued tells what an open request waits for.
func (w *world) queued() decision {
	q := w.request
	reason, message := w.why()
	blocked := blocked(w.stream, q) != "" || w.problem != nil || w.stream != nil && behindFirst(w.stream, q, w.found)
	young := patience - w.now.Sub(q.CreationTimestamp.Time)
	switch {
	case recorded(w.stream, q), q.Status.Phase == v1.RequestGranted && !blocked:
		return decision{} // the stream takes it up, and tells it
	case q.Status.Phase == v1.RequestPaused && (reason == v1.ReasonStreamSuspended || reason == v1.ReasonStreamNotFound):
		return decision{} // Paused says it, and that it was begun
	case young > 0 && (!blocked || reason == v1.ReasonStreamNotFound):
		return decision{wake: young}
	}
	return w.telling(v1.RequestQueued, reason, message, nil)
}

// found is a request for the same stream.
func (w *world) found(uid types.UID) *v1.BackfillRequest {
	for i := range w.requests {
		if w.requests[i].UID == uid {
			return &w.requests[i]
		}
	}
	return nil
}

// why is what the request waits for, in a word and in a sentence.
func (w *world) why() (v1.Reason, string) {
	q := w.request
	switch reason := blocked(w.stream, q); reason {
	case "":
	case v1.ReasonStreamNotFound:
		return reason, fmt.Sprintf("There is no Stream %s in namespace %s; the request waits until there is.", q.Spec.StreamID, q.Namespace)
	case v1.ReasonClassMismatch:
		return reason, fmt.Sprintf("spec.streamClass: Stream %s is of StreamClass %s, not %s; correct it, or delete the request.",
			q.Spec.StreamID, w.stream.Spec.StreamClass, q.Spec.StreamClass)
	case v1.ReasonStreamSuspended:
		return reason, "The stream is suspended; the backfill runs when it is resumed."
	case v1.ReasonStreamFailed:
		return reason, "The stream has failed; suspend it and resume it, and this backfill runs first."
	default:
		return reason, "The stream's definition is not accepted; its condition Accepted says why."
	}
	if w.problem != nil {
		return w.problem.Reason, w.problem.Message
	}
	if !isNext(w.stream, q, w.requests) {
		return v1.ReasonWaitingForTurn, "Another backfill of the stream comes first."
	}
	if most, limited := limit(w.class); limited {
		return v1.ReasonWaitingForSlot, fmt.Sprintf("StreamClass %s allows %d at once; the request waits for its turn among all of the class.", w.class.Name, most)
	}
	return v1.ReasonWaitingForJob, "It is next; it starts as soon as the stream's former job and its pods are gone."
}

// ending carries out what spec.completed means. Whoever may update the request may set
// it, with any annotation or without the stamp, so it counts as completed only where
// what nobody but the operator and the API server writes proves it: the status of its
// stream, which holds the success of the very job, or the time of its creation. In all
// other cases its user has cancelled it.
func (w *world) ending() decision {
	now := metav1.NewTime(w.now)
	switch signature := signatureOf(w.request); {
	case signature != "" && orphaned(w.stream, w.request):
		return decision{} // the garbage collector is about to take it
	case signature != "" && proven(w.stream, w.request):
		return decision{} // the stream is about to tell it itself
	case signature != "":
		return w.telling(v1.RequestCancelled, v1.ReasonRequestCancelled,
			"Cancelled: spec.completed was set by its user. The annotation "+v1.AnnotationCompletedBy+" proves nothing: no Job of the stream is known to have completed this request.", &now)
	case former(w.request) && w.request.CreationTimestamp.Before(w.kindSince):
		return w.telling(v1.RequestCompleted, v1.ReasonRequestCompleted, "It had been completed before this version of Arcane first saw it.", &now)
	}
	return w.telling(v1.RequestCancelled, v1.ReasonRequestCancelled, "Cancelled: spec.completed was set by its user.", &now)
}

// signatureOf is the UID of the job that is said to have completed the request; empty where none is.
func signatureOf(q *v1.BackfillRequest) types.UID {
	return types.UID(q.Annotations[v1.AnnotationCompletedBy])
}

// proven tells whether the stream's status holds the success of the job that is said to
// have completed the request. The stream records the success before it signs the
// request, and keeps the record until the request's status says how it has ended.
func proven(s *v1.Stream, q *v1.BackfillRequest) bool {
	return recorded(s, q) && s.Status.Job.Outcome == v1.OutcomeSucceeded && s.Status.Job.UID == signatureOf(q)
}

// former tells whether a request bears no trace of this Arcane: it may be one that an
// earlier Arcane completed. Its user may have removed the stamp, so that alone proves nothing.
func former(q *v1.BackfillRequest) bool {
	_, admitted := q.Annotations[v1.AnnotationAdmitted]
	return q.Spec.Completed && q.Status.Phase == "" && !admitted && signatureOf(q) == ""
}

// telling is a status with this phase; nothing where it says so already.
func (w *world) telling(phase v1.RequestPhase, reason v1.Reason, message string, end *metav1.Time) decision {
	status := *w.request.Status.DeepCopy()
	backlog.SetPhase(&status, phase, reason, message, w.request.Generation, metav1.NewTime(w.now))
	if end != nil {
		status.CompletionTime = end
	}
	if equality.Semantic.DeepEqual(w.request.Status, status) {
		return decision{}
	}
	return decision{does: tell, status: status}
}

// cleanUp deletes an ended request when its time has come: the user's where they
// set one, the operator's own also where enough newer ones are kept.
func (w *world) cleanUp() decision {
	q := w.request
	if backlog.MadeByUs(q) && w.newer() >= keepEnded {
		return decision{does: remove}
	}
	if q.Spec.TTLSecondsAfterFinished == nil {
		return decision{}
	}
	left := endOf(q).Add(time.Duration(*q.Spec.TTLSecondsAfterFinished) * time.Second).Sub(w.now)
	if left <= 0 {
		return decision{does: remove}
	}
	return decision{wake: left}
}

// newer counts the operator's own requests for the stream that ended after this one.
func (w *world) newer() int {
	q, n := w.request, 0
	for i := range w.requests {
		o := &w.requests[i]
		if !backlog.MadeByUs(o) || !o.Status.Phase.Final() {
			continue
		}
		if by := endOf(o).Compare(endOf(q).Time); by > 0 || by == 0 && o.Name > q.Name {
			n++
		}
	}
	return n
}
