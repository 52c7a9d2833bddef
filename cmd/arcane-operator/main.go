// Command arcane-operator runs data streams as Kubernetes Jobs: flags, scheme, manager, controllers.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	_ "time/tzdata" // schedules name time zones, and an image without a system has no database of them

	"go.uber.org/zap/zapcore"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/operator"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case checkCommand:
			os.Exit(mainCheck(os.Args[2:]))
		case versionCommand:
			os.Exit(mainVersion(os.Args[2:], os.Stdout, os.Stderr))
		}
	}
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
	setLog(newLog(os.Stderr, o.logLevel))
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		ctrl.Log.Error(err, "the operator ends")
		os.Exit(1)
	}
}

// mainCheck is the program where it checks an installation, and returns its exit code.
func mainCheck(args []string) int {
	o, err := parseCheck(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "arcane-operator check:", err)
		return 2
	}
	setLog(newLog(os.Stderr, zapcore.InfoLevel))
	if err := check(ctrl.SetupSignalHandler(), o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "arcane-operator check:", err)
		return 1
	}
	return 0
}

// run serves until the context ends, and then lets go of the lease.
func run(ctx context.Context, o options) error {
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	tracer, err := tracing.Start(ctx, o.traces, version, ctrl.Log.WithName("tracing"))
	if err != nil {
		return fmt.Errorf("begin to trace: %w", err)
	}
	defer tracer.Stop(ctx)
	tracer.Wrap(cfg)
	chart, err := loadChart(o)
	if err != nil {
		return err
	}
	var admission *operator.Admission
	if o.webhooks {
		admission = o.admission()
		admission.Chart = chart
	}
	mgr, err := newManager(cfg, o, admission)
	if err != nil {
		return err
	}
	counters := telemetry.NewCounters()
	if err := operator.Register(ctx, mgr, o.workers, o.namespaces, counters, tracer); err != nil {
		return fmt.Errorf("add the controllers: %w", err)
	}
	if chart != nil {
		if err := operator.RegisterPlugins(ctx, mgr, o.namespace, chart, tracer); err != nil {
			return fmt.Errorf("add the controllers: %w", err)
		}
	}
	if admission != nil {
		if err := admission.Register(ctx, mgr); err != nil {
			return fmt.Errorf("add admission: %w", err)
		}
	}
	if err := addProbes(ctx, mgr, chart != nil); err != nil {
		return err
	}
	// It is a variable for those who need more than a registry: see internal/telemetry.
	ctrlmetrics.Registry = telemetry.Beside(ctrlmetrics.Registry, counters, telemetry.Options{
		PerStream: o.perStream, Version: version, Elected: mgr.Elected(), Cache: mgr.GetCache(),
	})
	ctrl.Log.Info("starting", "version", version)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the manager: %w", err)
	}
	ctrl.Log.Info("stopped")
	return nil
}

// loadChart reads the chart of StreamPlugins; nil for an operator that does not serve them.
func loadChart(o options) (*pluginchart.Chart, error) {
	if !o.plugins {
		return nil, nil // There is none.
	}
	chart, err := pluginchart.Load()
	if err != nil {
		return nil, fmt.Errorf("load the chart of StreamPlugins: %w", err)
	}
	chart.Period = cmp.Or(o.pluginPeriod, chart.Period)
	return chart, nil
}

// newManager makes the operator's manager as the flags want it; admission is nil without webhooks.
func newManager(cfg *rest.Config, o options, admission *operator.Admission) (ctrl.Manager, error) {
	mo, err := operator.Options()
	if err != nil {
		return nil, err
	}
	o.namespaces.Into(&mo)
	if admission != nil {
		if err := admission.Into(&mo); err != nil {
			return nil, err
		}
	}
	mo.Metrics = metrics(o, admission)
	mo.HealthProbeBindAddress = o.probeAddress
	mo.LeaderElection, mo.LeaderElectionNamespace = o.leaderElect, o.leaderNamespace
	mgr, err := ctrl.NewManager(operator.Connection(cfg, version), mo)
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	return mgr, nil
}

// metrics are served to whom the API server lets get the path /metrics, with the
// webhooks' certificate where there is one.
//
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
func metrics(o options, admission *operator.Admission) metricsserver.Options {
	m := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure, TLSOpts: []func(*tls.Config){operator.SecureTLS}}
	if !o.metricsSecure {
		return m
	}
	m.FilterProvider = filters.WithAuthenticationAndAuthorization
	if admission != nil {
		m.TLSOpts = append(m.TLSOpts, admission.ServeCertificate)
	}
	return m
}

// addProbes makes health mean that the process serves, and readiness that its
// caches hold what the API server had when it started.
func addProbes(ctx context.Context, mgr manager.Manager, plugins bool) error {
	var synced atomic.Bool
	err := mgr.Add(runnable(func(ctx context.Context) error {
		synced.Store(mgr.GetCache().WaitForCacheSync(ctx))
		return nil
	}))
	if err != nil {
		return fmt.Errorf("watch the caches: %w", err)
	}
	kinds := []client.Object{&v1.Stream{}, &v1.BackfillRequest{}, &v1.StreamClass{}, &v1.StreamingJobTemplate{}, &batchv1.Job{}, &batchv1.CronJob{}, &corev1.Pod{}}
	if plugins {
		kinds = append(kinds, &v1.StreamPlugin{})
	}
	for _, kind := range kinds {
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
