package telemetry

// This file builds metric families in the form in which they are sent. The client
// library makes, checks and sorts an object of its own for each series, which takes
// ten times as long and shows with tens of thousands of them.

import (
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// chunk is how many small objects are made at once.
const chunk = 256

// block makes small objects, many at once.
type block[T any] struct{ rest []T }

func (b *block[T]) one() *T { return &b.some(1)[0] }

func (b *block[T]) some(n int) []T {
	if len(b.rest) < n {
		b.rest = make([]T, max(n, chunk))
	}
	list := b.rest[:n:n]
	b.rest = b.rest[n:]
	return list
}

// families are gauges on their way to whoever asked.
type families struct {
	list    []*dto.MetricFamily
	of      map[*Metric]*dto.MetricFamily
	pairs   block[dto.LabelPair]
	lists   block[*dto.LabelPair]
	metrics block[dto.Metric]
	gauges  block[dto.Gauge]
	numbers block[float64]
	texts   block[string]
	// shared are label pairs that stand in many series.
	shared map[label]*dto.LabelPair
	names  map[string]*string
	// zero and one are the values of most series.
	zero, one *dto.Gauge
}

// label is a label's name and its value.
type label struct{ name, value string }

func newFamilies() *families {
	f := &families{of: map[*Metric]*dto.MetricFamily{}, shared: map[label]*dto.LabelPair{}, names: map[string]*string{}}
	f.zero, f.one = f.gauge(0), f.gauge(1)
	return f
}

// pair is a label of one object only.
func (f *families) pair(name, value string) *dto.LabelPair {
	p, text := f.pairs.one(), f.texts.one()
	*text = value
	p.Name, p.Value = f.name(name), text
	return p
}

// sharedPair is a label of many series.
func (f *families) sharedPair(name, value string) *dto.LabelPair {
	l := label{name, value}
	p, ok := f.shared[l]
	if !ok {
		p = f.pair(strings.Clone(name), strings.Clone(value))
		f.shared[l] = p
	}
	return p
}

func (f *families) name(name string) *string {
	known, ok := f.names[name]
	if !ok {
		own := name // not &name: that would make one on every call
		known = &own
		f.names[name] = known
	}
	return known
}

func (f *families) gauge(value float64) *dto.Gauge {
	switch {
	case value == 0 && f.zero != nil:
		return f.zero
	case value == 1 && f.one != nil:
		return f.one
	}
	g, number := f.gauges.one(), f.numbers.one()
	*number = value
	g.Value = number
	return g
}

// add adds a series. Its labels come in the order in which the table has them.
func (f *families) add(m *Metric, value float64, labels ...*dto.LabelPair) {
	family, ok := f.of[m]
	if !ok {
		kind := dto.MetricType_GAUGE
		family = &dto.MetricFamily{Name: &m.Name, Help: &m.Help, Type: &kind}
		f.of[m] = family
		f.list = append(f.list, family)
	}
	series := f.metrics.one()
	series.Label = f.lists.some(len(labels))
	copy(series.Label, labels)
	series.Gauge = f.gauge(value)
	family.Metric = append(family.Metric, series)
}

// sorted are the families by their names.
func (f *families) sorted() []*dto.MetricFamily {
	slices.SortFunc(f.list, byName)
	return f.list
}

func byName(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) }
