package stream

// This file tells what happened: the stream's status, its requests' status, then the event and the log.

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// report patches what is not yet as it should be, and then tells of the decision.
func (p *pass) report(ctx context.Context) (err error) {
	ctx, span := tracing.Step(ctx, "report")
	defer func() { span.End(err) }()
	span.Decided(p.decision.Rule, string(p.reason()), string(p.decision.Phase))
	if p.facts.Deleting {
		p.log(ctx)
		return nil
	}
	if err := p.refused(p.tellRequests(ctx), v1.ReasonWriteRefused); err != nil {
		return err
	}
	// What a write met after the stream had been patched is told all the same.
	if !p.remembered || p.obstacle != nil {
		if err := p.patchStatus(ctx, false); err != nil {
			return err
		}
	}
	p.countDecision()
	p.log(ctx)
	return nil
}

// log writes one line for each decision; at level 1 where nothing was written.
func (p *pass) log(ctx context.Context) {
	level := 1
	if p.acted() {
		level = 0
	}
	logf.FromContext(ctx).V(level).Info("decided", "rule", p.decision.Rule, "reason", p.reason(), "phase", p.decision.Phase, "do", p.decision.Do)
}

// reason is the decision's, or the obstacle's, for the log and the trace. What users read is why's.
func (p *pass) reason() v1.Reason {
	if p.obstacle != nil {
		return p.obstacle.reason
	}
	return p.decision.Reason
}

// why is the reason of the decision, in a word and in a sentence.
func (p *pass) why() (v1.Reason, string) {
	switch {
	case p.obstacle != nil:
		return p.obstacle.reason, p.obstacle.message()
	case p.decision.Reason == v1.ReasonNotAccepted && p.problem != nil:
		return p.problem.Reason, p.problem.Message
	case p.decision.Reason == v1.ReasonJobFailed:
		return v1.ReasonJobFailed, p.failureMessage() + " " + p.wayOut()
	case p.decision.Reason == v1.ReasonBackfillInterrupted && p.verdict == unmarked:
		return v1.ReasonBackfillInterrupted, p.doubt + " It runs again with the same id."
	case p.decision.Reason == v1.ReasonPodEnded:
		return v1.ReasonPodEnded, p.podEndMessage()
	case p.decision.Reason == v1.ReasonJobAltered && p.job != nil:
		return v1.ReasonJobAltered, v1.ReasonJobAltered.Meaning() + " " + p.alteration()
	case p.decision.Reason == v1.ReasonInitialWaits && p.first() != nil:
		return v1.ReasonInitialWaits, p.firstWaits(p.first())
	case p.decision.Reason == v1.ReasonRunFailed:
		return v1.ReasonRunFailed, p.runFailure()
	case p.decision.Reason == v1.ReasonScheduled:
		return v1.ReasonScheduled, strings.TrimSpace(fmt.Sprintf("The stream runs by its schedule: %s %s", p.definition.Schedule, p.definition.TimeZone))
	case p.decision.Reason == v1.ReasonRestartWaits:
		return v1.ReasonRestartWaits, fmt.Sprintf("%s It starts again by itself at %s.", p.failureMessage(),
			p.retryTime(p.stream.Status.Failure, counted(&p.stream.Status)).UTC().Format(time.RFC3339))
	case p.decision.Reason == v1.ReasonBackfilling && p.requestName() != "":
		return v1.ReasonBackfilling, fmt.Sprintf("Backfill %s is running; streaming goes on after it.", p.requestName())
	}
	return p.decision.Reason, p.decision.Reason.Meaning()
}

// first is the request that has to come first; nil where there is none.
func (w *world) first() *v1.BackfillRequest {
	for i := range w.requests {
		if q := &w.requests[i]; backlog.ComesFirst(w.stream, q) && !backlog.Ended(q) {
			return q
		}
	}
	return nil
}

// firstWaits says which request nothing streams before, and how to do without it.
func (p *pass) firstWaits(q *v1.BackfillRequest) string {
	text := fmt.Sprintf("Backfill %s has to come first and waits", q.Name)
	if said := oneLine(q.Status.Message); said != "" {
		text += ": " + strings.TrimSuffix(said, ".")
	}
	return fmt.Sprintf("%s. To stream without it: kubectl delete backfillrequest %s -n %s", text, q.Name, q.Namespace)
}

