package main

// This file reads the flags.

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/arcane-streaming/arcane-operator/internal/operator"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
	"github.com/arcane-streaming/arcane-operator/webhooks/certificate"
)

// options are what the flags say.
type options struct {
	metricsAddress  string
	metricsSecure   bool
	perStream       telemetry.PerStream
	probeAddress    string
	leaderElect     bool
	leaderNamespace string
	workers         int
	namespaces      operator.Namespaces
	logLevel        zapcore.Level
	printVersion    bool
	// traces is where they go, nil for nowhere.
	traces *url.URL

	// plugins: serve StreamPlugins; each is looked at again after pluginPeriod, zero for what watches.yaml says.
	plugins      bool
	pluginPeriod time.Duration

	// namespace and user are the operator's own.
	namespace string
	user      string

	webhooks             bool
	webhookHost          string
	webhookPort          int
	webhookCertDir       string
	webhookNames         string
	webhookConfiguration string
	selfSigned           bool
	certificateLifetime  time.Duration
}

// parse reads the flags. A flag that makes no sense is an error that says what would.
func parse(args []string, out io.Writer) (options, error) {
	o := options{logLevel: zapcore.InfoLevel}
	f := flag.NewFlagSet("arcane-operator", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprintf(out, "arcane-operator runs data streams as Kubernetes Jobs.\narcane-operator check asks the API server whether it reaches the webhooks (check --help).\narcane-operator version prints the version and what the operator was built from.\n\nFlags:\n")
		f.PrintDefaults()
	}
	ctrlconfig.RegisterFlags(f)
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "`address` that serves Prometheus metrics at /metrics; 0 serves none")
	f.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve metrics by HTTPS, to those whose token the API server knows and who may get the path /metrics; false serves everybody by HTTP")
	f.TextVar(&o.perStream, "per-stream-metrics", telemetry.PerStreamAll, "`streams` that have metrics of their own, 3 or 4 series each: all, unhealthy (those that are not Ready, or are Stalled) or none; the sums by namespace and class are always there")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "`address` that serves /healthz and /readyz; 0 serves none")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "act only while holding the Lease arcane-operator, so that of several replicas one acts; given back on a graceful end")
	f.StringVar(&o.leaderNamespace, "leader-election-namespace", "", "`namespace` of the Lease; default: the operator's own, when it runs in a cluster")
	f.IntVar(&o.workers, "workers", 16, "`number` of streams that are reconciled at once")
	f.Func("namespaces", "`names` of the namespaces to serve, separated by commas: the operator then needs rights in these alone, and only reads StreamClasses; default: all namespaces", o.setNamespaces)
	f.Func("log-level", "`level` of the log: debug (also decisions that write nothing), info (each decision that writes, with its rule; the default), warn or error", o.setLogLevel)
	f.Func("otlp-endpoint", "`URL` of an OpenTelemetry collector that takes OTLP over HTTP, such as http://collector:4318: traces of reconciles are sent there, else none are made; the standard OTEL_ environment variables say the rest", o.setTraces)
	f.BoolVar(&o.plugins, "stream-plugins", true, "install what StreamPlugins ask for; their Helm releases lie in --operator-namespace; not served with --namespaces, since a StreamClass belongs to the whole cluster")
	f.DurationVar(&o.pluginPeriod, "stream-plugin-period", 0, "`time` after which what a StreamPlugin installed is compared with the cluster again, and corrected; default: 10m, as watches.yaml says")
	f.StringVar(&o.namespace, "operator-namespace", "", "`namespace` that the operator runs in: the Secret of a self-signed certificate and the releases of StreamPlugins lie there")
	f.StringVar(&o.user, "operator-user", "", "`name` of the operator's user at the API server, such as system:serviceaccount:arcane-system:arcane-operator: what it writes passes its own webhooks")
	webhookFlags(f, &o)
	f.BoolVar(&o.printVersion, "version", false, "print the version alone and end")
	if err := f.Parse(args); err != nil {
		return o, fmt.Errorf("read the flags: %w", err)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; --help lists the flags", f.Arg(0))
	}
	if o.printVersion {
		return o, nil
	}
	if o.workers < 1 {
		return o, fmt.Errorf("--workers is %d; it must be at least 1", o.workers)
	}
	if err := o.checkAddresses(); err != nil {
		return o, err
	}
	if err := o.checkPlugins(given(f, "stream-plugins")); err != nil {
		return o, err
	}
	return o, o.check()
}

// given tells whether a flag was set.
func given(f *flag.FlagSet, name string) (found bool) {
	f.Visit(func(set *flag.Flag) { found = found || set.Name == name })
	return found
}

// checkPlugins turns the Helm half off where it cannot work, unless it was asked for.
func (o *options) checkPlugins(asked bool) error {
	if o.pluginPeriod != 0 && o.pluginPeriod < time.Second {
		return fmt.Errorf("--stream-plugin-period is %s; it must be at least 1s", o.pluginPeriod)
	}
	possible := len(o.namespaces) == 0 && o.namespace != ""
	switch {
	case possible || !o.plugins:
	case !asked:
		o.plugins = false
	case len(o.namespaces) > 0:
		return errors.New("--stream-plugins and --namespaces do not go together: a StreamPlugin installs a StreamClass, which belongs to the whole cluster; leave one of them out")
	default:
		return errors.New("--operator-namespace is missing: the releases of StreamPlugins lie there; name it, or use --stream-plugins=false")
	}
	return nil
}

