package forged_test

// This file makes pods that look like a stream's, or that are and lose what shows it.

import (
	"context"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// awaitRunning waits until an attacker's pod is alive.
func awaitRunning(ctx context.Context, w *story.World, p *corev1.Pod) {
	GinkgoHelper()
	w.Await(ctx, func(g Gomega) {
		g.Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		g.Expect(p.Status.Phase).To(Equal(corev1.PodRunning))
	})
}

var _ = Describe("Somebody who may create pods", func() {
	var w *story.World
	var mallory client.Client
	BeforeEach(func(ctx SpecContext) {
		w = stage.Enter(ctx)
		mallory = attacker(ctx, w, to("create", "", "pods"))
	})

	Describe("and gives one the name of a stream's pod", func() {
		// Without any label the operator cannot know of it: docs/admission.md says what holds.
		for name, labels := range map[string]map[string]string{"with a label": {streamingv1.LabelStreamID: "other"}, "with its labels": labelsOf("orders", true)} {
			It(name+", sees it deleted while the stream runs on", func(ctx SpecContext) {
				s, _, pod := streaming(ctx, w, "orders")
				forged := streamPod(w, run(s, 1)+"-abcde", labels)
				Expect(mallory.Create(ctx, forged)).To(Succeed())
				awaitDeleted(ctx, w, forged)
				w.AwaitQuiet(ctx)
				Expect(awaitOnePod(ctx, w, "orders").UID).To(Equal(pod.UID), "what runs well is not restarted")
			})

			It(name+", sees it deleted before a suspended stream starts", func(ctx SpecContext) {
				_, _, pod := streaming(ctx, w, "orders")
				s := suspend(ctx, w, "orders")
				w.KillOperator(ctx)
				forged := streamPod(w, run(s, 1)+"-abcde", labels)
				Expect(mallory.Create(ctx, forged)).To(Succeed())
				awaitRunning(ctx, w, forged)
				w.Resume(ctx, "orders")
				w.StartOperator(ctx)
				awaitDeleted(ctx, w, forged)
				awaitOnePod(ctx, w, "orders", pod)
				expectNoneBeside(ctx, w, forged)
			})

			It(name+", sees it deleted before the stream is called suspended", func(ctx SpecContext) {
				s, _, _ := streaming(ctx, w, "orders")
				w.KillOperator(ctx)
				forged := streamPod(w, run(s, 1)+"-abcde", labels)
				Expect(mallory.Create(ctx, forged)).To(Succeed())
				awaitRunning(ctx, w, forged)
				w.Suspend(ctx, "orders")
				w.StartOperator(ctx)
				w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
				expectSuspendedAfter(ctx, w, "orders", forged)
			})
		}

		It("sees it deleted before a backfill on request starts", func(ctx SpecContext) {
			s, _, pod := streaming(ctx, w, "orders")
			w.KillOperator(ctx)
			forged := streamPod(w, run(s, 1)+"-abcde", map[string]string{streamingv1.LabelStreamID: "orders"})
			Expect(mallory.Create(ctx, forged)).To(Succeed())
			awaitRunning(ctx, w, forged)
			w.Request(ctx, "again", "orders")
			w.StartOperator(ctx)
			w.AwaitCompleted(ctx, "again")
			expectNoneBeside(ctx, w, forged)
			awaitOnePod(ctx, w, "orders", pod)
		})

		It("sees it deleted before a run of a schedule is let run", func(ctx SpecContext) {
			s := scheduled(ctx, w)
			w.KillOperator(ctx)
			forged := streamPod(w, base(s)+"-29000000-abcde", map[string]string{streamingv1.LabelStreamID: "orders"})
			Expect(mallory.Create(ctx, forged)).To(Succeed())
			awaitRunning(ctx, w, forged)
			w.RunNow(ctx, "orders", "due")
			w.StartOperator(ctx)
			awaitOnePod(ctx, w, "orders")
			expectNoneBeside(ctx, w, forged)
		})
	})

	Describe("and gives one a stream's labels", func() {
		for name, managed := range map[string]bool{"those of the stream": false, "and that of its manager": true} {
			It(name+", keeps the stream from starting until it is gone, and the stream says so", func(ctx SpecContext) {
				impatient(ctx, w)
				streaming(ctx, w, "orders")
				suspend(ctx, w, "orders")
				foreign := streamPod(w, "debug", labelsOf("orders", managed))
				Expect(mallory.Create(ctx, foreign)).To(Succeed())
				awaitRunning(ctx, w, foreign)
				w.AwaitQuiet(ctx)
				w.Resume(ctx, "orders")
				awaitStalled(ctx, w, "orders", streamingv1.ReasonForeignPod, "debug", "kubectl", "delete pod")
				w.AwaitQuiet(ctx)
				Expect(w.Jobs(ctx, "orders")).NotTo(ContainElement(HaveField("Status.Active", BeNumerically(">", 0))))
				expectUntouched(ctx, w, foreign)
				w.Delete(ctx, foreign)
				awaitOnePod(ctx, w, "orders", foreign)
				awaitNotStalled(ctx, w, "orders")
			})

			It(name+", keeps the stream from being called suspended", func(ctx SpecContext) {
				impatient(ctx, w)
				streaming(ctx, w, "orders")
				foreign := streamPod(w, "debug", labelsOf("orders", managed))
				Expect(mallory.Create(ctx, foreign)).To(Succeed())
				awaitRunning(ctx, w, foreign)
				w.Suspend(ctx, "orders")
				awaitStalled(ctx, w, "orders", streamingv1.ReasonForeignPod, "debug", "kubectl", "delete pod")
				expectUntouched(ctx, w, foreign)
				w.Delete(ctx, foreign)
				w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
				expectSuspendedAfter(ctx, w, "orders", foreign)
			})
		}

		It("and the UID of the Job that runs, sees its end change nothing", func(ctx SpecContext) {
			w.Given(ctx, "orders", given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
			pod := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
			job := jobOf(ctx, w, "orders")
			labels := labelsOf("orders", true)
			labels[batchv1.JobNameLabel], labels[batchv1.ControllerUidLabel] = job.Name, string(job.UID)
			forged := streamPod(w, "debug", labels)
			forged.Spec.Containers[0].Env = nil // it fails at once
			Expect(mallory.Create(ctx, forged)).To(Succeed())
			w.Await(ctx, func(g Gomega) {
				g.Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(forged), forged)).To(Succeed())
				g.Expect(forged.Status.Phase).To(Equal(corev1.PodFailed))
			})
			w.AwaitQuiet(ctx)
			Expect(w.Requests(ctx, "orders")).To(ConsistOf(HaveField("Spec.Completed", false)))
			Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
			Expect(pod.DeletionTimestamp).To(BeNil())
			w.Exit(ctx, pod, 0)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		})

		It("keeps a run of a schedule waiting", func(ctx SpecContext) {
			impatient(ctx, w)
			scheduled(ctx, w)
			foreign := streamPod(w, "debug", labelsOf("orders", true))
			Expect(mallory.Create(ctx, foreign)).To(Succeed())
			awaitRunning(ctx, w, foreign)
			due := w.RunNow(ctx, "orders", "due")
			awaitStalled(ctx, w, "orders", streamingv1.ReasonForeignPod, "debug", "kubectl")
			expectUntouched(ctx, w, foreign)
			w.Delete(ctx, foreign)
			Expect(controls(due, awaitOnePod(ctx, w, "orders", foreign))).To(BeTrue())
		})
	})
})