func (p *pass) requestName() string {
	if p.created != nil && p.backfill.Request != nil {
		return p.backfill.Request.Name
	}
	if p.record != nil {
		return p.record.Request
	}
	return ""
}

// failureAtHand is the one that is recorded, or about to be.
func (p *pass) failureAtHand() *v1.Failure {
	if recorded := p.stream.Status.Failure; recorded != nil {
		return recorded
	}
	return p.failure()
}

func (p *pass) failureMessage() string {
	f := p.failureAtHand()
	text := fmt.Sprintf("Job %s failed (%s)", f.Job, f.Reason)
	if f.ExitCode != nil {
		text += fmt.Sprintf(", exit code %d", *f.ExitCode)
	}
	if f.FailureClass != "" {
		text += fmt.Sprintf(" (%s)", f.FailureClass)
	}
	if f.Pod != "" {
		text += " of pod " + f.Pod
	}
	if f.Message != "" {
		text += ": " + strings.TrimSuffix(f.Message, ".")
	}
	return text + "."
}

// podEndMessage says how the pod ended that makes way for the next job's.
func (p *pass) podEndMessage() string {
	last := newest(p.pods, p.job.UID, func(pod *corev1.Pod) bool { return p.mainEnd(pod) != nil })
	if last == nil {
		return v1.ReasonPodEnded.Meaning()
	}
	exit := p.mainEnd(last)
	text := fmt.Sprintf("Pod %s ended by itself with exit code %d", last.Name, exit.ExitCode)
	if class, ok := jobspec.FailureClassOf(p.class, exit.ExitCode); ok {
		text += fmt.Sprintf(" (%s)", class.Name)
	}
	text += fmt.Sprintf(" after %s", exit.FinishedAt.Sub(exit.StartedAt.Time))
	if said := oneLine(exit.Message); said != "" {
		text += ": " + said
	}
	return text + ". Its job is kept for its log, and another one starts."
}

// wayOut says what a failure waits for.
func (p *pass) wayOut() string {
	const acknowledge = "Suspend the stream to acknowledge it, then resume it."
	if p.failureAtHand().Reason == string(v1.ReasonCompletionUnproven) {
		return "The next attempt would end the same way: mend that first. " + acknowledge
	}
	if p.retryTime(p.failureAtHand(), counted(&p.stream.Status)) != nil {
		return "It starts again by itself."
	}
	if spent := counted(&p.stream.Status).Retries; spent > 0 && spent >= p.definition.Restart.MaxRestarts {
		return fmt.Sprintf("All %d automatic restarts are used up (spec.restart.maxRestarts). %s", spent, acknowledge)
	}
	return acknowledge
}

// conditions follow from the phase; Ready, Reconciling and Stalled as kstatus reads them.
func (p *pass) conditions(s *v1.StreamStatus) {
	reason, message := p.why()
	set := func(kind string, is bool, reason v1.Reason, message string) {
		status := metav1.ConditionFalse
		if is {
			status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: string(reason), Message: backlog.Truncate(message, 4096),
			ObservedGeneration: p.stream.Generation, LastTransitionTime: metav1.NewTime(p.now),
		})
	}
	pending, failed := s.Phase == v1.StreamPending, s.Phase == v1.StreamFailed
	if stall := p.stallOf(s.Phase); stall != nil {
		set(v1.ConditionReady, false, stall.reason, stall.message)
		set(v1.ConditionReconciling, false, stall.reason, "")
		set(v1.ConditionStalled, true, stall.reason, stall.message)
	} else {
		set(v1.ConditionReady, !pending && !failed, reason, message)
		// Tools that read kstatus show the message of the condition that is true, and no other.
		set(v1.ConditionReconciling, pending, reason, messageIf(pending, message))
		set(v1.ConditionStalled, failed, reason, messageIf(failed, message))
	}
	set(v1.ConditionBackfilling, s.Phase == v1.StreamBackfilling, reason, "")
	set(v1.ConditionSuspended, s.Phase == v1.StreamSuspended, reason, "")
	if p.problem == nil {
		set(v1.ConditionAccepted, true, v1.ReasonAccepted, v1.ReasonAccepted.Meaning())
	} else {
		set(v1.ConditionAccepted, false, p.problem.Reason, p.problem.Message)
	}
	if p.facts.Inputs == lifecycle.ChangeWaits {
		set(v1.ConditionChangePending, true, v1.ReasonChangeWaits, v1.ReasonChangeWaits.Meaning())
	} else {
		meta.RemoveStatusCondition(&s.Conditions, v1.ConditionChangePending)
	}
}

