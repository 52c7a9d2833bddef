package telemetry

// This file says what metrics cost: how many series each is.

import "slices"

func (m *Metric) has(label string) bool {
	return slices.ContainsFunc(m.Labels, func(l Label) bool { return l.Name == label })
}

// perStream tells whether each stream has series of this metric.
func (m *Metric) perStream() bool { return m.has("stream") }

// series is how many series there are for one value of each label that holds names.
// Of a histogram each bucket is one, and so are the one without a bound, the sum and the count.
func (m *Metric) series() int {
	n := m.children()
	if m.Type == Histogram {
		n *= len(m.Buckets) + 3
	}
	return n
}

// children is how many values of its closed labels a metric has at once.
func (m *Metric) children() int {
	n := 1
	for _, l := range m.Labels {
		if len(l.Values) > 0 && !l.One {
			n *= len(l.Values)
		}
	}
	if m == &transitions {
		n -= len(phases) // no phase changes into itself
	}
	return n
}