var _ = Describe("Somebody who may create Jobs whose pods have a stream's labels", func() {
	It("keeps the stream from starting, which names the pod and the Job", func(ctx SpecContext) {
		w := stage.Enter(ctx)
		mallory := attacker(ctx, w, to("create,delete", "batch", "jobs"))
		impatient(ctx, w)
		streaming(ctx, w, "orders")
		suspend(ctx, w, "orders")
		like := streamPod(w, "any", nil)
		foreign := given.Job(w.Namespace, "nightly")
		foreign.Spec.Parallelism = ptr.To[int32](1)
		foreign.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf("orders", true)}, Spec: like.Spec}
		Expect(mallory.Create(ctx, foreign)).To(Succeed())
		var pod corev1.Pod
		w.Await(ctx, func(g Gomega) {
			pods := living(ctx, w)
			g.Expect(pods).To(HaveLen(1))
			pod = pods[0]
			g.Expect(pod.Status.Phase).To(Equal(corev1.PodRunning))
		})
		w.AwaitQuiet(ctx)
		w.Resume(ctx, "orders")
		awaitStalled(ctx, w, "orders", streamingv1.ReasonForeignPod, pod.Name, "nightly", "kubectl")
		Expect(isThere(ctx, w, &pod)).To(BeTrue())
		Expect(isThere(ctx, w, foreign)).To(BeTrue())
		Expect(mallory.Delete(ctx, foreign, client.PropagationPolicy("Foreground"))).To(Succeed())
		awaitOnePod(ctx, w, "orders", &pod)
	})
})

