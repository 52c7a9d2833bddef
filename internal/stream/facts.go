package stream

// This file folds what was read into the facts that a decision is made from.

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

func (r *Reconciler) fold(ctx context.Context, w *world) error {
	f := &w.facts
	f.Suspended = w.stream.Spec.Suspended
	f.Acceptable = w.problem == nil
	f.Failure = w.failureState()
	f.RestartAsked = w.definition.RestartedAt != "" && w.definition.RestartedAt != w.stream.Status.ObservedRestartedAt
	f.Initial = w.initial()
	f.LooseRequest = f.Initial == lifecycle.Decided && len(w.loose()) > 0
	if f.Others = w.others(); f.Others != lifecycle.Nobody {
		w.wakesAt(w.now.Add(lookAgainAtMost)) // what has lost its labels wakes nobody when it goes
	}
	f.Restarts = w.restarts()
	f.Cron = w.cronState()
	var err error
	if f.Request, err = r.nextRequest(ctx, w); err != nil {
		return err
	}
	f.Mode, f.Wanted = v1.ModeStream, true
	if w.record == nil {
		return nil
	}
	if w.isUnseen() {
		w.wakesAt(w.now.Add(lookAgainAtMost))
	}
	f.Lingers = w.job != nil && !finished(w.job)
	w.main = w.mainContainer()
	if f.Mode = w.record.Mode; f.Mode == "" {
		f.Mode = v1.ModeStream
	}
	if f.Job, err = r.jobState(ctx, w); err != nil {
		return err
	}
	if f.Restarts == lifecycle.Counted && w.vanishedEarly() {
		f.Restarts = lifecycle.BackingOff // its end is counted first
	}
	if f.Job != lifecycle.Held && f.Job != lifecycle.Active {
		return nil
	}
	f.Wanted = w.served != nil && !backlog.Ended(w.served)
	if f.Job == lifecycle.Active {
		f.Pod, f.Lingers = w.podState(), w.mainFailed() != nil
	}
	if f.Restarts == lifecycle.Counted && f.Job == lifecycle.Active && f.Mode == v1.ModeStream && w.healed() {
		f.Restarts = lifecycle.Healed
	}
	f.Inputs, err = r.inputs(ctx, w)
	return err
}

// isUnseen tells whether the recorded job, or a pod of it, has lost the labels by which what
// happens to it wakes the stream.
func (w *world) isUnseen() bool {
	if w.job == nil || finished(w.job) {
		return false
	}
	return !w.bearsLabels(w.job) || slices.ContainsFunc(w.pods, func(p corev1.Pod) bool { return w.isAccounted(&p) && !w.bearsLabels(&p) })
}

// initial is what is to be done about the initial backfill: decided once.
func (w *world) initial() lifecycle.Initial {
	switch {
	case w.stream.Status.InitialBackfill != "":
		return lifecycle.Decided
	case w.definition.CreatedSuspended,
		w.stream.Spec.Suspended && w.stream.Generation == 1,
		w.definition.Backfill.Initial == v1.InitialDisabled,
		w.definition.Schedule != "":
		return lifecycle.ToWaive
	}
	return lifecycle.ToRequest
}

// loose are live requests of ours whose UID is not the recorded one: made again
// by a request to the API server that arrived late, after the decision. They are ours by
// their name too: a user's own that bears copies of our annotations and owner is served
// like any user's. One that the present failure asks for is not loose: it is about to be
// recorded.
func (w *world) loose() []*v1.BackfillRequest {
	var list []*v1.BackfillRequest
	for i := range w.requests {
		q := &w.requests[i]
		asked := w.stream.Status.Failure != nil && q.Name == w.gapName()
		if backlog.Unrecorded(w.stream, q) && !asked && !backlog.Ended(q) {
			list = append(list, q)
		}
	}
	return list
}

// others looks for what there is of ours beside the recorded job. What belongs to a
// former stream of this name is left to the garbage collector, and waited for.
func (w *world) others() lifecycle.Others {
	stray, pods := w.stray(), w.strangers()
	return max(stray, pods)
}

