package tracing

// This file makes the spans of requests to the API server.

import (
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/client-go/rest"
)

// Wrap makes a span of each request that a recorded reconcile sends, and tells the
// API server of it, which may trace too. Watches, leases and events belong to no
// reconcile, and pass. A nil tracer leaves the connection alone.
func (t *Tracer) Wrap(cfg *rest.Config) {
	if t == nil {
		return
	}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(next,
			otelhttp.WithTracerProvider(t.provider),
			otelhttp.WithPropagators(propagation.TraceContext{}),
			otelhttp.WithFilter(func(r *http.Request) bool { return trace.SpanFromContext(r.Context()).IsRecording() }),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return requestName(r) }),
		)
	})
}

// requestName is the verb and the resource, such as "patch streams/status": few
// names, because that of an object is not among them.
func requestName(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	// A proxy may serve the API server below a path of its own.
	root := slices.IndexFunc(parts, func(p string) bool { return p == "api" || p == "apis" })
	if root < 0 {
		return r.Method
	}
	version := root + 1
	if parts[root] == "apis" {
		version++ // after the group
	}
	parts = parts[min(version+1, len(parts)):]
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	switch len(parts) {
	case 0:
		return r.Method
	case 1, 2:
		return verb(r, len(parts) == 2) + " " + parts[0]
	default:
		return verb(r, true) + " " + parts[0] + "/" + parts[2]
	}
}

// verb is the API server's word for a method.
func verb(r *http.Request, named bool) string {
	switch {
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodPut:
		return "update"
	case r.Method == http.MethodDelete && !named:
		return "deletecollection"
	case r.Method == http.MethodGet && r.URL.Query().Has("watch"):
		return "watch"
	case r.Method == http.MethodGet && !named:
		return "list"
	}
	return strings.ToLower(r.Method)
}
