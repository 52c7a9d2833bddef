// Scenarios 11, 21 and the ends of pods that only a player can show at a moment of the story's own.

package integration_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var _ = Describe("A pod that exits with a code for which its class has an answer", func() {
	It("fails the stream at once, and names the failure's class", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		w.EditClass(ctx, given.FailureClass("config", streamingv1.ActionFail, 20))
		w.SetTemplate(ctx, given.BackoffLimit(5))
		s := w.Given(ctx, "orders", given.NoInitialBackfill,
			given.Script(func(s *script.Source) { s.Stream = script.Run{ExitCode: 20, Message: "no such table"} }))
		failed := w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		Expect(failed.Status.Failure.FailureClass).To(Equal("config"))
		Expect(failed.Status.Failure.Reason).To(Equal(batchv1.JobReasonPodFailurePolicy))
		Expect(failed.Status.Failure.ExitCode).To(HaveValue(Equal(int32(20))))
		w.Await(ctx, func(g Gomega) {
			warnings := w.Warnings(ctx, s)
			g.Expect(story.Told(warnings)).To(Equal(1))
			g.Expect(warnings[0].Message).To(And(ContainSubstring("20"), ContainSubstring("no such table")))
		})
	})
})

var _ = Describe("A failed stream whose job goes by its TTL", func() {
	It("stays failed", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		w.SetTemplate(ctx, func(t *streamingv1.StreamingJobTemplate) {
			given.BackoffLimit(0)(t)
			given.TTL(1)(t)
		})
		w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(func(s *script.Source) { s.Stream = script.Run{ExitCode: 1} }))
		w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		w.Await(ctx, func(g Gomega) { g.Expect(w.Jobs(ctx, "orders")).To(BeEmpty()) })
		w.AwaitQuiet(ctx)
		Expect(w.Started(ctx, "orders")).To(HaveLen(1))
		Expect(w.Stream(ctx, "orders").Status.Phase).To(Equal(streamingv1.StreamFailed))
		w.RestartOperator(ctx)
		w.AwaitQuiet(ctx)
		Expect(w.Started(ctx, "orders")).To(HaveLen(1))
	})
})

var _ = Describe("A pod that ignores SIGTERM", func() {
	It("is waited for until it is killed", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		w.SetTemplate(ctx, func(t *streamingv1.StreamingJobTemplate) {
			grace := int64(3)
			t.Spec.Spec.Template.Spec.TerminationGracePeriodSeconds = &grace
		})
		w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(func(s *script.Source) { s.Stream.OnSigterm.Ignore = true }))
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Request(ctx, "again", "orders")
		// One writer is what the laws at the end look at.
		w.AwaitCompleted(ctx, "again")
		Expect(w.PhasesEver(ctx, "orders")).NotTo(ContainElement(streamingv1.StreamFailed))
	})
})

// hold is a finalizer of the test's own, which keeps what is deleted in sight.
const hold = "story.example.com/hold"

var _ = Describe("A backfill", func() {
	var w *story.World
	var b *story.Backfill
	BeforeEach(func(ctx SpecContext) {
		w = stage().Enter(ctx)
		w.SetTemplate(ctx, given.BackoffLimit(0))
		b = w.Begin(ctx, "orders")
	})
	theRequest := func() *streamingv1.BackfillRequest {
		return &streamingv1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: b.Request}}
	}

	DescribeTable("whose pod was taken away and exited 0 is not completed while that pod is still to be seen",
		func(ctx SpecContext, takeAway func(ctx SpecContext)) {
			// Something holds the pod: so may a kubelet that is slow to remove it.
			story.Edit(ctx, w, b.Pod, func(p *corev1.Pod) { p.Finalizers = append(p.Finalizers, hold) })
			takeAway(ctx)
			w.Await(ctx, func(g Gomega) {
				r := theRequest()
				g.Expect(w.Client.Get(ctx, w.Key(b.Request), r)).To(Succeed())
				g.Expect(r.Status.Attempts).To(HaveLen(1))
				g.Expect(r.Status.Attempts[0].Result).To(Equal(streamingv1.AttemptInterrupted))
			})
			b.RunsAgain(ctx)
			story.Edit(ctx, w, b.Pod, func(p *corev1.Pod) { p.Finalizers = nil })
		},
		Entry("deleted", func(ctx SpecContext) { w.Delete(ctx, b.Pod) }),
		Entry("evicted", func(ctx SpecContext) { w.Evict(ctx, b.Pod) }),
	)

	It("whose job was deleted and whose pod exited 0 is not completed while that job is still to be seen", func(ctx SpecContext) {
		job := &w.Jobs(ctx, "orders")[0]
		story.Edit(ctx, w, job, func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, hold) })
		story.Edit(ctx, w, b.Pod, func(p *corev1.Pod) { p.Finalizers = append(p.Finalizers, hold) })
		w.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationForeground))
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Client.Get(ctx, w.Key(b.Pod.Name), b.Pod)).To(Succeed())
			g.Expect(b.Pod.Status.Phase).To(Equal(corev1.PodSucceeded))
			g.Expect(b.Pod.Finalizers).To(Equal([]string{hold}), "the Job controller has counted it")
		})
		w.AwaitQuiet(ctx)
		story.Edit(ctx, w, b.Pod, func(p *corev1.Pod) { p.Finalizers = nil })
		story.Edit(ctx, w, job, func(j *batchv1.Job) {
			j.Finalizers = slices.DeleteFunc(j.Finalizers, func(f string) bool { return f == hold })
		})
		b.RunsAgain(ctx)
	})

	It("is stopped when I delete its request, with an event that says why, and other requests are untouched", func(ctx SpecContext) {
		other := w.Request(ctx, "another", "orders", given.Payload(script.Run{RunFor: 0}))
		w.AwaitRequest(ctx, "another", streamingv1.RequestQueued)
		w.Delete(ctx, theRequest())
		w.AwaitCompleted(ctx, other.Name)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		s := w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(2))
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Events(ctx, s, corev1.EventTypeNormal)).To(ContainElement(
				HaveField("Reason", string(streamingv1.ReasonBackfillCancelled))))
		})
	})

	It("is stopped when I cancel its request, and streaming starts", func(ctx SpecContext) {
		story.Edit(ctx, w, theRequest(), func(r *streamingv1.BackfillRequest) { r.Spec.Completed = true })
		w.AwaitRequest(ctx, b.Request, streamingv1.RequestCancelled)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
	})

	It("that fails makes the stream Failed, and runs again for the same request when I suspend and resume", func(ctx SpecContext) {
		w.Exit(ctx, b.Pod, 1)
		s := w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		Expect(s.Status.Failure.Mode).To(Equal(streamingv1.ModeBackfill))
		w.AwaitRequest(ctx, b.Request, streamingv1.RequestFailed)
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Resume(ctx, "orders")
		b.RunsAgain(ctx)
	})

	It("that failed is given up when I delete its request", func(ctx SpecContext) {
		w.Exit(ctx, b.Pod, 1)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		w.Delete(ctx, theRequest())
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Resume(ctx, "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(1), "its first backfill is decided once")
	})
})
