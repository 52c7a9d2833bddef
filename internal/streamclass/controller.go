// Package streamclass tells of every StreamClass whether its streams are being
// served, and how they fare.
package streamclass

// This file holds the reconciler: read once, decide, tell.

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/retries"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// lookAgainAfter is when a class is observed again whose status somebody else
// wrote in the same moment: such a write wakes nobody.
const lookAgainAfter = 250 * time.Millisecond

// Reconciler keeps the status of StreamClasses true. It has one worker.
type Reconciler struct {
	// Client reads from the cache.
	Client client.Client
	// Events tells of transitions.
	Events events.EventRecorder
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// counted is when this process last wrote a class's counts. It only spaces
	// those writes: forgetting it costs at most one write that comes early.
	counted map[string]time.Time
}

// Register adds the controller and its index to the manager; the tracer may be nil.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamclasses;streams,verbs=list;watch
func Register(ctx context.Context, mgr ctrl.Manager, tracer *tracing.Tracer) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1.Stream{}, byClass, classOf); err != nil {
		return fmt.Errorf("index Streams by class: %w", err)
	}
	r := &Reconciler{
		Client:  mgr.GetClient(),
		Events:  mgr.GetEventRecorder("arcane-operator"),
		Clock:   clock.RealClock{},
		counted: map[string]time.Time{},
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("streamclass").
		For(&v1.StreamClass{}, builder.WithPredicates(classChanged())).
		Watches(&v1.Stream{}, later(), builder.WithPredicates(phaseChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1, RateLimiter: retries.Limiter()}).
		Complete(tracer.Reconciler("streamclass", tracing.StreamClass, r))
	if err != nil {
		return fmt.Errorf("build the streamclass controller: %w", err)
	}
	return nil
}

// Reconcile observes a class, decides what its status is, and tells.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	w, err := r.observe(ctx, req.Name)
	if err != nil || w == nil {
		return ctrl.Result{}, err
	}
	status, wake := decide(w)
	err = r.report(ctx, w, status)
	if apierrors.IsConflict(err) {
		logf.FromContext(ctx).V(1).Info("the class moved on, observing again")
		return ctrl.Result{RequeueAfter: lookAgainAfter}, nil
	}
	return ctrl.Result{RequeueAfter: wake}, err
}
