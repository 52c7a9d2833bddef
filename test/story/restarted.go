// Failures that a stream overcomes by itself: automatic restarts, and gaps in the source.

package story

import (
	"strconv"
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
			Edit(ctx, w, &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.Class}}, func(c *streamingv1.StreamClass) {
				given.FailureClass("config", streamingv1.ActionFail, 20)(c)
			})
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Backoff(time.Second, time.Second), given.Restarts(5),
				given.Script(func(s *script.Source) { s.Stream = script.Run{ExitCode: 20} }))
			w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1))
		})
	})

	ginkgo.Describe("A stream whose source has lost its place", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			Edit(ctx, w, &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.Class}}, func(c *streamingv1.StreamClass) {
				given.FailureClass("sourceGap", streamingv1.ActionBackfill, 30)(c)
			})
		})

		ginkgo.It("backfills by itself and streams on, once in healthyAfter", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(func(s *script.Source) { s.Stream.RunFor = script.Forever }))
			first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			run := w.Stream(ctx, "orders").Status.Job.Run
			w.Exit(ctx, first, 30)
			gap := "orders-gap-" + strconv.FormatInt(run, 10)
			done := w.AwaitCompleted(ctx, gap)
			gomega.Expect(done.Annotations[streamingv1.AnnotationMadeBy]).To(gomega.Equal(streamingv1.RequestGap))
			second := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			s := w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(s.Status.GapRequestUID).To(gomega.Equal(done.UID))
			gomega.Expect(s.Status.Restarts.Retries).To(gomega.Equal(int32(1)))
			gomega.Expect(w.Modes(ctx, "orders")).To(gomega.Equal([]streamingv1.Mode{
				streamingv1.ModeStream, streamingv1.ModeBackfill, streamingv1.ModeStream,
			}))

			w.Exit(ctx, second, 30)
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonRestartWaits)
			w.AwaitQuiet(ctx)
			gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.Equal(1))
		})
	})
}
