// Scenarios 13 and 14, and the slots of a class: which request runs when.

package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var _ = Describe("Several requests for one stream", func() {
	It("run one at a time, the oldest first, each completed by its own job", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		w.Given(ctx, "orders", given.Suspended)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		// Within one second the names decide, and these speak against the order of creation.
		for _, name := range []string{"c", "b", "a"} {
			w.Request(ctx, name, "orders", given.Payload(script.Run{RunFor: 0}))
			w.AwaitRequest(ctx, name, streamingv1.RequestQueued)
		}
		w.Resume(ctx, "orders")
		by := map[string]bool{}
		for _, name := range []string{"a", "b", "c"} {
			by[w.AwaitCompleted(ctx, name).Annotations[streamingv1.AnnotationCompletedBy]] = true
		}
		Expect(by).To(HaveLen(3), "each by a job of its own")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		var order []string
		for _, j := range w.Started(ctx, "orders") {
			if name := j.Annotations[streamingv1.AnnotationRequest]; name != "" {
				order = append(order, name)
			}
		}
		Expect(order).To(Equal(w.OldestFirst(ctx, "orders")))
		Expect(w.Modes(ctx, "orders")).To(HaveLen(4))
	})
})

var _ = Describe("A request", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = stage().Enter(ctx) })

	It("for a stream that does not exist waits, and is that stream's first backfill when it appears", func(ctx SpecContext) {
		w.Request(ctx, "early", "orders")
		waiting := w.AwaitRequest(ctx, "early", streamingv1.RequestQueued)
		Expect(waiting.Status.Message).To(ContainSubstring("orders"))
		Expect(waiting.Status.Conditions).To(ContainElement(HaveField("Reason", string(streamingv1.ReasonStreamNotFound))))
		w.AwaitQuiet(ctx)
		w.Given(ctx, "orders")
		w.AwaitCompleted(ctx, "early")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(1), "no second one of the operator's own")
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
	})

	It("that names another class waits and disturbs nothing", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill)
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Request(ctx, "wrong", "orders", given.ClassOf("other"))
		waiting := w.AwaitRequest(ctx, "wrong", streamingv1.RequestQueued)
		Expect(waiting.Status.Conditions).To(ContainElement(HaveField("Reason", string(streamingv1.ReasonClassMismatch))))
		w.AwaitQuiet(ctx)
		now, err := w.RunningPod(ctx, "orders", streamingv1.ModeStream)
		Expect(err).NotTo(HaveOccurred())
		Expect(now.UID).To(Equal(first.UID))
	})
})

var _ = Describe("A class that runs one backfill at a time", func() {
	var w *story.World
	backfills := func(ctx SpecContext, name string) *corev1.Pod {
		pod, err := w.RunningPod(ctx, name, streamingv1.ModeBackfill)
		if err != nil {
			return nil
		}
		return pod
	}

	It("lets further streams wait for their turn, and streams on meanwhile", func(ctx SpecContext) {
		w = stage().Enter(ctx)
		w.EditClass(ctx, func(c *streamingv1.StreamClass) {
			c.Spec.Backfill = &streamingv1.ClassBackfill{MaxConcurrent: ptr.To(int32(1))}
		})
		endless := given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever })
		w.Given(ctx, "first", given.NoInitialBackfill, endless)
		w.Given(ctx, "second", given.NoInitialBackfill, endless)
		for _, name := range []string{"first", "second"} {
			w.AwaitPod(ctx, name, streamingv1.ModeStream)
		}
		w.Request(ctx, "of-first", "first")
		running := w.AwaitPod(ctx, "first", streamingv1.ModeBackfill)
		w.Request(ctx, "of-second", "second")
		w.AwaitRequest(ctx, "of-second", streamingv1.RequestQueued)
		w.AwaitQuiet(ctx)
		Expect(backfills(ctx, "second")).To(BeNil())
		w.AwaitPod(ctx, "second", streamingv1.ModeStream)
		// A fresh operator counts the slots as they are.
		w.RestartOperator(ctx)
		w.AwaitQuiet(ctx)
		Expect(backfills(ctx, "second")).To(BeNil())

		Expect(w.Player.Exit(running, 0)).To(Succeed())
		next := w.AwaitPod(ctx, "second", streamingv1.ModeBackfill)
		Expect(w.Player.Exit(next, 0)).To(Succeed())
		for _, name := range []string{"of-first", "of-second"} {
			w.AwaitCompleted(ctx, name)
		}
		for _, name := range []string{"first", "second"} {
			w.AwaitPod(ctx, name, streamingv1.ModeStream)
		}
	})
})
