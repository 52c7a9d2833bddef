// Command arcane-operator runs data streams as Kubernetes Jobs: flags, scheme, manager, controllers.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"
	_ "time/tzdata" // schedules name time zones, and an image without a system has no database of them

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backfill"
	"github.com/arcane-streaming/arcane-operator/internal/stream"
	"github.com/arcane-streaming/arcane-operator/internal/streamclass"
)

// version is set when the binary is built.
var version = "dev"

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "arcane-operator:", err)
		os.Exit(2)
	}
	if o.printVersion {
		fmt.Println(version)
		return
	}
	ctrl.SetLogger(zap.New(zap.Level(o.logLevel), zap.JSONEncoder()))
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		ctrl.Log.Error(err, "the operator ends")
		os.Exit(1)
	}
}

// run serves until the context ends, and then lets go of the lease.
func run(ctx context.Context, o options) error {
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	mgr, err := newManager(cfg, o)
	if err != nil {
		return err
	}
	if err := register(ctx, mgr, o); err != nil {
		return err
	}
	if err := addProbes(ctx, mgr); err != nil {
		return err
	}
	ctrl.Log.Info("starting", "version", version)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the manager: %w", err)
	}
	ctrl.Log.Info("stopped")
	return nil
}

// register adds the controllers.
func register(ctx context.Context, mgr ctrl.Manager, o options) error {
	if err := stream.Register(ctx, mgr, stream.Options{Workers: o.workers}); err != nil {
		return fmt.Errorf("streams: %w", err)
	}
	if err := backfill.Register(ctx, mgr, backfill.Options{Workers: o.workers}); err != nil {
		return fmt.Errorf("backfill requests: %w", err)
	}
	if err := streamclass.Register(ctx, mgr); err != nil {
		return fmt.Errorf("stream classes: %w", err)
	}
	return nil
}

// newManager makes a manager whose cache holds only what is ours.
//
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
func newManager(cfg *rest.Config, o options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	cfg.UserAgent = "arcane-operator/" + version
	cfg.QPS = -1 // the API server's own fairness queues decide
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
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
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress, TLSOpts: []func(*tls.Config){noHTTP2}},
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "arcane-operator",
		LeaderElectionNamespace:       o.leaderNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       ptr.To(25 * time.Second),
		Controller:                    config.Controller{UsePriorityQueue: ptr.To(true), EnableWarmup: ptr.To(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	return mgr, nil
}

// noHTTP2 leaves out HTTP/2, whose stream resets have been used to exhaust servers (CVE-2023-44487).
func noHTTP2(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }

// cacheOptions keeps of Jobs and pods those that are ours, and of those what decisions read.
func cacheOptions() cache.Options {
	ours := cache.ByObject{Label: managedByUs()}
	jobs, pods := ours, ours
	jobs.Transform = func(o any) (any, error) {
		if j, ok := o.(*batchv1.Job); ok {
			j.ManagedFields = nil
			j.Spec.Template = corev1.PodTemplateSpec{}
		}
		return o, nil
	}
	pods.Transform = func(o any) (any, error) {
		if p, ok := o.(*corev1.Pod); ok {
			p.ManagedFields = nil
			p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName}
		}
		return o, nil
	}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject:         map[client.Object]cache.ByObject{&batchv1.Job{}: jobs, &corev1.Pod{}: pods, &batchv1.CronJob{}: ours},
	}
}

// addProbes makes health mean that the process serves, and readiness that its
// caches hold what the API server had when it started.
func addProbes(ctx context.Context, mgr manager.Manager) error {
	var synced atomic.Bool
	err := mgr.Add(runnable(func(ctx context.Context) error {
		synced.Store(mgr.GetCache().WaitForCacheSync(ctx))
		return nil
	}))
	if err != nil {
		return fmt.Errorf("watch the caches: %w", err)
	}
	for _, kind := range []client.Object{&v1.Stream{}, &v1.BackfillRequest{}, &v1.StreamClass{}, &v1.StreamingJobTemplate{}, &batchv1.Job{}, &batchv1.CronJob{}, &corev1.Pod{}} {
		if _, err := mgr.GetCache().GetInformer(ctx, kind, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("cache %T: %w", kind, err)
		}
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add the health check: %w", err)
	}
	err = mgr.AddReadyzCheck("caches", func(*http.Request) error {
		if !synced.Load() {
			return errors.New("the caches are not synced yet")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	return nil
}

// runnable runs on the standby too.
type runnable func(context.Context) error

// Start runs it.
func (r runnable) Start(ctx context.Context) error { return r(ctx) }

// NeedLeaderElection says that a standby runs it as well.
func (runnable) NeedLeaderElection() bool { return false }
