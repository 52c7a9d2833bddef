package forged_test

// This file forges run numbers: no text in somebody's object may move a stream's count.

import (
	"context"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// numbers are runs that no stream ever gets to.
var numbers = []string{
	"9223372036854775807", "9223372036854775806", "99999999999999999999", "-1", "-9223372036854775808", "0x7fffffffffffffff", "1e30",
}

// forgeRuns makes a Job and an ended pod for each number, in name, label and annotation.
func forgeRuns(ctx context.Context, w *story.World, c client.Client, s *streamingv1.Stream) {
	GinkgoHelper()
	for i, number := range numbers {
		name := base(s) + "-" + number
		for at, labels := range map[string]map[string]string{"": nil, "-" + strconv.Itoa(i): labelsOf(s.Name, true)} {
			job := given.Job(w.Namespace, name+at)
			job.Labels = labels
			job.Annotations = map[string]string{streamingv1.AnnotationRun: number}
			Expect(c.Create(ctx, job)).To(Succeed())
			pod := streamPod(w, name+"-pod"+at, labels)
			// Without this its process ends at once, so it blocks nothing.
			pod.Spec.Containers[0].Env = nil
			pod.Annotations[streamingv1.AnnotationRun] = number
			if pod.Labels == nil {
				pod.Labels = map[string]string{}
			}
			pod.Labels[batchv1.JobNameLabel] = name
			pod.Labels[streamingv1.AnnotationRun] = strings.Trim(number, "-")
			Expect(c.Create(ctx, pod)).To(Succeed())
		}
	}
	w.Await(ctx, func(g Gomega) {
		for _, p := range living(ctx, w) {
			g.Expect(p.Annotations).NotTo(HaveKey(forgedMark), "%s has not ended", p.Name)
		}
	})
}

// runOf is the number that a pod's process sees.
func runOf(p *corev1.Pod) int64 {
	GinkgoHelper()
	for _, e := range p.Spec.Containers[0].Env {
		if e.Name != streamingv1.EnvRun {
			continue
		}
		text := e.Value
		if e.ValueFrom != nil {
			path := e.ValueFrom.FieldRef.FieldPath
			key := strings.TrimSuffix(path[strings.Index(path, "['")+2:], "']")
			text = p.Labels[key] + p.Annotations[key]
		}
		number, err := strconv.ParseInt(text[strings.LastIndex(text, "-")+1:], 10, 64)
		Expect(err).NotTo(HaveOccurred())
		return number
	}
	Fail("pod " + p.Name + " has no " + streamingv1.EnvRun)
	return 0
}

var _ = Describe("Somebody who may create Jobs and pods with a run number beyond all bounds", func() {
	var w *story.World
	var mallory client.Client
	BeforeEach(func(ctx SpecContext) {
		w = stage.Enter(ctx)
		mallory = attacker(ctx, w, to("create", "batch", "jobs"), to("create", "", "pods"))
	})

	It("changes nothing for a streaming job: its runs grow by one", func(ctx SpecContext) {
		s, _, first := streaming(ctx, w, "orders")
		forgeRuns(ctx, w, mallory, s)
		suspend(ctx, w, "orders")
		w.Resume(ctx, "orders")
		second := w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
		now := w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(now.Status.Runs).To(Equal(s.Status.Runs + 1))
		Expect(runOf(second)).To(Equal(runOf(first) + 1))
		Expect(jobOf(ctx, w, "orders").Name).To(Equal(run(s, 1)))
	})

	It("changes nothing for a backfill on request", func(ctx SpecContext) {
		s, _, first := streaming(ctx, w, "orders")
		forgeRuns(ctx, w, mallory, s)
		w.Request(ctx, "again", "orders")
		w.AwaitCompleted(ctx, "again")
		second := w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
		Expect(w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning).Status.Runs).To(Equal(s.Status.Runs + 2))
		Expect(runOf(second)).To(Equal(runOf(first) + 2))
	})

	It("changes nothing for the first run of a stream", func(ctx SpecContext) {
		w.KillOperator(ctx)
		s := w.Given(ctx, "orders")
		forgeRuns(ctx, w, mallory, s)
		w.StartOperator(ctx)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning).Status.Runs).To(Equal(s.CreationTimestamp.Unix() + 2))
	})

	It("changes nothing for the runs of a schedule", func(ctx SpecContext) {
		s := scheduled(ctx, w)
		forgeRuns(ctx, w, mallory, s)
		w.RunNow(ctx, "orders", "due")
		w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		w.Await(ctx, func(g Gomega) {
			status := w.Stream(ctx, "orders").Status
			g.Expect(status.Job).NotTo(BeNil())
			g.Expect(status.Runs).To(Equal(max(s.Status.Runs, s.CreationTimestamp.Unix()) + 1))
		})
	})
})
