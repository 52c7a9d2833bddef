package forged_test

// This file brings back what was there, as a backup does, and forges successes and owners.

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// endAll deletes a Job with its pods, and waits until all of it is gone.
func endAll(ctx context.Context, w *story.World, j *batchv1.Job) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(w.Client.Delete(ctx, j, client.PropagationPolicy(metav1.DeletePropagationForeground)))).To(Succeed())
	awaitDeleted(ctx, w, j)
}

var _ = Describe("Somebody who may create Jobs and restores a former one of a stream", func() {
	var w *story.World
	var mallory client.Client
	BeforeEach(func(ctx SpecContext) {
		w = stage.Enter(ctx)
		mallory = attacker(ctx, w, to("create", "batch", "jobs"))
	})

	It("that streamed, sees it deleted while the stream runs on", func(ctx SpecContext) {
		_, former, first := streaming(ctx, w, "orders")
		suspend(ctx, w, "orders")
		w.Resume(ctx, "orders")
		second := w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		endAll(ctx, w, former)
		restored := forge(former, former.Name, atLarge)
		Expect(mallory.Create(ctx, restored)).To(Succeed())
		awaitDeleted(ctx, w, restored)
		w.AwaitQuiet(ctx)
		Expect(awaitOnePod(ctx, w, "orders").UID).To(Equal(second.UID), "what runs well is not restarted")
		expectNeverRecorded(ctx, w, restored.UID)
	})

	It("that streamed, sees it deleted while the stream is suspended", func(ctx SpecContext) {
		_, former, _ := streaming(ctx, w, "orders")
		suspend(ctx, w, "orders")
		endAll(ctx, w, former)
		restored := forge(former, former.Name, atLarge)
		Expect(mallory.Create(ctx, restored)).To(Succeed())
		awaitDeleted(ctx, w, restored)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		Expect(living(ctx, w)).To(BeEmpty())
		expectNeverRecorded(ctx, w, restored.UID)
	})

	It("that backfilled, sees it deleted, and nothing counts by it", func(ctx SpecContext) {
		streaming(ctx, w, "orders", given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
		w.Request(ctx, "again", "orders")
		pod := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		former := jobOf(ctx, w, "orders")
		w.Exit(ctx, pod, 0)
		w.AwaitCompleted(ctx, "again")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		endAll(ctx, w, former)
		restored := forge(former, former.Name, atLarge)
		Expect(mallory.Create(ctx, restored)).To(Succeed())
		awaitDeleted(ctx, w, restored)
		awaitOnePod(ctx, w, "orders")
		expectNeverRecorded(ctx, w, restored.UID)
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(1))
	})

	It("under the recorded one's name, sees it deleted, and the stream starts anew", func(ctx SpecContext) {
		_, former, first := streaming(ctx, w, "orders")
		w.KillOperator(ctx)
		endAll(ctx, w, former)
		restored := forge(former, former.Name, atLarge)
		Expect(mallory.Create(ctx, restored)).To(Succeed())
		w.StartOperator(ctx)
		awaitDeleted(ctx, w, restored)
		awaitOnePod(ctx, w, "orders", first)
		expectNeverRecorded(ctx, w, restored.UID)
	})

	It("that a schedule ran, sees no run in it", func(ctx SpecContext) {
		s := scheduled(ctx, w)
		former := w.RunNow(ctx, "orders", "due")
		w.Exit(ctx, awaitOnePod(ctx, w, "orders"), 0)
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionLastRunFailed, metav1.ConditionFalse, streamingv1.ReasonRunSucceeded)
		w.AwaitQuiet(ctx)
		endAll(ctx, w, former)
		restored := forge(former, former.Name)
		Expect(mallory.Create(ctx, restored)).To(Succeed())
		w.AwaitQuiet(ctx)
		expectNeverReleased(ctx, w, restored)
		Expect(w.Stream(ctx, "orders").Status.Runs).To(Equal(max(s.Status.Runs, s.CreationTimestamp.Unix()) + 1))
	})
})

