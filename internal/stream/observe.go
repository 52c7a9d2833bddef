package stream

// This file is the only reader: it reads all that one decision needs.

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// world is what was read of one stream's world, and the facts that it folds into.
type world struct {
	now    time.Time
	stream *v1.Stream
	// record is the job that the stream's status records, as it was judged.
	record *v1.JobRecord
	// job is the recorded job, nil where none is recorded or it does not exist.
	job *batchv1.Job
	// jobs are all Jobs of ours that carry the stream's labels.
	jobs []batchv1.Job
	pods []corev1.Pod
	// cron is the stream's CronJob, nil where there is none.
	cron *batchv1.CronJob
	// requests for this stream, oldest first.
	requests []v1.BackfillRequest

	class      *v1.StreamClass
	definition definition.Definition
	// problem is why the definition is not accepted.
	problem *definition.Problem
	// streaming and backfill are the inputs of the job of each mode, streaming's also
	// where that is the runs of a schedule; the backfill's is for the next request, or for the one that the recorded job serves.
	streaming, backfill jobspec.Input
	// next is the request to serve next.
	next *v1.BackfillRequest
	// served is the request of the recorded job, nil where it is gone.
	served *v1.BackfillRequest

	// wake is the soonest time at which a fact changes that nothing but time changes.
	wake  time.Time
	facts lifecycle.Observation
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
	w.record = w.stream.Status.Job
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

func (r *Reconciler) readJobs(ctx context.Context, w *world) error {
	var jobs batchv1.JobList
	// Reading our own writes is left to the recorded job below: to wait for every
	// stream's Jobs here would couple them all.
	err := r.Client.List(ctx, &jobs, client.InNamespace(w.stream.Namespace), client.MatchingFields{byStream: v1.KindStream + "/" + w.stream.Name},
		&client.ListOptions{DisableReadYourWritesConsistency: true})
	if err != nil {
		return fmt.Errorf("list the jobs: %w", err)
	}
	w.jobs = jobs.Items
	if w.record == nil {
		return nil
	}
	w.job, err = r.recorded(ctx, w.stream.Namespace, w.record)
	return err
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
		if record.Outcome != "" {
			break // its end can no longer be lost, so it does not matter whether it is there
		}
	}
	return nil, nil
}

func (r *Reconciler) readPods(ctx context.Context, w *world) error {
	var pods corev1.PodList
	err := r.Client.List(ctx, &pods, client.InNamespace(w.stream.Namespace), client.MatchingFields{byStream: v1.KindStream + "/" + w.stream.Name},
		&client.ListOptions{DisableReadYourWritesConsistency: true})
	if err != nil {
		return fmt.Errorf("list the pods: %w", err)
	}
	w.pods = pods.Items
	return nil
}

func (r *Reconciler) readRequests(ctx context.Context, w *world) error {
	var requests v1.BackfillRequestList
	err := r.Client.List(ctx, &requests, client.InNamespace(w.stream.Namespace), client.MatchingFields{byStreamID: w.stream.Name})
	if err != nil {
		return fmt.Errorf("list the requests: %w", err)
	}
	w.requests = requests.Items
	slices.SortFunc(w.requests, func(a, b v1.BackfillRequest) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
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

// nextRun is the number of the next run.
func (w *world) nextRun() int64 { return w.lastRun() + 1 }

// lastRun is the highest run number that is used up. Before a stream's first run that
// is its creation time in Unix seconds, so that a stream that is created anew never
// uses one again; and every run counts that can still be seen under the stream's name,
// also of a former stream that was deleted in the very second of the new one's creation.
func (w *world) lastRun() int64 {
	last := max(w.stream.Status.Runs, w.stream.CreationTimestamp.Unix())
	for i := range w.jobs {
		last = max(last, runOf(&w.jobs[i]))
	}
	for i := range w.pods {
		last = max(last, runOfName(w.pods[i].Labels[batchv1.JobNameLabel]))
	}
	return last
}

// runOfName is the run at the end of a Job's name; 0 where it has none.
func runOfName(job string) int64 {
	run, err := strconv.ParseInt(job[strings.LastIndex(job, "-")+1:], 10, 64)
	if err != nil {
		return 0
	}
	return run
}

// runOf is the number of the run that a Job of ours was made for; 0 where it says none.
func runOf(j *batchv1.Job) int64 {
	run, err := strconv.ParseInt(j.Annotations[v1.AnnotationRun], 10, 64)
	if err != nil {
		return 0
	}
	return run
}