// messageIf is the message where it belongs to a condition that is true.
func messageIf(is bool, message string) string {
	if is {
		return message
	}
	return ""
}

// stallOf is the stall that is told in a phase: a stream that is stopped, or waits
// for its user anyway, has nothing to wait for, and an obstacle says more.
func (p *pass) stallOf(phase v1.StreamPhase) *stall {
	switch {
	case p.obstacle != nil && (p.obstacle.stalls || p.isOverdue()):
		return &stall{p.obstacle.reason, p.obstacle.message()}
	case phase == v1.StreamSuspended, phase == v1.StreamFailed, p.obstacle != nil:
		return nil
	}
	return p.stall
}

// isOverdue tells whether the stream has not been ready for as long as a start may take.
// An obstacle may pass, such as a quota that is used up for a moment.
func (p *pass) isOverdue() bool {
	ready := meta.FindStatusCondition(p.stream.Status.Conditions, v1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionFalse && !p.now.Before(ready.LastTransitionTime.Add(p.startDeadline()))
}

// eventful are reasons that are worth an event although the phase stays.
var eventful = map[v1.Reason]bool{
	v1.ReasonBackfillCompleted:   true,
	v1.ReasonBackfillInterrupted: true,
	v1.ReasonRunFailed:           true,
	v1.ReasonNameConflict:        true,
	v1.ReasonJobRefused:          true,
	v1.ReasonJobAltered:          true,
	v1.ReasonWriteRefused:        true,
	v1.ReasonRequestRefused:      true,
}

// warns are reasons of transitions that nobody has asked for.
var warns = map[v1.Reason]bool{
	v1.ReasonBackfillInterrupted: true,
	v1.ReasonRunFailed:           true,
	v1.ReasonJobAltered:          true,
	v1.ReasonRunDiscarded:        true,
	v1.ReasonRunMissed:           true,
	v1.ReasonWriteRefused:        true,
}

// announce tells of a transition, after it was written: one event.
func (p *pass) announce(before, after *v1.StreamStatus) {
	reason, message := p.why()
	was := meta.FindStatusCondition(before.Conditions, v1.ConditionReady)
	same := was != nil && was.Reason == string(reason)
	refusal := refusedBy(after)
	if stall := p.stallOf(after.Phase); stall != nil && !stalledBy(before, stall.reason) {
		p.event(corev1.EventTypeWarning, stall.reason, stall.message)
	}
	if p.runReason != "" {
		p.event(corev1.EventTypeWarning, p.runReason, p.runMessage)
	}
	switch {
	case refusal != "" && refusal != refusedBy(before): // so this pass has written it
		p.event(corev1.EventTypeWarning, p.problem.Reason, p.problem.Message)
	case p.obstacle != nil && p.obstacle.stalls: // told above
	case before.Phase != after.Phase, !same && eventful[reason]:
		kind := corev1.EventTypeNormal
		if after.Phase == v1.StreamFailed || p.problem != nil && reason == p.problem.Reason || p.obstacle != nil || warns[reason] {
			kind = corev1.EventTypeWarning
		}
		p.event(kind, reason, message)
	}
}

// refusedBy is the reason for which a status says that the stream is not accepted; empty where it is.
func refusedBy(s *v1.StreamStatus) v1.Reason {
	if c := meta.FindStatusCondition(s.Conditions, v1.ConditionAccepted); c != nil && c.Status == metav1.ConditionFalse {
		return v1.Reason(c.Reason)
	}
	return ""
}

// stalledBy tells whether a status says so already.
func stalledBy(s *v1.StreamStatus, reason v1.Reason) bool {
	c := meta.FindStatusCondition(s.Conditions, v1.ConditionStalled)
	return c != nil && c.Status == metav1.ConditionTrue && c.Reason == string(reason)
}

func (p *pass) event(kind string, reason v1.Reason, message string) {
	// The API allows a note of 1,024 bytes.
	p.Events.Eventf(p.stream, nil, kind, string(reason), "Reconcile", "%s", backlog.Truncate(message, 1000))
}
