// Scenarios 6, 7 and 9: how pods end, and what follows.

package story

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
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
					gomega.ContainSubstring(failure.Pod), gomega.MatchRegexp(`\b1\b`)))
			})
			w.RestartOperator(ctx)
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1), "only the user may start it again")
			gomega.Expect(w.Stream(ctx, "orders").Status.Phase).To(gomega.Equal(streamingv1.StreamFailed))
			gomega.Expect(Told(w.Warnings(ctx, s))).To(gomega.Equal(1))
		})
	})
}

// Disrupted tells what follows when a pod is taken away: so many times, by turns
// deleted and evicted, it ends with the exit code.
func Disrupted(stage func() *Stage, exitCode, times int) {
	ginkgo.Describe(fmt.Sprintf("A running stream whose pod is deleted or evicted and exits %d", exitCode), func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })

		ginkgo.It(fmt.Sprintf("has not failed and streams again within 15 seconds, %d times", times), func(ctx ginkgo.SpecContext) {
			const healthy = time.Second
			w.Given(ctx, "orders", given.NoInitialBackfill, given.HealthyAfter(healthy),
				given.Script(func(s *script.Source) { s.Stream.OnSigterm.ExitCode = exitCode }))
			p := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			for round := range times {
				w.AwaitAge(ctx, p, healthy)
				if round%2 == 0 {
					w.Delete(ctx, p)
				} else {
					w.Evict(ctx, p)
				}
				former := p
				w.AwaitWithin(ctx, 15*time.Second, func(g gomega.Gomega) {
					var err error
					p, err = w.RunningPod(ctx, "orders", streamingv1.ModeStream, former)
					g.Expect(err).NotTo(gomega.HaveOccurred(), "round %d", round)
				})
			}
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(w.PhasesEver(ctx, "orders")).NotTo(gomega.ContainElement(streamingv1.StreamFailed))
		})
	})
}

// CrashLooping tells what follows when a streaming job keeps ending.
func CrashLooping(stage func() *Stage) {
	ginkgo.Describe("A stream whose pods keep ending without having run well", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })

		ginkgo.It("starts again after growing pauses and says so", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Backoff(time.Second, 4*time.Second),
				given.Script(func(s *script.Source) { s.Stream = script.Run{} }))
			w.AwaitWithin(ctx, 2*w.Patience, func(g gomega.Gomega) {
				g.Expect(len(w.Started(ctx, "orders"))).To(gomega.BeNumerically(">=", 5))
			})
			started := w.Started(ctx, "orders")
			var pauses []time.Duration
			for i := 1; i < len(started); i++ {
				pauses = append(pauses, started[i].CreationTimestamp.Sub(started[i-1].CreationTimestamp.Time))
			}
			// Creation times are whole seconds, and each pause holds the pod's own life.
			gomega.Expect(pauses[3]).To(gomega.BeNumerically(">=", 3*time.Second), "pauses %v", pauses)
			gomega.Expect(w.PhasesEver(ctx, "orders")).NotTo(gomega.ContainElement(streamingv1.StreamFailed))
			gomega.Expect(w.Stream(ctx, "orders").Status.Restarts.Count).To(gomega.BeNumerically(">=", 4))
			w.Suspend(ctx, "orders")
			s := w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			gomega.Expect(s.Status.Restarts).To(gomega.BeNil(), "suspending it forgets the restarts")
		})
	})
}

// AwaitAge waits until a pod's container has run for so long. Its start is told in
// whole seconds, hence one more.
func (w *World) AwaitAge(ctx context.Context, p *corev1.Pod, age time.Duration) {
	ginkgo.GinkgoHelper()
	started := p.Status.ContainerStatuses[0].State.Running.StartedAt.Time
	w.Await(ctx, func(g gomega.Gomega) {
		g.Expect(time.Since(started)).To(gomega.BeNumerically(">", age+time.Second))
	})
}