// stray looks for unfinished Jobs that are not the recorded one, and for a CronJob that
// is not.
func (w *world) stray() lifecycle.Others {
	found := lifecycle.Nobody
	if w.strayCron != nil {
		if found = lifecycle.Leaving; w.strayCron.DeletionTimestamp == nil {
			return lifecycle.StrayJob
		}
	}
	for i := range w.jobs {
		j := &w.jobs[i]
		if finished(j) || w.isRecorded(j.UID) {
			continue
		}
		switch {
		case w.waits(j): // it writes nothing before it is let run
		case w.mayGo(j) && j.DeletionTimestamp == nil:
			return lifecycle.StrayJob
		case w.mayGo(j), w.ofFormer(j):
			found = lifecycle.Leaving
		}
	}
	return found
}

// strangers looks for live pods that the recorded, unfinished job does not account for.
func (w *world) strangers() lifecycle.Others {
	found := lifecycle.Nobody
	for i := range w.pods {
		p := &w.pods[i]
		if !alive(p) || w.isAccounted(p) || w.claimOf(p) == noClaim {
			continue
		}
		if w.isOrphan(p) {
			return lifecycle.OrphanPods
		}
		found = lifecycle.Leaving
	}
	return found
}

// nextRequest finds the request to serve next and tries its job. The request of a
// backfill whose Job is gone comes first: it was begun.
func (r *Reconciler) nextRequest(ctx context.Context, w *world) (lifecycle.Request, error) {
	found := lifecycle.NoRequest
	for _, q := range w.line() {
		if w.problem == nil && w.granted(q) {
			in, problem, err := r.input(ctx, w, v1.ModeBackfill, q)
			if err != nil {
				return found, err
			}
			if problem == nil {
				w.next, w.backfill = q, in
				return lifecycle.RequestReady, nil
			}
		}
		if backlog.ComesFirst(w.stream, q) {
			return lifecycle.RequestFirst, nil
		}
		found = lifecycle.RequestWaiting
	}
	if w.first() != nil {
		return lifecycle.RequestFirst, nil // whatever was made of it since it was recorded
	}
	return found, nil
}

// line lists the requests that want to be served, in their order.
func (w *world) line() []*v1.BackfillRequest {
	var first, line []*v1.BackfillRequest
	unfinished := w.job != nil && !finished(w.job)
	for i := range w.requests {
		q := &w.requests[i]
		if !backlog.Waits(w.stream, q) {
			continue
		}
		switch {
		case q != w.served:
			line = append(line, q)
		case !unfinished:
			first = append(first, q)
		}
	}
	return append(first, line...)
}

// granted tells whether the request has a slot of its class. Without a limit every request has one.
func (w *world) granted(q *v1.BackfillRequest) bool {
	if b := w.class.Spec.Backfill; b == nil || b.MaxConcurrent == nil {
		return true
	}
	return q.Status.Phase == v1.RequestGranted || q.Status.Phase == v1.RequestRunning
}

// jobState folds the recorded job.
func (r *Reconciler) jobState(ctx context.Context, w *world) (lifecycle.Job, error) {
	switch {
	case w.record.Outcome != "":
		return w.endedState(), nil
	case w.markedThoughStopped() != nil:
		return lifecycle.Succeeded, nil
	case w.job == nil:
		return lifecycle.Vanished, nil
	case deletedBeforeEnd(w.job):
		return lifecycle.Stopping, nil
	case condition(w.job, batchv1.JobFailed) != nil:
		return r.failed(ctx, w)
	case condition(w.job, batchv1.JobComplete) != nil:
		return r.success(ctx, w)
	case suspended(w.job):
		return lifecycle.Held, nil
	case w.mainSucceeded() != nil:
		return r.success(ctx, w)
	}
	return lifecycle.Active, nil
}

// endedState folds a job whose end is recorded.
func (w *world) endedState() lifecycle.Job {
	switch {
	case w.record.Outcome == v1.OutcomeSucceeded && !w.carriedOut():
		return lifecycle.Done
	case w.job != nil && !finished(w.job) && (w.job.DeletionTimestamp != nil || w.isEnding()):
		return lifecycle.Stopping
	}
	return lifecycle.Over
}

