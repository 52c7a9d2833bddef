// The proof: each query answers as the count by hand does, or has something to say.

package telemetry_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/prometheus"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// empty are the queries that have nothing to say of this fleet, each with the reason.
// One that does say something must not be here.
var empty = map[string]string{
	"stream/Rows/A":  ofPlugins,
	"stream/Bytes/A": ofPlugins,
	"stream/Lag/A":   ofPlugins,

	"rules/arcane:handover/0":             "the leader speaks",
	"rules/OperatorDown/6":                "the operator is up",
	"rules/ReconcileStuck/7":              "nothing hangs",
	"rules/ReconcileStuck/8":              "not everything fails",
	"rules/ReconcileStuck/9":              "nothing waits for ten minutes",
	"rules/StreamCrashLooping/11":         "a crash-looping stream changes its phase all the time, so that nothing could be counted",
	"rules/BackfillQueueGrowing/15":       "nobody has waited for two hours",
	"rules/StreamClassNotWatched/16":      "all classes are watched",
	"rules/WebhookCertificateExpiring/17": "the certificate is new",
}

const ofPlugins = "plugins tell it, and the player's pods are no processes"

// queries are those of all panels and all rules, and each series of the state as it is:
// some of it is asked for only together with what was before, which cannot be compared.
func queries() []prometheus.Query {
	GinkgoHelper()
	all, err := prometheus.Boards()
	Expect(err).NotTo(HaveOccurred())
	rules, err := prometheus.Load()
	Expect(err).NotTo(HaveOccurred())
	for i, r := range rules.All() {
		all = append(all, prometheus.Query{Name: fmt.Sprintf("rules/%s%s/%d", r.Alert, r.Record, i), Expr: r.Expr})
	}
	for _, name := range told {
		all = append(all, prometheus.Query{Name: "series/" + name, Expr: name})
	}
	return all
}

// filled are a query's expressions: one for each stream where it asks for one.
func filled(w *story.World, q prometheus.Query) []string {
	GinkgoHelper()
	var all []string
	for _, stream := range slices.Sorted(maps.Keys(fleet)) {
		expr, err := q.Fill(map[string]string{
			"namespace": w.Namespace, "class": ".*", "stream": stream, "job": "arcane-metrics",
			"__range": "10m", "__interval": "1m", "__rate_interval": "1m",
		})
		Expect(err).NotTo(HaveOccurred())
		if !slices.Contains(all, expr) {
			all = append(all, expr)
		}
	}
	return all
}

// countable tells whether the count by hand can answer: it has all metrics of the
// expression, and what was before does not matter, as the two began at other times.
func countable(expr string) bool {
	for _, name := range prometheus.Metrics(expr) {
		if !slices.Contains(told, name) && !strings.HasPrefix(name, "arcane:") {
			return false
		}
	}
	return !strings.ContainsAny(expr, "[@") && !strings.Contains(expr, "offset")
}

// agree is what the two say differently; nothing where they agree.
func agree(ctx SpecContext, g Gomega, expr string) prometheus.Answer {
	at := time.Now()
	says, err := operator.Query(ctx, expr, at)
	g.Expect(err).NotTo(HaveOccurred())
	if !countable(expr) {
		return says
	}
	counts, err := counted.Query(ctx, expr, at)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(maps.Keys(says)).To(HaveLen(len(counts)), "%s\nsays %v, by hand %v", expr, says, counts)
	for series, value := range counts {
		// An age or a time may differ by what a status leaves out of a second.
		g.Expect(says).To(HaveKeyWithValue(series, BeNumerically("~", value, 0.001)), "%s", expr)
	}
	return says
}

// prove asks everything, and returns what says nothing.
func prove(ctx SpecContext, w *story.World) (silent []string, compared, asked int) {
	GinkgoHelper()
	for _, q := range queries() {
		says := 0
		for _, expr := range filled(w, q) {
			asked++
			if countable(expr) {
				compared++
			}
			w.Await(ctx, func(g Gomega) { says += len(agree(ctx, g, expr)) })
		}
		if says == 0 {
			silent = append(silent, q.Name)
		}
	}
	return silent, compared, asked
}

// phasesSay is what Prometheus says of the fleet's phases.
func phasesSay(ctx SpecContext, w *story.World, want map[string]streamingv1.StreamPhase) {
	GinkgoHelper()
	w.Await(ctx, func(g Gomega) {
		says, err := operator.Query(ctx, fmt.Sprintf("sum by (stream, phase) (arcane_stream_phase{namespace=%q})", w.Namespace), time.Now())
		g.Expect(err).NotTo(HaveOccurred())
		expected, sums := prometheus.Answer{}, map[string]float64{}
		for stream, phase := range want {
			expected[fmt.Sprintf("{phase=%q, stream=%q}", phase, stream)] = 1
			sums[string(phase)]++
		}
		g.Expect(says).To(Equal(expected))
		total, err := operator.Query(ctx, fmt.Sprintf("sum by (phase) (arcane_streams{namespace=%q})", w.Namespace), time.Now())
		g.Expect(err).NotTo(HaveOccurred())
		for _, phase := range phases {
			g.Expect(total).To(HaveKeyWithValue(fmt.Sprintf("{phase=%q}", phase), sums[phase]))
		}
	})
}

var _ = Describe("A fleet of streams in all phases", func() {
	It("is what every panel and every rule says it is, also after it has changed", func(ctx SpecContext) {
		w := stage.Enter(ctx)
		gather(ctx, w)
		w.AwaitQuiet(ctx)
		phasesSay(ctx, w, fleet)
		silent, compared, asked := prove(ctx, w)
		AddReportEntry("asked", fmt.Sprintf("%d expressions asked, %d compared with the count by hand", asked, compared))
		Expect(silent).To(ConsistOf(slices.Collect(maps.Keys(empty))), "what says nothing, and what has a reason to")

		after := maps.Clone(fleet)
		w.Suspend(ctx, "running")
		after["running"] = streamingv1.StreamSuspended
		w.Exit(ctx, w.AwaitPod(ctx, "in-line", streamingv1.ModeStream), 1)
		after["in-line"] = streamingv1.StreamFailed
		w.Delete(ctx, w.Stream(ctx, "pending"))
		delete(after, "pending")
		for name, phase := range after {
			w.AwaitPhase(ctx, name, phase)
		}
		phasesSay(ctx, w, after)
		prove(ctx, w)
	})
})
