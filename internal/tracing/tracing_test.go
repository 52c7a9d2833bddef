package tracing

// This file sends traces to a collector on loopback, or to where none is.

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/arcane-streaming/arcane-operator/test/collector"
)

var orders = ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "sales", Name: "orders"}}

// start starts a tracer; its log is what the function returns, line by line.
func start(t *testing.T, url string) (*Tracer, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var lines []string
	log := funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, args)
	}, funcr.Options{})
	endpoint, err := Endpoint(url)
	if err != nil {
		t.Fatal(err)
	}
	tracer, err := Start(t.Context(), endpoint, "v1.2.3", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tracer.Stop(context.Background()) })
	return tracer, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(lines)
	}
}

// steps is a reconciler whose apply ends in an error.
func steps(fails error) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, _ ctrl.Request) (_ ctrl.Result, err error) {
		_, observe := Step(ctx, "observe")
		observe.End(nil)
		_, apply := Step(ctx, "apply")
		defer func() { apply.End(err) }()
		apply.Decided("S1", "Streaming", "Running")
		return ctrl.Result{}, fails
	})
}

func reconcileOnce(t *testing.T, r reconcile.Reconciler) error {
	t.Helper()
	_, err := r.Reconcile(t.Context(), orders)
	return err
}

func TestAReconcileIsATrace(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=here")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-scope-orgid=us")
	there := collector.Start(t)
	tracer, log := start(t, there.URL)
	broken := errors.New("the connection broke")
	if err := reconcileOnce(t, tracer.Reconciler("stream", Stream, steps(broken))); !errors.Is(err, broken) {
		t.Fatalf("it returns %v", err)
	}
	tracer.Stop(over(t)) // as at the end of an operator

	root := one(t, there, "reconcile stream")
	const said = " arcane.phase=Running arcane.reason=Streaming arcane.rule=S1"
	const fails = " error=error the connection broke"
	if want := "reconcile stream" + said + " arcane.stream=orders k8s.namespace.name=sales" + fails; root.String() != want || root.Parent != "" {
		t.Errorf("%s below %q, want %s", root, root.Parent, want)
	}
	if r := root.Resource; r["service.name"] != "arcane-operator" || r["service.version"] != "v1.2.3" || r["k8s.cluster.name"] != "here" || r["host.name"] == "" {
		t.Errorf("resource %v", r)
	}
	if below := lines(there.Below(root)); !slices.Equal(below, []string{"observe", "apply" + said + fails}) {
		t.Errorf("below it %q", below)
	}
	if e := one(t, there, "apply").Exceptions; !slices.Equal(e, []string{"the connection broke"}) {
		t.Errorf("recorded errors %q", e)
	}
	if h := there.Headers(); len(h) != 1 || h[0].Get("X-Scope-Orgid") != "us" {
		t.Errorf("headers %v, want those of the environment, once", h)
	}
	if l := log(); len(l) != 0 {
		t.Errorf("log %q", l)
	}
}

func TestEnvironmentNamesTheServiceAndSamples(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "theirs")
	there := collector.Start(t)
	tracer, _ := start(t, there.URL)
	if err := reconcileOnce(t, tracer.Reconciler("stream", Stream, steps(nil))); err != nil {
		t.Fatal(err)
	}
	tracer.Stop(t.Context())
	if got := one(t, there, "reconcile stream").Resource["service.name"]; got != "theirs" {
		t.Errorf("service.name is %q", got)
	}

	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	off, _ := start(t, there.URL)
	if err := reconcileOnce(t, off.Reconciler("streamclass", StreamClass, steps(nil))); err != nil {
		t.Fatal(err)
	}
	off.Stop(t.Context())
	if got := there.Named("reconcile streamclass"); len(got) != 0 {
		t.Errorf("%v came, although none is sampled", got)
	}

	t.Setenv("OTEL_SDK_DISABLED", "true")
	if none, _ := start(t, there.URL); none != nil {
		t.Error("there is a tracer, although OTEL_SDK_DISABLED is true")
	}
}

