// Scenario 8 and the other ends of pods that need a script of their own.

package integration_test

import (
	"slices"
	"time"

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

var _ = Describe("A pod that exits with a code that the policy ignores", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) {
		w = stage().Enter(ctx)
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) { given.BackoffLimit(0)(t) })
	})

	DescribeTable("is replaced within 15 seconds and does not consume the backoffLimit",
		func(ctx SpecContext, code int, healthy time.Duration) {
			w.Given(ctx, "orders", given.NoInitialBackfill, given.HealthyAfter(healthy))
			p := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			if healthy < time.Minute {
				w.AwaitAge(ctx, p, healthy)
			}
			Expect(w.Player.Exit(p, code)).To(Succeed())
			w.AwaitWithin(ctx, 15*time.Second, func(g Gomega) {
				_, err := w.RunningPod(ctx, "orders", streamingv1.ModeStream, p)
				g.Expect(err).NotTo(HaveOccurred())
			})
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			Expect(w.PhasesEver(ctx, "orders")).NotTo(ContainElement(streamingv1.StreamFailed))
			for _, j := range w.Jobs(ctx, "orders") {
				Expect(j.Status.Failed).To(BeZero())
			}
		},
		Entry("2, soon after its start", 2, time.Hour),
		Entry("143, soon after its start", 143, time.Hour),
		Entry("2, having run well", 2, time.Second),
		Entry("143, having run well", 143, time.Second),
	)

	It("leaves the phase at Running all the while", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill)
		p := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.Player.Exit(p, 2)).To(Succeed())
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream, p)
		phases := w.PhasesEver(ctx, "orders")
		Expect(phases[len(phases)-1]).To(Equal(streamingv1.StreamRunning))
		Expect(phases).To(HaveLen(1), "the job goes on, so does the stream")
	})
})

var _ = Describe("A pod that exits with a code for which its class has an answer", func() {
	It("fails the stream at once, and names the failure's class", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		story.Edit(ctx, w, &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.Class}}, func(c *streamingv1.StreamClass) {
			given.FailureClass("config", streamingv1.ActionFail, 20)(c)
		})
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) { given.BackoffLimit(5)(t) })
		s := w.Given(ctx, "orders", given.NoInitialBackfill,
			given.Script(func(s *script.Source) { s.Stream = script.Run{ExitCode: 20, Message: "no such table"} }))
		failed := w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		Expect(failed.Status.Failure.FailureClass).To(Equal("config"))
		Expect(failed.Status.Failure.Reason).To(Equal(batchv1.JobReasonPodFailurePolicy))
		Expect(failed.Status.Failure.ExitCode).To(HaveValue(Equal(int32(20))))
		w.Await(ctx, func(g Gomega) {
			warnings := w.Events(ctx, s, corev1.EventTypeWarning)
			g.Expect(story.Told(warnings)).To(Equal(1))
			g.Expect(warnings[0].Message).To(And(ContainSubstring("20"), ContainSubstring("no such table")))
		})
	})
})

