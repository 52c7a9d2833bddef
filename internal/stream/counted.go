package stream

// This file counts what a pass has written: all of it follows from what the status
// said before and what it says now, so a pass that repeats another counts nothing.

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
)

// defaultGrace is how long Kubernetes lets a pod end by itself where its template says nothing.
const defaultGrace = 30 * time.Second

// count tells the counters what the status that was just written newly records.
func (p *pass) count(before, after *v1.StreamStatus) {
	p.wrote = true
	if before.Phase != after.Phase {
		p.Counters.Transition(before.Phase, after.Phase)
		p.countRecovery(after)
	}
	if f := before.Failure; f != nil && after.Failure == nil && counted(after).Retries > counted(before).Retries {
		p.Counters.Restarted(p.stream.Namespace, p.stream.Spec.StreamClass, f.FailureClass)
	}
	p.countEnd(before, after)
}

// countEnd counts the end of the recorded job: its success is recorded, or the memory lets go of it.
func (p *pass) countEnd(before, after *v1.StreamStatus) {
	was, is := before.Job, after.Job
	if was == nil || was.Outcome != "" || is != nil && is.UID == was.UID && is.Outcome == "" {
		return
	}
	class, failureClass := p.stream.Spec.StreamClass, ""
	outcome, asked := p.outcome(before)
	switch outcome {
	case telemetry.Failed:
		if after.Failure != nil && after.Failure.JobUID == was.UID {
			failureClass = after.Failure.FailureClass
		} else {
			failureClass = p.failure().FailureClass // neither a run of the schedule nor a pod that ended by itself leaves a failure behind
		}
		p.countBackfill(was, telemetry.ResultFailed)
	case telemetry.Succeeded:
		p.countBackfill(was, telemetry.ResultCompleted)
	case telemetry.Stopped:
		p.Counters.StoppedAfter(class, p.now.Sub(asked), p.grace(was))
	case telemetry.Interrupted, telemetry.Vanished:
	}
	p.Counters.JobFinished(p.stream.Namespace, class, was.Mode, outcome, failureClass)
}

// outcome is how the recorded job ended, and when the operator asked for that.
func (p *pass) outcome(before *v1.StreamStatus) (outcome telemetry.Outcome, asked time.Time) {
	switch p.facts.Job {
	case lifecycle.Succeeded:
		return telemetry.Succeeded, asked
	case lifecycle.Failed:
		return telemetry.Failed, asked
	case lifecycle.Interrupted:
		return telemetry.Interrupted, asked
	case lifecycle.Active:
		if p.facts.Pod == lifecycle.PodEnded {
			return telemetry.Failed, asked // its Job ends as failed, with the exit code's class
		}
	default:
	}
	if _, asked, ok := stopOf(before); ok {
		return telemetry.Stopped, asked
	}
	return telemetry.Vanished, asked
}

// stopOf is why and when the operator stopped the recorded job, if it did.
func stopOf(s *v1.StreamStatus) (reason v1.Reason, asked time.Time, ok bool) {
	if s.Job == nil || s.Job.Stop == nil {
		return "", asked, false
	}
	return v1.Reason(s.Job.Stop.Reason), s.Job.Stop.Time.Time, true
}

func (p *pass) countBackfill(job *v1.JobRecord, result telemetry.Result) {
	if job.Mode == v1.ModeBackfill && job.StartTime != nil {
		p.Counters.Backfilled(p.stream.Spec.StreamClass, p.trigger(job), result, p.now.Sub(job.StartTime.Time))
	}
}

// trigger is why the request of a backfill's job was made. Where the request is gone, the stream's status tells.
func (p *pass) trigger(job *v1.JobRecord) telemetry.Trigger {
	switch {
	case p.served != nil:
		return telemetry.TriggerOf(p.served)
	case job.RequestUID == p.stream.Status.InitialRequestUID:
		return telemetry.TriggerInitial
	case job.RequestUID == p.stream.Status.GapRequestUID:
		return telemetry.TriggerGap
	}
	return telemetry.TriggerUser
}

// grace is how long the pods of a job had to end by themselves.
func (p *pass) grace(job *v1.JobRecord) time.Duration {
	in := p.streaming
	if job.Mode == v1.ModeBackfill {
		in = p.backfill
	}
	if in.Template == nil || in.Template.Spec.Spec.Template.Spec.TerminationGracePeriodSeconds == nil {
		return defaultGrace
	}
	return time.Duration(*in.Template.Spec.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
}

// countRecovery measures the way from the first failure since the stream last ran to
// where it runs again.
func (p *pass) countRecovery(after *v1.StreamStatus) {
	runs := func(phase v1.StreamPhase) bool { return phase == v1.StreamRunning || phase == v1.StreamScheduled }
	if !runs(after.Phase) {
		return
	}
	var failed time.Time
	for i := len(after.History) - 2; i >= 0 && !runs(after.History[i].To); i-- {
		if after.History[i].To == v1.StreamFailed {
			failed = after.History[i].Time.Time
		}
	}
	if !failed.IsZero() {
		p.Counters.Recovered(p.stream.Spec.StreamClass, p.now.Sub(failed))
	}
}

// countDecision counts a decision that was carried out, if it wrote anything.
func (p *pass) countDecision() {
	if p.acted() {
		p.Counters.Decided(p.decision.Rule)
	}
	if p.facts.Job == lifecycle.Active {
		p.countStart()
	}
}

// acted tells whether the pass wrote something.
func (p *pass) acted() bool {
	if p.wrote || p.obstacle != nil {
		return p.wrote
	}
	for _, verb := range p.decision.Do {
		if verb.Kind() == lifecycle.Write {
			return true
		}
	}
	return false
}

// countStart measures the start of the recorded job, once the main container of its newest pod runs.
func (p *pass) countStart() {
	pod := newest(p.pods, p.job.UID, func(*corev1.Pod) bool { return true })
	if pod == nil || !alive(pod) {
		return
	}
	if since := p.runningSince(pod); !since.IsZero() && p.starts.tell(p.key(), p.job.UID, p.job.CreationTimestamp.Time) {
		p.Counters.Started(p.stream.Spec.StreamClass, p.record.Mode, since.Sub(p.job.CreationTimestamp.Time))
	}
}

func (p *pass) key() types.NamespacedName {
	return types.NamespacedName{Namespace: p.stream.Namespace, Name: p.stream.Name}
}

// starts remember of which jobs this process has told the start: that a pod runs is
// written nowhere. A job that is older than this process's first pass may have been
// told of by another one, so it is left out: to lose one is better than to count it twice.
type starts struct {
	mu    sync.Mutex
	since time.Time
	told  map[types.NamespacedName]types.UID
}

// begin notes when this process began to act, in whole seconds, as Kubernetes notes
// when a Job was created.
func (s *starts) begin(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since, s.told = now.Truncate(time.Second), map[types.NamespacedName]types.UID{}
	}
}

// tell tells whether the start of a job is still to be told, and takes it for told.
func (s *starts) tell(stream types.NamespacedName, job types.UID, created time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[stream] == job || created.Before(s.since) {
		return false
	}
	s.told[stream] = job
	return true
}

// forget lets go of a stream that is gone.
func (s *starts) forget(stream types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.told, stream)
}