// setNamespaces reads the list of namespaces. To leave one out would be found out
// late, so each must be a name, and named once.
func (o *options) setNamespaces(list string) error {
	o.namespaces = nil
	for name := range strings.SplitSeq(list, ",") {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("%q is no name of a namespace: %s", name, strings.Join(problems, "; "))
		}
		if slices.Contains(o.namespaces, name) {
			return fmt.Errorf("%q is named twice", name)
		}
		o.namespaces = append(o.namespaces, name)
	}
	return nil
}

// setLogLevel reads a level. zap knows more of them, which only programmers use.
func (o *options) setLogLevel(text string) error {
	levels := []string{"debug", "info", "warn", "error"}
	if !slices.Contains(levels, text) {
		return fmt.Errorf("%q is none of %s", text, strings.Join(levels, ", "))
	}
	return o.logLevel.Set(text) //nolint:wrapcheck // One of these levels is no error.
}

// checkAddresses refuses what the operator could not listen on, before it waits for the cluster.
func (o *options) checkAddresses() error {
	if o.webhookPort < 1 || o.webhookPort > maxPort {
		return fmt.Errorf("--webhook-port is %d; it must be a port, from 1 to %d", o.webhookPort, maxPort)
	}
	for name, address := range map[string]string{"metrics-bind-address": o.metricsAddress, "health-probe-bind-address": o.probeAddress} {
		if address == "0" {
			continue
		}
		_, port, err := net.SplitHostPort(address)
		if number, numberErr := strconv.Atoi(port); err != nil || numberErr != nil || number < 0 || number > maxPort {
			return fmt.Errorf("--%s is %q; it must be [host]:port, such as :8443, or 0 to serve none", name, address)
		}
	}
	return nil
}

// maxPort is the highest port of TCP.
const maxPort = 65535

// setTraces reads where traces go.
func (o *options) setTraces(text string) error {
	var err error
	o.traces, err = tracing.Endpoint(text)
	return err
}

// webhookFlags are those about admission.
func webhookFlags(f *flag.FlagSet, o *options) {
	f.BoolVar(&o.webhooks, "webhooks", true, "serve the admission webhooks; false is for an installation without their configurations")
	f.StringVar(&o.webhookHost, "webhook-host", "", "`address` to serve the webhooks on; default: all of the host's")
	f.IntVar(&o.webhookPort, "webhook-port", 9443, "`port` to serve the webhooks on")
	f.BoolVar(&o.selfSigned, "self-signed-certificates", true, "make the certificate of the webhooks and replace it in time; false takes tls.crt and tls.key from --webhook-cert-dir")
	f.StringVar(&o.webhookCertDir, "webhook-cert-dir", "/tmp/k8s-webhook-server/serving-certs", "`folder` of a certificate that is not self-signed, such as cert-manager's")
	f.StringVar(&o.webhookNames, "webhook-names", "", "`names` and addresses, separated by commas, that a self-signed certificate is for; default: the Services "+webhookService+" and "+metricsService+" of the operator's namespace")
	f.StringVar(&o.webhookConfiguration, "webhook-configuration", "arcane-operator", "`name` of the mutating and of the validating webhook configuration, which must trust the certificate for the operator to be ready; empty where somebody else sees to them")
	f.DurationVar(&o.certificateLifetime, "certificate-lifetime", 90*24*time.Hour, "`time` that a self-signed certificate is valid; it is replaced when a third of it is left")
}

// check tells which flags do not go together.
func (o *options) check() error {
	if !o.webhooks {
		return nil
	}
	if o.user == "" {
		return errors.New("--operator-user is missing: without it the operator's own writes would wait for itself; name it, or run with --webhooks=false")
	}
	if !o.selfSigned {
		return nil
	}
	if o.namespace == "" {
		return errors.New("--operator-namespace is missing: a self-signed certificate lies in a Secret there; name it, or use --self-signed-certificates=false or --webhooks=false")
	}
	if o.certificateLifetime < minLifetime {
		return fmt.Errorf("--certificate-lifetime is %s; it must be at least %s", o.certificateLifetime, minLifetime)
	}
	if o.webhookNames == "" {
		o.webhookNames = fmt.Sprintf("%[1]s.%[3]s.svc,%[2]s.%[3]s.svc", webhookService, metricsService, o.namespace)
	}
	return nil
}

// What config/default names.
const (
	webhookService = "arcane-webhook-service"
	metricsService = "arcane-metrics"
	webhookSecret  = "arcane-webhook-certificate" //nolint:gosec // The name of a Secret, not one.
)

// minLifetime leaves time for a certificate's three steps.
const minLifetime = 10 * time.Second

// admission is what the flags say about the webhooks.
func (o *options) admission() *operator.Admission {
	return &operator.Admission{
		Host: o.webhookHost, Port: o.webhookPort, User: o.user,
		Certificate: certificate.Options{
			SelfSigned: o.selfSigned, Dir: o.webhookCertDir,
			Secret: types.NamespacedName{Namespace: o.namespace, Name: webhookSecret},
			Names:  strings.Split(o.webhookNames, ","), Life: o.certificateLifetime,
			Configuration: o.webhookConfiguration,
		},
	}
}
