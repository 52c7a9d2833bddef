// Scenarios 12, 22 and 23: a backfill that is cut short, and one whose end nobody saw.

package story

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// Backfill is one that runs until it is told to end.
type Backfill struct {
	*World
	// Stream is what it backfills.
	Stream string
	// Pod is its first.
	Pod *corev1.Pod
	// Request is the name of what it serves, and its id.
	Request string
}

// Begin makes a stream and waits until its first backfill runs. On SIGTERM that exits 0, which
// looks like a success and is none.
func (w *World) Begin(ctx context.Context, stream string, changes ...func(*script.Source)) *Backfill {
	ginkgo.GinkgoHelper()
	w.Given(ctx, stream, given.Script(func(s *script.Source) {
		s.Backfill = script.Run{RunFor: script.Forever}
		for _, change := range changes {
			change(s)
		}
	}))
	pod := w.AwaitPod(ctx, stream, streamingv1.ModeBackfill)
	request, isSet := env(pod, streamingv1.EnvBackfillID)
	gomega.Expect(isSet).To(gomega.BeTrue())
	return &Backfill{w, stream, pod, request}
}

// RunsAgain waits until the backfill runs again with the same id, and lets that one succeed.
func (b *Backfill) RunsAgain(ctx context.Context) {
	ginkgo.GinkgoHelper()
	second := b.AwaitPod(ctx, b.Stream, streamingv1.ModeBackfill, b.Pod)
	b.expectSameID(second)
	r := &streamingv1.BackfillRequest{}
	gomega.Expect(b.Client.Get(ctx, b.Key(b.Request), r)).To(gomega.Succeed())
	gomega.Expect(r.Spec.Completed).To(gomega.BeFalse())
	b.Exit(ctx, second, 0)
	done := b.AwaitCompleted(ctx, b.Request)
	gomega.Expect(done.Annotations[streamingv1.AnnotationCompletedBy]).To(gomega.Equal(second.Labels[batchv1.ControllerUidLabel]))
	b.AwaitPod(ctx, b.Stream, streamingv1.ModeStream)
}

func (b *Backfill) expectSameID(second *corev1.Pod) {
	ginkgo.GinkgoHelper()
	for _, name := range []string{streamingv1.EnvBackfillID, streamingv1.EnvBackfillUID} {
		before, _ := env(b.Pod, name)
		after, isSet := env(second, name)
		gomega.Expect(isSet).To(gomega.BeTrue(), name)
		gomega.Expect(after).To(gomega.Equal(before), name)
	}
}

// AwaitJobEnded waits until the Job controller has seen the end of the only job.
func (b *Backfill) AwaitJobEnded(ctx context.Context, how batchv1.JobConditionType) {
	ginkgo.GinkgoHelper()
	b.Await(ctx, func(g gomega.Gomega) {
		jobs := b.Jobs(ctx, b.Stream)
		g.Expect(jobs).To(gomega.HaveLen(1), "its TTL must not take it away before its end is recorded")
		g.Expect(jobs[0].Status.Conditions).To(gomega.ContainElement(gomega.And(
			gomega.HaveField("Type", how), gomega.HaveField("Status", corev1.ConditionTrue))))
	})
}

// Interrupted tells what follows when a backfill is cut short, and when it ends
// while the operator is down.
func Interrupted(stage func() *Stage) {
	ginkgo.Describe("A backfill", func() {
		var w *World
		var b *Backfill
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.SetTemplate(ctx, func(t *streamingv1.StreamingJobTemplate) {
				given.BackoffLimit(0)(t)
				given.TTL(1)(t)
			})
			b = w.Begin(ctx, "orders")
		})

		ginkgo.DescribeTable("whose pod is taken away and exits 0 is not completed, and runs again with the same id",
			func(ctx ginkgo.SpecContext, takeAway func(ctx context.Context, w *World, p *corev1.Pod), operator bool) {
				if !operator {
					w.KillOperator(ctx)
				}
				takeAway(ctx, w, b.Pod)
				if !operator {
					b.AwaitJobEnded(ctx, batchv1.JobComplete)
					w.StartOperator(ctx)
				}
				b.RunsAgain(ctx)
			},
			ginkgo.Entry("deleted", deletePod, true),
			ginkgo.Entry("drained", drainPod, true),
			ginkgo.Entry("deleted while the operator is down", deletePod, false),
			ginkgo.Entry("drained while the operator is down", drainPod, false),
		)

		ginkgo.It("that completes while the operator is down, with a TTL of a second, is completed afterwards and not repeated", func(ctx ginkgo.SpecContext) {
			w.KillOperator(ctx)
			w.Exit(ctx, b.Pod, 0)
			b.AwaitJobEnded(ctx, batchv1.JobComplete)
			w.StartOperator(ctx)
			w.AwaitCompleted(ctx, b.Request)
			b.streamsAfterOneBackfill(ctx)
		})

		ginkgo.It("that fails while the operator is down, with a TTL of a second, has failed afterwards and is not repeated", func(ctx ginkgo.SpecContext) {
			w.KillOperator(ctx)
			w.Exit(ctx, b.Pod, 1)
			b.AwaitJobEnded(ctx, batchv1.JobFailed)
			w.StartOperator(ctx)
			s := w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
			gomega.Expect(s.Status.Failure.ExitCode).To(gomega.HaveValue(gomega.Equal(int32(1))))
			w.AwaitRequest(ctx, b.Request, streamingv1.RequestFailed)
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Jobs(ctx, "orders")).To(gomega.BeEmpty(), "now its TTL counts") })
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1))
			gomega.Expect(w.Stream(ctx, "orders").Status.Phase).To(gomega.Equal(streamingv1.StreamFailed))
		})

		ginkgo.It("is stopped when I suspend the stream, and runs again with the same id when I resume it", func(ctx ginkgo.SpecContext) {
			w.Suspend(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.AwaitRequest(ctx, b.Request, streamingv1.RequestPaused)
			gomega.Expect(w.Jobs(ctx, "orders")).To(gomega.BeEmpty())
			w.AwaitQuiet(ctx)
			w.Resume(ctx, "orders")
			b.RunsAgain(ctx)
		})

		ginkgo.It("that has succeeded before I suspend the stream is completed first, and not repeated when I resume it", func(ctx ginkgo.SpecContext) {
			w.KillOperator(ctx)
			w.Exit(ctx, b.Pod, 0)
			b.AwaitJobEnded(ctx, batchv1.JobComplete)
			w.Suspend(ctx, "orders")
			w.StartOperator(ctx)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.AwaitCompleted(ctx, b.Request)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1))
			w.Resume(ctx, "orders")
			b.streamsAfterOneBackfill(ctx)
		})
	})
}

func (b *Backfill) streamsAfterOneBackfill(ctx context.Context) {
	ginkgo.GinkgoHelper()
	b.AwaitPod(ctx, b.Stream, streamingv1.ModeStream)
	b.AwaitPhase(ctx, b.Stream, streamingv1.StreamRunning)
	b.AwaitQuiet(ctx)
	gomega.Expect(b.Modes(ctx, b.Stream)).To(gomega.Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
	gomega.Expect(b.RequestsEver(ctx, b.Stream)).To(gomega.Equal(1))
}

func deletePod(ctx context.Context, w *World, p *corev1.Pod) {
	ginkgo.GinkgoHelper()
	w.Delete(ctx, p)
}

func drainPod(ctx context.Context, w *World, p *corev1.Pod) {
	ginkgo.GinkgoHelper()
	w.Evict(ctx, p)
}
