package metrics

// This file tells how far the sink is behind the source.

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Lag is the time since the sink is known to have held everything that the source
// held. It grows by itself while nothing is heard of the source, so that a job that
// hangs, or has lost its source, does not look as if it were in step.
type Lag struct {
	seconds *prometheus.Desc
	bytes   *prometheus.Desc
	commit  *prometheus.Desc
	now     func() time.Time

	mutex   sync.Mutex
	inStep  time.Time
	missing uint64
	asked   bool
	newest  time.Time
}

func newLag(mode Mode) *Lag {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, nil, prometheus.Labels{"mode": string(mode)})
	}
	return &Lag{
		seconds: desc("arcane_plugin_lag_seconds", "Time since the sink is known to have held all that the source held. Absent until it first did."),
		bytes:   desc("arcane_plugin_lag_bytes", "How much of the source's log is not yet durable in the sink. Absent until the source was asked."),
		commit:  desc("arcane_plugin_last_commit_timestamp_seconds", "When the newest change that is durable in the sink was committed at the source. Absent until there is one."),
		now:     time.Now,
	}
}

// InStep notes that the sink holds everything that the source held at a time.
func (l *Lag) InStep(at time.Time) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.inStep = at
}

// Missing notes how much of the source's log is not yet durable.
func (l *Lag) Missing(bytes uint64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.missing, l.asked = bytes, true
}

// Committed notes when a change was committed that is durable now.
func (l *Lag) Committed(at time.Time) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.newest = at
}

// Describe names the three.
func (l *Lag) Describe(to chan<- *prometheus.Desc) {
	to <- l.seconds
	to <- l.bytes
	to <- l.commit
}

// Collect tells what is known.
func (l *Lag) Collect(to chan<- prometheus.Metric) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	gauge := func(desc *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	if !l.inStep.IsZero() {
		gauge(l.seconds, max(0, l.now().Sub(l.inStep).Seconds()))
	}
	if l.asked {
		gauge(l.bytes, float64(l.missing))
	}
	if !l.newest.IsZero() {
		gauge(l.commit, float64(l.newest.UnixMicro())/1e6)
	}
}
