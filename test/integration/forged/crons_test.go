package forged_test

// This file takes the name of a stream's CronJob, and forges its runs.

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// forgeCron is a CronJob of a stream's name that lets its runs go at once.
func forgeCron(w *story.World, s *streamingv1.Stream, owned bool) *batchv1.CronJob {
	template := given.Job(w.Namespace, "any").Spec
	template.Template.Annotations = map[string]string{forgedMark: "true"}
	template.Template.Labels = labelsOf(s.Name, true)
	cron := &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: base(s), Labels: labelsOf(s.Name, true)},
		Spec: batchv1.CronJobSpec{
			Schedule: onceAYear, ConcurrencyPolicy: batchv1.ForbidConcurrent,
			JobTemplate: batchv1.JobTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(s.Name, true)}, Spec: template},
		},
	}
	if owned {
		cron.OwnerReferences = []metav1.OwnerReference{ownerRef(s)}
	}
	return cron
}

// ownerRef is the reference by which a stream controls its children.
func ownerRef(s *streamingv1.Stream) metav1.OwnerReference {
	return *metav1.NewControllerRef(s, streamingv1.GroupVersion.WithKind(streamingv1.KindStream))
}

// scheduled is a stream whose runs last and come by RunNow.
func scheduled(ctx context.Context, w *story.World, options ...given.StreamOption) *streamingv1.Stream {
	GinkgoHelper()
	endless := given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever })
	w.Given(ctx, "orders", append([]given.StreamOption{given.Schedule(onceAYear), endless}, options...)...)
	return w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
}

// cronOf is the CronJob under a stream's name.
func cronOf(ctx context.Context, w *story.World, s *streamingv1.Stream) *batchv1.CronJob {
	GinkgoHelper()
	cron := &batchv1.CronJob{}
	Expect(w.Client.Get(ctx, w.Key(base(s)), cron)).To(Succeed())
	return cron
}

// awaitOwnCron waits until the CronJob under the stream's name is one that the operator created.
func awaitOwnCron(ctx context.Context, w *story.World, s *streamingv1.Stream, forged *batchv1.CronJob) {
	GinkgoHelper()
	awaitDeleted(ctx, w, forged)
	w.Await(ctx, func(g Gomega) {
		cron := &batchv1.CronJob{}
		g.Expect(w.Client.Get(ctx, w.Key(base(s)), cron)).To(Succeed())
		g.Expect(w.History(ctx).MadeByOperator(cron.UID)).To(BeTrue(), "the CronJob is somebody else's")
	})
	w.AwaitPhase(ctx, s.Name, streamingv1.StreamScheduled)
}

