// Scenario 25, as far as kind Stream is concerned: a class that changes under its
// streams takes effect without a restart of the operator.

package integration_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// expectRunsOn tells whether the stream orders is still where it was, in the same pod.
func expectRunsOn(ctx context.Context, w *story.World, before *corev1.Pod) {
	GinkgoHelper()
	now, err := w.RunningPod(ctx, "orders", streamingv1.ModeStream)
	Expect(err).NotTo(HaveOccurred())
	Expect(now.UID).To(Equal(before.UID))
	Expect(w.Started(ctx, "orders")).To(HaveLen(1))
}

var _ = Describe("A class with live streams", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = stage().Enter(ctx) })
	editClass := func(ctx SpecContext, change given.ClassOption) {
		GinkgoHelper()
		w.EditClass(ctx, change)
	}

	It("that I delete and create again leaves its streams running, and backfills them again on request", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill)
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Delete(ctx, given.Class(w.Class, story.Template))
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonClassNotFound)
		w.Request(ctx, "again", "orders")
		w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
		w.AwaitQuiet(ctx)
		expectRunsOn(ctx, w, first)
		w.Create(ctx, given.Class(w.Class, story.Template))
		w.AwaitCompleted(ctx, "again")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	})

	It("lets a running backfill go on when I delete it, and completes its request", func(ctx SpecContext) {
		b := w.Begin(ctx, "orders")
		w.Delete(ctx, given.Class(w.Class, story.Template))
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonClassNotFound)
		w.AwaitQuiet(ctx)
		w.Exit(ctx, b.Pod, 0)
		w.AwaitCompleted(ctx, b.Request)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamPending)
		w.AwaitQuiet(ctx)
		Expect(w.Started(ctx, "orders")).To(HaveLen(1))
		w.Create(ctx, given.Class(w.Class, story.Template))
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
	})

	It("that names another template restarts its streams with it, once", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill)
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Create(ctx, given.Template(w.Namespace, "other", given.Environment("COLOUR", "red")))
		editClass(ctx, func(c *streamingv1.StreamClass) { c.Spec.JobTemplateRef.Name = "other" })
		second := w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
		Expect(environment(second, "COLOUR")).To(Equal("red"))
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.AwaitQuiet(ctx)
		Expect(w.Started(ctx, "orders")).To(HaveLen(2))
	})

	It("that allows more backfills at once lets those go that waited", func(ctx SpecContext) {
		editClass(ctx, func(c *streamingv1.StreamClass) {
			c.Spec.Backfill = &streamingv1.ClassBackfill{MaxConcurrent: ptr.To(int32(1))}
		})
		endless := given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever })
		for _, name := range []string{"first", "second"} {
			w.Given(ctx, name, given.NoInitialBackfill, endless)
			w.AwaitPod(ctx, name, streamingv1.ModeStream)
		}
		w.Request(ctx, "of-first", "first")
		w.AwaitPod(ctx, "first", streamingv1.ModeBackfill)
		w.Request(ctx, "of-second", "second")
		w.AwaitRequest(ctx, "of-second", streamingv1.RequestQueued)
		w.AwaitQuiet(ctx)
		editClass(ctx, func(c *streamingv1.StreamClass) { c.Spec.Backfill.MaxConcurrent = ptr.To(int32(2)) })
		w.AwaitPod(ctx, "second", streamingv1.ModeBackfill)
		_, err := w.RunningPod(ctx, "first", streamingv1.ModeBackfill)
		Expect(err).NotTo(HaveOccurred(), "and the first goes on")
	})

	It("whose limit of backfills I change restarts nothing", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill)
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		editClass(ctx, func(c *streamingv1.StreamClass) {
			c.Spec.Backfill = &streamingv1.ClassBackfill{MaxConcurrent: ptr.To(int32(7))}
		})
		w.AwaitQuiet(ctx)
		expectRunsOn(ctx, w, first)
	})
})
