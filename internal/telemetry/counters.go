package telemetry

// This file holds the counters: hands tell them what they have written.

import (
	"cmp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Counters count what has happened. All of it is told after the write that made it
// so. A nil one counts nothing.
type Counters struct {
	registry                                                       *prometheus.Registry
	transitions, decisions, finished, backfills, restarts          *prometheus.CounterVec
	startDuration, stopDuration, recovery, backfillDuration, queue *prometheus.HistogramVec

	mu sync.Mutex
	// known are the pairs, and the classes, whose zeros are there.
	known map[pair]bool
}

// pair is a namespace and a class: what the counters and the aggregates are told by.
type pair struct{ namespace, class string }

// NewCounters makes counters that stand at nothing.
func NewCounters() *Counters {
	c := &Counters{registry: prometheus.NewRegistry(), known: map[pair]bool{}}
	count := func(m *Metric) *prometheus.CounterVec {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.names())
		c.registry.MustRegister(vec)
		return vec
	}
	measure := func(m *Metric) *prometheus.HistogramVec {
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: m.Buckets}, m.names())
		c.registry.MustRegister(vec)
		return vec
	}
	c.transitions, c.decisions, c.finished = count(&transitions), count(&decisions), count(&jobsFinished)
	c.backfills, c.restarts = count(&backfillsFinished), count(&restarts)
	c.startDuration, c.stopDuration, c.recovery = measure(&startDuration), measure(&stopDuration), measure(&recoveryDuration)
	c.backfillDuration, c.queue = measure(&backfillDuration), measure(&queueWait)
	return c
}

// know lets every series of a namespace and class stand at zero, so that the first
// event is an increase to whoever asks for one. The pair of nothing stands for what
// has neither.
func (c *Counters) know(p pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[p] {
		return
	}
	c.known[p] = true
	if p == (pair{}) {
		for _, to := range transitions.label("to").Values {
			for _, from := range transitions.label("from").Values {
				if from != to {
					c.transitions.WithLabelValues(from, to)
				}
			}
		}
		for _, rule := range decisions.label("rule").Values {
			c.decisions.WithLabelValues(rule)
		}
		return
	}
	for _, m := range modes {
		for _, o := range outcomes {
			c.finished.WithLabelValues(p.namespace, p.class, m, string(o), None)
		}
	}
	for _, t := range triggers {
		for _, r := range results {
			c.backfills.WithLabelValues(p.namespace, p.class, string(t), string(r))
		}
	}
	c.restarts.WithLabelValues(p.namespace, p.class, None)
}

// knowClass does so for what is measured by class.
func (c *Counters) knowClass(class string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[pair{class: class}] {
		return
	}
	c.known[pair{class: class}] = true
	for _, m := range modes {
		c.startDuration.WithLabelValues(class, m)
	}
	for _, e := range ends {
		c.stopDuration.WithLabelValues(class, e)
	}
	for _, t := range triggers {
		for _, r := range backfillDuration.label("result").Values {
			c.backfillDuration.WithLabelValues(class, string(t), r)
		}
	}
	c.recovery.WithLabelValues(class)
	c.queue.WithLabelValues(class)
}

// Transition counts a change of a stream's phase.
func (c *Counters) Transition(from, to v1.StreamPhase) {
	if c != nil {
		c.transitions.WithLabelValues(cmp.Or(string(from), None), string(to)).Inc()
	}
}

// Decided counts a decision that was carried out.
func (c *Counters) Decided(rule string) {
	if c != nil {
		c.decisions.WithLabelValues(rule).Inc()
	}
}

// JobFinished counts the end of a job; failureClass is empty where it has none.
func (c *Counters) JobFinished(namespace, class string, mode v1.Mode, outcome Outcome, failureClass string) {
	if c != nil {
		c.finished.WithLabelValues(namespace, class, modeOf(mode), string(outcome), cmp.Or(failureClass, None)).Inc()
	}
}

// Restarted counts a start of a failed stream that nobody asked for.
func (c *Counters) Restarted(namespace, class, failureClass string) {
	if c != nil {
		c.restarts.WithLabelValues(namespace, class, cmp.Or(failureClass, None)).Inc()
	}
}

// Started measures a start.
func (c *Counters) Started(class string, mode v1.Mode, took time.Duration) {
	if c != nil {
		observe(c.startDuration.WithLabelValues(class, modeOf(mode)), took)
	}
}

// StoppedAfter measures a stop; its pods had so long to end by themselves.
func (c *Counters) StoppedAfter(class string, took, grace time.Duration) {
	if c == nil {
		return
	}
	end := endGraceful
	if took >= grace {
		end = endKilled
	}
	observe(c.stopDuration.WithLabelValues(class, end), took)
}

// Recovered measures the way back from a failure.
func (c *Counters) Recovered(class string, took time.Duration) {
	if c != nil {
		observe(c.recovery.WithLabelValues(class), took)
	}
}

// Backfilled measures a backfill's job.
func (c *Counters) Backfilled(class string, trigger Trigger, result Result, took time.Duration) {
	if c != nil {
		observe(c.backfillDuration.WithLabelValues(class, string(trigger), string(result)), took)
	}
}

// observe leaves out what two clocks may disagree about.
func observe(o prometheus.Observer, took time.Duration) { o.Observe(max(took, 0).Seconds()) }

// modeOf is the mode as the label's value. A record of an earlier version names none.
func modeOf(m v1.Mode) string {
	switch m {
	case v1.ModeBackfill:
		return ModeBackfill
	case v1.ModeScheduled:
		return ModeScheduled
	case v1.ModeStream:
	}
	return ModeStream
}