// workloads are other kinds' ways to make one pod like that.
var workloads = map[string]func(metav1.ObjectMeta, *metav1.LabelSelector, corev1.PodTemplateSpec) client.Object{
	"replicasets": func(m metav1.ObjectMeta, s *metav1.LabelSelector, t corev1.PodTemplateSpec) client.Object {
		return &appsv1.ReplicaSet{ObjectMeta: m, Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](1), Selector: s, Template: t}}
	},
	"statefulsets": func(m metav1.ObjectMeta, s *metav1.LabelSelector, t corev1.PodTemplateSpec) client.Object {
		return &appsv1.StatefulSet{ObjectMeta: m, Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](1), Selector: s, Template: t, ServiceName: m.Name}}
	},
	"daemonsets": func(m metav1.ObjectMeta, s *metav1.LabelSelector, t corev1.PodTemplateSpec) client.Object {
		return &appsv1.DaemonSet{ObjectMeta: m, Spec: appsv1.DaemonSetSpec{Selector: s, Template: t}}
	},
}

// awaitPodOf waits until a controller's pod runs.
func awaitPodOf(ctx context.Context, w *story.World, maker client.Object) *corev1.Pod {
	GinkgoHelper()
	var found *corev1.Pod
	w.Await(ctx, func(g Gomega) {
		pods := living(ctx, w)
		i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return controls(maker, &p) && p.Status.Phase == corev1.PodRunning })
		g.Expect(i).To(BeNumerically(">=", 0))
		found = &pods[i]
	})
	return found
}

var _ = Describe("Somebody who may create other workloads whose pods have a stream's labels", func() {
	for kind, workload := range workloads {
		It("("+kind+") does not concern the stream", func(ctx SpecContext) {
			w := stage.Enter(ctx)
			mallory := attacker(ctx, w, to("create", "apps", kind))
			_, _, pod := streaming(ctx, w, "orders")
			labels := labelsOf("orders", true)
			labels["app"] = "mine"
			template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: streamPod(w, "any", nil).Spec}
			template.Spec.RestartPolicy = corev1.RestartPolicyAlways
			set := workload(metav1.ObjectMeta{Namespace: w.Namespace, Name: "mine"},
				&metav1.LabelSelector{MatchLabels: map[string]string{"app": "mine"}}, template)
			Expect(mallory.Create(ctx, set)).To(Succeed())
			theirs := awaitPodOf(ctx, w, set)
			w.AwaitQuiet(ctx)
			Expect(isThere(ctx, w, pod)).To(BeTrue())
			suspend(ctx, w, "orders")
			w.Resume(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			w.Request(ctx, "again", "orders")
			w.AwaitCompleted(ctx, "again")
			Expect(isThere(ctx, w, theirs)).To(BeTrue(), "it is not the stream's")
		})
	}
})