var _ = Describe("Somebody who makes a stream the owner of what is theirs", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = stage.Enter(ctx) })

	for name, change := range map[string]jobChange{
		"a held Job": func(*batchv1.Job) {}, "a Job that waits for its pods": func(j *batchv1.Job) { atLarge(j); withoutPods(j) },
	} {
		It("keeps "+name+" with the annotations of the stream's", func(ctx SpecContext) {
			mallory := attacker(ctx, w, to("create", "batch", "jobs"))
			_, job, pod := streaming(ctx, w, "orders")
			theirs := forge(job, "nightly-report", change)
			Expect(mallory.Create(ctx, theirs)).To(Succeed())
			w.AwaitQuiet(ctx)
			w.RestartOperator(ctx)
			w.AwaitQuiet(ctx)
			expectUntouched(ctx, w, theirs)
			expectNeverRecorded(ctx, w, theirs.UID)
			Expect(awaitOnePod(ctx, w, "orders").UID).To(Equal(pod.UID), "what runs well is not restarted")
			suspend(ctx, w, "orders")
			w.Resume(ctx, "orders")
			awaitOnePod(ctx, w, "orders", pod)
			expectUntouched(ctx, w, theirs)
		})
	}

	for name, refs := range map[string]func(s, other *streamingv1.Stream) []metav1.OwnerReference{
		"of nobody": func(_, _ *streamingv1.Stream) []metav1.OwnerReference { return nil },
		"of another stream": func(_, other *streamingv1.Stream) []metav1.OwnerReference {
			return []metav1.OwnerReference{ownerRef(other)}
		},
		"that it does not control": func(s, _ *streamingv1.Stream) []metav1.OwnerReference {
			ref := ownerRef(s)
			ref.Controller = nil
			return []metav1.OwnerReference{ref}
		},
	} {
		It("keeps a Job "+name+", although its name and all else are the stream's", func(ctx SpecContext) {
			mallory := attacker(ctx, w, to("create", "batch", "jobs"))
			other := w.Given(ctx, "invoices", given.Suspended)
			s, job, pod := streaming(ctx, w, "orders")
			theirs := forge(job, run(s, 5), controlledBy(refs(s, other)...), runAnnotation(s, 5))
			Expect(mallory.Create(ctx, theirs)).To(Succeed())
			w.AwaitQuiet(ctx)
			w.RestartOperator(ctx)
			suspend(ctx, w, "orders")
			w.Resume(ctx, "orders")
			awaitOnePod(ctx, w, "orders", pod)
			w.AwaitQuiet(ctx)
			expectUntouched(ctx, w, theirs)
			expectNeverReleased(ctx, w, theirs)
		})
	}

	It("keeps Jobs that have ended, however many there are", func(ctx SpecContext) {
		mallory := attacker(ctx, w, to("create", "batch", "jobs"))
		s, job, _ := streaming(ctx, w, "orders")
		var all []*batchv1.Job
		for i := range 6 {
			theirs := forge(job, fmt.Sprintf("nightly-%d", i), atLarge, nothingToDo, annotated(streamingv1.AnnotationRun, "1"))
			Expect(mallory.Create(ctx, theirs)).To(Succeed())
			all = append(all, theirs)
		}
		w.Await(ctx, func(g Gomega) {
			for _, j := range all {
				now := &batchv1.Job{}
				g.Expect(w.Client.Get(ctx, w.Key(j.Name), now)).To(Succeed())
				g.Expect(now.Status.CompletionTime).NotTo(BeNil())
			}
		})
		suspend(ctx, w, "orders")
		w.AwaitQuiet(ctx)
		for _, j := range all {
			Expect(isThere(ctx, w, j)).To(BeTrue(), j.Name)
		}
		Expect(w.Stream(ctx, "orders").Status.Runs).To(Equal(s.Status.Runs))
	})

	It("keeps a Job that has ended and asks for a TTL as it is", func(ctx SpecContext) {
		mallory := attacker(ctx, w, to("create", "batch", "jobs"))
		_, job, _ := streaming(ctx, w, "orders")
		theirs := forge(job, "nightly-report", atLarge, nothingToDo, annotated(streamingv1.AnnotationTTL, "0"), annotated(streamingv1.AnnotationRun, "1"))
		Expect(mallory.Create(ctx, theirs)).To(Succeed())
		w.AwaitQuiet(ctx)
		suspend(ctx, w, "orders")
		w.AwaitQuiet(ctx)
		expectUntouched(ctx, w, theirs)
	})

	for _, reason := range []string{streamingv1.RequestInitial, streamingv1.RequestGap} {
		It("keeps a request with the annotations of the operator's ("+reason+")", func(ctx SpecContext) {
			// The policy that is installed asks for the right to create jobs too.
			mallory := attacker(ctx, w, to("create", "batch", "jobs"), to("create", streamingv1.GroupVersion.Group, "backfillrequests"))
			streaming(ctx, w, "orders")
			s := suspend(ctx, w, "orders")
			theirs := given.Request(w.Namespace, "theirs", "orders", func(r *streamingv1.BackfillRequest) {
				r.Annotations = map[string]string{streamingv1.AnnotationMadeBy: reason}
				r.OwnerReferences = []metav1.OwnerReference{ownerRef(s)}
			})
			Expect(mallory.Create(ctx, theirs)).To(Succeed())
			w.AwaitQuiet(ctx)
			w.RestartOperator(ctx)
			w.AwaitQuiet(ctx)
			Expect(isThere(ctx, w, theirs)).To(BeTrue())
			w.Resume(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			Expect(isThere(ctx, w, theirs)).To(BeTrue())
		})

		It("keeps another user's request to which these annotations were added ("+reason+")", func(ctx SpecContext) {
			mallory := attacker(ctx, w, to("patch", streamingv1.GroupVersion.Group, "backfillrequests"))
			streaming(ctx, w, "orders")
			s := suspend(ctx, w, "orders")
			theirs := w.Request(ctx, "theirs", "orders")
			w.AwaitRequest(ctx, "theirs", streamingv1.RequestQueued)
			forged := theirs.DeepCopy()
			forged.Annotations = map[string]string{streamingv1.AnnotationMadeBy: reason}
			forged.OwnerReferences = []metav1.OwnerReference{ownerRef(s)}
			Expect(mallory.Patch(ctx, forged, client.MergeFrom(theirs))).To(Succeed())
			w.AwaitQuiet(ctx)
			w.Resume(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			Expect(isThere(ctx, w, theirs)).To(BeTrue())
		})
	}
})

