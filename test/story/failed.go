// Scenarios 6 and 9: streams that fail.

package story

import (
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// failsAtOnce is a stream whose pods exit with a code that nobody listed.
func failsAtOnce(s *script.Source) { s.Stream = script.Run{ExitCode: 1, Message: "the table is gone"} }

// repaired is the user's correction.
func repaired(s *streamingv1.Stream) { given.Source(script.Default())(s) }

// Failed tells how a stream fails, and how its user gets it going again.
func Failed(stage func() *Stage) {
	getsGoingAgain(stage)
	failsForGood(stage)
}

func getsGoingAgain(stage func() *Stage) {
	ginkgo.Describe("A failed stream", func() {
		var w *World
		var failed batchv1.Job
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.SetTemplate(ctx, given.BackoffLimit(0))
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(failsAtOnce))
			w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
			jobs := w.Jobs(ctx, "orders")
			gomega.Expect(jobs).To(gomega.HaveLen(1))
			failed = jobs[0]
		})
		backfillsThenStreams := func(ctx ginkgo.SpecContext) {
			w.AwaitCompleted(ctx, "again")
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			s := w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(s.Status.Failure).To(gomega.BeNil())
			gomega.Expect(w.Modes(ctx, "orders")).To(gomega.Equal([]streamingv1.Mode{
				streamingv1.ModeStream, streamingv1.ModeBackfill, streamingv1.ModeStream,
			}))
		}

		ginkgo.It("streams again when I suspend, correct and resume it", func(ctx ginkgo.SpecContext) {
			w.Suspend(ctx, "orders")
			s := w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			gomega.Expect(s.Status.Failure).To(gomega.BeNil(), "suspending it acknowledges the failure")
			w.EditStream(ctx, "orders", repaired)
			w.Resume(ctx, "orders")
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.BeZero())
		})

		ginkgo.It("backfills before it streams when I suspend it, make a request and resume it", func(ctx ginkgo.SpecContext) {
			w.Suspend(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.Request(ctx, "again", "orders")
			w.EditStream(ctx, "orders", repaired)
			w.Resume(ctx, "orders")
			backfillsThenStreams(ctx)
		})

		ginkgo.It("lets a request wait and keeps the failed job with its logs", func(ctx ginkgo.SpecContext) {
			w.Request(ctx, "again", "orders")
			waiting := w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
			gomega.Expect(waiting.Status.Message).NotTo(gomega.BeEmpty())
			w.AwaitQuiet(ctx)
			jobs := w.Jobs(ctx, "orders")
			gomega.Expect(jobs).To(gomega.HaveLen(1))
			gomega.Expect(jobs[0].UID).To(gomega.Equal(failed.UID))
			gomega.Expect(jobs[0].DeletionTimestamp).To(gomega.BeNil())
			gomega.Expect(w.Stream(ctx, "orders").Status.Phase).To(gomega.Equal(streamingv1.StreamFailed))

			w.Suspend(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.EditStream(ctx, "orders", repaired)
			w.Resume(ctx, "orders")
			backfillsThenStreams(ctx)
		})
	})
}

func failsForGood(stage func() *Stage) {
	ginkgo.Describe("A stream whose pods fail up to the backoffLimit", func() {
		var w *World
		var s *streamingv1.Stream
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(failsAtOnce))
			s = w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		})

		ginkgo.It("fails, says so once with exit code and pod, and waits for me", func(ctx ginkgo.SpecContext) {
			failure := s.Status.Failure
			gomega.Expect(failure).NotTo(gomega.BeNil())
			gomega.Expect(failure.ExitCode).To(gomega.HaveValue(gomega.Equal(int32(1))))
			gomega.Expect(failure.Reason).To(gomega.Equal(batchv1.JobReasonBackoffLimitExceeded))
			gomega.Expect(failure.Message).To(gomega.ContainSubstring("the table is gone"))
			gomega.Expect(failure.Pod).NotTo(gomega.BeEmpty())
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonJobFailed)
			gomega.Expect(w.podsEver(ctx, "orders")).To(gomega.Equal(2), "backoffLimit 1 means two pods")
			w.Await(ctx, func(g gomega.Gomega) {
				warnings := w.Warnings(ctx, s)
				g.Expect(Told(warnings)).To(gomega.Equal(1))
				g.Expect(warnings[0].Message).To(gomega.And(
					gomega.ContainSubstring(failure.Pod), gomega.ContainSubstring("exit code 1")))
			})
			w.RestartOperator(ctx)
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1), "only the user may start it again")
			gomega.Expect(w.Stream(ctx, "orders").Status.Phase).To(gomega.Equal(streamingv1.StreamFailed))
			gomega.Expect(Told(w.Warnings(ctx, s))).To(gomega.Equal(1))
		})
	})
}