var _ = Describe("Somebody who may create CronJobs", func() {
	var w *story.World
	var mallory client.Client
	BeforeEach(func(ctx SpecContext) {
		w = stage.Enter(ctx)
		// Creating suffices but for the stories in which the operator's own is replaced.
		mallory = attacker(ctx, w, to("create,delete", "batch", "cronjobs"))
	})

	It("and takes the name of a stream's stands in its way, and the stream says how that ends", func(ctx SpecContext) {
		_, _, pod := streaming(ctx, w, "orders")
		s := w.Stream(ctx, "orders")
		theirs := forgeCron(w, s, false)
		Expect(mallory.Create(ctx, theirs)).To(Succeed())
		w.EditStream(ctx, "orders", given.Schedule(onceAYear))
		conflict := w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonNameConflict)
		Expect(conflict.Message).To(And(ContainSubstring("kubectl"), ContainSubstring("delete cronjob"), ContainSubstring(theirs.Name), ContainSubstring(w.Namespace)))
		w.AwaitQuiet(ctx)
		expectUntouched(ctx, w, theirs)
		awaitDeleted(ctx, w, pod)
		Expect(mallory.Delete(ctx, theirs)).To(Succeed())
		w.AwaitWithin(ctx, 75*time.Second, func(g Gomega) {
			g.Expect(w.Stream(ctx, "orders").Status.Phase).To(Equal(streamingv1.StreamScheduled))
		})
	})

	It("and forges that of a stream before it is made sees it deleted", func(ctx SpecContext) {
		w.KillOperator(ctx)
		s := w.Given(ctx, "orders", given.Schedule(onceAYear))
		forged := forgeCron(w, s, true)
		Expect(mallory.Create(ctx, forged)).To(Succeed())
		w.StartOperator(ctx)
		awaitOwnCron(ctx, w, s, forged)
	})

	for _, away := range []bool{true, false} {
		when := map[bool]string{true: "while no operator runs", false: "while the operator runs"}[away]
		It("and replaces that of a stream "+when+" sees it deleted and made anew", func(ctx SpecContext) {
			s := scheduled(ctx, w)
			own := cronOf(ctx, w, s)
			if away {
				w.KillOperator(ctx)
			}
			var forged *batchv1.CronJob
			// The operator may be sooner to make its own again; then the attacker tries again.
			w.Await(ctx, func(g Gomega) {
				forged = forgeCron(w, s, true)
				forged.Annotations = own.Annotations
				g.Expect(mallory.Delete(ctx, own)).To(Succeed())
				g.Expect(mallory.Create(ctx, forged)).To(Succeed())
			})
			w.StartOperator(ctx)
			awaitOwnCron(ctx, w, s, forged)
			w.RunNow(ctx, "orders", "due")
			w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		})
	}

	It("and forges that of a suspended stream sees it deleted", func(ctx SpecContext) {
		s := scheduled(ctx, w)
		suspend(ctx, w, "orders")
		own := cronOf(ctx, w, s)
		w.KillOperator(ctx)
		Expect(mallory.Delete(ctx, own)).To(Succeed())
		forged := forgeCron(w, s, true)
		Expect(mallory.Create(ctx, forged)).To(Succeed())
		w.StartOperator(ctx)
		awaitDeleted(ctx, w, forged)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
	})

	It("and forges that of a stream that has no schedule sees it deleted, and the stream streams", func(ctx SpecContext) {
		s, _, pod := streaming(ctx, w, "orders")
		forged := forgeCron(w, s, true)
		Expect(mallory.Create(ctx, forged)).To(Succeed())
		w.RestartOperator(ctx)
		awaitDeleted(ctx, w, forged)
		w.AwaitQuiet(ctx)
		Expect(awaitOnePod(ctx, w, "orders").UID).To(Equal(pod.UID), "what ran well is not restarted")
	})
})

