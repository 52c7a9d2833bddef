// Scenario 18: a job that its user deletes by hand.

package story

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// SlowToEnd lets pods live on for two seconds, in which a hasty start would show.
func SlowToEnd(s *script.Source) {
	s.Backfill.RunFor = script.Forever
	s.Backfill.OnSigterm.After = script.Duration(2 * time.Second)
	s.Stream.OnSigterm.After = script.Duration(2 * time.Second)
}

// deletions are the ways in which a job can be deleted, each with a stream of its
// own: told side by side, as each of them mostly waits.
var deletions = []struct {
	stream string
	how    metav1.DeletionPropagation
}{
	{"foreground", metav1.DeletePropagationForeground},
	{"background", metav1.DeletePropagationBackground},
	{"orphan", metav1.DeletePropagationOrphan},
}

// deleteJob deletes the only job of a stream by hand.
func (w *World) deleteJob(ctx context.Context, stream string, how metav1.DeletionPropagation) {
	ginkgo.GinkgoHelper()
	jobs := w.Jobs(ctx, stream)
	gomega.Expect(jobs).To(gomega.HaveLen(1), stream)
	w.Delete(ctx, &jobs[0], client.PropagationPolicy(how))
}

// Removed tells what follows when a job is deleted by hand. That its pod was gone
// before the next one came is what the laws at the end look at.
func Removed(stage func() *Stage) {
	ginkgo.Describe("A job that I delete by hand, in the foreground, in the background or without its pod,", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })

		ginkgo.It("comes again for a running stream when its pod is gone", func(ctx ginkgo.SpecContext) {
			first := map[string]*corev1.Pod{}
			for _, d := range deletions {
				w.Given(ctx, d.stream, given.NoInitialBackfill, given.Script(SlowToEnd))
			}
			for _, d := range deletions {
				first[d.stream] = w.AwaitPod(ctx, d.stream, streamingv1.ModeStream)
				w.deleteJob(ctx, d.stream, d.how)
			}
			for _, d := range deletions {
				w.AwaitPod(ctx, d.stream, streamingv1.ModeStream, first[d.stream])
				w.AwaitPhase(ctx, d.stream, streamingv1.StreamRunning)
				gomega.Expect(w.PhasesEver(ctx, d.stream)).NotTo(gomega.ContainElement(streamingv1.StreamFailed), d.stream)
			}
		})

		ginkgo.It("comes again for a backfill, with the same id", func(ctx ginkgo.SpecContext) {
			first := map[string]*Backfill{}
			for _, d := range deletions {
				first[d.stream] = w.Begin(ctx, d.stream, SlowToEnd)
			}
			for _, d := range deletions {
				w.deleteJob(ctx, d.stream, d.how)
			}
			for _, d := range deletions {
				first[d.stream].RunsAgain(ctx)
				gomega.Expect(w.RequestsEver(ctx, d.stream)).To(gomega.Equal(1), d.stream)
			}
		})

		ginkgo.It("does not come again where I have suspended the stream", func(ctx ginkgo.SpecContext) {
			for _, d := range deletions {
				w.Given(ctx, d.stream, given.NoInitialBackfill, given.Script(SlowToEnd))
			}
			for _, d := range deletions {
				w.AwaitPod(ctx, d.stream, streamingv1.ModeStream)
				w.deleteJob(ctx, d.stream, d.how)
				w.Suspend(ctx, d.stream)
			}
			for _, d := range deletions {
				w.AwaitPhase(ctx, d.stream, streamingv1.StreamSuspended)
				w.expectNoLivingPod(ctx, d.stream)
			}
			w.AwaitQuiet(ctx)
			for _, d := range deletions {
				gomega.Expect(w.Started(ctx, d.stream)).To(gomega.HaveLen(1), d.stream)
			}
		})

		ginkgo.It("does not come again where the stream has failed", func(ctx ginkgo.SpecContext) {
			w.SetTemplate(ctx, given.BackoffLimit(0))
			for _, d := range deletions {
				w.Given(ctx, d.stream, given.NoInitialBackfill, given.Script(failsAtOnce))
			}
			for _, d := range deletions {
				w.AwaitPhase(ctx, d.stream, streamingv1.StreamFailed)
				w.deleteJob(ctx, d.stream, d.how)
			}
			for _, d := range deletions {
				w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Jobs(ctx, d.stream)).To(gomega.BeEmpty(), d.stream) })
			}
			w.AwaitQuiet(ctx)
			for _, d := range deletions {
				gomega.Expect(w.Started(ctx, d.stream)).To(gomega.HaveLen(1), d.stream)
				s := w.AwaitPhase(ctx, d.stream, streamingv1.StreamFailed)
				gomega.Expect(s.Status.Failure.ExitCode).To(gomega.HaveValue(gomega.Equal(int32(1))), "its reason is kept")
			}
		})
	})
}
