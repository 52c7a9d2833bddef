// Scenario 18: a job that its user deletes by hand.

package story

import (
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// SlowToEnd lets pods live on for two seconds, in which a hasty start would show.
func SlowToEnd(s *script.Source) {
	s.Backfill.RunFor = script.Forever
	s.Backfill.OnSigterm.After = script.Duration(2 * time.Second)
	s.Stream.OnSigterm.After = script.Duration(2 * time.Second)
}

// Removed tells what follows when a job is deleted by hand.
func Removed(stage func() *Stage) {
	ginkgo.Describe("A job that I delete by hand", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })
		deleteJob := func(ctx ginkgo.SpecContext, how metav1.DeletionPropagation) {
			ginkgo.GinkgoHelper()
			jobs := w.Jobs(ctx, "orders")
			gomega.Expect(jobs).To(gomega.HaveLen(1))
			w.Delete(ctx, &jobs[0], client.PropagationPolicy(how))
		}
		hows := []any{
			ginkgo.Entry("deleted in the foreground", metav1.DeletePropagationForeground),
			ginkgo.Entry("deleted in the background", metav1.DeletePropagationBackground),
			ginkgo.Entry("deleted without its pod", metav1.DeletePropagationOrphan),
		}

		// That its pod was gone before is what the laws at the end look at.
		ginkgo.DescribeTable("of a running stream comes again when its pod is gone", append([]any{
			func(ctx ginkgo.SpecContext, how metav1.DeletionPropagation) {
				w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(SlowToEnd))
				first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
				deleteJob(ctx, how)
				w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
				w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
				gomega.Expect(w.PhasesEver(ctx, "orders")).NotTo(gomega.ContainElement(streamingv1.StreamFailed))
			}}, hows...)...)

		ginkgo.DescribeTable("of a backfill comes again with the same id", append([]any{
			func(ctx ginkgo.SpecContext, how metav1.DeletionPropagation) {
				b := w.Begin(ctx, SlowToEnd)
				deleteJob(ctx, how)
				b.RunsAgain(ctx)
				gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.Equal(1))
			}}, hows...)...)

		ginkgo.It("does not come again where I have suspended the stream", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(SlowToEnd))
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			deleteJob(ctx, metav1.DeletePropagationOrphan)
			w.Suspend(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.expectNoLivingPod(ctx, "orders")
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1))
		})

		ginkgo.DescribeTable("does not come again where the stream has failed", append([]any{
			func(ctx ginkgo.SpecContext, how metav1.DeletionPropagation) {
				w.EditTemplate(ctx, Template, func(t *streamingv1.StreamingJobTemplate) { given.BackoffLimit(0)(t) })
				w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(failsAtOnce))
				w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
				deleteJob(ctx, how)
				w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Jobs(ctx, "orders")).To(gomega.BeEmpty()) })
				w.AwaitQuiet(ctx)
				gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1))
				s := w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
				gomega.Expect(s.Status.Failure.ExitCode).To(gomega.HaveValue(gomega.Equal(int32(1))), "and its reason is kept")
			}}, hows...)...)
	})
}
