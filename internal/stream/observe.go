package stream

// This file is the only reader: it reads all that one decision needs.

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// world is what was read of one stream's world, and the facts that it folds into.
type world struct {
	now    time.Time
	stream *v1.Stream
	// judged is the stream's status as it was judged, and record the job that it records.
	judged *v1.StreamStatus
	record *v1.JobRecord
	// job is the recorded job, nil where none is recorded or it does not exist.
	job *batchv1.Job
	// jobs and pods are all that bear the stream's labels or are named after it; what
	// of them is the stream's, ours.go says.
	jobs []batchv1.Job
	pods []corev1.Pod
	// cron is the recorded CronJob, nil where there is none.
	cron *batchv1.CronJob
	// strayCron is a CronJob of the stream's name that is not recorded, and that says that the stream owns it.
	strayCron *batchv1.CronJob
	// requests for this stream, oldest first.
	requests []v1.BackfillRequest

	class      *v1.StreamClass
	definition definition.Definition
	// problem is why the definition is not accepted.
	problem *definition.Problem
	// streaming and backfill are the inputs of the job of each mode, streaming's also
	// where that is the runs of a schedule; the backfill's is for the next request, and without one for the stream's or class's own template.
	streaming, backfill jobspec.Input
	// next is the request to serve next.
	next *v1.BackfillRequest
	// served is the request of the recorded job, nil where it is gone.
	served *v1.BackfillRequest

	// wake is the soonest time at which a fact changes that nothing but time changes.
	wake  time.Time
	facts lifecycle.Observation
	// main is the name of the recorded job's main container.
	main string
	// verdict is what the recorded job's exit code 0 is worth, and doubt what is wrong with it.
	verdict verdict
	doubt   string
	// stall is what keeps the stream from getting on, nil where nothing does.
	stall *stall
}

// wakesAt tells whether a time is still to come, and if so lets it wake the stream.
func (w *world) wakesAt(at time.Time) bool {
	if !w.now.Before(at) {
		return false
	}
	if w.wake.IsZero() || at.Before(w.wake) {
		w.wake = at
	}
	return true
}

// observe reads the world of a stream. It returns nil for a stream that does not exist.
func (r *Reconciler) observe(ctx context.Context, key types.NamespacedName) (_ *world, err error) {
	ctx, span := tracing.Step(ctx, "observe")
	defer func() { span.End(err) }()
	w := &world{now: r.Clock.Now(), stream: &v1.Stream{}}
	if err := r.Client.Get(ctx, key, w.stream); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the stream: %w", err)
	}
	w.judged, w.record = &w.stream.Status, w.stream.Status.Job
	if w.stream.DeletionTimestamp != nil {
		w.facts = lifecycle.Observation{Deleting: true}.Canonical()
		return w, nil
	}
	for _, read := range []func(context.Context, *world) error{r.readJobs, r.readPods, r.readCron, r.readRequests, r.readDefinition} {
		if err := read(ctx, w); err != nil {
			return nil, err
		}
	}
	if err := r.fold(ctx, w); err != nil {
		return nil, err
	}
	w.facts = w.facts.Canonical()
	w.stall = w.stalled()
	return w, nil
}

func (r *Reconciler) readJobs(ctx context.Context, w *world) (err error) {
	w.jobs, err = listed(w, func(by client.MatchingFields) ([]batchv1.Job, error) {
		var jobs batchv1.JobList
		err := r.Client.List(ctx, &jobs, client.InNamespace(w.stream.Namespace), by, &client.ListOptions{DisableReadYourWritesConsistency: true})
		return jobs.Items, doing(err, "list the jobs")
	})
	if err != nil {
		return err
	}
	if w.record == nil {
		return nil
	}
	w.job, err = r.recorded(ctx, w.stream.Namespace, w.record)
	return err
}