// endsAfter is the deadline, in seconds from the Job's start, by which the operator lets the
// Job controller end a Job that has run for longer: the least that the API server takes.
const endsAfter = 1

// isEnding tells whether the operator has asked the Job controller to end the recorded job.
func (w *world) isEnding() bool {
	return w.record.Outcome == v1.OutcomeEnded && ptr.Deref(w.job.Spec.ActiveDeadlineSeconds, 0) == endsAfter
}

// carriedOut tells whether the recorded success has reached its request: it says
// so in its status too, or there is nobody left to tell.
func (w *world) carriedOut() bool {
	q := w.served
	return q == nil || backlog.Ended(q) && (q.Status.Phase.Final() || q.Annotations[v1.AnnotationCompletedBy] != string(w.record.UID))
}

// success judges the end of a job whose main container exited 0. A pod that the cache
// does not know is unknown, not absent: the API server has the last word.
func (r *Reconciler) success(ctx context.Context, w *world) (lifecycle.Job, error) {
	if w.facts.Mode == v1.ModeStream {
		return lifecycle.Succeeded, nil
	}
	w.verdict, w.doubt = w.judge(w.job, w.pods)
	if w.verdict != believed {
		job, err := r.recordedLive(ctx, w)
		if err != nil {
			return 0, err
		}
		switch {
		case job == nil:
			return lifecycle.Vanished, nil
		case deletedBeforeEnd(job):
			return lifecycle.Stopping, nil
		}
		pods, err := r.podsOf(ctx, job.Namespace, job.Name)
		if err != nil {
			return 0, err
		}
		w.verdict, w.doubt = w.judge(job, pods)
	}
	switch w.verdict {
	case believed:
		return lifecycle.Succeeded, nil
	case unmarked:
		if w.facts.Mode == v1.ModeBackfill && unprovenInARow(w.served, w.record.UID) < unprovenAtMost-1 {
			return lifecycle.Interrupted, nil
		}
		return lifecycle.Failed, nil
	case ambiguous:
		return lifecycle.Failed, nil
	case doubted:
	}
	return lifecycle.Interrupted, nil
}

// failed judges the end of a job that the Job controller calls failed: where only a
// container beside the main one has failed, the main one decides.
func (r *Reconciler) failed(ctx context.Context, w *world) (lifecycle.Job, error) {
	if err := r.readEnds(ctx, w); err != nil || w.failedBeside() == nil {
		return lifecycle.Failed, err
	}
	is, err := r.success(ctx, w)
	if err != nil || is == lifecycle.Succeeded || is == lifecycle.Interrupted {
		return is, err
	}
	return lifecycle.Failed, nil
}

// unprovenAtMost is how many attempts in a row may exit 0 without the mark that the class
// declares before the backfill has failed: it would run for ever.
const unprovenAtMost = 3

// unprovenInARow counts a request's last attempts before a job that exited 0 without the
// mark. Interrupted ones in between are skipped. The job's own may be on record already: the
// operator died, or met a conflict, before the stream recorded the same.
func unprovenInARow(q *v1.BackfillRequest, job types.UID) int {
	if q == nil {
		return 0
	}
	before := *q
	before.Status.Attempts = slices.DeleteFunc(slices.Clone(q.Status.Attempts), func(a v1.Attempt) bool { return a.JobUID == job })
	q, n := &before, 0
	for _, a := range lastAttempts(q, v1.AttemptUnproven, v1.AttemptInterrupted) {
		if a.Result == v1.AttemptUnproven {
			n++
		}
	}
	return n
}

// lastAttempts are the last attempts of a request that ended in one of these ways.
func lastAttempts(q *v1.BackfillRequest, results ...v1.AttemptResult) []v1.Attempt {
	if q == nil {
		return nil
	}
	all := q.Status.Attempts
	from := len(all)
	for from > 0 && slices.Contains(results, all[from-1].Result) {
		from--
	}
	return all[from:]
}

// readEnds reads the pods of a failed job from the API server: their exit codes
// decide how the stream goes on, and are recorded once. The cache may know of the
// Job's end before it knows of its pods'.
func (r *Reconciler) readEnds(ctx context.Context, w *world) error {
	pods, err := r.podsOf(ctx, w.job.Namespace, w.job.Name)
	if err != nil {
		return err
	}
	w.pods = slices.DeleteFunc(w.pods, func(p corev1.Pod) bool { return jobOf(&p) == w.job.UID })
	w.pods = append(w.pods, pods...)
	return nil
}

