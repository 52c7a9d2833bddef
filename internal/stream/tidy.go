package stream

// This file clears away jobs whose end has been recorded.

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// keptJobs is how many finished jobs without a TTL of their own a stream keeps for
// their logs, beside the one whose failure has not been acknowledged.
const keptJobs = 3

// tidy gives recorded jobs the TTL that their template asked for, and deletes the
// oldest of the others. It looks at what is there, so a crash loses nothing.
func (p *pass) tidy(ctx context.Context) error {
	if p.decision.Again || p.obstacle != nil {
		return nil // the last of the passes that follow each other does it
	}
	var kept []*batchv1.Job
	for _, j := range p.history() {
		ttl, held := ttlOf(j)
		switch {
		case !held && p.isRun(j): // its CronJob has limits of its own
		case !held && !p.failedLast(j):
			kept = append(kept, j)
		case !held:
		case j.Spec.TTLSecondsAfterFinished == nil:
			if _, err := p.patchJob(ctx, j, fmt.Sprintf(`,"resourceVersion":%q`, j.ResourceVersion), `"ttlSecondsAfterFinished":`+strconv.Itoa(ttl)); err != nil {
				return fmt.Errorf("set the TTL of job %s: %w", j.Name, err)
			}
		}
	}
	for _, j := range kept[:max(0, len(kept)-keptJobs)] {
		if err := p.delete(ctx, j); err != nil {
			return fmt.Errorf("delete the old job %s: %w", j.Name, err)
		}
	}
	return nil
}

// tellTidyRefused tells of a refusal to clear away, and has it tried again later: the stream
// runs on, so no condition says so.
func (p *pass) tellTidyRefused(err error) error {
	switch {
	case movedOn(err) != "": // the cache is behind, and nothing waits for this
		p.wakesAt(p.now.Add(lookAgainAtMost))
		return nil
	case !isRefusal(err):
		return err
	}
	p.wakesAt(p.now.Add(obstacleRecheck))
	if p.acted() {
		p.event(corev1.EventTypeWarning, v1.ReasonWriteRefused, "An ended job cannot be cleared away. "+err.Error())
	}
	return nil
}

// ttlOf is the TTL that the operator has held back from a Job, in seconds; held is false
// where the annotation is missing or is no such number.
func ttlOf(j *batchv1.Job) (seconds int, held bool) {
	seconds, err := strconv.Atoi(j.Annotations[v1.AnnotationTTL])
	return seconds, err == nil && seconds >= 0 && seconds <= math.MaxInt32
}

// failedLast tells whether the job's failure has not been acknowledged: its logs
// are what its user needs, for as long as the template's own TTL leaves them.
func (w *world) failedLast(j *batchv1.Job) bool {
	return w.stream.Status.Failure != nil && w.stream.Status.Failure.JobUID == j.UID
}

// history lists the finished jobs whose end is recorded and carried out, oldest
// first. One of a later run than the status knows is not history: the status that
// was read is old, and that job's end may not have been recorded yet.
func (w *world) history() []*batchv1.Job {
	var list []*batchv1.Job
	for i := range w.jobs {
		j := &w.jobs[i]
		if !finished(j) || j.DeletionTimestamp != nil || !w.mayGo(j) || w.isRecorded(j.UID) && w.record.Outcome == "" {
			continue
		}
		if w.runOf(j) > w.stream.Status.Runs {
			continue
		}
		list = append(list, j)
	}
	slices.SortFunc(list, func(a, b *batchv1.Job) int { return cmp.Compare(w.runOf(a), w.runOf(b)) })
	return list
}