var _ = Describe("Somebody who may create Jobs and forges a success under the recorded Job's name", func() {
	var w *story.World
	var mallory client.Client
	endless := given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever })
	BeforeEach(func(ctx SpecContext) {
		w = stage.Enter(ctx)
		mallory = attacker(ctx, w, to("create", "batch", "jobs"))
	})
	// succeeds replaces the recorded Job, while no operator runs, by one whose pod succeeds.
	succeeds := func(ctx context.Context, changes ...jobChange) *batchv1.Job {
		GinkgoHelper()
		recorded := jobOf(ctx, w, "orders")
		w.KillOperator(ctx)
		endAll(ctx, w, recorded)
		forged := forge(recorded, recorded.Name, append(changes, atLarge, func(j *batchv1.Job) {
			env := j.Spec.Template.Spec.Containers[0].Env
			for i := range env {
				if env[i].Name == streamingv1.EnvSpec {
					env[i].Value = `{"source":{"backfill":{"runFor":"0s"},"stream":{"runFor":"0s"}}}`
				}
			}
		})...)
		Expect(mallory.Create(ctx, forged)).To(Succeed())
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Client.Get(ctx, w.Key(forged.Name), forged)).To(Succeed())
			g.Expect(forged.Status.Succeeded).To(Equal(int32(1)))
			g.Expect(forged.Status.CompletionTime).NotTo(BeNil())
		})
		w.StartOperator(ctx)
		return forged
	}

	It("completes no request of a user's", func(ctx SpecContext) {
		streaming(ctx, w, "orders", endless)
		w.Request(ctx, "again", "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		forged := succeeds(ctx)
		pod := awaitOnePod(ctx, w, "orders")
		Expect(w.AwaitRequest(ctx, "again", streamingv1.RequestRunning).Spec.Completed).To(BeFalse())
		w.Exit(ctx, pod, 0)
		w.AwaitCompleted(ctx, "again")
		expectNeverRecorded(ctx, w, forged.UID)
	})

	It("completes no initial backfill", func(ctx SpecContext) {
		w.Given(ctx, "orders", endless)
		w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		forged := succeeds(ctx)
		w.Exit(ctx, awaitOnePod(ctx, w, "orders"), 0)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		expectNeverRecorded(ctx, w, forged.UID)
	})

	It("ends no stream", func(ctx SpecContext) {
		_, _, first := streaming(ctx, w, "orders")
		forged := succeeds(ctx)
		awaitOnePod(ctx, w, "orders", first)
		expectNeverRecorded(ctx, w, forged.UID)
	})

	It("ends no run of a schedule", func(ctx SpecContext) {
		scheduled(ctx, w)
		w.RunNow(ctx, "orders", "due")
		awaitOnePod(ctx, w, "orders")
		forged := succeeds(ctx)
		w.AwaitQuiet(ctx)
		expectNeverRecorded(ctx, w, forged.UID)
		for _, c := range w.Stream(ctx, "orders").Status.Conditions {
			if c.Type == streamingv1.ConditionLastRunFailed {
				Expect(c.Status).NotTo(Equal(metav1.ConditionFalse), "no run has succeeded")
			}
		}
	})

	It("by a pod beside the true one completes no request", func(ctx SpecContext) {
		// The rights that suffice here: create pods.
		pods := attacker(ctx, w, to("create", "", "pods"))
		streaming(ctx, w, "orders", endless)
		w.Request(ctx, "again", "orders")
		pod := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		job := jobOf(ctx, w, "orders")
		forged := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: w.Namespace, Name: job.Name + "-zzzzz", Labels: pod.Labels, Annotations: map[string]string{forgedMark: "true"},
		}}
		delete(forged.Labels, "batch.kubernetes.io/controller-uid")
		forged.Spec = streamPod(w, "any", nil).Spec
		forged.Spec.RestartPolicy, forged.Spec.AutomountServiceAccountToken = corev1.RestartPolicyNever, ptr.To(false)
		forged.Spec.Containers[0].Env[0].Value = `{"source":{"stream":{"runFor":"0s"}}}`
		Expect(pods.Create(ctx, forged)).To(Succeed())
		w.Await(ctx, func(g Gomega) {
			err := w.Client.Get(ctx, client.ObjectKeyFromObject(forged), forged)
			g.Expect(client.IgnoreNotFound(err)).To(Succeed())
			g.Expect(err != nil || forged.Status.Phase == corev1.PodSucceeded).To(BeTrue())
		})
		w.AwaitQuiet(ctx)
		Expect(w.AwaitRequest(ctx, "again", streamingv1.RequestRunning).Spec.Completed).To(BeFalse())
		Expect(awaitOnePod(ctx, w, "orders").UID).To(Equal(pod.UID))
	})
})
