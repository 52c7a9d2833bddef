// Package backfill keeps BackfillRequests: what they wait for, whose turn it is
// within the limits of a class, how they are cancelled and when they are cleaned
// up. What happens to a request's job is told by whoever runs the job.
package backfill

// This file holds the reconciler of one request: read, decide, do one thing, and again until nothing is left to do.

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"github.com/arcane-streaming/arcane-operator/internal/retries"
	"github.com/arcane-streaming/arcane-operator/internal/schemas"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

const (
	// maxSteps bounds what follows at once: owner, status, deletion.
	maxSteps = 5
	// lookAgainAfter is when a request is observed again that somebody else wrote
	// in the same moment.
	lookAgainAfter = 250 * time.Millisecond
)

// errObserveAgain: the cluster is not as the cache has it.
var errObserveAgain = errors.New("the world moved on")

// Options of the controllers.
type Options struct {
	// Workers is the number of requests that are reconciled at once.
	Workers int
	// Counters are told what has been written; nil ones count nothing.
	Counters *telemetry.Counters
	// Tracer tells of reconciles; a nil one tells nothing.
	Tracer *tracing.Tracer
}

// Reconciler keeps one request's status true.
type Reconciler struct {
	// Client reads from the cache.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Events tells of transitions.
	Events events.EventRecorder
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// Counters are told what has been written; nil ones count nothing.
	Counters *telemetry.Counters

	schemas schemas.Kept
	// kindSince is when the kind Stream was added to the cluster; nil where nobody has asked yet.
	kindSince atomic.Pointer[metav1.Time]
}

// Register adds the two controllers, of requests and of the classes' slots, and
// their indexes to the manager.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests;streams;streamclasses;streamingjobtemplates,verbs=list;watch
func Register(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if err := indexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	r := &Reconciler{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("arcane-operator"), Clock: clock.RealClock{}, Counters: o.Counters}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("backfillrequest").
		For(&v1.BackfillRequest{}, builder.WithPredicates(requestChanged())).
		Watches(&v1.BackfillRequest{}, later(r.othersOf), builder.WithPredicates(requestEnded())).
		Watches(&v1.Stream{}, later(r.requestsOf), builder.WithPredicates(streamChanged())).
		Watches(&v1.StreamingJobTemplate{}, later(r.requestsNaming), builder.WithPredicates(specChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: o.Workers, RateLimiter: retries.Limiter()}).
		Complete(o.Tracer.Reconciler("backfillrequest", tracing.Request, r))
	if err != nil {
		return fmt.Errorf("build the backfillrequest controller: %w", err)
	}
	s := &Slots{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: clock.RealClock{}}
	// One worker: two that grant at once would both see the last slot free.
	err = ctrl.NewControllerManagedBy(mgr).
		Named("backfillslots").
		For(&v1.StreamClass{}, builder.WithPredicates(specChanged())).
		Watches(&v1.BackfillRequest{}, handler.EnqueueRequestsFromMapFunc(s.classOfRequest), builder.WithPredicates(slotsMoved())).
		Watches(&v1.Stream{}, handler.EnqueueRequestsFromMapFunc(classOfStream), builder.WithPredicates(streamChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1, RateLimiter: retries.Limiter()}).
		Complete(o.Tracer.Reconciler("backfillslots", tracing.StreamClass, s))
	if err != nil {
		return fmt.Errorf("build the backfillslots controller: %w", err)
	}
	return nil
}

// Reconcile does what is left to do for one request.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	for range maxSteps {
		w, err := r.observe(ctx, req.NamespacedName)
		if err != nil || w == nil {
			return ctrl.Result{}, err
		}
		d := decide(w)
		trace(ctx, w, d)
		if d.does == nothing {
			return ctrl.Result{RequeueAfter: d.wake}, nil
		}
		err = r.apply(ctx, w, d)
		switch {
		case errors.Is(err, errObserveAgain), apierrors.IsConflict(err):
			logf.FromContext(ctx).V(1).Info("the request moved on, observing again", "cause", err.Error())
			return ctrl.Result{RequeueAfter: lookAgainAfter}, nil
		case err != nil || d.does == remove:
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, fmt.Errorf("request %s is not at rest after %d steps", req.NamespacedName, maxSteps)
}

// trace tells of the decision, also of one that nothing is left to do.
func trace(ctx context.Context, w *world, d decision) {
	span := tracing.Of(ctx)
	span.About(tracing.Stream, w.request.Spec.StreamID)
	status := w.request.Status
	if d.does == tell {
		status = d.status
	}
	reason := ""
	if is := meta.FindStatusCondition(status.Conditions, v1.ConditionReady); is != nil {
		reason = is.Reason
	}
	span.Decided(string(d.does), reason, string(status.Phase))
}

func keyOf(o client.Object) types.NamespacedName { return client.ObjectKeyFromObject(o) }
