// Streams that do not get on: their job is started, and no pod of it gets to run.

package story

import (
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// Stalled tells what is said of streams that do not get on.
func Stalled(stage func() *Stage) {
	ginkgo.Describe("A stream whose pod does not get to run", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.EditClass(ctx, func(c *streamingv1.StreamClass) {
				deadline := int32(2)
				c.Spec.StartDeadlineSeconds = &deadline
			})
		})

		ginkgo.It("is stalled with the pod's own reason, says so once, and gets on when that is mended", func(ctx ginkgo.SpecContext) {
			w.SetTemplate(ctx, func(t *streamingv1.StreamingJobTemplate) {
				t.Spec.Spec.Template.Spec.NodeSelector = map[string]string{"story.example.com/disk": "none-has-it"}
			})
			s := w.Given(ctx, "orders", given.NoInitialBackfill)
			stalled := w.AwaitCondition(ctx, "orders", streamingv1.ConditionStalled, metav1.ConditionTrue, "Unschedulable")
			gomega.Expect(stalled.Message).To(gomega.ContainSubstring("node"))
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, "Unschedulable")
			w.AwaitQuiet(ctx)
			gomega.Expect(Told(w.Warnings(ctx, s))).To(gomega.Equal(1))

			w.EditTemplate(ctx, Template, func(t *streamingv1.StreamingJobTemplate) { t.Spec.Spec.Template.Spec.NodeSelector = nil })
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionTrue, streamingv1.ReasonStreaming)
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionStalled, metav1.ConditionFalse, streamingv1.ReasonStreaming)
		})
	})

	ginkgo.Describe("A stream whose pods keep ending in ways that are ignored", func() {
		ginkgo.It("is stalled as crash-looping, and is not when it has run well", func(ctx ginkgo.SpecContext) {
			w := stage().Enter(ctx)
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(func(s *script.Source) { s.Stream = script.Run{} }),
				given.Backoff(time.Second, time.Second), given.HealthyAfter(3*time.Second))
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionStalled, metav1.ConditionTrue, streamingv1.ReasonCrashLooping)
			w.EditStream(ctx, "orders", repaired)
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionStalled, metav1.ConditionFalse, streamingv1.ReasonStreaming)
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Stream(ctx, "orders").Status.Restarts).To(gomega.BeNil()) })
		})
	})
}
