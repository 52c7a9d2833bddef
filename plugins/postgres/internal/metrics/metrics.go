// Package metrics tells Prometheus what a job has done, by the convention that all plugins of Arcane share.
package metrics

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Mode is what a job is for.
type Mode string

// The modes.
const (
	Backfill Mode = "backfill"
	Stream   Mode = "stream"
)

// Kind is what was carried. A backfill carries both: the changes that happen while it reads are its work too.
type Kind string

// The kinds.
const (
	// Snapshot rows were read from the table.
	Snapshot Kind = "snapshot"
	// Change rows were read from the log.
	Change Kind = "change"
)

// Metrics are one job's.
type Metrics struct {
	// Lag is how far the sink is behind the source.
	Lag *Lag

	mode     Mode
	registry *prometheus.Registry
	rows     *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	files    *prometheus.CounterVec
}

// New makes the metrics of a job, all counters at zero, so that a first increase is seen as one.
func New(mode Mode, version string) *Metrics {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "arcane", Subsystem: "plugin", Name: name, Help: help}, []string{"mode", "kind"})
	}
	m := &Metrics{
		Lag:      newLag(mode),
		mode:     mode,
		registry: prometheus.NewRegistry(),
		rows:     counter("rows_total", "Rows, or changes of rows, that this job has made durable in the sink."),
		bytes:    counter("bytes_total", "Bytes of the files that hold them."),
		files:    counter("files_total", "Files that hold them."),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "arcane_plugin_build_info", Help: "The program that runs; always 1.",
		ConstLabels: prometheus.Labels{"plugin": "postgres", "version": version, "go_version": runtime.Version()},
	})
	info.Set(1)
	m.registry.MustRegister(m.rows, m.bytes, m.files, m.Lag, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, kind := range []Kind{Snapshot, Change} {
		m.add(kind, 0, 0, 0)
	}
	return m
}

// Wrote counts a file, once it is durable.
func (m *Metrics) Wrote(kind Kind, rows, bytes int) { m.add(kind, rows, bytes, 1) }

func (m *Metrics) add(kind Kind, rows, bytes, files int) {
	m.rows.WithLabelValues(string(m.mode), string(kind)).Add(float64(rows))
	m.bytes.WithLabelValues(string(m.mode), string(kind)).Add(float64(bytes))
	m.files.WithLabelValues(string(m.mode), string(kind)).Add(float64(files))
}
