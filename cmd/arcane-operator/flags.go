package main

// This file reads the flags.

import (
	"flag"
	"fmt"
	"io"

	"go.uber.org/zap/zapcore"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
)

// options are what the flags say.
type options struct {
	metricsAddress  string
	probeAddress    string
	leaderElect     bool
	leaderNamespace string
	workers         int
	logLevel        zapcore.Level
	printVersion    bool
}

// parse reads the flags. A flag that makes no sense is an error that says what would.
func parse(args []string, out io.Writer) (options, error) {
	o := options{logLevel: zapcore.InfoLevel}
	f := flag.NewFlagSet("arcane-operator", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprintf(out, "arcane-operator runs data streams as Kubernetes Jobs.\n\nFlags:\n")
		f.PrintDefaults()
	}
	ctrlconfig.RegisterFlags(f)
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "`address` that serves Prometheus metrics at /metrics; 0 serves none")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "`address` that serves /healthz and /readyz; 0 serves none")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "act only while holding the Lease arcane-operator, so that of several replicas one acts; given back on a graceful end")
	f.StringVar(&o.leaderNamespace, "leader-election-namespace", "", "`namespace` of the Lease; default: the operator's own, when it runs in a cluster")
	f.IntVar(&o.workers, "workers", 16, "`number` of streams that are reconciled at once")
	f.TextVar(&o.logLevel, "log-level", zapcore.InfoLevel, "`level` of the log: debug (each decision with its rule), info, warn or error")
	f.BoolVar(&o.printVersion, "version", false, "print the version and end")
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("read the flags: %w", err)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; --help lists the flags", f.Arg(0))
	}
	if o.workers < 1 {
		return o, fmt.Errorf("--workers is %d; it must be at least 1", o.workers)
	}
	return o, nil
}
