// Package operator puts the operator together: what its manager must be like, and
// the controllers in it. The program adds what its flags say, and a test what it
// wants to be different.
package operator

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backfill"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/plugin"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
	"github.com/arcane-streaming/arcane-operator/internal/stream"
	"github.com/arcane-streaming/arcane-operator/internal/streamclass"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// Connection is how the operator speaks to the API server: under its own name and
// without a limit of its own, because the API server's fairness queues decide.
func Connection(cfg *rest.Config, version string) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = "arcane-operator/" + version
	cfg.QPS = -1
	return cfg
}

// Options are those of a manager whose cache holds only what is ours. Its events need
// no right to patch one: each follows a write of its own, so none is a repetition.
//
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create
func Options() (ctrl.Options, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			return ctrl.Options{}, fmt.Errorf("build the scheme: %w", err)
		}
	}
	return ctrl.Options{
		Scheme: scheme,
		Cache:  cacheOptions(),
		// A pass reads what the one before it wrote: else it would judge a world that is already past.
		Client: client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: ptr.To(true)}},
		NewClient: func(c *rest.Config, co client.Options) (client.Client, error) {
			cl, err := client.New(c, co)
			if err != nil {
				return nil, fmt.Errorf("make the client: %w", err)
			}
			return client.WithFieldOwner(cl, v1.ManagedBy), nil
		},
		LeaderElectionID:              "arcane-operator",
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       ptr.To(25 * time.Second),
		Controller: config.Controller{
			UsePriorityQueue: ptr.To(true), EnableWarmup: ptr.To(true),
			// Ends a pass that waits for a cache that does not catch up: one that never
			// ended would keep a worker, of the classes' slots the only one.
			ReconciliationTimeout: time.Minute,
		},
	}, nil
}

// Register adds the controllers; workers is the number of streams, and of requests,
// that are reconciled at once; counters are told what they have written, and the
// tracer of reconciles; both may be nil. An operator of some namespaces keeps no
// status of classes: they are the whole cluster's, and it would count its own streams only.
func Register(ctx context.Context, mgr ctrl.Manager, workers int, of Namespaces, counters *telemetry.Counters, tracer *tracing.Tracer) error {
	if len(of) > 0 {
		mgr = within{mgr, of}
	}
	if err := stream.Register(ctx, mgr, stream.Options{Workers: workers, Counters: counters, Tracer: tracer}); err != nil {
		return fmt.Errorf("streams: %w", withKinds(err))
	}
	if err := backfill.Register(ctx, mgr, backfill.Options{Workers: workers, Counters: counters, Tracer: tracer}); err != nil {
		return fmt.Errorf("backfill requests: %w", withKinds(err))
	}
	if len(of) > 0 {
		return nil
	}
	if err := streamclass.Register(ctx, mgr, tracer); err != nil {
		return fmt.Errorf("stream classes: %w", withKinds(err))
	}
	return nil
}

// RegisterPlugins adds the Helm half, which serves StreamPlugins; namespace is the operator's own.
func RegisterPlugins(ctx context.Context, mgr ctrl.Manager, namespace string, chart *pluginchart.Chart, tracer *tracing.Tracer) error {
	if err := plugin.Register(ctx, mgr, plugin.Options{Namespace: namespace, Chart: chart, Tracer: tracer}); err != nil {
		return fmt.Errorf("stream plugins: %w", withKinds(err))
	}
	return nil
}

// withKinds adds the way out where the cluster lacks one of the operator's own kinds.
func withKinds(err error) error {
	if !meta.IsNoMatchError(err) {
		return err
	}
	return fmt.Errorf("%w; install the kinds first: kubectl apply --server-side -k config/crd, or the chart with crds.install=true", err)
}

// cacheOptions keeps of Jobs and pods those that are some stream's, and of those what
// decisions read. They are selected by a label that is Arcane's alone: policies write
// over app.kubernetes.io/managed-by.
func cacheOptions() cache.Options {
	ours := cache.ByObject{Label: ofStreams()}
	jobs, pods := ours, ours
	jobs.Transform = func(o any) (any, error) {
		if j, ok := o.(*batchv1.Job); ok {
			j.ManagedFields = nil
			if !isHeldRun(j) {
				j.Spec.Template = corev1.PodTemplateSpec{}
			}
		}
		return o, nil
	}
	pods.Transform = func(o any) (any, error) {
		if p, ok := o.(*corev1.Pod); ok {
			p.ManagedFields = nil
			p.Spec = jobspec.Kept(&p.Spec)
		}
		return o, nil
	}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject:         map[client.Object]cache.ByObject{&batchv1.Job{}: jobs, &corev1.Pod{}: pods, &batchv1.CronJob{}: ours},
	}
}

// isHeldRun tells whether a Job is a run of a schedule that has not been let run: what it
// would run is compared with what it should.
func isHeldRun(j *batchv1.Job) bool {
	by := metav1.GetControllerOfNoCopy(j)
	return by != nil && by.Kind == "CronJob" && ptr.Deref(j.Spec.Suspend, false)
}

// ofStreams selects what bears the label of some stream.
func ofStreams() labels.Selector {
	is, err := labels.NewRequirement(v1.LabelStreamID, selection.Exists, nil)
	if err != nil {
		panic(err) // the label is a constant
	}
	return labels.NewSelector().Add(*is)
}
