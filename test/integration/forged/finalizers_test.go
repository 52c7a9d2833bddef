package forged_test

// This file holds what the operator deletes by a finalizer that nobody takes away.

import (
	"context"

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

var _ = Describe("Somebody's finalizer", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) {
		w = stage.Enter(ctx)
		impatient(ctx, w)
	})
	mallory := func(ctx context.Context, o client.Object) client.Client {
		GinkgoHelper()
		switch o.(type) {
		case *corev1.Pod:
			return attacker(ctx, w, to("patch", "", "pods"))
		case *batchv1.CronJob:
			return attacker(ctx, w, to("patch", "batch", "cronjobs"))
		}
		return attacker(ctx, w, to("patch", "batch", "jobs"))
	}
	// holds puts the finalizer on an object, and later waits for the verdict about it.
	holds := func(ctx context.Context, o client.Object) {
		GinkgoHelper()
		hold(ctx, mallory(ctx, o), o)
	}
	verdict := func(ctx context.Context, o client.Object) {
		GinkgoHelper()
		reason, kind := streamingv1.ReasonJobStays, "job"
		switch o.(type) {
		case *corev1.Pod:
			reason, kind = streamingv1.ReasonPodStays, "pod"
		case *batchv1.CronJob:
			reason, kind = streamingv1.ReasonCronJobStays, "cronjob"
		}
		awaitStalled(ctx, w, "orders", reason, o.GetName(), finalizer, "kubectl", "patch "+kind, w.Namespace)
		w.AwaitQuiet(ctx)
	}
	on := map[string]func(*batchv1.Job, *corev1.Pod) client.Object{
		"the pod": func(_ *batchv1.Job, p *corev1.Pod) client.Object { return p },
		"the Job": func(j *batchv1.Job, _ *corev1.Pod) client.Object { return j },
	}
	for what, of := range on {
		It("on "+what+" of a stream that I suspend is named, and suspended follows when it goes", func(ctx SpecContext) {
			_, job, pod := streaming(ctx, w, "orders")
			o := of(job, pod)
			holds(ctx, o)
			w.Suspend(ctx, "orders")
			verdict(ctx, o)
			letGo(ctx, w, o)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			awaitNotStalled(ctx, w, "orders")
		})

		It("on "+what+" of a stream that I change is named, and the stream goes on when it goes", func(ctx SpecContext) {
			_, job, pod := streaming(ctx, w, "orders")
			o := of(job, pod)
			holds(ctx, o)
			w.EditStream(ctx, "orders", given.Script(func(s *script.Source) { s.Stream.Message = "changed" }))
			verdict(ctx, o)
			Expect(len(living(ctx, w))).To(BeNumerically("<=", 1))
			letGo(ctx, w, o)
			awaitOnePod(ctx, w, "orders", pod)
			awaitNotStalled(ctx, w, "orders")
		})

		It("on "+what+" of a stream that is to be backfilled is named, and the backfill comes when it goes", func(ctx SpecContext) {
			_, job, pod := streaming(ctx, w, "orders")
			o := of(job, pod)
			holds(ctx, o)
			w.Request(ctx, "again", "orders")
			verdict(ctx, o)
			letGo(ctx, w, o)
			w.AwaitCompleted(ctx, "again")
			awaitOnePod(ctx, w, "orders", pod)
		})

		It("on "+what+" of a backfill that its user cancels is named, and streaming comes when it goes", func(ctx SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			request := w.Request(ctx, "again", "orders")
			pod := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
			o := of(jobOf(ctx, w, "orders"), pod)
			holds(ctx, o)
			story.Edit(ctx, w, request, func(r *streamingv1.BackfillRequest) { r.Spec.Completed = true })
			verdict(ctx, o)
			letGo(ctx, w, o)
			awaitOnePod(ctx, w, "orders", pod)
		})

		It("on "+what+" of a schedule's run that I suspend is named, and suspended follows when it goes", func(ctx SpecContext) {
			scheduled(ctx, w)
			w.RunNow(ctx, "orders", "due")
			pod := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
			w.Await(ctx, func(g Gomega) { g.Expect(w.Stream(ctx, "orders").Status.Job).NotTo(BeNil()) })
			o := of(jobOf(ctx, w, "orders"), pod)
			holds(ctx, o)
			w.Suspend(ctx, "orders")
			verdict(ctx, o)
			letGo(ctx, w, o)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		})
	}

	It("on the CronJob of a stream whose schedule I remove is named, and streaming comes when it goes", func(ctx SpecContext) {
		s := scheduled(ctx, w)
		cron := cronOf(ctx, w, s)
		holds(ctx, cron)
		w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { s.Spec.Schedule = nil })
		verdict(ctx, cron)
		letGo(ctx, w, cron)
		awaitOnePod(ctx, w, "orders")
		awaitNotStalled(ctx, w, "orders")
	})

	It("on a forged CronJob is named, and the schedule comes when it goes", func(ctx SpecContext) {
		w.KillOperator(ctx)
		s := w.Given(ctx, "orders", given.Schedule(onceAYear))
		forged := forgeCron(w, s, true)
		forged.Finalizers = []string{finalizer}
		Expect(attacker(ctx, w, to("create", "batch", "cronjobs")).Create(ctx, forged)).To(Succeed())
		w.StartOperator(ctx)
		verdict(ctx, forged)
		letGo(ctx, w, forged)
		awaitOwnCron(ctx, w, s, forged)
	})

	It("on a pod that was given the name of a stream's keeps the stream waiting at most until it goes", func(ctx SpecContext) {
		streaming(ctx, w, "orders")
		s := suspend(ctx, w, "orders")
		w.KillOperator(ctx)
		forged := streamPod(w, run(s, 1)+"-abcde", map[string]string{streamingv1.LabelStreamID: "orders"})
		forged.Finalizers = []string{finalizer}
		Expect(attacker(ctx, w, to("create", "", "pods")).Create(ctx, forged)).To(Succeed())
		awaitRunning(ctx, w, forged)
		w.Resume(ctx, "orders")
		w.StartOperator(ctx)
		// Its process ends, so the stream need not wait for the object; where it does, it says so.
		w.Await(ctx, func(g Gomega) {
			now := &corev1.Pod{}
			g.Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(forged), now)).To(Succeed())
			g.Expect(now.DeletionTimestamp).NotTo(BeNil())
		})
		letGo(ctx, w, forged)
		awaitOnePod(ctx, w, "orders", forged)
	})
})

