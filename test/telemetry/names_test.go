// The names: what panels and rules speak of is there, and what nobody speaks of is listed.

package telemetry_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
	"github.com/arcane-streaming/arcane-operator/test/prometheus"
)

// elsewhere are the metrics that others than the operator's own table tell.
var elsewhere = []string{
	// controller-runtime's and client-go's.
	"controller_runtime_active_workers", "controller_runtime_max_concurrent_reconciles",
	"controller_runtime_reconcile_errors_total", "controller_runtime_reconcile_time_seconds", "controller_runtime_reconcile_total",
	"controller_runtime_webhook_latency_seconds", "controller_runtime_webhook_requests_total", "rest_client_requests_total",
	"workqueue_depth", "workqueue_longest_running_processor_seconds", "workqueue_queue_duration_seconds",
	// The process's, and Prometheus' own.
	"process_cpu_seconds_total", "process_resident_memory_bytes", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS",
	// The plugins'.
	"arcane_plugin_bytes_total", "arcane_plugin_lag_seconds", "arcane_plugin_rows_total",
}

// unused are metrics of ours that no panel and no rule speaks of.
var unused []string

func TestNames(t *testing.T) {
	queries, err := prometheus.Boards()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := prometheus.Load()
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Clone(elsewhere)
	for _, r := range rules.All() {
		queries = append(queries, prometheus.Query{Name: "rules/" + r.Alert + r.Record, Expr: r.Expr})
		known = append(known, r.Record)
	}
	var ours []string
	for _, m := range telemetry.Metrics() {
		ours = append(ours, m.Name)
	}
	known = append(known, ours...)
	spoken := map[string]bool{}
	for _, q := range queries {
		names := prometheus.Metrics(q.Expr)
		if len(names) == 0 {
			t.Errorf("%s speaks of no metric: %s", q.Name, q.Expr)
		}
		for _, name := range names {
			family := prometheus.Family(name)
			spoken[family] = true
			if !slices.Contains(known, family) {
				t.Errorf("%s speaks of %s, which nobody tells", q.Name, name)
			}
		}
	}
	for _, name := range elsewhere {
		if !spoken[name] {
			t.Errorf("%s is listed, and nobody speaks of it", name)
		}
	}
	silent := slices.DeleteFunc(ours, func(name string) bool { return spoken[name] })
	t.Logf("no panel and no rule speaks of %d metrics: %s", len(silent), strings.Join(silent, ", "))
	if !slices.Equal(silent, unused) {
		t.Errorf("nobody speaks of %v, listed are %v", silent, unused)
	}
}
