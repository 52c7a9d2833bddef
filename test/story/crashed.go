// Streaming pods that fail by themselves after they have run well.

package story

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// healthy is the healthyAfter of these stories. A run of outlives has run well for sure, although starts are told in whole
// seconds.
const (
	healthy  = time.Second
	outlives = script.Duration(3 * time.Second)
)

// Crashed tells that nobody calls a failure a disruption.
func Crashed(stage func() *Stage, side Side) {
	ginkgo.Describe("A stream that has run well", func() {
		side.play(stage, func(context.Context, *World) {}, []Scene{
			{
				Says: "and whose pods then fail, fails at the backoffLimit, with the failed pods kept", Stream: "crashes",
				Begin: func(ctx context.Context, w *World, name string) {
					w.WithTemplate(ctx, name, given.BackoffLimit(1))
					w.Given(ctx, name, given.TemplateOf(name), given.NoInitialBackfill, given.HealthyAfter(healthy),
						given.Script(func(s *script.Source) { s.Stream = script.Run{RunFor: outlives, ExitCode: 1, Message: "out of luck"} }))
				},
				End: failsWithItsPods,
			},
			{
				Says: "and then fails, and fails again soon, uses up its restarts", Stream: "restarts",
				Begin: func(ctx context.Context, w *World, name string) {
					w.WithTemplate(ctx, name, given.BackoffLimit(0))
					w.Given(ctx, name, given.TemplateOf(name), given.NoInitialBackfill, given.HealthyAfter(4*healthy), given.Restarts(1),
						given.Backoff(time.Second, time.Second))
				},
				End: func(ctx context.Context, w *World, name string) {
					first := w.AwaitPod(ctx, name, streamingv1.ModeStream)
					w.AwaitAge(ctx, first, 4*healthy)
					w.Exit(ctx, first, 1)
					w.Exit(ctx, w.AwaitPod(ctx, name, streamingv1.ModeStream, first), 1)
					w.Await(ctx, func(g gomega.Gomega) {
						s := w.Stream(ctx, name)
						g.Expect(s.Status.Phase).To(gomega.Equal(streamingv1.StreamFailed), describe(s))
						g.Expect(s.Status.Restarts).NotTo(gomega.BeNil(), describe(s))
						g.Expect(s.Status.Restarts.Retries).To(gomega.Equal(int32(1)), describe(s))
						g.Expect(s.Status.Failure.ExitCode).To(gomega.HaveValue(gomega.Equal(int32(1))))
					})
					ready := w.AwaitCondition(ctx, name, streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonJobFailed)
					gomega.Expect(ready.Message).To(gomega.ContainSubstring("automatic restart"))
					gomega.Expect(w.Started(ctx, name)).To(gomega.HaveLen(2), "once, and once again")
					w.neverDisrupted(ctx, name)
				},
			},
			{
				Says: "up to its template's activeDeadlineSeconds, fails", Stream: "deadline",
				Begin: func(ctx context.Context, w *World, name string) {
					w.WithTemplate(ctx, name, given.ActiveDeadline(4))
					w.Given(ctx, name, given.TemplateOf(name), given.NoInitialBackfill, given.HealthyAfter(healthy))
				},
				End: failsAtItsDeadline,
			},
			{
				Says: "when its backfill meets its template's activeDeadlineSeconds, fails", Stream: "backfill-deadline",
				Begin: func(ctx context.Context, w *World, name string) {
					w.WithTemplate(ctx, name, given.ActiveDeadline(4))
					w.Given(ctx, name, given.BackfillTemplateOf(name), given.HealthyAfter(healthy), given.Script(backfills(interrupted())))
				},
				End: failsAtItsDeadline,
			},
		})
	})
}

func failsWithItsPods(ctx context.Context, w *World, name string) {
	ginkgo.GinkgoHelper()
	s := w.AwaitPhase(ctx, name, streamingv1.StreamFailed)
	gomega.Expect(s.Status.Failure.Reason).To(gomega.Equal(batchv1.JobReasonBackoffLimitExceeded))
	gomega.Expect(s.Status.Failure.ExitCode).To(gomega.HaveValue(gomega.Equal(int32(1))))
	gomega.Expect(s.Status.Failure.Message).To(gomega.ContainSubstring("out of luck"))
	gomega.Expect(w.Started(ctx, name)).To(gomega.HaveLen(1), "the Job controller counts, and nobody begins anew")
	pods := w.Pods(ctx, name)
	gomega.Expect(pods).To(gomega.HaveLen(2))
	for _, p := range pods {
		gomega.Expect(p.Status.Phase).To(gomega.Equal(corev1.PodFailed))
		gomega.Expect(p.DeletionTimestamp).To(gomega.BeNil())
		gomega.Expect(p.Status.ContainerStatuses[0].State.Terminated.ExitCode).To(gomega.Equal(int32(1)))
	}
	w.neverDisrupted(ctx, name)
}

func failsAtItsDeadline(ctx context.Context, w *World, name string) {
	ginkgo.GinkgoHelper()
	s := w.AwaitPhase(ctx, name, streamingv1.StreamFailed)
	gomega.Expect(s.Status.Failure.Reason).To(gomega.Equal(batchv1.JobReasonDeadlineExceeded))
	gomega.Expect(w.Started(ctx, name)).To(gomega.HaveLen(1))
	w.neverDisrupted(ctx, name)
}

// neverDisrupted: no decision has called its end a disruption.
func (w *World) neverDisrupted(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	for _, v := range w.History(ctx).Versions {
		s, ok := v.Object.(*streamingv1.Stream)
		if ok && s.Name == name && s.Status.LastDecision != nil {
			gomega.Expect(s.Status.LastDecision.Reason).NotTo(gomega.Equal(string(streamingv1.ReasonDisrupted)))
		}
	}
}
