package telemetry

// This file counts what the written status of a backfill request newly says: two
// controllers write it, each under the version that it judged, so each fact is written once.

import (
	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
)

// RequestTold counts what the status that was just written says beyond the one of the
// request before; class is the stream's, empty where there is no stream.
func (c *Counters) RequestTold(class string, before *v1.BackfillRequest, after *v1.BackfillRequestStatus) {
	if c == nil {
		return
	}
	if class == "" {
		class = None
	}
	if before.Status.StartTime == nil && after.StartTime != nil {
		observe(c.queue.WithLabelValues(class), after.StartTime.Sub(before.CreationTimestamp.Time))
	}
	if result := resultOf(after); result != "" && before.Status.Phase != after.Phase {
		c.backfills.WithLabelValues(before.Namespace, class, string(TriggerOf(before)), string(result)).Inc()
	}
}

// resultOf is how a request has ended; empty where it has not. One that was completed
// before this version of Arcane saw it has had no attempt.
func resultOf(s *v1.BackfillRequestStatus) Result {
	switch s.Phase {
	case v1.RequestCompleted:
		if s.AttemptCount == 0 {
			return ""
		}
		return ResultCompleted
	case v1.RequestFailed:
		return ResultFailed
	case v1.RequestCancelled:
		return ResultCancelled
	case v1.RequestQueued, v1.RequestGranted, v1.RequestRunning, v1.RequestPaused:
	}
	return ""
}

// TriggerOf is why a request was made. A user's own may bear a copied annotation.
func TriggerOf(q *v1.BackfillRequest) Trigger {
	if !backlog.MadeByUs(q) {
		return TriggerUser
	}
	switch q.Annotations[v1.AnnotationMadeBy] {
	case v1.RequestInitial:
		return TriggerInitial
	case v1.RequestGap:
		return TriggerGap
	}
	return TriggerUser
}
