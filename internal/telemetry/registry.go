package telemetry

// This file puts the state, the counters and what others have registered together.

import (
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// registry is what is scraped.
type registry struct {
	metrics.RegistererGatherer
	state    *state
	counters *Counters
}

// Beside tells the operator's metrics beside those of another registry, which
// goes on to take registrations. No two of them may have one name: nothing here
// compares series, which would take most of the time.
func Beside(others metrics.RegistererGatherer, counters *Counters, o Options) metrics.RegistererGatherer {
	return &registry{others, &state{o, counters}, counters}
}

// Gather asks for everything. The state comes first: it makes the zeros of the counters.
func (r *registry) Gather() ([]*dto.MetricFamily, error) {
	var all []*dto.MetricFamily
	var errs []error
	for _, g := range []prometheus.GathererFunc{r.state.gather, r.counters.registry.Gather, r.RegistererGatherer.Gather} {
		families, err := g()
		all, errs = append(all, families...), append(errs, err)
	}
	slices.SortFunc(all, byName)
	return all, errors.Join(errs...)
}