// doing says what met an error, if there is one.
func doing(err error, what string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// listed finds all that bears the stream's labels, and all that is named after it. To
// read our own writes is left to the recorded job: to wait for every stream's Jobs here
// would couple them all.
func listed[T any, O interface {
	*T
	metav1.Object
}](w *world, list func(by client.MatchingFields) ([]T, error)) ([]T, error) {
	all, err := list(client.MatchingFields{byStream: v1.KindStream + "/" + w.stream.Name})
	if err != nil {
		return nil, err
	}
	named, err := list(client.MatchingFields{byMark: jobspec.Mark(w.stream.Name, w.stream.UID, v1.KindStream)})
	if err != nil {
		return nil, err
	}
	for i := range named {
		uid := O(&named[i]).GetUID()
		if !slices.ContainsFunc(all, func(o T) bool { return O(&o).GetUID() == uid }) {
			all = append(all, named[i])
		}
	}
	return all, nil
}

// recorded reads the recorded job. One that the cache does not know is unknown,
// not absent: the API server has the last word.
func (r *Reconciler) recorded(ctx context.Context, namespace string, record *v1.JobRecord) (*batchv1.Job, error) {
	for _, from := range []client.Reader{r.Client, r.Live} {
		job := &batchv1.Job{}
		err := from.Get(ctx, types.NamespacedName{Namespace: namespace, Name: record.Name}, job)
		if err == nil && job.UID == record.UID {
			return job, nil
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read the recorded job: %w", err)
		}
		if record.Outcome != "" && !record.Lingers {
			break // its end can no longer be lost, so it does not matter whether it is there
		}
	}
	return nil, nil
}

func (r *Reconciler) readPods(ctx context.Context, w *world) (err error) {
	w.pods, err = listed(w, func(by client.MatchingFields) ([]corev1.Pod, error) {
		var pods corev1.PodList
		err := r.Client.List(ctx, &pods, client.InNamespace(w.stream.Namespace), by, &client.ListOptions{DisableReadYourWritesConsistency: true})
		return pods.Items, doing(err, "list the pods")
	})
	if err != nil {
		return err
	}
	if err := r.readDeparted(ctx, w); err != nil {
		return err
	}
	return r.readControllersOfPods(ctx, w)
}

// readControllersOfPods adds the Jobs that control live pods under names of the stream's and
// that bear no label: the cache does not hold them.
func (r *Reconciler) readControllersOfPods(ctx context.Context, w *world) error {
	for i := range w.pods {
		p := &w.pods[i]
		by := metav1.GetControllerOf(p)
		if !alive(p) || by == nil || !isJob(by) || w.claimOf(p) != namedAfter || w.isRecorded(by.UID) ||
			slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool { return j.UID == by.UID }) {
			continue
		}
		job := &batchv1.Job{}
		err := r.Live.Get(ctx, types.NamespacedName{Namespace: p.Namespace, Name: by.Name}, job)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("look at job %s of pod %s: %w", by.Name, p.Name, err)
		}
		if err == nil && job.UID == by.UID {
			w.jobs = append(w.jobs, *job)
		}
	}
	return nil
}

func (r *Reconciler) readRequests(ctx context.Context, w *world) error {
	var requests v1.BackfillRequestList
	err := r.Client.List(ctx, &requests, client.InNamespace(w.stream.Namespace), client.MatchingFields{byStreamID: w.stream.Name})
	if err != nil {
		return fmt.Errorf("list the requests: %w", err)
	}
	w.requests = requests.Items
	slices.SortFunc(w.requests, func(a, b v1.BackfillRequest) int { return backlog.InOrder(&a, &b) })
	if w.record != nil && w.record.Mode == v1.ModeBackfill {
		for i := range w.requests {
			if w.requests[i].UID == w.record.RequestUID {
				w.served = &w.requests[i]
			}
		}
	}
	return nil
}

// readDefinition reads class and templates and finds out whether jobs can be built from them.
func (r *Reconciler) readDefinition(ctx context.Context, w *world) error {
	class := &v1.StreamClass{}
	err := r.Client.Get(ctx, types.NamespacedName{Name: w.stream.Spec.StreamClass}, class)
	switch {
	case err == nil:
		w.class = class
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("read the class: %w", err)
	}
	w.definition, w.problem = definition.FromStream(w.stream, w.class, r.schemas.Of(w.class))
	if w.problem != nil {
		return nil
	}
	mode := v1.ModeStream
	if w.definition.Schedule != "" {
		mode = v1.ModeScheduled
	}
	w.streaming, w.problem, err = r.input(ctx, w, mode, nil)
	if err != nil || w.problem != nil {
		return err
	}
	// The template of backfills has to be there too, or a new stream would begin
	// to stream before its first backfill.
	w.backfill, w.problem, err = r.input(ctx, w, v1.ModeBackfill, nil)
	return err
}

// input reads the template of a job and finds out whether the job can be built.
func (r *Reconciler) input(ctx context.Context, w *world, mode v1.Mode, request *v1.BackfillRequest) (jobspec.Input, *definition.Problem, error) {
	in := jobspec.Input{Definition: w.definition, Class: w.class, Mode: mode, Request: request, Run: w.nextRun()}
	ref, problem := definition.Template(w.definition, w.class, mode, request)
	if problem != nil {
		return in, problem, nil
	}
	template := &v1.StreamingJobTemplate{}
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, template); err != nil {
		if apierrors.IsNotFound(err) {
			return in, jobspec.TemplateMissing(w.definition, w.class, mode, request), nil
		}
		return in, nil, fmt.Errorf("read the template: %w", err)
	}
	in.Template = template
	return in, jobspec.Check(in), nil
}
