package stream

// This file says when a stream that ended or failed starts again by itself.

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

// delay is the pause before start n+1: it doubles from initial to max.
func delay(n int32, initial, longest time.Duration) time.Duration {
	d := initial
	for range min(n-1, 62) {
		if d >= longest/2 {
			return longest
		}
		d *= 2
	}
	return min(d, longest)
}

// counted is what the status says of restarts; zero where it says nothing.
func counted(s *v1.StreamStatus) v1.Restarts {
	if s.Restarts == nil {
		return v1.Restarts{}
	}
	return *s.Restarts
}

// restarts folds what the status says of them.
func (w *world) restarts() lifecycle.Restarts {
	r := w.stream.Status.Restarts
	switch {
	case r == nil:
		return lifecycle.NoRestarts
	case r.NextTime != nil && w.wakesAt(r.NextTime.Time):
		return lifecycle.BackingOff
	}
	return lifecycle.Counted
}

// vanishedEarly tells whether somebody deleted the streaming job before it could have run
// well. The first such job is followed at once, those after it in their time: what deletes
// each Job would have the operator make them as fast as it can.
func (w *world) vanishedEarly() bool {
	_, _, stopped := stopOf(w.judged)
	return w.facts.Job == lifecycle.Vanished && w.facts.Mode == v1.ModeStream && !stopped &&
		w.record.StartTime != nil && w.now.Sub(w.record.StartTime.Time) < w.definition.Restart.HealthyAfter
}

// tooSoon is why the next attempt of a backfill waits: its last ones were interrupted (a Job
// was deleted or altered, a pod evicted), each less than restart.healthyAfter after the one
// before. The first is followed at once.
func (p *pass) tooSoon(q *v1.BackfillRequest) *obstacle {
	if q == nil {
		return nil // a streaming job has a back-off of its own
	}
	attempts := lastAttempts(q, v1.AttemptInterrupted)
	if p.facts.Job == lifecycle.Vanished && p.record.RequestUID == q.UID && !p.stoppedByUser() &&
		!slices.ContainsFunc(attempts, func(a v1.Attempt) bool { return a.JobUID == p.record.UID }) {
		// Its attempt is recorded only with the next job, and nobody knows when it went, so its start counts.
		attempts = append(slices.Clone(attempts), v1.Attempt{Time: ptr.Deref(p.record.StartTime, metav1.NewTime(p.now))})
	}
	n, short := int32(0), p.definition.Restart.HealthyAfter
	for i := len(attempts) - 1; i > 0 && attempts[i].Time.Sub(attempts[i-1].Time.Time) < short; i-- {
		n++
	}
	if n == 0 {
		return nil
	}
	last := attempts[len(attempts)-1]
	due := last.Time.Add(delay(n, p.definition.Restart.Initial, p.definition.Restart.Max))
	if !p.now.Before(due) {
		return nil
	}
	return &obstacle{reason: v1.ReasonBackfillInterrupted, after: due.Sub(p.now), detail: fmt.Sprintf(
		"%d attempts in a row were interrupted, each less than %s after the one before; the next one starts at %s. What ends them: kubectl get events -n %s",
		n+1, short, due.UTC().Format(time.RFC3339), q.Namespace)}
}

// healed tells whether the streaming job's pod has been running for long enough
// that the restarts before it no longer count.
func (w *world) healed() bool {
	pod := newest(w.pods, w.job.UID, alive)
	if pod == nil || pod.DeletionTimestamp != nil {
		return false
	}
	since := w.runningSince(pod)
	return !since.IsZero() && !w.wakesAt(since.Add(w.definition.Restart.HealthyAfter))
}

// failureState folds the failure and what may be done about it. A problem of the
// definition comes first in the rules, so nothing is asked of what cannot be read.
func (w *world) failureState() lifecycle.Failure {
	failure := w.stream.Status.Failure
	if failure == nil {
		return lifecycle.NoFailure
	}
	due := w.retryTime(failure, counted(&w.stream.Status))
	switch {
	case due == nil:
		return lifecycle.FailureWaits
	case w.wakesAt(*due):
		return lifecycle.RetryLater
	case w.needsBackfill(failure):
		return lifecycle.GapDue
	}
	return lifecycle.RetryDue
}

// retryTime is when a failed stream may start again by itself; nil where only its
// user may start it: the policy, the failure's class or the budget says so.
func (w *world) retryTime(failure *v1.Failure, r v1.Restarts) *time.Time {
	if w.class == nil || r.Retries >= w.definition.Restart.MaxRestarts {
		return nil
	}
	if failure.Reason == string(v1.ReasonCompletionUnproven) {
		return nil // the next job would end as this one did
	}
	due := failure.Time.Time
	switch action := w.actionOn(failure); {
	case action == v1.ActionBackfill:
		// A source that loses its place again and again would be read whole each time.
		if r.GapTime != nil {
			due = latest(due, r.GapTime.Add(w.definition.Restart.HealthyAfter))
		}
	case action == v1.ActionFail || w.definition.Restart.Policy != v1.RestartOnFailure:
		return nil
	case r.NextTime != nil:
		due = latest(due, r.NextTime.Time)
	}
	return &due
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// actionOn is what the class says of a failure; empty where it says nothing.
func (w *world) actionOn(failure *v1.Failure) v1.FailureAction {
	if failure.ExitCode == nil {
		return ""
	}
	class, _ := jobspec.FailureClassOf(w.class, *failure.ExitCode)
	return class.Action
}

func (w *world) needsBackfill(failure *v1.Failure) bool {
	return w.class != nil && w.actionOn(failure) == v1.ActionBackfill
}

// afterFailure is what a failure makes of the restarts. One that came after the
// streaming job had run well begins a new count.
func (p *pass) afterFailure(failure *v1.Failure, before *v1.Restarts) *v1.Restarts {
	settings := p.definition.Restart
	if failure.Mode == v1.ModeStream && p.lastRanWell() {
		before = nil
	}
	if settings.Policy != v1.RestartOnFailure {
		return before
	}
	return again(before, failure.Time, settings)
}

// again counts one more end, and when the start after it is due.
func again(before *v1.Restarts, end metav1.Time, settings definition.Restart) *v1.Restarts {
	r := &v1.Restarts{Since: &end}
	if before != nil {
		r = before.DeepCopy()
	}
	r.Count++
	next := metav1.NewTime(end.Add(delay(r.Count, settings.Initial, settings.Max)))
	r.NextTime = &next
	return r
}

// retry clears the failure and spends one of the restarts that the user allows.
func (p *pass) retry(s *v1.StreamStatus) {
	r := counted(s)
	if r.Since == nil {
		r.Since = &s.Failure.Time
	}
	r.Retries++
	r.NextTime = nil
	s.Failure, s.Restarts = nil, &r
}

// recordGap is retry, and notes the request that comes first.
func (p *pass) recordGap(s *v1.StreamStatus) {
	p.retry(s)
	now := metav1.NewTime(p.now)
	s.Restarts.GapTime = &now
	s.GapRequestUID = p.requested
}
