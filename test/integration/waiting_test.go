// Scenarios 17 and 19: a stream that cannot start yet, and one that may not.

package integration_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// How soon a stream starts when what it waited for has appeared.
const soon = 5 * time.Second

var _ = Describe("A stream that I suspend before it has started", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = stage().Enter(ctx) })
	startsWithItsBackfill := func(ctx SpecContext) {
		w.AwaitQuiet(ctx)
		Expect(w.Started(ctx, "orders")).To(BeEmpty())
		Expect(w.Jobs(ctx, "orders")).To(BeEmpty())
		w.Resume(ctx, "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		s := w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(s.Status.InitialBackfill).To(Equal(streamingv1.InitialRequested))
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(1))
	}

	It("has no job, and makes its first backfill when I resume it: suspended before the operator saw it", func(ctx SpecContext) {
		Expect(w.Operator.Stop(ctx)).To(Succeed())
		w.Given(ctx, "orders")
		w.Suspend(ctx, "orders")
		w.StartOperator(ctx)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		startsWithItsBackfill(ctx)
	})

	It("has no job, and makes its first backfill when I resume it: suspended while Pending", func(ctx SpecContext) {
		w.Delete(ctx, given.Template(w.Namespace, story.Template))
		w.Given(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamPending)
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Create(ctx, given.Template(w.Namespace, story.Template))
		startsWithItsBackfill(ctx)
	})
})

var _ = Describe("A stream that lacks something", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = stage().Enter(ctx) })
	waitsFor := func(ctx SpecContext, reason streamingv1.Reason, missing string) {
		s := w.AwaitPhase(ctx, "orders", streamingv1.StreamPending)
		refused := w.AwaitCondition(ctx, "orders", streamingv1.ConditionAccepted, metav1.ConditionFalse, reason)
		Expect(refused.Message).To(ContainSubstring(missing))
		w.AwaitQuiet(ctx)
		warnings := w.Events(ctx, s, corev1.EventTypeWarning)
		Expect(story.Told(warnings)).To(Equal(1))
		Expect(warnings[0].Reason).To(Equal(string(reason)))
		w.RestartOperator(ctx)
		w.AwaitQuiet(ctx)
		Expect(story.Told(w.Events(ctx, s, corev1.EventTypeWarning))).To(Equal(1), "nothing new has happened")
		Expect(w.Started(ctx, "orders")).To(BeEmpty())
	}
	startsSoon := func(ctx SpecContext, mode streamingv1.Mode) {
		w.AwaitWithin(ctx, soon, func(g Gomega) {
			_, err := w.RunningPod(ctx, "orders", mode)
			g.Expect(err).NotTo(HaveOccurred())
		})
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionAccepted, metav1.ConditionTrue, streamingv1.ReasonAccepted)
	}

	It("waits for its class and starts within seconds when that appears", func(ctx SpecContext) {
		w.Delete(ctx, given.Class(w.Class, story.Template))
		w.Given(ctx, "orders")
		waitsFor(ctx, streamingv1.ReasonClassNotFound, w.Class)
		w.Create(ctx, given.Class(w.Class, story.Template))
		startsSoon(ctx, streamingv1.ModeBackfill)
	})

	It("waits for its template and starts within seconds when that appears", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill, given.TemplateOf("later"))
		waitsFor(ctx, streamingv1.ReasonTemplateNotFound, "later")
		w.Create(ctx, given.Template(w.Namespace, "later"))
		startsSoon(ctx, streamingv1.ModeStream)
	})

	It("waits for the template that its class names", func(ctx SpecContext) {
		w.Delete(ctx, given.Template(w.Namespace, story.Template))
		w.Given(ctx, "orders", given.NoInitialBackfill)
		waitsFor(ctx, streamingv1.ReasonTemplateNotFound, story.Template)
		w.Create(ctx, given.Template(w.Namespace, story.Template))
		startsSoon(ctx, streamingv1.ModeStream)
	})

	It("streams on while a request waits for a template of its own", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill)
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Request(ctx, "again", "orders", func(r *streamingv1.BackfillRequest) {
			r.Spec.JobTemplateRef = &streamingv1.TemplateReference{Name: "big"}
		})
		waiting := w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
		Expect(waiting.Status.Message).To(ContainSubstring("big"))
		w.AwaitQuiet(ctx)
		now, err := w.RunningPod(ctx, "orders", streamingv1.ModeStream)
		Expect(err).NotTo(HaveOccurred())
		Expect(now.UID).To(Equal(first.UID))

		w.Create(ctx, given.Template(w.Namespace, "big"))
		w.AwaitCompleted(ctx, "again")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
	})

	It("runs on when its class goes, and starts nothing new until that is back", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill)
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Delete(ctx, given.Class(w.Class, story.Template))
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonClassNotFound)
		w.AwaitQuiet(ctx)
		now, err := w.RunningPod(ctx, "orders", streamingv1.ModeStream)
		Expect(err).NotTo(HaveOccurred())
		Expect(now.UID).To(Equal(first.UID))
		Expect(w.Player.Exit(first, 0)).To(Succeed())
		w.AwaitPhase(ctx, "orders", streamingv1.StreamPending)
		w.AwaitQuiet(ctx)
		Expect(w.Started(ctx, "orders")).To(HaveLen(1))
		w.Create(ctx, given.Class(w.Class, story.Template))
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	})
})
