package telemetry

// This file tells the sums of a census, zeros too.

import (
	"cmp"
	"maps"
	"slices"
)

// sortedPairs are the namespaces and classes that were met, in order.
func (c *census) sortedPairs() []pair {
	return slices.SortedFunc(maps.Keys(c.pairs), func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.class, b.class))
	})
}

// sum adds the series that do not depend on how many streams there are.
func (c *census) sum() {
	for _, p := range c.sortedPairs() {
		t := c.pairs[p]
		in, class := c.sharedPair("namespace", p.namespace), c.sharedPair("stream_class", p.class)
		for _, phase := range phases {
			c.add(&streams, float64(t.streams[string(phase)]), in, class, c.sharedPair("phase", string(phase)))
		}
		for _, why := range slices.Sorted(maps.Keys(t.stalled)) {
			c.add(&streamsStalled, float64(t.stalled[why]), in, class, c.sharedPair("reason", why))
		}
		for _, m := range modes {
			for _, phase := range jobPhases {
				c.add(&streamJobs, float64(t.jobs[[2]string{m, phase}]), in, class, c.sharedPair("mode", m), c.sharedPair("phase", phase))
			}
		}
		for _, phase := range requestPhases {
			c.add(&backfillRequests, float64(t.requests[string(phase)]), in, class, c.sharedPair("phase", string(phase)))
		}
	}
	for _, class := range slices.Sorted(maps.Keys(c.waiting)) {
		c.add(&queueOldest, seconds(c.waiting[class]), c.sharedPair("stream_class", class))
	}
}

// zeros lets the counters of whatever was met stand at zero.
func (c *census) zeros(counters *Counters) {
	counters.know(pair{})
	for p := range c.pairs {
		counters.know(p)
		counters.knowClass(p.class)
	}
}
