// Failures that a stream overcomes by starting again.

package story

import (
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// Restarted tells how streams overcome failures by themselves.
func Restarted(stage func() *Stage) {
	ginkgo.Describe("A stream that fails and may start again by itself", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.SetTemplate(ctx, given.BackoffLimit(0))
		})

		ginkgo.It("starts again after growing pauses, and then waits for me", func(ctx ginkgo.SpecContext) {
			s := w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(failsAtOnce), given.Backoff(time.Second, 2*time.Second), given.Restarts(2))
			failed := w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
			w.Await(ctx, func(g gomega.Gomega) {
				failed = w.Stream(ctx, "orders")
				g.Expect(failed.Status.Restarts).NotTo(gomega.BeNil())
				g.Expect(failed.Status.Restarts.Retries).To(gomega.Equal(int32(2)))
				g.Expect(failed.Status.Phase).To(gomega.Equal(streamingv1.StreamFailed))
			})
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(3), "once, and twice again")
			ready := w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonJobFailed)
			gomega.Expect(ready.Message).To(gomega.ContainSubstring("All 2 automatic restarts are used up"))
			gomega.Expect(w.PhasesEver(ctx, "orders")).To(gomega.ContainElement(streamingv1.StreamPending))
			w.Await(ctx, func(g gomega.Gomega) {
				g.Expect(Told(w.Warnings(ctx, s))).To(gomega.BeNumerically(">=", 3), "one for each failure")
			})

			w.Suspend(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.EditStream(ctx, "orders", repaired)
			w.Resume(ctx, "orders")
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			gomega.Expect(w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning).Status.Restarts).To(gomega.BeNil())
		})

		ginkgo.It("forgets its restarts once it has run well", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(failsAtOnce),
				given.Backoff(3*time.Second, 3*time.Second), given.Restarts(100), given.HealthyAfter(2*time.Second))
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Stream(ctx, "orders").Status.Restarts).NotTo(gomega.BeNil()) })
			w.EditStream(ctx, "orders", repaired)
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.Await(ctx, func(g gomega.Gomega) {
				s := w.Stream(ctx, "orders")
				g.Expect(s.Status.Phase).To(gomega.Equal(streamingv1.StreamRunning), describe(s))
				g.Expect(s.Status.Restarts).To(gomega.BeNil(), describe(s))
			})
		})

		ginkgo.It("waits for me where its class says that retrying is useless", func(ctx ginkgo.SpecContext) {
			w.EditClass(ctx, given.FailureClass("config", streamingv1.ActionFail, 20))
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Backoff(time.Second, time.Second), given.Restarts(5),
				given.Script(func(s *script.Source) { s.Stream = script.Run{ExitCode: 20} }))
			w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1))
		})
	})
	losesItsPlace(stage)
}
