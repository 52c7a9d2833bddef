// I6: an operator that is killed at any moment, again and again, comes to the same end.

package integration_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// plague kills the operator and starts it again, after random times, until it is
// stopped. It leaves the operator running.
func plague(ctx context.Context, w *story.World) (stop func()) {
	random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), 0))
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				done <- nil
				return
			case <-time.After(time.Duration(random.IntN(600)) * time.Millisecond):
			}
			if err := w.Operator.Kill(context.WithoutCancel(ctx)); err != nil {
				done <- err
				return
			}
			if err := w.Operator.Start(context.WithoutCancel(ctx)); err != nil {
				done <- err
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		cancel()
		Expect(<-done).To(Succeed())
	})
}

var _ = Describe("Under an operator that is killed again and again", func() {
	It("a stream backfills, streams, is backfilled on request, stops and goes on, each once", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		stop := plague(ctx, w)
		defer stop()
		w.Given(ctx, "orders")
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.Request(ctx, "again", "orders")
		w.AwaitCompleted(ctx, "again")
		second := w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Resume(ctx, "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first, second)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		stop()
		w.AwaitQuiet(ctx)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{
			streamingv1.ModeBackfill, streamingv1.ModeStream, streamingv1.ModeBackfill, streamingv1.ModeStream, streamingv1.ModeStream,
		}))
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(2))
	})
})
