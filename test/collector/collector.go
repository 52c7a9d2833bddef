// Package collector is a receiver of OpenTelemetry traces for tests: OTLP over HTTP
// on loopback, with all that came.
package collector

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector keeps the spans that it is sent.
type Collector struct {
	// URL is its base.
	URL string

	mu      sync.Mutex
	spans   []Span
	headers []http.Header
	refuses bool
	refused int
}

// Span is a span that came.
type Span struct {
	Name              string
	Trace, ID, Parent string
	Attributes        map[string]string
	Resource          map[string]string
	// Error is the description of a status that is an error.
	Error string
	// Exceptions are the messages of the errors that were recorded.
	Exceptions []string
}

// String is the span as a line, its attributes in order.
func (s Span) String() string {
	line := s.Name
	for _, k := range slices.Sorted(maps.Keys(s.Attributes)) {
		line += " " + k + "=" + s.Attributes[k]
	}
	if s.Error != "" {
		line += " error=" + s.Error
	}
	return line
}

// Start starts a collector that ends with its test.
func Start(tb testing.TB) *Collector {
	tb.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, err := c.take(r); err != nil {
			http.Error(w, err.Error(), status)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	tb.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Refuse makes it refuse what comes, or take it again. It is a refusal that no sender repeats.
func (c *Collector) Refuse(is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses = is
}

// Refused is how many times it has refused.
func (c *Collector) Refused() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// Spans are those that came, in the order of their arrival.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Headers are those of the requests that were taken.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}

// Named are the spans of a name.
func (c *Collector) Named(name string) []Span {
	return slices.DeleteFunc(c.Spans(), func(s Span) bool { return s.Name != name })
}

// Below are the spans right below another.
func (c *Collector) Below(s Span) []Span {
	return slices.DeleteFunc(c.Spans(), func(b Span) bool { return b.Trace != s.Trace || b.Parent != s.ID })
}

func (c *Collector) take(r *http.Request) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses {
		c.refused++
		return http.StatusForbidden, fmt.Errorf("refused")
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
		return http.StatusNotFound, fmt.Errorf("%s %s is not where traces go", r.Method, r.URL.Path)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return http.StatusBadRequest, err
	}
	var sent collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &sent); err != nil {
		return http.StatusBadRequest, err
	}
	c.headers = append(c.headers, r.Header)
	for _, from := range sent.ResourceSpans {
		for _, scope := range from.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, read(s, from.Resource.GetAttributes()))
			}
		}
	}
	return http.StatusOK, nil
}

func read(s *tracepb.Span, of []*commonpb.KeyValue) Span {
	span := Span{
		Name:  s.Name,
		Trace: fmt.Sprintf("%x", s.TraceId), ID: fmt.Sprintf("%x", s.SpanId), Parent: fmt.Sprintf("%x", s.ParentSpanId),
		Attributes: values(s.Attributes), Resource: values(of),
	}
	if s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		span.Error = strings.TrimSpace("error " + s.Status.Message)
	}
	for _, e := range s.Events {
		if e.Name == "exception" {
			span.Exceptions = append(span.Exceptions, values(e.Attributes)["exception.message"])
		}
	}
	return span
}

func values(list []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		switch v := kv.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[kv.Key] = fmt.Sprint(v.IntValue)
		default:
			m[kv.Key] = kv.Value.String()
		}
	}
	return m
}
