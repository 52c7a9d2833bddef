// Package tracing tells of each reconcile as an OpenTelemetry trace: one span for
// the reconcile, one for each of its steps, and one for each request to the API
// server. It is off unless an endpoint is named. Off it is a nil Tracer, and nothing
// of it is in the way of a reconcile.
package tracing

// This file holds the tracer's life: where spans go, and the last of them at the end.

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// scope names who makes the spans.
	scope = "github.com/arcane-streaming/arcane-operator/internal/tracing"
	// service is what OTEL_SERVICE_NAME replaces.
	service = "arcane-operator"
	// path is where a collector takes traces, below its base.
	path = "/v1/traces"
	// lastFlush is how long the end waits for the last spans. With the 25 seconds that
	// a manager has to stop in, it stays below a pod's 30.
	lastFlush = 3 * time.Second
)

// Tracer makes spans; a nil one makes none.
type Tracer struct {
	provider *sdktrace.TracerProvider
	log      logr.Logger
}

// Endpoint reads the URL of a collector that speaks OTLP over HTTP; an empty text is none.
// As with OTEL_EXPORTER_OTLP_ENDPOINT it is the base, to which /v1/traces is added.
func Endpoint(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("it is no URL such as http://collector:4318: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("its scheme is %q; it must be http or https, as in http://collector:4318", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("it names no host, as in http://collector:4318")
	case u.User != nil:
		return nil, errors.New("it holds a user or a password; OTEL_EXPORTER_OTLP_HEADERS is the place for these")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it has a query or a fragment, which is not sent")
	}
	if !strings.HasSuffix(u.Path, path) {
		u = u.JoinPath(path)
	}
	return u, nil
}

// Start begins to send spans to an endpoint, and tells the log when they do not arrive;
// without an endpoint, or with OTEL_SDK_DISABLED=true, it returns nil. All else is as
// the standard environment variables say.
func Start(ctx context.Context, endpoint *url.URL, version string, log logr.Logger) (*Tracer, error) {
	if endpoint == nil {
		return nil, nil
	}
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		log.Info("OTEL_SDK_DISABLED is true: no traces are sent")
		return nil, nil
	}
	// The library tells these two of environment variables that make no sense.
	otel.SetLogger(log)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Error(err, "OpenTelemetry complains") }))
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint.String()))
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	source, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithFromEnv()) // The last word is the user's.
	if err != nil {
		log.Error(err, "some attributes of the traces' resource are left out")
	}
	return &Tracer{log: log, provider: sdktrace.NewTracerProvider(
		sdktrace.WithResource(source),
		sdktrace.WithBatcher(&told{SpanExporter: exporter, log: log, endpoint: endpoint.String()}),
	)}, nil
}

// Stop sends what is left, for a few seconds at most: the context has ended already
// when an operator ends.
func (t *Tracer) Stop(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Error(err, "the last traces are lost")
	}
}

// told is an exporter that logs when spans cease to arrive, and when they arrive
// again: a collector that is away for an hour is two lines, not hundreds.
type told struct {
	sdktrace.SpanExporter
	log      logr.Logger
	endpoint string
	failing  atomic.Bool
}

// ExportSpans sends spans. It returns no error, because it has told of it.
func (e *told) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	was := e.failing.Swap(err != nil)
	switch {
	case err != nil && !was:
		e.log.Error(err, "traces do not arrive, and are dropped until they do", "endpoint", e.endpoint)
	case err == nil && was:
		e.log.Info("traces arrive again", "endpoint", e.endpoint)
	}
	return nil
}