var _ = Describe("Somebody who makes pods under names of a stream's", func() {
	for kind, group := range map[string]string{"jobs": "batch", "replicasets": "apps"} {
		It("("+kind+") does not keep it from being stopped, and it names what is in the way", func(ctx SpecContext) {
			w := stage.Enter(ctx)
			mallory := attacker(ctx, w, to("create,delete", group, kind))
			impatient(ctx, w)
			s, _, pod := streaming(ctx, w, "orders")
			// What makes them bears no label: nothing of it reaches the operator's cache.
			name, template := run(s, 7), corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf("orders", true)}, Spec: streamPod(w, "any", nil).Spec}
			var maker client.Object
			if kind == "jobs" {
				job := given.Job(w.Namespace, name)
				job.Spec.Parallelism, job.Spec.Template = ptr.To[int32](1), template
				maker = job
			} else {
				template.Labels["app"], template.Spec.RestartPolicy = "mine", corev1.RestartPolicyAlways
				maker = workloads[kind](metav1.ObjectMeta{Namespace: w.Namespace, Name: name}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mine"}}, template)
			}
			Expect(mallory.Create(ctx, maker)).To(Succeed())
			theirs := awaitPodOf(ctx, w, maker)
			awaitStalled(ctx, w, "orders", streamingv1.ReasonForeignPod, theirs.Name, name, "kubectl")
			Expect(isThere(ctx, w, pod)).To(BeTrue(), "what ran well is left alone")
			w.Suspend(ctx, "orders")
			awaitDeleted(ctx, w, pod)
			Expect(isThere(ctx, w, theirs)).To(BeTrue(), "it is not ours to end")
			Expect(mallory.Delete(ctx, maker, client.PropagationPolicy("Foreground"))).To(Succeed())
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		})
	}
})

// expectNoneBeside: no pod of the stream's own came alive before the forged one was gone.
func expectNoneBeside(ctx context.Context, w *story.World, forged *corev1.Pod) {
	GinkgoHelper()
	there, seen := false, false
	for _, v := range sorted(w.History(ctx)) {
		p, ok := v.Object.(*corev1.Pod)
		if !ok {
			continue
		}
		if p.UID == forged.UID {
			seen = true
			there = !v.Deleted && p.Status.Phase == corev1.PodRunning
		} else if there && p.Status.Phase == corev1.PodPending && p.Spec.NodeName == "" && !v.Deleted {
			Fail("pod " + p.Name + " was started while the forged one lived")
		}
	}
	Expect(seen).To(BeTrue(), "the forged pod is in the history")
}

// expectSuspendedAfter: the stream was not called suspended while the pod lived.
func expectSuspendedAfter(ctx context.Context, w *story.World, stream string, p *corev1.Pod) {
	GinkgoHelper()
	there, lived, suspended := false, false, false
	for _, v := range sorted(w.History(ctx)) {
		switch o := v.Object.(type) {
		case *corev1.Pod:
			if o.UID == p.UID {
				lived = true
				there = !v.Deleted && o.Status.Phase == corev1.PodRunning
			}
		case *streamingv1.Stream:
			if o.Name == stream && o.Status.Phase == streamingv1.StreamSuspended && there {
				Fail("the stream was called suspended while pod " + p.Name + " lived")
			}
			suspended = suspended || o.Name == stream && o.Status.Phase == streamingv1.StreamSuspended
		}
	}
	Expect(lived && suspended).To(BeTrue(), "the history holds the pod, and a stream that was suspended")
}

