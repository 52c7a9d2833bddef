// Scenario 7: pods that end although nobody asked for it.

package story

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// Disrupted tells what follows when a pod is taken away: so many times, by turns
// deleted and evicted, it ends with the exit code.
func Disrupted(stage func() *Stage, exitCode, times int) {
	ginkgo.Describe(fmt.Sprintf("A running stream whose pod is deleted or evicted and exits %d", exitCode), func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })

		ginkgo.It(fmt.Sprintf("has not failed and streams again within 15 seconds, %d times", times), func(ctx ginkgo.SpecContext) {
			const healthy = time.Second
			w.Given(ctx, "orders", given.NoInitialBackfill, given.HealthyAfter(healthy),
				given.Script(func(s *script.Source) { s.Stream.OnSigterm.ExitCode = exitCode }))
			p := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			for round := range times {
				w.AwaitAge(ctx, p, healthy)
				if round%2 == 0 {
					w.Delete(ctx, p)
				} else {
					w.Evict(ctx, p)
				}
				former := p
				w.AwaitWithin(ctx, 15*time.Second, func(g gomega.Gomega) {
					var err error
					p, err = w.RunningPod(ctx, "orders", streamingv1.ModeStream, former)
					g.Expect(err).NotTo(gomega.HaveOccurred(), "round %d", round)
				})
			}
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(w.PhasesEver(ctx, "orders")).NotTo(gomega.ContainElement(streamingv1.StreamFailed))
		})
	})
}

// CrashLooping tells what follows when a streaming job keeps ending.
func CrashLooping(stage func() *Stage) {
	ginkgo.Describe("A stream whose pods keep ending without having run well", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })

		ginkgo.It("starts again after growing pauses and says so", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill, given.Backoff(time.Second, 4*time.Second),
				given.Script(func(s *script.Source) { s.Stream = script.Run{} }))
			w.AwaitWithin(ctx, 2*w.Patience, func(g gomega.Gomega) {
				g.Expect(len(w.Started(ctx, "orders"))).To(gomega.BeNumerically(">=", 5))
			})
			started := w.Started(ctx, "orders")
			var pauses []time.Duration
			for i := 1; i < len(started); i++ {
				pauses = append(pauses, started[i].CreationTimestamp.Sub(started[i-1].CreationTimestamp.Time))
			}
			// Creation times are whole seconds, and each pause holds the pod's own life.
			gomega.Expect(pauses[3]).To(gomega.BeNumerically(">=", 3*time.Second), "pauses %v", pauses)
			gomega.Expect(w.PhasesEver(ctx, "orders")).NotTo(gomega.ContainElement(streamingv1.StreamFailed))
			gomega.Expect(w.Stream(ctx, "orders").Status.Restarts.Count).To(gomega.BeNumerically(">=", 4))
			w.Suspend(ctx, "orders")
			s := w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			gomega.Expect(s.Status.Restarts).To(gomega.BeNil(), "suspending it forgets the restarts")
		})
	})
}

// AwaitAge waits until a pod's container has run for so long. Its start is told in
// whole seconds, hence one more.
func (w *World) AwaitAge(ctx context.Context, p *corev1.Pod, age time.Duration) {
	ginkgo.GinkgoHelper()
	started := p.Status.ContainerStatuses[0].State.Running.StartedAt.Time
	w.Await(ctx, func(g gomega.Gomega) {
		g.Expect(time.Since(started)).To(gomega.BeNumerically(">", age+time.Second))
	})
}
