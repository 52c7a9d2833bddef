package stream

// This file folds what was read into the facts that a decision is made from.

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	f.Others = w.others()
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
	if f.Mode = w.record.Mode; f.Mode == "" {
		f.Mode = v1.ModeStream
	}
	if f.Job, err = r.jobState(ctx, w); err != nil {
		return err
	}
	if f.Job != lifecycle.Held && f.Job != lifecycle.Active {
		return nil
	}
	f.Wanted = w.served != nil && !ended(w.served)
	f.Disrupted = f.Job == lifecycle.Active && f.Mode == v1.ModeStream && w.disrupted()
	if f.Restarts == lifecycle.Counted && f.Job == lifecycle.Active && f.Mode == v1.ModeStream && w.healed() {
		f.Restarts = lifecycle.Healed
	}
	f.Inputs, err = r.inputs(ctx, w)
	return err
}

// ended tells whether a request will never be served again: completed by a job,
// cancelled by its user, or on its way out.
func ended(q *v1.BackfillRequest) bool {
	return q.DeletionTimestamp != nil || q.Spec.Completed || q.Status.Phase.Final()
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
		if backlog.Unrecorded(w.stream, q) && !asked && !ended(q) {
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

// stray looks for unfinished Jobs that are not the recorded one.
func (w *world) stray() lifecycle.Others {
	found := lifecycle.Nobody
	for i := range w.jobs {
		j := &w.jobs[i]
		if finished(j) || w.isRecorded(j.UID) {
			continue
		}
		switch {
		case w.waits(j): // it writes nothing before it is let run
		case w.isOurJob(j) && j.DeletionTimestamp == nil:
			return lifecycle.StrayJob
		case w.isOurJob(j), w.ofFormer(j):
			found = lifecycle.Leaving
		}
	}
	return found
}

// ofFormer tells whether an object belongs to a stream that had this name before:
// the garbage collector is about to take it.
func (w *world) ofFormer(o metav1.Object) bool {
	return slices.ContainsFunc(o.GetOwnerReferences(), func(ref metav1.OwnerReference) bool {
		return ref.Kind == v1.KindStream && ref.Name == w.stream.Name && ref.UID != w.stream.UID ||
			ref.Kind == "CronJob" && (w.cron == nil || ref.UID != w.cron.UID)
	})
}

func (w *world) isRecorded(job types.UID) bool {
	return w.record != nil && w.record.UID == job
}

// strangers looks for live pods that the recorded, unfinished job does not account for.
func (w *world) strangers() lifecycle.Others {
	found := lifecycle.Nobody
	for i := range w.pods {
		p := &w.pods[i]
		if !alive(p) || w.job != nil && jobOf(p) == w.job.UID && !finished(w.job) {
			continue
		}
		if w.isOrphan(p) {
			return lifecycle.OrphanPods
		}
		found = lifecycle.Leaving
	}
	return found
}

// isOrphan tells whether a live pod is of a Job of this very stream that no longer exists.
func (w *world) isOrphan(p *corev1.Pod) bool {
	if p.DeletionTimestamp != nil || !w.isOurs(p) {
		return false
	}
	return !slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool { return j.UID == jobOf(p) })
}

// isOurs tells whether a pod was made for a job of this very stream: the Job's
// name carries the stream's UID, so no stream of another life has the same.
func (w *world) isOurs(p *corev1.Pod) bool {
	job := p.Labels[batchv1.JobNameLabel]
	return jobspec.IsRunOf(w.cronName(), job) || job == jobspec.Name(w.stream.Name, w.stream.UID, v1.KindStream, runOfName(job))
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
	return found, nil
}

// line lists the requests that want to be served, in their order.
func (w *world) line() []*v1.BackfillRequest {
	var first, line []*v1.BackfillRequest
	unfinished := w.job != nil && !finished(w.job)
	for i := range w.requests {
		q := &w.requests[i]
		if ended(q) || backlog.Unrecorded(w.stream, q) || w.ofFormer(q) || q.Spec.StreamClass != "" && q.Spec.StreamClass != w.stream.Spec.StreamClass {
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
	if w.record.Outcome == v1.OutcomeSucceeded {
		if w.carriedOut() {
			return lifecycle.Over, nil
		}
		return lifecycle.Done, nil
	}
	switch {
	case w.job == nil:
		return lifecycle.Vanished, nil
	case deletedBeforeEnd(w.job):
		return lifecycle.Stopping, nil
	case condition(w.job, batchv1.JobFailed) != nil:
		return lifecycle.Failed, r.readEnds(ctx, w)
	case condition(w.job, batchv1.JobComplete) != nil:
		return r.success(ctx, w)
	case suspended(w.job):
		return lifecycle.Held, nil
	}
	return lifecycle.Active, nil
}

// carriedOut tells whether the recorded success has reached its request: it says
// so in its status too, or there is nobody left to tell.
func (w *world) carriedOut() bool {
	q := w.served
	return q == nil || ended(q) && (q.Status.Phase.Final() || q.Annotations[v1.AnnotationCompletedBy] != string(w.record.UID))
}

// success tells a trusted success from one that is not. A pod that the cache does
// not know is unknown, not absent: the API server has the last word.
func (r *Reconciler) success(ctx context.Context, w *world) (lifecycle.Job, error) {
	if w.facts.Mode == v1.ModeStream || trusted(w.job, w.pods) {
		return lifecycle.Succeeded, nil
	}
	job, err := r.recordedLive(ctx, w)
	if err != nil {
		return 0, err
	}
	if job == nil {
		return lifecycle.Vanished, nil
	}
	pods, err := r.podsOf(ctx, job.Namespace, job.Name)
	if err != nil {
		return 0, err
	}
	if trusted(job, pods) {
		return lifecycle.Succeeded, nil
	}
	return lifecycle.Interrupted, nil
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

// disrupted tells whether only the Job controller's back-off would bring the
// streaming job's next pod: the pod is being taken away, or it ended in an
// ignored way after running well.
func (w *world) disrupted() bool {
	if condition(w.job, batchv1.JobFailureTarget) != nil || condition(w.job, batchv1.JobSuccessCriteriaMet) != nil {
		return false // the Job controller itself is taking the pods away
	}
	last := newest(w.pods, w.job.UID, func(*corev1.Pod) bool { return true })
	if last == nil {
		return false
	}
	if disturbed(last) {
		return true
	}
	return !alive(last) && w.ranWell(last)
}

// inputs compares the recorded unfinished job with what would be built now.
func (r *Reconciler) inputs(ctx context.Context, w *world) (lifecycle.Inputs, error) {
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
	case w.job.Annotations[v1.AnnotationConfigurationHash] == jobspec.Hash(want):
		return lifecycle.Same, nil
	case w.facts.Mode == v1.ModeBackfill && w.facts.Job == lifecycle.Active && w.definition.Backfill.OnSpecChange == v1.OnSpecChangeFinish:
		return lifecycle.ChangeWaits, nil
	}
	return lifecycle.Changed, nil
}
