package telemetry

// This file measures a scrape of 10,000 streams, and holds it to what it may allocate.

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// scrape asks as Prometheus does, of the handler that controller-runtime has.
func scrape(t testing.TB, g prometheus.Gatherer, encoding string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept-Encoding", encoding)
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", answer.Code, answer.Body)
	}
	return answer
}

func BenchmarkScrape(b *testing.B) {
	for _, streams := range []int{1000, 10000} {
		for _, encoding := range []string{"identity", "gzip"} {
			b.Run(fmt.Sprintf("%d/%s", streams, encoding), func(b *testing.B) {
				r := beside(fleet(b, streams))
				b.ReportAllocs()
				size := 0
				for b.Loop() {
					size = scrape(b, r, encoding).Body.Len()
				}
				b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/scrape")
				b.ReportMetric(float64(size), "bytes")
			})
		}
		b.Run(fmt.Sprintf("%d/gather", streams), func(b *testing.B) {
			r := beside(fleet(b, streams))
			for b.Loop() {
				gathered(b, r)
			}
		})
		// What the client library's own registry takes for the same series.
		b.Run(fmt.Sprintf("%d/by-the-library", streams), func(b *testing.B) {
			library := prometheus.NewRegistry()
			library.MustRegister(constant{beside(fleet(b, streams))})
			for b.Loop() {
				scrape(b, library, "identity")
			}
		})
	}
}

func gathered(t testing.TB, g prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// constant is the usual way to tell a state: a constant metric for each series.
type constant struct{ r *registry }

func (constant) Describe(chan<- *prometheus.Desc) {}

func (c constant) Collect(to chan<- prometheus.Metric) {
	families, err := c.r.state.gather()
	if err != nil {
		panic(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var names, values []string
			for _, l := range m.GetLabel() {
				names, values = append(names, l.GetName()), append(values, l.GetValue())
			}
			to <- prometheus.MustNewConstMetric(prometheus.NewDesc(f.GetName(), f.GetHelp(), names, nil), prometheus.GaugeValue, m.GetGauge().GetValue(), values...)
		}
	}
}

// TestAScrapeAllocatesLittle is the gate that does not depend on the machine: how many
// objects a stream costs. A deep copy, or a metric made by the library, costs dozens.
func TestAScrapeAllocatesLittle(t *testing.T) {
	allocations := func(streams int) float64 {
		r := beside(fleet(t, streams))
		gathered(t, r)
		return testing.AllocsPerRun(3, func() { gathered(t, r) })
	}
	few, many := allocations(1000), allocations(4000)
	perStream := (many - few) / 3000
	t.Logf("%.2f allocations for each stream more (%s)", perStream, runtime.Version())
	if perStream > 0.5 {
		t.Errorf("a stream costs %.2f allocations in a scrape, of which at most 0.5 are allowed", perStream)
	}
}
