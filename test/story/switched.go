// Scenarios 3, 4 and 5: the user switches a stream off, and asks for backfills.

package story

import (
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

// Switched tells how streams are suspended.
func Switched(stage func() *Stage) {
	ginkgo.Describe("A running stream that I suspend", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.Given(ctx, "orders", given.NoInitialBackfill)
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		})
		staysSuspended := func(ctx ginkgo.SpecContext) {
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			gomega.Expect(w.Jobs(ctx, "orders")).To(gomega.BeEmpty())
			w.expectNoLivingPod(ctx, "orders")
			started := len(w.Started(ctx, "orders"))
			w.RestartOperator(ctx)
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(started), "nothing may start it again")
			gomega.Expect(w.Stream(ctx, "orders").Status.Phase).To(gomega.Equal(streamingv1.StreamSuspended))
		}

		ginkgo.It("stops, and nothing starts it again, not even a restart of the operator", func(ctx ginkgo.SpecContext) {
			w.Suspend(ctx, "orders")
			staysSuspended(ctx)
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionTrue, streamingv1.ReasonSuspended)
			w.Resume(ctx, "orders")
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		})

		ginkgo.It("stops also while its class is missing", func(ctx ginkgo.SpecContext) {
			w.Delete(ctx, given.Class(w.Class, Template))
			w.Suspend(ctx, "orders")
			staysSuspended(ctx)
		})

		ginkgo.It("stops also while its template is missing", func(ctx ginkgo.SpecContext) {
			w.Delete(ctx, given.Template(w.Namespace, Template))
			w.Suspend(ctx, "orders")
			staysSuspended(ctx)
		})
	})
}

// Asked tells how streams are backfilled on request.
func Asked(stage func() *Stage) {
	ginkgo.Describe("A request for a backfill", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })

		ginkgo.It("stops a running stream, backfills it and lets it stream again", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill)
			first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)

			w.Request(ctx, "again", "orders", given.PayloadWith(map[string]any{"reason": "late data"}))
			backfill := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
			payload, _ := env(backfill, streamingv1.EnvOverride)
			gomega.Expect(payload).To(gomega.MatchJSON(`{"reason":"late data"}`))
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)

			done := w.AwaitCompleted(ctx, "again")
			gomega.Expect(done.Spec.Payload.Raw).To(gomega.MatchJSON(`{"reason":"late data"}`))
			// That the former job was gone before the backfill began, and that its exit 0
			// completed nothing, is what the laws at the end look at.
			gomega.Expect(w.Modes(ctx, "orders")).To(gomega.Equal([]streamingv1.Mode{
				streamingv1.ModeStream, streamingv1.ModeBackfill, streamingv1.ModeStream,
			}))
		})

		ginkgo.It("waits visibly while the stream is suspended, and runs before streaming when I resume it", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.Suspended)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.Request(ctx, "again", "orders")
			waiting := w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
			gomega.Expect(waiting.Status.Message).To(gomega.ContainSubstring("suspended"))
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.BeEmpty())
			gomega.Expect(w.Stream(ctx, "orders").Status.Phase).To(gomega.Equal(streamingv1.StreamSuspended))

			w.Resume(ctx, "orders")
			w.AwaitCompleted(ctx, "again")
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(w.Modes(ctx, "orders")).To(gomega.Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
			gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.Equal(1), "no request but mine")
		})
	})
}
