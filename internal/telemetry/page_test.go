package telemetry

// This file prints the table as a page for users, and holds the page fresh.

//go:generate go test -run ^TestMetricsPageIsFresh$ -update .

import (
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	// They register their metrics when they are imported.
	_ "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/arcane-streaming/arcane-operator/test/page"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const pageHead = `<!-- Printed from internal/telemetry/table.go by "make generate"; do not edit. -->
# Metrics

The operator serves Prometheus metrics at ` + "`/metrics`" + ` of its Service ` + "`arcane-metrics`" + `, to those who may get that path ([how](install.md)).

- State is read off the operator's cache when Prometheus asks, so a series goes with its stream, at once. Only the replica that acts tells it.
- A label holds a name or a value of the list beside it, never a free text.
- "Per" says how many series a metric is for each namespace and class, class, or stream; a histogram's buckets are counted.

`

// beside are the metrics of the libraries that are worth knowing.
var others = []struct{ name, meaning string }{
	{"controller_runtime_reconcile_total", "passes of each controller (`stream`, `backfillrequest`, `backfillslots`, `streamclass`), by result"},
	{"controller_runtime_reconcile_errors_total", "passes that ended with an error: the API server did not answer, or refused"},
	{"controller_runtime_reconcile_time_seconds", "how long a pass takes"},
	{"controller_runtime_active_workers", "workers that are busy; at `controller_runtime_max_concurrent_reconciles` for long, `--workers` is too small"},
	{"controller_runtime_max_concurrent_reconciles", "workers that there are"},
	{"workqueue_depth", "streams and requests that wait for a worker"},
	{"workqueue_queue_duration_seconds", "how long they wait"},
	{"workqueue_longest_running_processor_seconds", "how long the pass has been running that has been running longest"},
	{"rest_client_requests_total", "requests to the API server, by method and status code"},
	{"leader_election_master_status", "1 on the replica that holds the Lease"},
	{"controller_runtime_webhook_requests_total", "requests at admission, by webhook and status code"},
	{"controller_runtime_webhook_latency_seconds", "how long they take"},
	{"certwatcher_read_certificate_errors_total", "failed readings of a certificate from files (`--self-signed-certificates=false`)"},
}

// metricsPage is docs/metrics.md.
func metricsPage() string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, g := range Groups() {
		fmt.Fprintf(&b, "## %s\n\n", g.Title)
		if g.Text != "" {
			b.WriteString(g.Text + "\n\n")
		}
		b.WriteString("| metric | type | labels | meaning | per | since |\n|---|---|---|---|---|---|\n")
		for _, m := range g.Metrics {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", m.Name, m.Type, labelsOf(m), m.Help, per(m), m.Since)
		}
		b.WriteString("\n")
	}
	writeLabels(&b)
	writeBuckets(&b)
	writeCosts(&b)
	b.WriteString("## Of the libraries\n\n| metric | meaning |\n|---|---|\n")
	for _, o := range others {
		fmt.Fprintf(&b, "| `%s` | %s |\n", o.name, o.meaning)
	}
	return b.String()
}

func labelsOf(m *Metric) string {
	names := make([]string, 0, len(m.Labels))
	for _, l := range m.Labels {
		names = append(names, "`"+l.Name+"`")
	}
	return strings.Join(names, ", ")
}

// per says what a metric costs.
func per(m *Metric) string {
	n := strconv.Itoa(m.series())
	switch {
	case m.perStream() && m.has("reason"):
		return n + " for each stream that is stalled"
	case m.perStream():
		return n + " for each stream"
	case m.has("reason"):
		return "1 for each namespace, class and reason that occurs"
	case m.has("namespace") && m.has("failure_class"):
		return n + " for each namespace and class, and 1 for each failure class that occurs"
	case m.has("namespace"):
		return n + " for each namespace and class"
	case m.has("stream_class"):
		return n + " for each class"
	}
	return n
}

