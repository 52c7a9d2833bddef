// The operator as a process: its replicas, its end and its events.

package integration_test

import (
	"context"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// replica is an operator that acts while it holds the story's own Lease.
func replica(w *story.World, name string) *story.Process {
	GinkgoHelper()
	shared, ok := w.Operator.(*story.Process)
	Expect(ok).To(BeTrue())
	p := &story.Process{
		Binary: shared.Binary, Kubeconfig: shared.Kubeconfig,
		LogFile: filepath.Join(filepath.Dir(shared.LogFile), name+"-"+w.Namespace+".log"),
		// The last of two flags of one name counts.
		Args: []string{"--leader-elect", "--leader-election-namespace=" + w.Namespace},
	}
	DeferCleanup(func(ctx context.Context) { Expect(p.Stop(ctx)).To(Succeed()) })
	return p
}

var _ = Describe("Two replicas of the operator", func() {
	var w *story.World
	var first, second *story.Process
	holder := func(ctx context.Context) string {
		lease, err := w.Kube.CoordinationV1().Leases(w.Namespace).Get(ctx, "arcane-operator", metav1.GetOptions{})
		if err != nil {
			return ""
		}
		return ptr.Deref(lease.Spec.HolderIdentity, "")
	}
	takesOver := func(ctx context.Context, former string, within time.Duration) {
		w.AwaitWithin(ctx, within, func(g Gomega) {
			g.Expect(holder(ctx)).NotTo(Or(BeEmpty(), Equal(former)))
		})
		w.Given(ctx, "invoices", given.NoInitialBackfill)
		w.AwaitPod(ctx, "invoices", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "invoices", streamingv1.StreamRunning)
		Expect(w.Started(ctx, "orders")).To(HaveLen(1), "what ran well is not restarted")
	}

	BeforeEach(func(ctx SpecContext) {
		w = stage().Enter(ctx)
		Expect(w.Operator.Stop(ctx)).To(Succeed())
		first, second = replica(w, "first"), replica(w, "second")
		Expect(first.Start(ctx)).To(Succeed())
		w.Await(ctx, func(g Gomega) { g.Expect(holder(ctx)).NotTo(BeEmpty()) })
		w.Given(ctx, "orders", given.NoInitialBackfill)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(second.Start(ctx)).To(Succeed(), "the one that waits is ready too")
	})

	It("take turns at once when the first ends gracefully: it gives the Lease back", func(ctx SpecContext) {
		former := holder(ctx)
		Expect(first.Stop(ctx)).To(Succeed())
		takesOver(ctx, former, 5*time.Second)
	})

	It("take turns when the Lease has run out after the first was killed", func(ctx SpecContext) {
		former := holder(ctx)
		Expect(first.Kill(ctx)).To(Succeed())
		takesOver(ctx, former, 20*time.Second)
	})
})

var _ = Describe("The operator's events", func() {
	It("tell of each transition once", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		s := w.Given(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.AwaitQuiet(ctx)
		w.RestartOperator(ctx)
		w.AwaitQuiet(ctx)
		told := map[string]int{}
		w.Await(ctx, func(g Gomega) {
			clear(told)
			for _, e := range w.Events(ctx, s, corev1.EventTypeNormal) {
				told[e.Reason] += story.Told([]corev1.Event{e})
			}
			g.Expect(told).To(HaveKey(string(streamingv1.ReasonSuspended)))
		})
		for reason, times := range told {
			Expect(times).To(Equal(1), reason)
		}
		Expect(told).To(And(
			HaveKey(string(streamingv1.ReasonBackfilling)),
			HaveKey(string(streamingv1.ReasonBackfillCompleted)),
			HaveKey(string(streamingv1.ReasonStreaming)),
		))
		Expect(w.Warnings(ctx, s)).To(BeEmpty(), "nothing went wrong")
	})
})
