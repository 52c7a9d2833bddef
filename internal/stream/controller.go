// Package stream turns decisions about a stream into writes: it reads a stream's
// world, asks the lifecycle's table, does the verbs and tells the result.
package stream

// This file holds the reconciler: read once, decide, do, tell.

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
	"github.com/arcane-streaming/arcane-operator/internal/retries"
	"github.com/arcane-streaming/arcane-operator/internal/schemas"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// Options of the controller.
type Options struct {
	// Workers is the number of streams that are reconciled at once.
	Workers int
	// Counters are told what has been written; nil ones count nothing.
	Counters *telemetry.Counters
	// Tracer tells of reconciles; a nil one tells nothing.
	Tracer *tracing.Tracer
}

const (
	// maxPasses bounds the steps that follow each other at once; from a
	// backfill's success to the released streaming job it takes four.
	maxPasses = 12
	// lookAgainAfter is when the world is observed again after a live look did not
	// find what the cache said; twice as long each time that happens again. The watch
	// usually wakes us sooner.
	lookAgainAfter = 250 * time.Millisecond
	// obstacleRecheck is when something that stands in the way, and is not
	// watched, is tried again: a foreign object with our name, a quota, another's webhook.
	obstacleRecheck = time.Minute
	// namesRecheck is when further names are tried for a job after so many were taken. It is
	// shorter than obstacleRecheck, because the stream gets on by itself.
	namesRecheck = 10 * time.Second
)

// Reconciler carries one stream on, from whatever state it is in.
type Reconciler struct {
	// Client reads from the cache, and waits until the cache has our own writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Events tells of transitions.
	Events events.EventRecorder
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// Counters are told what has been written; nil ones count nothing.
	Counters *telemetry.Counters

	starts    starts
	departed  departed
	unsettled unsettled
	paused    paused
	schemas   schemas.Kept
}

// Register adds the controller and its indexes to the manager.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streams;streamclasses;streamingjobtemplates,verbs=list;watch
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streams/finalizers,verbs=update
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests,verbs=get;list;watch
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
func Register(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := indexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	r := &Reconciler{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Events:   mgr.GetEventRecorder("arcane-operator"),
		Clock:    clock.RealClock{},
		Counters: o.Counters,
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("stream").
		For(&v1.Stream{}, builder.WithPredicates(streamChanged())).
		Watches(&batchv1.Job{}, handler.EnqueueRequestsFromMapFunc(streamOfLabels), builder.WithPredicates(jobChanged())).
		Watches(&batchv1.CronJob{}, handler.EnqueueRequestsFromMapFunc(streamOfLabels), builder.WithPredicates(cronJobChanged())).
		Watches(&corev1.Pod{}, r.onPod(), builder.WithPredicates(podChanged())).
		Watches(&v1.BackfillRequest{}, handler.EnqueueRequestsFromMapFunc(streamOfRequest), builder.WithPredicates(requestChanged())).
		Watches(&v1.StreamClass{}, handler.EnqueueRequestsFromMapFunc(r.streamsOfClass), builder.WithPredicates(specChanged())).
		Watches(&v1.StreamingJobTemplate{}, handler.EnqueueRequestsFromMapFunc(r.streamsOfTemplate), builder.WithPredicates(specChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: o.Workers, RateLimiter: retries.Limiter()}).
		Complete(o.Tracer.Reconciler("stream", tracing.Stream, r))
	if err != nil {
		return fmt.Errorf("build the stream controller: %w", err)
	}
	return nil
}

// Reconcile observes, decides, does and tells, until nothing follows at once.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	for range maxPasses {
		wake, goOn, err := r.pass(ctx, req.NamespacedName)
		switch {
		case movedOn(err) != "":
			logf.FromContext(ctx).V(1).Info("the world moved on, observing again", "cause", err.Error())
			return ctrl.Result{RequeueAfter: r.unsettled.pause(req.NamespacedName)}, nil
		case err != nil:
			return ctrl.Result{}, err
		case !goOn:
			return ctrl.Result{RequeueAfter: wake}, nil
		}
	}
	return ctrl.Result{}, fmt.Errorf("stream %s is not at rest after %d steps", req.NamespacedName, maxPasses)
}

// pass is one observation, one decision and what follows from it.
func (r *Reconciler) pass(ctx context.Context, key types.NamespacedName) (wake time.Duration, goOn bool, err error) {
	r.starts.begin(r.Clock.Now())
	w, err := r.observe(ctx, key)
	if err != nil {
		return 0, false, err
	}
	if w == nil {
		r.starts.forget(key)
		r.departed.forget(key)
		r.unsettled.settle(key)
		r.paused.forget(key)
		return 0, false, nil
	}
	d := lifecycle.Decide(w.facts)
	p := &pass{Reconciler: r, world: w, decision: d}
	if err := p.apply(ctx); err != nil && !p.lastsTooLong(err) {
		r.unsettled.again(key, w.now, err)
		return 0, false, err
	}
	if err := p.report(ctx); err != nil {
		r.unsettled.again(key, w.now, err)
		return 0, false, err
	}
	if !p.lasts {
		r.unsettled.settle(key)
	}
	// Last, so that what cannot be cleared away keeps nothing from being told.
	if err := p.tellTidyRefused(p.tidy(ctx)); err != nil {
		return 0, false, err
	}
	switch {
	case p.obstacle != nil:
		return p.obstacle.recheck(), false, nil
	case d.Again || w.wake.IsZero():
		return 0, d.Again, nil
	}
	return max(w.wake.Sub(w.now), time.Millisecond), false, nil
}

// lastsTooLong makes an obstacle of a pass that has had to be repeated for longer than the
// class's startDeadlineSeconds. Where the status patch itself was refused it does nothing:
// it could not be told.
func (p *pass) lastsTooLong(err error) bool {
	since := p.unsettled.since(p.key(), err)
	if p.unpatched || since.IsZero() || p.now.Before(since.Add(p.startDeadline())) {
		return false
	}
	p.lasts = true
	p.obstacle = &obstacle{reason: v1.ReasonWriteRefused, detail: "It says: " + err.Error(), stalls: true}
	if what := movedOn(err); what != "" {
		p.obstacle = &obstacle{reason: v1.ReasonUnsettled, detail: "Still different: " + strings.TrimSuffix(what, ".") + ".", stalls: true, after: lookAgainAtMost}
	}
	return true
}