var _ = Describe("Somebody who may delete Jobs and leaves their pods", func() {
	for _, mode := range []streamingv1.Mode{streamingv1.ModeStream, streamingv1.ModeBackfill, streamingv1.ModeScheduled} {
		It("sees the pod deleted ("+string(mode)+")", func(ctx SpecContext) {
			w := stage.Enter(ctx)
			mallory := attacker(ctx, w, to("delete", "batch", "jobs"))
			var pod *corev1.Pod
			switch mode {
			case streamingv1.ModeScheduled:
				scheduled(ctx, w)
				w.RunNow(ctx, "orders", "due")
				pod = w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
				w.Await(ctx, func(g Gomega) { g.Expect(w.Stream(ctx, "orders").Status.Job).NotTo(BeNil()) })
			case streamingv1.ModeBackfill:
				streaming(ctx, w, "orders", given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
				w.Request(ctx, "again", "orders")
				pod = w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
			default:
				_, _, pod = streaming(ctx, w, "orders")
			}
			Expect(mallory.Delete(ctx, jobOf(ctx, w, "orders"), client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
			awaitDeleted(ctx, w, pod)
			if mode != streamingv1.ModeScheduled {
				awaitOnePod(ctx, w, "orders", pod)
			}
			if mode == streamingv1.ModeBackfill {
				Expect(w.AwaitRequest(ctx, "again", streamingv1.RequestRunning).Spec.Completed).To(BeFalse())
			}
		})
	}
})
