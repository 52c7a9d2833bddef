// Failures that a stream overcomes by a backfill.

package story

import (
	"strconv"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

func losesItsPlace(stage func() *Stage) {
	ginkgo.Describe("A stream whose source has lost its place", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.EditClass(ctx, given.FailureClass("sourceGap", streamingv1.ActionBackfill, 30))
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