var _ = Describe("Somebody who may create Jobs and forges a run of a schedule", func() {
	var w *story.World
	var mallory client.Client
	var s *streamingv1.Stream
	// copyOf is a Job as the CronJob controller would make it, but for its pod.
	copyOf := func(ctx context.Context, name string, changes ...jobChange) *batchv1.Job {
		cron := cronOf(ctx, w, s)
		like := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.Namespace, Labels: cron.Spec.JobTemplate.Labels, Annotations: cron.Spec.JobTemplate.Annotations,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
			},
			Spec: cron.Spec.JobTemplate.Spec,
		}
		return forge(like, name, changes...)
	}
	BeforeEach(func(ctx SpecContext) {
		w = stage.Enter(ctx)
		mallory = attacker(ctx, w, to("create", "batch", "jobs"))
		s = scheduled(ctx, w)
	})

	for name, under := range map[string]func() string{
		"a name of theirs":     func() string { return "by-hand" },
		"the name of a run":    func() string { return base(s) + "-29000000" },
		"the stream's own one": func() string { return run(s, 1) },
	} {
		It("held, under "+name+", sees it never run, and the true one runs", func(ctx SpecContext) {
			forged := copyOf(ctx, under())
			Expect(mallory.Create(ctx, forged)).To(Succeed())
			w.AwaitQuiet(ctx)
			expectNeverReleased(ctx, w, forged)
			due := w.RunNow(ctx, "orders", "due")
			pod := awaitOnePod(ctx, w, "orders")
			Expect(controls(due, pod)).To(BeTrue())
			w.Exit(ctx, pod, 0)
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionLastRunFailed, metav1.ConditionFalse, streamingv1.ReasonRunSucceeded)
			w.AwaitQuiet(ctx)
			expectNeverReleased(ctx, w, forged)
			if name == "a name of theirs" {
				expectUntouched(ctx, w, forged)
			}
		})
	}

	It("just like its own, sees it run: it is a run, at a time that somebody else chose", func(ctx SpecContext) {
		cron := cronOf(ctx, w, s)
		same := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.Namespace, Name: "by-hand", Labels: cron.Spec.JobTemplate.Labels, Annotations: cron.Spec.JobTemplate.Annotations,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
			},
			Spec: *cron.Spec.JobTemplate.Spec.DeepCopy(),
		}
		Expect(mallory.Create(ctx, same)).To(Succeed())
		pod := awaitOnePod(ctx, w, "orders")
		Expect(controls(same, pod)).To(BeTrue())
		w.Exit(ctx, pod, 0)
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionLastRunFailed, metav1.ConditionFalse, streamingv1.ReasonRunSucceeded)
	})

	It("while a true one runs does not follow it", func(ctx SpecContext) {
		w.RunNow(ctx, "orders", "due")
		pod := awaitOnePod(ctx, w, "orders")
		forged := copyOf(ctx, base(s)+"-29000001")
		Expect(mallory.Create(ctx, forged)).To(Succeed())
		w.Exit(ctx, pod, 0)
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionLastRunFailed, metav1.ConditionFalse, streamingv1.ReasonRunSucceeded)
		w.AwaitQuiet(ctx)
		expectNeverReleased(ctx, w, forged)
	})

	It("at large, under the name of a run, sees its pods deleted, and the true one runs", func(ctx SpecContext) {
		forged := copyOf(ctx, base(s)+"-29000002", atLarge, func(j *batchv1.Job) { j.Spec.BackoffLimit = ptr.To[int32](0) })
		Expect(mallory.Create(ctx, forged)).To(Succeed())
		due := w.RunNow(ctx, "orders", "due")
		pod := awaitOnePod(ctx, w, "orders")
		Expect(controls(due, pod)).To(BeTrue())
		expectNeverRecorded(ctx, w, forged.UID)
	})

	It("before it is due delays the schedule, which says so and goes on", SpecPriority(1), func(ctx SpecContext) {
		w.EditClass(ctx, func(c *streamingv1.StreamClass) { c.Spec.StartDeadlineSeconds = ptr.To[int32](3) })
		cron := cronOf(ctx, w, s)
		next := time.Now().Truncate(time.Minute).Add(time.Minute)
		if time.Until(next) < 10*time.Second {
			next = next.Add(time.Minute) // the CronJob is not yet changed by then
		}
		// Suspended, without a label or an owner: nothing of it reaches the operator's cache.
		forged := given.Job(w.Namespace, jobspec.NameOfRun(cron, next))
		forged.Spec.Suspend = ptr.To(true)
		Expect(mallory.Create(ctx, forged)).To(Succeed())
		w.EditStream(ctx, "orders", func(s *streamingv1.Stream) {
			s.Spec.Schedule, s.Spec.TimeZone = ptr.To(fmt.Sprintf("%d,%d * * * *", next.Minute(), next.Add(time.Minute).Minute())), ptr.To("Etc/UTC")
		})
		w.AwaitWithin(ctx, 100*time.Second, func(g Gomega) {
			last := meta.FindStatusCondition(w.Stream(ctx, "orders").Status.Conditions, streamingv1.ConditionLastRunFailed)
			g.Expect(last).NotTo(BeNil())
			g.Expect(last.Reason).To(Equal(string(streamingv1.ReasonRunMissed)))
			g.Expect(last.Message).To(ContainSubstring("kubectl delete job " + forged.Name))
		})
		w.AwaitWithin(ctx, 100*time.Second, func(g Gomega) {
			g.Expect(w.Stream(ctx, "orders").Status.Job).NotTo(BeNil(), "the next run has not come")
		})
		expectNeverReleased(ctx, w, forged)
		expectUntouched(ctx, w, forged)
	})

	It("and lets it succeed sees no run succeed", func(ctx SpecContext) {
		forged := copyOf(ctx, base(s)+"-29000003", atLarge, nothingToDo)
		Expect(mallory.Create(ctx, forged)).To(Succeed())
		w.Await(ctx, func(g Gomega) {
			// It may be deleted before it has succeeded: it is a stray.
			err := w.Client.Get(ctx, w.Key(forged.Name), forged)
			g.Expect(client.IgnoreNotFound(err)).To(Succeed())
			g.Expect(apierrors.IsNotFound(err) || forged.Status.CompletionTime != nil).To(BeTrue())
		})
		w.AwaitQuiet(ctx)
		expectNeverRecorded(ctx, w, forged.UID)
		for _, c := range w.Stream(ctx, "orders").Status.Conditions {
			Expect(c.Type).NotTo(Equal(streamingv1.ConditionLastRunFailed), "no run has ended")
		}
	})
})

// nothingToDo completes a Job at once, without a pod.
func nothingToDo(j *batchv1.Job) {
	j.Spec.Completions, j.Spec.Parallelism = ptr.To[int32](0), ptr.To[int32](0)
}
