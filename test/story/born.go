// Scenarios 1 and 2: how a stream begins.

package story

import (
	"strconv"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

// Born tells how streams begin.
func Born(stage func() *Stage) {
	ginkgo.Describe("A new stream", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })

		ginkgo.It("makes one request, runs its backfill and then streams", func(ctx ginkgo.SpecContext) {
			s := w.Given(ctx, "orders")
			backfill := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
			requests := w.Requests(ctx, "orders")
			gomega.Expect(requests).To(gomega.HaveLen(1))
			request := requests[0]
			gomega.Expect(request.Name).To(gomega.Equal("orders-initial-" + string(s.UID)[:8]))
			gomega.Expect(request.Spec.Completed).To(gomega.BeFalse())
			gomega.Expect(metav1.IsControlledBy(&request, s)).To(gomega.BeTrue(), "it must go with its stream")
			w.expectContract(backfill, s, map[string]string{
				streamingv1.EnvBackfill:    "true",
				streamingv1.EnvBackfillID:  request.Name,
				streamingv1.EnvBackfillUID: string(request.UID),
			})

			s = w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			streaming := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.expectContract(streaming, s, map[string]string{streamingv1.EnvBackfill: "false"})
			_, isSet := env(streaming, streamingv1.EnvBackfillID)
			gomega.Expect(isSet).To(gomega.BeFalse(), "a streaming job has no backfill's id")

			done := w.AwaitCompleted(ctx, request.Name)
			gomega.Expect(done.Annotations[streamingv1.AnnotationCompletedBy]).To(gomega.Equal(backfill.Labels[batchv1.ControllerUidLabel]))
			gomega.Expect(done.Status.AttemptCount).To(gomega.Equal(int32(1)))
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Modes(ctx, "orders")).To(gomega.Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
			gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.Equal(1))
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionTrue, streamingv1.ReasonStreaming)
			gomega.Expect(w.Stream(ctx, "orders").Status.InitialBackfill).To(gomega.Equal(streamingv1.InitialRequested))
		})

		ginkgo.It("streams at once where its user wants no initial backfill", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill)
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			s := w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(s.Status.InitialBackfill).To(gomega.Equal(streamingv1.InitialWaived))
			gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.BeZero())
		})
	})

	ginkgo.Describe("A stream created suspended", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w = stage().Enter(ctx)
			w.Given(ctx, "orders", given.Suspended)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Jobs(ctx, "orders")).To(gomega.BeEmpty())
			gomega.Expect(w.Requests(ctx, "orders")).To(gomega.BeEmpty())
		})
		streamsWithoutRequest := func(ctx ginkgo.SpecContext) {
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			s := w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			w.AwaitQuiet(ctx)
			gomega.Expect(s.Status.InitialBackfill).To(gomega.Equal(streamingv1.InitialWaived))
			gomega.Expect(w.Modes(ctx, "orders")).To(gomega.Equal([]streamingv1.Mode{streamingv1.ModeStream}))
			gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.BeZero(), "it gave up its first backfill when it was created")
		}

		ginkgo.It("streams at once when I resume it, and never makes a request", func(ctx ginkgo.SpecContext) {
			w.Resume(ctx, "orders")
			streamsWithoutRequest(ctx)
		})

		ginkgo.It("streams at once when I resume it while the operator is down", func(ctx ginkgo.SpecContext) {
			gomega.Expect(w.Operator.Stop(ctx)).To(gomega.Succeed())
			w.Resume(ctx, "orders")
			w.StartOperator(ctx)
			streamsWithoutRequest(ctx)
		})
	})
}

// expectContract holds a pod to what a plugin is promised to find.
func (w *World) expectContract(p *corev1.Pod, s *streamingv1.Stream, more map[string]string) {
	ginkgo.GinkgoHelper()
	want := map[string]string{
		streamingv1.EnvStreamID:        s.Name,
		streamingv1.EnvStreamKind:      streamingv1.KindStream,
		streamingv1.EnvStreamNamespace: s.Namespace,
		streamingv1.EnvStreamUID:       string(s.UID),
		streamingv1.EnvRun:             strconv.FormatInt(jobspec.RunOf(p.Labels[batchv1.JobNameLabel]), 10),
	}
	for name, value := range more {
		want[name] = value
	}
	for name, value := range want {
		got, isSet := env(p, name)
		gomega.Expect(isSet).To(gomega.BeTrue(), "%s must be set", name)
		gomega.Expect(got).To(gomega.Equal(value), name)
	}
	spec, _ := env(p, streamingv1.EnvSpec)
	gomega.Expect(spec).To(gomega.ContainSubstring(`"streamClass":"` + w.Class + `"`))
	gomega.Expect(p.Labels).To(gomega.And(
		gomega.HaveKeyWithValue(streamingv1.LabelStreamID, s.Name),
		gomega.HaveKeyWithValue(streamingv1.LabelStreamKind, streamingv1.KindStream),
		gomega.HaveKeyWithValue(streamingv1.LabelManagedBy, streamingv1.ManagedBy),
	))
}
