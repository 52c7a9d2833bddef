// What passes, and what stands when nobody answers or the certificate changes.

package admission_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var _ = Describe("A stream with the webhooks up", func() {
	It("is completed with defaults, backfills, streams, and leaves in the foreground", func(ctx SpecContext) {
		w := enter(ctx)
		s := w.Given(ctx, "orders")
		Expect(s.Spec.PodFailurePolicy).NotTo(BeNil(), "the user sees which policy holds")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Delete(ctx, s, client.PropagationPolicy(metav1.DeletePropagationForeground))
		gone(ctx, w, s)
	})
})

var _ = Describe("With the webhooks down", func() {
	It("what runs runs on and can be switched by who may, what is deleted leaves, and what is created is refused in clear words", func(ctx SpecContext) {
		w := enter(ctx)
		running := w.Given(ctx, "running", given.NoInitialBackfill)
		leaving := w.Given(ctx, "leaving", given.NoInitialBackfill)
		w.AwaitPhase(ctx, "running", streamingv1.StreamRunning)
		pod := w.AwaitPod(ctx, "running", streamingv1.ModeStream)
		w.Given(ctx, "switched", given.NoInitialBackfill)
		w.AwaitPod(ctx, "leaving", streamingv1.ModeStream)
		w.AwaitPod(ctx, "switched", streamingv1.ModeStream)
		w.AwaitQuiet(ctx)
		// May write streams and no more; and may also create Jobs, but not read every Secret.
		nobody, some := userNamed(ctx, w, "nobody", rights{}), userWith(ctx, w, rights{jobs: true, secret: true})
		Expect(w.Operator.Stop(ctx)).To(Succeed())

		err := w.Client.Create(ctx, given.Stream(w.Namespace, "late", w.Class))
		Expect(apierrors.IsInternalError(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(And(ContainSubstring("failed calling webhook"), ContainSubstring("streams.streaming.sneaksanddata.com"))))
		Expect(switched(ctx, nobody, w.Stream(ctx, "running"), true)).To(Succeed())
		for _, user := range []client.Client{nobody, some} {
			Expect(switched(ctx, user, w.Stream(ctx, "running"), false)).To(MatchError(ContainSubstring("failed calling webhook")))
		}
		w.Resume(ctx, "running")
		Expect(switched(ctx, some, w.Stream(ctx, "switched"), true)).To(Succeed())
		w.Delete(ctx, leaving, client.PropagationPolicy(metav1.DeletePropagationForeground))
		gone(ctx, w, leaving)

		w.StartOperator(ctx)
		w.AwaitQuiet(ctx)
		again := w.AwaitPod(ctx, "running", streamingv1.ModeStream)
		Expect(again.UID).To(Equal(pod.UID))
		Expect(w.Stream(ctx, "running").UID).To(Equal(running.UID))
		Expect(w.Started(ctx, "running")).To(HaveLen(1))
		w.AwaitPhase(ctx, "switched", streamingv1.StreamSuspended)
		w.Given(ctx, "late", given.NoInitialBackfill)
		w.AwaitPod(ctx, "late", streamingv1.ModeStream)
	})
})

// switched turns the switch of a stream, and nothing else.
func switched(ctx context.Context, user client.Client, s *streamingv1.Stream, suspended bool) error {
	before := s.DeepCopy()
	s.Spec.Suspended = suspended
	return user.Patch(ctx, s, client.MergeFrom(before))
}

// gone waits until an object has left.
func gone(ctx context.Context, w *story.World, s *streamingv1.Stream) {
	GinkgoHelper()
	w.Await(ctx, func(g Gomega) {
		g.Expect(apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKeyFromObject(s), &streamingv1.Stream{}))).To(BeTrue())
	})
}

var _ = Describe("Replacing certificate and authority", func() {
	It("loses no request", func(ctx SpecContext) {
		w := enter(ctx)
		w.Unruly() // It asks for the webhooks' rights all the time, and its certificate is replaced each ten seconds.
		const workers, requests, replaced = 4, 1000, 2
		pace := time.NewTicker(8 * time.Millisecond)
		defer pace.Stop()
		var sent, failed atomic.Int64
		var firstFailure atomic.Value
		done := make(chan struct{})
		var all sync.WaitGroup
		for i := range workers {
			all.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					case <-pace.C:
					}
					s := given.Stream(w.Namespace, fmt.Sprintf("s-%d-%d", i, n), w.Class)
					if err := w.Client.Create(ctx, s, client.DryRunAll); err != nil {
						failed.Add(1)
						firstFailure.CompareAndSwap(nil, err.Error())
					}
					sent.Add(1)
				}
			})
		}
		seen := 0
		var last []byte
		w.AwaitWithin(ctx, 2*time.Minute, func(g Gomega) {
			held, err := w.Kube.CoreV1().Secrets(story.OperatorNamespace).Get(ctx, "arcane-webhook-certificate", metav1.GetOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			if now := held.Data["tls.crt"]; !bytes.Equal(now, last) {
				if last != nil {
					seen++
				}
				last = now
			}
			g.Expect(seen).To(BeNumerically(">=", replaced))
			g.Expect(sent.Load()).To(BeNumerically(">=", int64(requests)))
		})
		close(done)
		all.Wait()
		GinkgoWriter.Printf("%d requests, %d failed, while certificate and authority were replaced %d times\n", sent.Load(), failed.Load(), seen)
		AddReportEntry("requests", fmt.Sprintf("%d sent, %d failed, replaced %d times", sent.Load(), failed.Load(), seen))
		Expect(failed.Load()).To(BeZero(), "%v", firstFailure.Load())
	})
})