var _ = Describe("A failed stream whose job goes by its TTL", func() {
	It("stays failed", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) {
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
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) {
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
	var backfill *corev1.Pod
	var request string
	begin := func(ctx SpecContext, change func(*script.Source)) {
		w.Given(ctx, "orders", given.Script(func(s *script.Source) {
			s.Backfill.RunFor = script.Forever
			change(s)
		}))
		backfill = w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		request = environment(backfill, streamingv1.EnvBackfillID)
	}
	BeforeEach(func(ctx SpecContext) { w = stage().Enter(ctx) })
	runsAgain := func(ctx SpecContext) {
		second := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill, backfill)
		Expect(environment(second, streamingv1.EnvBackfillID)).To(Equal(request))
		Expect(environment(second, streamingv1.EnvBackfillUID)).To(Equal(environment(backfill, streamingv1.EnvBackfillUID)))
		r := &streamingv1.BackfillRequest{}
		Expect(w.Client.Get(ctx, w.Key(request), r)).To(Succeed())
		Expect(r.Spec.Completed).To(BeFalse())
		Expect(w.Player.Exit(second, 0)).To(Succeed())
		done := w.AwaitCompleted(ctx, request)
		Expect(done.Annotations[streamingv1.AnnotationCompletedBy]).To(Equal(second.Labels[batchv1.ControllerUidLabel]))
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
	}
	exitsCleanly := func(s *script.Source) { s.Backfill.OnSigterm.ExitCode = 0 }

	It("whose pod is deleted and exits 0 is not completed and runs again with the same id", func(ctx SpecContext) {
		begin(ctx, exitsCleanly)
		w.Delete(ctx, backfill)
		runsAgain(ctx)
	})

	It("whose pod is evicted and exits 0 is not completed and runs again with the same id", func(ctx SpecContext) {
		begin(ctx, exitsCleanly)
		w.Evict(ctx, backfill)
		runsAgain(ctx)
	})

	DescribeTable("whose pod was taken away and exited 0 is not completed while that pod is still to be seen",
		func(ctx SpecContext, takeAway func(ctx SpecContext)) {
			begin(ctx, exitsCleanly)
			// Something holds the pod: so may a kubelet that is slow to remove it.
			story.Edit(ctx, w, backfill, func(p *corev1.Pod) { p.Finalizers = append(p.Finalizers, hold) })
			takeAway(ctx)
			w.Await(ctx, func(g Gomega) {
				r := &streamingv1.BackfillRequest{}
				g.Expect(w.Client.Get(ctx, w.Key(request), r)).To(Succeed())
				g.Expect(r.Status.Attempts).To(HaveLen(1))
				g.Expect(r.Status.Attempts[0].Result).To(Equal(streamingv1.AttemptInterrupted))
			})
			runsAgain(ctx)
			story.Edit(ctx, w, backfill, func(p *corev1.Pod) { p.Finalizers = nil })
		},
		Entry("deleted", func(ctx SpecContext) { w.Delete(ctx, backfill) }),
		Entry("evicted", func(ctx SpecContext) { w.Evict(ctx, backfill) }),
	)

	It("whose job was deleted and whose pod exited 0 is not completed while that job is still to be seen", func(ctx SpecContext) {
		begin(ctx, exitsCleanly)
		job := &w.Jobs(ctx, "orders")[0]
		story.Edit(ctx, w, job, func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, hold) })
		story.Edit(ctx, w, backfill, func(p *corev1.Pod) { p.Finalizers = append(p.Finalizers, hold) })
		w.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationForeground))
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Client.Get(ctx, w.Key(backfill.Name), backfill)).To(Succeed())
			g.Expect(backfill.Status.Phase).To(Equal(corev1.PodSucceeded))
			g.Expect(backfill.Finalizers).To(Equal([]string{hold}), "the Job controller has counted it")
		})
		w.AwaitQuiet(ctx)
		story.Edit(ctx, w, backfill, func(p *corev1.Pod) { p.Finalizers = nil })
		story.Edit(ctx, w, job, func(j *batchv1.Job) {
			j.Finalizers = slices.DeleteFunc(j.Finalizers, func(f string) bool { return f == hold })
		})
		runsAgain(ctx)
	})

	It("whose pod is deleted while the operator is down is not completed and runs again", func(ctx SpecContext) {
		begin(ctx, exitsCleanly)
		w.KillOperator(ctx)
		w.Delete(ctx, backfill)
		w.Await(ctx, func(g Gomega) { g.Expect(w.Jobs(ctx, "orders")[0].Status.CompletionTime).NotTo(BeNil()) })
		w.StartOperator(ctx)
		runsAgain(ctx)
	})

	It("that completes while the operator is down, with a TTL, is completed afterwards and not repeated", func(ctx SpecContext) {
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) { given.TTL(1)(t) })
		begin(ctx, exitsCleanly)
		w.KillOperator(ctx)
		Expect(w.Player.Exit(backfill, 0)).To(Succeed())
		w.Await(ctx, func(g Gomega) { g.Expect(w.Jobs(ctx, "orders")[0].Status.CompletionTime).NotTo(BeNil()) })
		w.StartOperator(ctx)
		w.AwaitCompleted(ctx, request)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitQuiet(ctx)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
	})

	It("is stopped when I suspend the stream, and runs again with the same id when I resume it", func(ctx SpecContext) {
		begin(ctx, exitsCleanly)
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.AwaitRequest(ctx, request, streamingv1.RequestPaused)
		w.AwaitQuiet(ctx)
		w.Resume(ctx, "orders")
		runsAgain(ctx)
	})

	It("is stopped when I delete its request, and streaming starts", func(ctx SpecContext) {
		begin(ctx, exitsCleanly)
		other := w.Request(ctx, "another", "orders", given.Payload(script.Run{RunFor: 0}))
		w.AwaitRequest(ctx, "another", streamingv1.RequestQueued)
		w.Delete(ctx, &streamingv1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: request}})
		w.AwaitCompleted(ctx, other.Name)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(2))
	})

	It("is stopped when I cancel its request, and streaming starts", func(ctx SpecContext) {
		begin(ctx, exitsCleanly)
		story.Edit(ctx, w, &streamingv1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: request}},
			func(r *streamingv1.BackfillRequest) { r.Spec.Completed = true })
		w.AwaitRequest(ctx, request, streamingv1.RequestCancelled)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
	})

	It("that fails makes the stream Failed, and runs again for the same request when I suspend and resume", func(ctx SpecContext) {
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) { given.BackoffLimit(0)(t) })
		begin(ctx, exitsCleanly)
		Expect(w.Player.Exit(backfill, 1)).To(Succeed())
		s := w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		Expect(s.Status.Failure.Mode).To(Equal(streamingv1.ModeBackfill))
		w.AwaitRequest(ctx, request, streamingv1.RequestFailed)
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Resume(ctx, "orders")
		runsAgain(ctx)
	})

	It("that failed is given up when I delete its request", func(ctx SpecContext) {
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) { given.BackoffLimit(0)(t) })
		begin(ctx, exitsCleanly)
		Expect(w.Player.Exit(backfill, 1)).To(Succeed())
		w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		w.Delete(ctx, &streamingv1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: request}})
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Resume(ctx, "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(1), "its first backfill is decided once")
	})
})
