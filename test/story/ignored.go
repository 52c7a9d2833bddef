// Scenario 8: exit codes that the policy ignores.

package story

import (
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

// Ignored tells what follows when a pod exits with one of these codes.
func Ignored(stage func() *Stage, codes ...int) {
	ginkgo.Describe("A pod that exits with a code that the policy ignores", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.SetTemplate(ctx, given.BackoffLimit(0))
		})
		isReplaced := func(ctx ginkgo.SpecContext, code int, healthy time.Duration) {
			w.Given(ctx, "orders", given.NoInitialBackfill, given.HealthyAfter(healthy))
			p := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			if healthy < time.Minute {
				w.AwaitAge(ctx, p, healthy)
			}
			w.Exit(ctx, p, code)
			w.AwaitWithin(ctx, 15*time.Second, func(g gomega.Gomega) {
				_, err := w.RunningPod(ctx, "orders", streamingv1.ModeStream, p)
				g.Expect(err).NotTo(gomega.HaveOccurred())
			})
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			phases := w.PhasesEver(ctx, "orders")
			gomega.Expect(phases).NotTo(gomega.ContainElement(streamingv1.StreamFailed))
			if healthy >= time.Minute {
				// Here nobody but the Job controller replaces the pod.
				gomega.Expect(phases).To(gomega.Equal([]streamingv1.StreamPhase{streamingv1.StreamRunning}), "the job goes on, so does the stream")
			}
			for _, j := range w.Jobs(ctx, "orders") {
				gomega.Expect(j.Status.Failed).To(gomega.BeZero())
			}
		}
		for _, code := range codes {
			ginkgo.DescribeTable(fmt.Sprintf("is replaced within 15 seconds and does not consume the backoffLimit: %d,", code), isReplaced,
				ginkgo.Entry("soon after its start", code, time.Hour),
				ginkgo.Entry("having run well", code, time.Second))
		}
	})
}