func TestRequestsToTheAPIServer(t *testing.T) {
	var traced sync.Map // by path, whether the API server was told of a trace
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		traced.Store(r.URL.Path, r.Header.Get("Traceparent") != "")
		if strings.HasSuffix(r.URL.Path, "/lost") {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer api.Close()
	there := collector.Start(t)
	tracer, _ := start(t, there.URL)
	cfg := &rest.Config{Host: api.URL}
	tracer.Wrap(cfg)
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	send := func(ctx context.Context, method, path string) {
		r, err := http.NewRequestWithContext(ctx, method, api.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	const jobs, mine = "/apis/batch/v1/namespaces/sales/jobs", "/apis/streaming.sneaksanddata.com/v1/namespaces/sales/streams/orders/status"
	inside := reconcile.Func(func(ctx context.Context, _ ctrl.Request) (_ ctrl.Result, err error) {
		ctx, span := Step(ctx, "report")
		defer func() { span.End(err) }()
		send(ctx, http.MethodPatch, mine)
		send(ctx, http.MethodGet, jobs+"/lost")
		return ctrl.Result{}, nil
	})
	if err := reconcileOnce(t, tracer.Reconciler("stream", Stream, inside)); err != nil {
		t.Fatal(err)
	}
	send(t.Context(), http.MethodGet, jobs) // of no reconcile
	tracer.Stop(t.Context())

	var names []string
	for _, s := range there.Below(one(t, there, "report")) {
		names = append(names, s.Name+" "+s.Attributes["http.response.status_code"]+s.Error)
	}
	if !slices.Equal(names, []string{"patch streams/status 200", "get jobs 404error"}) {
		t.Errorf("below report %q", names)
	}
	if n := len(there.Spans()); n != 4 {
		t.Errorf("%d spans came: a request that belongs to no reconcile has none", n)
	}
	for path, want := range map[string]bool{mine: true, jobs: false} {
		if told, sent := traced.Load(path); !sent || told != want {
			t.Errorf("%s: the API server was told of a trace: %v, want %v", path, told, want)
		}
	}
}

func TestRequestNames(t *testing.T) {
	for request, want := range map[string]string{
		"GET /api/v1/namespaces/sales/pods":                                    "list pods",
		"GET /api/v1/namespaces/sales/pods/a":                                  "get pods",
		"GET /api/v1/pods?watch=true":                                          "watch pods",
		"GET /api/v1/namespaces":                                               "list namespaces",
		"GET /api/v1/namespaces/sales":                                         "get namespaces",
		"POST /apis/batch/v1/namespaces/sales/jobs":                            "create jobs",
		"PUT /apis/coordination.k8s.io/v1/namespaces/arcane-system/leases/a":   "update leases",
		"DELETE /apis/batch/v1/namespaces/sales/jobs/orders-1":                 "delete jobs",
		"DELETE /apis/batch/v1/namespaces/sales/jobs":                          "deletecollection jobs",
		"PATCH /apis/streaming.sneaksanddata.com/v1/streamclasses/pg/status":   "patch streamclasses/status",
		"PATCH /k8s/clusters/one/apis/batch/v1/namespaces/sales/jobs/orders-1": "patch jobs",
		"GET /apis/batch/v1":                                                   "GET",
		"GET /apis":                                                            "GET",
		"GET /healthz":                                                         "GET",
	} {
		method, url, _ := strings.Cut(request, " ")
		if got := requestName(httptest.NewRequest(method, url, http.NoBody)); got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
}

func TestACollectorThatFailsIsLoggedOnce(t *testing.T) {
	there := collector.Start(t)
	tracer, log := start(t, there.URL)
	r := tracer.Reconciler("stream", Stream, steps(nil))
	try := func() {
		t.Helper()
		if err := reconcileOnce(t, r); err != nil {
			t.Fatal(err)
		}
		if err := tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, refuse := range []bool{false, true, true, true, false, false, true} {
		there.Refuse(refuse)
		try()
	}
	if there.Refused() != 4 || len(there.Named("reconcile stream")) != 3 {
		t.Errorf("%d were refused and %d came", there.Refused(), len(there.Named("reconcile stream")))
	}
	l := log()
	if len(l) != 3 || !strings.Contains(l[0], "traces do not arrive") || !strings.Contains(l[1], "traces arrive again") || !strings.Contains(l[2], "traces do not arrive") {
		t.Errorf("log %q, want a line for each turn", l)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	tracer, log := start(t, url)
	r := tracer.Reconciler("stream", Stream, steps(nil))
	for range 3 {
		if err := reconcileOnce(t, r); err != nil {
			t.Fatal(err)
		}
		if err := tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tracer.Stop(t.Context())
	if l := log(); len(l) != 1 || !strings.Contains(l[0], "traces do not arrive") || !strings.Contains(l[0], url) {
		t.Errorf("log %q, want one line", l)
	}
}

// A collector that takes the connection and says nothing must not hold up the end.
func TestTheEndIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tracer, log := start(t, "http://"+l.Addr().String())
	if err := reconcileOnce(t, tracer.Reconciler("stream", Stream, steps(nil))); err != nil {
		t.Fatal(err)
	}
	tracer.Stop(over(t)) // go test's own limit is the failure
	if l := strings.Join(log(), "\n"); !strings.Contains(l, "the last traces are lost") {
		t.Errorf("log %q", l)
	}
}

func TestOffCostsNothing(t *testing.T) {
	var off *Tracer
	if got, err := Start(t.Context(), nil, "v1", logr.Discard()); got != nil || err != nil {
		t.Errorf("without an endpoint: %v, %v", got, err)
	}
	cfg := &rest.Config{}
	off.Wrap(cfg)
	off.Stop(t.Context())
	if cfg.WrapTransport != nil {
		t.Error("a connection is wrapped")
	}
	r := &nothing{}
	if off.Reconciler("stream", Stream, r) != reconcile.Reconciler(r) {
		t.Error("a reconciler is wrapped")
	}
	broken := errors.New("broken")
	ctx := t.Context()
	step := func() (err error) {
		ctx, span := Step(ctx, "apply")
		defer func() { span.End(err) }()
		span.Decided("S1", "Streaming", "Running")
		Of(ctx).About(Stream, "orders")
		return broken
	}
	if n := testing.AllocsPerRun(1000, func() { _ = step() }); n != 0 {
		t.Errorf("%v allocations for each step", n)
	}
}

func BenchmarkStepOff(b *testing.B) {
	ctx := b.Context()
	for b.Loop() {
		_, span := Step(ctx, "apply")
		span.Decided("S1", "Streaming", "Running")
		span.End(nil)
	}
}

// over is a context that has ended.
func over(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

type nothing struct{}

func (*nothing) Reconcile(context.Context, ctrl.Request) (ctrl.Result, error) {
	return ctrl.Result{}, nil
}

func one(t *testing.T, from *collector.Collector, name string) collector.Span {
	t.Helper()
	named := from.Named(name)
	if len(named) != 1 {
		t.Fatalf("%d spans %q of %q", len(named), name, lines(from.Spans()))
	}
	return named[0]
}

func lines(spans []collector.Span) []string {
	var list []string
	for _, s := range spans {
		list = append(list, s.String())
	}
	return list
}