var _ = Describe("Somebody who may patch pods and strips a stream's running one", func() {
	remove := func(path string) string { return `{"op":"remove","path":"/metadata/` + path + `"}` }
	label := func(key string) string { return remove("labels/" + escaped(key)) }
	overwrite := func(key string) string {
		return `{"op":"replace","path":"/metadata/labels/` + escaped(key) + `","value":"other"}`
	}
	for _, strip := range []struct {
		name    string
		patches []string
		// kept: its Job still accounts for it, or takes it back before anybody sees that it was lost.
		kept bool
		// unseen: it bears no label of a stream, and an operator that was away cannot know of it.
		unseen bool
		// stuck: the Job counts its pods by their labels, and mostly waits for the end of this one for ever once it is
		// deleted; where the Job controller looks at the pod once more, it lets it go.
		stuck bool
	}{
		{name: "of the stream's name", patches: []string{label(streamingv1.LabelStreamID)}, kept: true},
		{name: "of another stream's name in its place", patches: []string{overwrite(streamingv1.LabelStreamID)}, kept: true},
		{name: "of the stream's kind", patches: []string{label(streamingv1.LabelStreamKind)}, kept: true},
		{name: "of its manager", patches: []string{label(streamingv1.LabelManagedBy)}, kept: true},
		{name: "of its Job", patches: []string{label(batchv1.ControllerUidLabel), label(batchv1.JobNameLabel)}, stuck: true},
		{name: "of all labels", patches: []string{remove("labels")}, unseen: true, stuck: true},
		{name: "of its owner", patches: []string{remove("ownerReferences")}, kept: true},
		{name: "of all labels and its owner", patches: []string{remove("labels"), remove("ownerReferences")}, unseen: true},
		{name: "of its manager and its owner", patches: []string{label(streamingv1.LabelManagedBy), remove("ownerReferences")}, kept: true},
	} {
		text := "["
		for i, p := range strip.patches {
			if i > 0 {
				text += ","
			}
			text += p
		}
		text += "]"

		It(strip.name+", sees it deleted, and one pod runs", func(ctx SpecContext) {
			w := stage.Enter(ctx)
			mallory := attacker(ctx, w, to("patch", "", "pods"))
			_, _, pod := streaming(ctx, w, "orders")
			patch(ctx, mallory, pod, text)
			if !strip.kept {
				awaitDeleted(ctx, w, pod)
			}
			w.AwaitQuiet(ctx)
			awaitOnePod(ctx, w, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		})

		It(strip.name+", does not see the stream suspended while it lives", func(ctx SpecContext) {
			w := stage.Enter(ctx)
			mallory := attacker(ctx, w, to("patch", "", "pods"))
			impatient(ctx, w)
			_, _, pod := streaming(ctx, w, "orders", slowToStop)
			if !strip.unseen {
				w.KillOperator(ctx)
			}
			patch(ctx, mallory, pod, text)
			w.Suspend(ctx, "orders")
			if !strip.unseen {
				w.StartOperator(ctx)
			}
			if strip.stuck {
				w.Await(ctx, func(g Gomega) {
					s := w.Stream(ctx, "orders")
					if s.Status.Phase == streamingv1.StreamSuspended {
						return
					}
					stalled := meta.FindStatusCondition(s.Status.Conditions, streamingv1.ConditionStalled)
					g.Expect(stalled.Status).To(Equal(metav1.ConditionTrue))
					g.Expect(stalled.Message).To(And(ContainSubstring(pod.Name[:len(pod.Name)-6]), ContainSubstring("kubectl")))
				})
				free := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/finalizers"}]`))
				Expect(client.IgnoreNotFound(w.Client.Patch(ctx, pod.DeepCopy(), free))).To(Succeed())
			}
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			Expect(living(ctx, w)).To(BeEmpty())
			expectSuspendedAfter(ctx, w, "orders", pod)
		})
	}

	It("of all labels, does not spoil a backfill", func(ctx SpecContext) {
		w := stage.Enter(ctx)
		mallory := attacker(ctx, w, to("patch", "", "pods"))
		streaming(ctx, w, "orders", given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
		w.Request(ctx, "again", "orders")
		pod := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		patch(ctx, mallory, pod, "["+remove("labels")+","+remove("ownerReferences")+"]")
		awaitDeleted(ctx, w, pod)
		w.Exit(ctx, awaitOnePod(ctx, w, "orders", pod), 0)
		w.AwaitCompleted(ctx, "again")
		awaitOnePod(ctx, w, "orders", pod)
	})

	It("of all labels, does not let a run of a schedule meet another", func(ctx SpecContext) {
		w := stage.Enter(ctx)
		mallory := attacker(ctx, w, to("patch", "", "pods"))
		scheduled(ctx, w)
		w.RunNow(ctx, "orders", "one")
		pod := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		patch(ctx, mallory, pod, "["+remove("labels")+","+remove("ownerReferences")+"]")
		awaitDeleted(ctx, w, pod)
		w.AwaitQuiet(ctx)
		Expect(len(living(ctx, w))).To(BeNumerically("<=", 1))
	})
})

// slowToStop lets the stream's pods take their time when they are told to end.
func slowToStop(s *streamingv1.Stream) {
	given.Script(func(s *script.Source) { s.Stream.OnSigterm.After = script.Duration(time.Second) })(s)
}