func writeLabels(b *strings.Builder) {
	b.WriteString("## Labels\n\n| label | of | values | |\n|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, m := range Metrics() {
		for _, l := range m.Labels {
			values := "names"
			if len(l.Values) > 0 {
				values = "`" + strings.Join(l.Values, "`, `") + "`"
			}
			row := fmt.Sprintf("| %s | %s |\n", values, l.Meaning)
			if seen[l.Name+row] {
				continue
			}
			seen[l.Name+row] = true
			fmt.Fprintf(b, "| `%s` | %s %s", l.Name, holders(l), row)
		}
	}
	b.WriteString("\n")
}

// holders are the metrics that have this very label.
func holders(l Label) string {
	var names []string
	for _, m := range Metrics() {
		for _, o := range m.Labels {
			if o.Name == l.Name && o.Meaning == l.Meaning && strings.Join(o.Values, " ") == strings.Join(l.Values, " ") {
				names = append(names, "`"+m.Name+"`")
			}
		}
	}
	if len(names) > 4 {
		return "many"
	}
	return strings.Join(names, "<br>")
}

func writeBuckets(b *strings.Builder) {
	b.WriteString("## Buckets\n\n| histogram | upper bounds |\n|---|---|\n")
	for _, m := range Metrics() {
		if m.Type != Histogram {
			continue
		}
		bounds := make([]string, 0, len(m.Buckets))
		for _, s := range m.Buckets {
			bounds = append(bounds, short(time.Duration(s)*time.Second))
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", m.Name, strings.Join(bounds, ", "))
	}
	b.WriteString("\n")
}

// short writes a whole number of days, hours, minutes or seconds.
func short(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, " d"}, {time.Hour, " h"}, {time.Minute, " min"}} {
		if d >= unit.of && d%unit.of == 0 {
			return strconv.Itoa(int(d/unit.of)) + unit.name
		}
	}
	return strconv.Itoa(int(d/time.Second)) + " s"
}

// writeCosts sums up what is told.
func writeCosts(b *strings.Builder) {
	var each, pairs, classes int
	for _, m := range Metrics() {
		switch {
		case m.has("reason"):
		case m.perStream():
			each += m.series()
		case m.has("namespace"):
			pairs += m.series()
		case m.has("stream_class"):
			classes += m.series()
		}
	}
	fmt.Fprintf(b, "## What it costs\n\n| `--per-stream-metrics` | series |\n|---|---|\n"+
		"| `all` (default) | %d for each stream, 1 more while it is stalled; and as below |\n"+
		"| `unhealthy` | as above, for those streams only that are not Ready or are Stalled; and as below |\n"+
		"| `none` | up to %d for each class, %d for each namespace and class, and some 100 for the operator, however many streams there are |\n\n"+
		"Measured with 10,000 streams, each with a job and a request, on two shared cores: 31,000 series for streams, 3.3 MB (0.1 MB with gzip), some 40 ms for a scrape. "+
		"`go test ./internal/telemetry -run xxx -bench Scrape` measures it on yours.\n\n", each, classes, pairs)
}

// TestMetricsPageIsFresh holds the page against the table.
func TestMetricsPageIsFresh(t *testing.T) {
	page.HoldWhole(t, filepath.Join("..", "..", "docs", "metrics.md"), metricsPage(), *update)
}

// TestTheLibrariesHaveThoseMetrics asks the libraries to register the metrics that the page names.
func TestTheLibrariesHaveThoseMetrics(t *testing.T) {
	for _, o := range others {
		if !libraryHas(o.name) {
			t.Errorf("no library registers %s", o.name)
		}
	}
	if libraryHas("controller_runtime_no_such_total") {
		t.Error("the test finds what is not there")
	}
}

// libraryHas tries to take the name: it is refused where somebody has it.
func libraryHas(name string) bool {
	probe := newProbe(name)
	if err := metrics.Registry.Register(probe); err != nil {
		return true
	}
	metrics.Registry.Unregister(probe)
	return false
}

// newProbe has labels that nobody else has, so that a name that is taken is refused.
func newProbe(name string) prometheus.Collector {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "probe"}, []string{"probe"})
}
