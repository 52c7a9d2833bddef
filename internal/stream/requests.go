package stream

// This file writes into a request's status what happens to its job.

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

// tellRequests patches the requests whose status is not what the decision makes
// true, once in a pass.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests/status,verbs=patch
func (p *pass) tellRequests(ctx context.Context) error {
	if p.told {
		return nil
	}
	for i := range p.requests {
		q := &p.requests[i]
		after := q.DeepCopy()
		p.tell(after)
		if equality.Semantic.DeepEqual(&q.Status, &after.Status) {
			continue
		}
		data, err := client.MergeFrom(q).Data(after)
		if err != nil {
			return fmt.Errorf("compute the request's status patch: %w", err)
		}
		if data, err = withLock(data, q); err != nil {
			return err
		}
		err = p.Client.Status().Patch(ctx, after, client.RawPatch(types.MergePatchType, data))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("patch the status of request %s: %w", q.Name, err)
		}
		if err == nil {
			p.wrote = true
			p.Counters.RequestTold(p.stream.Spec.StreamClass, q, &after.Status)
		}
		*q = *after
	}
	p.told = true
	return nil
}

// tell changes a request's status to what the decision makes true of it.
func (p *pass) tell(q *v1.BackfillRequest) {
	if q.Status.Phase.Final() || q.DeletionTimestamp != nil {
		return
	}
	if p.decision.Phase == v1.StreamSuspended {
		p.tellPaused(q)
		return
	}
	if p.served == nil || q.UID != p.served.UID {
		return
	}
	switch p.facts.Job {
	case lifecycle.Active, lifecycle.Held:
		if p.decision.Phase == v1.StreamBackfilling {
			p.tellRunning(q)
		}
	case lifecycle.Interrupted:
		if p.verdict == unmarked {
			p.attempt(q, v1.AttemptUnproven, p.doubt)
			return
		}
		p.attempt(q, v1.AttemptInterrupted, v1.ReasonBackfillInterrupted.Meaning())
	case lifecycle.Vanished:
		switch {
		case !p.forgetsJob():
		case p.stoppedByUser():
			reason, _, _ := stopOf(p.judged)
			p.attempt(q, v1.AttemptStopped, reason.Meaning())
		default:
			p.attempt(q, v1.AttemptInterrupted, "The job was gone before it had ended.")
		}
	case lifecycle.Failed:
		message := p.failureMessage()
		p.tellStart(q)
		p.attempt(q, v1.AttemptFailed, message)
		backlog.SetPhase(&q.Status, v1.RequestFailed, v1.ReasonRequestFailed, message+" "+p.wayOut(), q.Generation, metav1.NewTime(p.now))
	case lifecycle.Done:
		if q.Spec.Completed {
			p.tellCompleted(q)
		}
	case lifecycle.NoJob, lifecycle.Stopping, lifecycle.Succeeded, lifecycle.Over:
		// Nothing new: on its way, or told already.
	}
}

// forgetsJob tells whether this pass takes the recorded job out of the stream's memory.
func (p *pass) forgetsJob() bool {
	return p.obstacle == nil && slices.ContainsFunc(p.decision.Do, func(v lifecycle.Verb) bool {
		return v == lifecycle.Claim || v == lifecycle.ClaimRun || v == lifecycle.ForgetVanished
	})
}

func (p *pass) tellRunning(q *v1.BackfillRequest) {
	now := metav1.NewTime(p.now)
	if q.Status.StartTime == nil {
		q.Status.StartTime = &now
	}
	q.Status.Job = p.record.Name
	backlog.SetPhase(&q.Status, v1.RequestRunning, v1.ReasonRequestRunning, "Job "+q.Status.Job+" is running.", q.Generation, now)
}

// tellStart makes up for it where the job ended before it could be told that it ran.
func (p *pass) tellStart(q *v1.BackfillRequest) {
	if q.Status.StartTime == nil {
		q.Status.StartTime, q.Status.Job = p.record.StartTime, p.record.Name
	}
}

// tellPaused shows which requests were begun and run again after the suspension.
func (p *pass) tellPaused(q *v1.BackfillRequest) {
	if p.served != nil && q.UID == p.served.UID && p.facts.Job == lifecycle.Vanished {
		p.attempt(q, v1.AttemptStopped, v1.ReasonStreamSuspended.Meaning())
	}
	if q.Status.Phase == v1.RequestRunning || q.Status.Phase == v1.RequestFailed {
		backlog.SetPhase(&q.Status, v1.RequestPaused, v1.ReasonStreamSuspended, "The stream is suspended; this backfill runs again, with the same id, when it is resumed.", q.Generation, metav1.NewTime(p.now))
	}
}

func (p *pass) tellCompleted(q *v1.BackfillRequest) {
	now := metav1.NewTime(p.now)
	p.tellStart(q)
	p.attempt(q, v1.AttemptSucceeded, "")
	q.Status.CompletionTime = &now
	backlog.SetPhase(&q.Status, v1.RequestCompleted, v1.ReasonRequestCompleted, "The backfill has completed.", q.Generation, now)
}

// attempt notes how the recorded job ended, once for each Job.
func (p *pass) attempt(q *v1.BackfillRequest, result v1.AttemptResult, message string) {
	record := p.record
	if slices.ContainsFunc(q.Status.Attempts, func(a v1.Attempt) bool { return a.JobUID == record.UID }) {
		return
	}
	q.Status.AttemptCount++
	q.Status.Attempts = append(q.Status.Attempts, v1.Attempt{
		Job: record.Name, JobUID: record.UID, Result: result, Time: metav1.NewTime(p.now), Message: backlog.Truncate(message, 256),
	})
	q.Status.Attempts = slices.Clone(q.Status.Attempts[max(0, len(q.Status.Attempts)-maxHistory):])
}
