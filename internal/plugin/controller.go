// Package plugin is the operator's Helm half: it reconciles StreamPlugins. It renders the chart stream-plugin, installs and
// upgrades it as a Helm release by the action client of helm-operator-plugins, corrects drift, and removes all of it once
// no Stream uses the class any more. It has a reconciler of its own rather than the library's, for the reasons in
// docs/decisions/2026-11-30-the-helm-half-has-its-own-reconciler.md.
package plugin

// This file holds the reconciler.

import (
	"context"
	"fmt"
	"time"

	helmclient "github.com/operator-framework/helm-operator-plugins/pkg/client"
	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// Options of the controller.
type Options struct {
	// Namespace is the operator's own: the releases lie there. In the StreamPlugin's namespace, whoever may edit
	// ConfigMaps would decide what the operator deletes and creates.
	Namespace string
	// Chart is rendered for each StreamPlugin.
	Chart *pluginchart.Chart
	// Tracer of reconciles; may be nil.
	Tracer *tracing.Tracer
}

// Reconciler installs what StreamPlugins ask for.
type Reconciler struct {
	// Client reads StreamPlugins and Streams from the cache, and writes StreamPlugins.
	Client client.Client
	// Live goes past the cache: it reads and deletes what is installed and the release, and it reads the namespace and, before
	// the class is deleted, the Streams.
	Live client.Client
	// Discovery says which kinds the cluster has now.
	Discovery pluginchart.ResourceLister
	// Namespace of the releases.
	Namespace string
	// Helm makes the actions on one StreamPlugin's release.
	Helm helmclient.ActionClientGetter
	// Events reports transitions.
	Events events.EventRecorder
	// Chart is rendered.
	Chart *pluginchart.Chart
}

// Register adds the controller and its indexes to the manager.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamplugins,verbs=list;watch
func Register(ctx context.Context, mgr ctrl.Manager, o Options) error {
	r, err := newReconciler(mgr, o)
	if err != nil {
		return err
	}
	if err := index(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(mgr).
		Named("streamplugin").
		For(&v1.StreamPlugin{}, builder.WithPredicates(specOrDeletionChanged())).
		Watches(&v1.Stream{}, r.enqueueWaiting(), builder.WithPredicates(deletedOnly())).
		WithOptions(controller.Options{MaxConcurrentReconciles: o.Chart.Workers, RateLimiter: limiter(o.Chart.Period)}).
		Complete(o.Tracer.Reconciler("streamplugin", tracing.StreamPlugin, r))
	if err != nil {
		return fmt.Errorf("build the controller: %w", err)
	}
	return nil
}

// newReconciler connects the reconciler to the manager's cluster.
func newReconciler(mgr ctrl.Manager, o Options) (*Reconciler, error) {
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("make a client without a cache: %w", err)
	}
	cluster, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make a client of the releases: %w", err)
	}
	configs, err := helmclient.NewActionConfigGetter(mgr.GetConfig(), mgr.GetRESTMapper(),
		helmclient.StorageDriverMapper(storage(cluster.CoreV1().ConfigMaps(o.Namespace))))
	if err != nil {
		return nil, fmt.Errorf("configure Helm: %w", err)
	}
	// By this name owns and drifted know the operator's writes. Helm would take that of the program.
	kube.ManagedFieldsManager = v1.ManagedBy
	r := &Reconciler{
		Client: client.WithFieldOwner(mgr.GetClient(), v1.ManagedBy), Live: client.WithFieldOwner(live, v1.ManagedBy),
		Discovery: cluster.Discovery(), Namespace: o.Namespace, Events: mgr.GetEventRecorder("arcane-operator"), Chart: o.Chart,
	}
	if r.Helm, err = actions(configs); err != nil {
		return nil, err
	}
	return r, nil
}

// limiter spaces the attempts for a StreamPlugin that fails: from a second up to the period.
func limiter(period time.Duration) workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, period)
}

// Reconcile installs what the StreamPlugin asks for, or removes it, and reports. It requeues after the period, to correct
// drift.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	p, err := r.read(ctx, req.NamespacedName)
	if err != nil || p == nil {
		return ctrl.Result{}, err
	}
	if p.DeletionTimestamp != nil {
		return r.uninstall(ctx, p)
	}
	o, retry := r.install(ctx, p)
	if err := r.report(ctx, p, o); err != nil {
		return ctrl.Result{}, err
	}
	if retry != nil {
		return ctrl.Result{}, retry
	}
	return ctrl.Result{RequeueAfter: r.Chart.Period}, nil
}