// recordedLive reads the recorded job from the API server; nil where it is gone.
func (r *Reconciler) recordedLive(ctx context.Context, w *world) (*batchv1.Job, error) {
	job := &batchv1.Job{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: w.stream.Namespace, Name: w.record.Name}, job)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at the recorded job: %w", err)
	case job.UID != w.record.UID:
		return nil, nil
	}
	return job, nil
}

// podsOf lists the pods of a Job from the API server.
func (r *Reconciler) podsOf(ctx context.Context, namespace, job string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := r.Live.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{batchv1.JobNameLabel: job}); err != nil {
		return nil, fmt.Errorf("look at the pods of job %s: %w", job, err)
	}
	return pods.Items, nil
}

// podState tells whether only the Job controller's back-off would bring the streaming
// job's next pod, and why. A pod that failed in a way that counts is left to the Job
// controller: it counts it, and keeps it for its log.
func (w *world) podState() lifecycle.Pod {
	if w.facts.Mode != v1.ModeStream || condition(w.job, batchv1.JobFailureTarget) != nil || condition(w.job, batchv1.JobSuccessCriteriaMet) != nil {
		return lifecycle.PodServes // the Job controller itself is taking the pods away
	}
	last := newest(w.pods, w.job.UID, func(*corev1.Pod) bool { return true })
	switch {
	case last == nil, w.isPastDeadline(last):
		return lifecycle.PodServes
	case w.disturbed(last):
		return lifecycle.PodTakenAway
	case !alive(last) && w.ranWell(last) && w.isIgnored(last):
		return lifecycle.PodEnded
	}
	return lifecycle.PodServes
}

// isPastDeadline tells whether a pod was deleted because its Job's activeDeadlineSeconds
// are over: the Job controller deletes it before it says so in the Job. Both times are of
// the control plane, in whole seconds.
func (w *world) isPastDeadline(p *corev1.Pod) bool {
	deadline := w.job.Spec.ActiveDeadlineSeconds
	if deadline == nil || w.job.Status.StartTime == nil || p.DeletionTimestamp == nil {
		return false
	}
	over := w.job.Status.StartTime.Add(time.Duration(*deadline) * time.Second)
	return !askedAt(p).Before(over.Add(-time.Second))
}

// alteredIn is the field in which somebody has changed the recorded unfinished job so that it
// must not run, or run on; empty where nobody has. A held Job whose spec was written after
// its creation was suspended again after its release, or changed before it: a queueing
// controller does both, and would have the operator let it run for ever.
func (w *world) alteredIn() string {
	if field := jobspec.NotOneWriter(&w.job.Spec); field != "" || !suspended(w.job) || w.job.Generation <= 1 {
		return field
	}
	return "spec (suspended again, or written while it was held)"
}

// inputs compares the recorded unfinished job with what would be built now.
func (r *Reconciler) inputs(ctx context.Context, w *world) (lifecycle.Inputs, error) {
	if w.alteredIn() != "" {
		return lifecycle.Altered, nil
	}
	if w.problem != nil {
		return lifecycle.Same, nil // nothing could be built in its place
	}
	want := w.streaming
	if w.facts.Mode == v1.ModeBackfill {
		if !w.facts.Wanted {
			return lifecycle.Same, nil
		}
		in, problem, err := r.input(ctx, w, v1.ModeBackfill, w.served)
		if err != nil {
			return lifecycle.Same, err
		}
		if problem != nil {
			return lifecycle.Same, nil // nothing could be built in its place
		}
		want = in
	}
	switch {
	case w.record.ConfigurationHash == jobspec.Hash(want):
		return lifecycle.Same, nil
	case w.facts.Mode == v1.ModeBackfill && w.facts.Job == lifecycle.Active && w.definition.Backfill.OnSpecChange == v1.OnSpecChangeFinish:
		return lifecycle.ChangeWaits, nil
	}
	return lifecycle.Changed, nil
}
