// I5: the operator at rest, and how it wakes.

package integration_test

import (
	"context"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// quietEnv sets how long the operator must rest: `make prove` takes a whole minute.
const quietEnv = "ARCANE_TEST_QUIET"

// quietTime is shorter than a minute where nobody asks for more, as each run of the
// tests waits for it. It spans several renewals of the Lease.
func quietTime() time.Duration {
	GinkgoHelper()
	given := os.Getenv(quietEnv)
	if given == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(given)
	Expect(err).NotTo(HaveOccurred(), quietEnv)
	return d
}

// restingFleet is a stream in each phase, and requests that wait for each thing that
// they can wait for. It returns the pod that backfills.
func restingFleet(ctx context.Context, w *story.World) *corev1.Pod {
	GinkgoHelper()
	w.SetTemplate(ctx, given.BackoffLimit(0))
	w.EditClass(ctx, func(c *streamingv1.StreamClass) {
		c.Spec.Backfill = &streamingv1.ClassBackfill{MaxConcurrent: ptr.To(int32(1))}
	})
	w.Given(ctx, "backfilling", given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
	backfill := w.AwaitPod(ctx, "backfilling", streamingv1.ModeBackfill)
	w.Given(ctx, "running", given.NoInitialBackfill)
	w.Given(ctx, "in-line", given.NoInitialBackfill)
	w.Given(ctx, "suspended", given.Suspended)
	w.Given(ctx, "failed", given.NoInitialBackfill, given.Script(func(s *script.Source) { s.Stream = script.Run{ExitCode: 1} }))
	w.Given(ctx, "pending", given.NoInitialBackfill, given.TemplateOf("missing"))
	w.Given(ctx, "backing-off", given.NoInitialBackfill, given.Backoff(time.Hour, time.Hour),
		given.Script(func(s *script.Source) { s.Stream = script.Run{} }))
	w.Given(ctx, "scheduled", given.Schedule("0 0 1 1 *"))
	w.AwaitPod(ctx, "in-line", streamingv1.ModeStream)
	for request, stream := range map[string]string{
		"waits-for-a-slot": "in-line", "waits-for-its-stream": "suspended", "waits-for-its-user": "failed", "waits-for-nobody": "nobody",
	} {
		w.Request(ctx, request, stream)
		w.AwaitRequest(ctx, request, streamingv1.RequestQueued)
	}
	for name, phase := range map[string]streamingv1.StreamPhase{
		"running": streamingv1.StreamRunning, "in-line": streamingv1.StreamRunning, "backfilling": streamingv1.StreamBackfilling,
		"suspended": streamingv1.StreamSuspended, "failed": streamingv1.StreamFailed,
		"pending": streamingv1.StreamPending, "backing-off": streamingv1.StreamPending,
		"scheduled": streamingv1.StreamScheduled,
	} {
		w.AwaitPhase(ctx, name, phase)
	}
	w.AwaitCondition(ctx, "backing-off", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonBackingOff)
	w.AwaitPod(ctx, "running", streamingv1.ModeStream)
	return backfill
}

// awaitAlone waits until the namespaces of earlier stories are gone.
func awaitAlone(ctx context.Context, w *story.World) {
	GinkgoHelper()
	w.AwaitWithin(ctx, 2*w.Patience, func(g Gomega) {
		namespaces := &corev1.NamespaceList{}
		g.Expect(w.Client.List(ctx, namespaces)).To(Succeed())
		for i := range namespaces.Items {
			n := &namespaces.Items[i]
			g.Expect(n.DeletionTimestamp == nil || n.Name == w.Namespace).To(BeTrue(), "namespace %s is still going", n.Name)
		}
	})
}

// awaitCounted waits until the class shows the fleet as it is: it writes its counts
// every 30 seconds at most.
func awaitCounted(ctx context.Context, w *story.World) {
	GinkgoHelper()
	w.AwaitWithin(ctx, time.Minute, func(g Gomega) {
		streams, class := &streamingv1.StreamList{}, &streamingv1.StreamClass{}
		g.Expect(w.Client.List(ctx, streams, client.InNamespace(w.Namespace))).To(Succeed())
		g.Expect(w.Client.Get(ctx, client.ObjectKey{Name: w.Class}, class)).To(Succeed())
		counts := map[streamingv1.StreamPhase]int32{}
		for i := range streams.Items {
			counts[streams.Items[i].Status.Phase]++
		}
		g.Expect(class.Status.Streams).To(Equal(counts))
	})
}

var _ = Describe("The operator at rest", func() {
	It("asks nothing but for its Lease, whatever phases the streams are in, and wakes when one is touched", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		// The operator that all share leads without a Lease.
		Expect(w.Operator.Stop(ctx)).To(Succeed())
		operator := replica(w, "quiet")
		Expect(operator.Start(ctx)).To(Succeed())
		backfill := restingFleet(ctx, w)

		// Of everything, so that nothing that it asks of the whole cluster is missed. What
		// is still on its way out of earlier stories would wake it.
		awaitAlone(ctx, w)
		awaitCounted(ctx, w)
		audit, err := law.NewAuditLog(w.Cluster.AuditLog(), "")
		Expect(err).NotTo(HaveOccurred())
		settled, cancel := context.WithTimeout(ctx, w.Patience)
		defer cancel()
		Expect(law.AwaitQuiet(settled, audit, 2*time.Second)).To(Succeed())
		renewals := 0
		Consistently(ctx, func(g Gomega) {
			requests, err := audit.Next()
			g.Expect(err).NotTo(HaveOccurred())
			for _, r := range requests {
				g.Expect(r.Disturbs()).To(BeFalse(), r.String())
				if r.ByOperator() && r.Object.Resource == "leases" {
					renewals++
				}
			}
		}).WithTimeout(quietTime()).WithPolling(100 * time.Millisecond).Should(Succeed())
		Expect(renewals).To(BeNumerically(">=", 3), "it lived all the while")

		w.Suspend(ctx, "running")
		w.AwaitPhase(ctx, "running", streamingv1.StreamSuspended)
		w.Create(ctx, given.Template(w.Namespace, "missing"))
		w.AwaitPod(ctx, "pending", streamingv1.ModeStream)
		w.Exit(ctx, backfill, 0)
		w.AwaitCompleted(ctx, "waits-for-a-slot")
		w.AwaitPod(ctx, "in-line", streamingv1.ModeStream)
		w.AwaitPod(ctx, "backfilling", streamingv1.ModeStream)

		// Nor does a fresh one write what is written already.
		w.AwaitQuiet(ctx)
		before := len(w.History(ctx).Versions)
		Expect(operator.Stop(ctx)).To(Succeed())
		w.StartOperator(ctx)
		w.AwaitQuiet(ctx)
		Expect(w.History(ctx).Versions).To(HaveLen(before), "a restart writes nothing")
	})
})
