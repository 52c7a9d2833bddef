// What the operator tells of streams whose story is known.

package admission_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// series are the series of a world that are not zero, as lines without the labels that
// are the world's own; of a histogram the count. Times are left out.
func series(ctx context.Context, w *story.World, token string) []string {
	GinkgoHelper()
	code, body := scrape(ctx, token)
	Expect(code).To(Equal(http.StatusOK))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	var list []string
	for name, f := range families {
		for _, m := range f.GetMetric() {
			line, ours := strings.TrimPrefix(name, "arcane_"), false
			for _, l := range m.GetLabel() {
				if l.GetValue() == w.Namespace || l.GetValue() == w.Class {
					ours = true
				} else {
					line += fmt.Sprintf(" %s=%s", l.GetName(), l.GetValue())
				}
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if ours && value != 0 && !strings.Contains(name, "timestamp") && strings.HasPrefix(name, "arcane_") {
				list = append(list, fmt.Sprintf("%s %v", line, value))
			}
		}
	}
	slices.Sort(list)
	return list
}

var _ = Describe("A scrape of the operator", func() {
	It("tells what streams there are, how they fare and what has happened to them, and forgets them with their deletion", func(ctx SpecContext) {
		w := enter(ctx)
		token := reader(ctx, w)
		story.Edit(ctx, w, given.Class(w.Class, ""), func(c *streamingv1.StreamClass) {
			given.FailureClass("config", streamingv1.ActionFail, 20)(c)
		})
		w.Given(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		running := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Given(ctx, "asleep", given.Suspended)
		w.AwaitPhase(ctx, "asleep", streamingv1.StreamSuspended)

		happened := []string{
			"backfill_duration_seconds result=completed trigger=initial 1",
			"backfill_queue_wait_seconds 1",
			"backfills_finished_total result=completed trigger=initial 1",
			"jobs_finished_total failure_class=none mode=backfill outcome=succeeded 1",
			"stream_start_duration_seconds mode=backfill 1",
			"stream_start_duration_seconds mode=stream 1",
			"streamclass_watch_up 1",
		}
		state := []string{
			"backfill_requests phase=Completed 1",
			"stream_jobs mode=backfill phase=succeeded 1",
			"stream_jobs mode=stream phase=active 1",
			"stream_phase phase=Running stream=orders 1",
			"stream_phase phase=Suspended stream=asleep 1",
			"stream_ready stream=asleep 1",
			"stream_ready stream=orders 1",
			"streams phase=Running 1",
			"streams phase=Suspended 1",
		}
		w.Await(ctx, func(g Gomega) {
			g.Expect(series(ctx, w, token)).To(ConsistOf(slices.Concat(happened, state)))
		})

		By("failing")
		w.Exit(ctx, running, 20)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		happened = append(happened, "jobs_finished_total failure_class=config mode=stream outcome=failed 1")
		failed := []string{
			"backfill_requests phase=Completed 1",
			"stream_jobs mode=backfill phase=succeeded 1",
			"stream_jobs mode=stream phase=failed 1",
			"stream_phase phase=Failed stream=orders 1",
			"stream_phase phase=Suspended stream=asleep 1",
			"stream_ready stream=asleep 1",
			"stream_stalled reason=JobFailed stream=orders 1",
			"streams phase=Failed 1",
			"streams phase=Suspended 1",
			"streams_stalled reason=JobFailed 1",
		}
		w.Await(ctx, func(g Gomega) {
			g.Expect(series(ctx, w, token)).To(ConsistOf(slices.Concat(happened, failed)))
		})

		By("deleting them")
		for _, name := range []string{"orders", "asleep"} {
			w.Delete(ctx, w.Stream(ctx, name))
		}
		w.Await(ctx, func(g Gomega) {
			g.Expect(series(ctx, w, token)).To(ConsistOf(happened))
		})
	})
})
