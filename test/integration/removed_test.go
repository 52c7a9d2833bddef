// Scenario 20: a stream that is deleted leaves nothing behind, and what is not ours
// is not touched.

package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func environment(p *corev1.Pod, name string) string {
	GinkgoHelper()
	for _, e := range p.Spec.Containers[0].Env {
		if e.Name == name {
			return e.Value
		}
	}
	Fail("pod " + p.Name + " has no " + name)
	return ""
}

var _ = Describe("A stream that I delete", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = stage().Enter(ctx) })
	leavesNothing := func(ctx SpecContext) {
		w.Await(ctx, func(g Gomega) {
			err := w.Client.Get(ctx, w.Key("orders"), &streamingv1.Stream{})
			g.Expect(apierrors.IsNotFound(err)).To(BeTrue())
			g.Expect(w.Jobs(ctx, "orders")).To(BeEmpty())
			g.Expect(w.Pods(ctx, "orders")).To(BeEmpty())
			g.Expect(w.Requests(ctx, "orders")).To(BeEmpty())
		})
		w.AwaitQuiet(ctx)
	}
	beginsAnew := func(ctx SpecContext, former *corev1.Pod) {
		s := w.Given(ctx, "orders")
		backfill := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill, former)
		Expect(environment(backfill, streamingv1.EnvBackfillID)).To(Equal("orders-initial-" + string(s.UID)[:8]))
		Expect(environment(backfill, streamingv1.EnvStreamUID)).To(Equal(string(s.UID)))
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream, former)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	}

	DescribeTable("leaves nothing behind, and its name begins anew",
		func(ctx SpecContext, mode streamingv1.Mode, how metav1.DeletionPropagation) {
			var options []given.StreamOption
			if mode == streamingv1.ModeStream {
				options = append(options, given.NoInitialBackfill)
			}
			s := w.Given(ctx, "orders", append(options, given.Script(story.SlowToEnd))...)
			former := w.AwaitPod(ctx, "orders", mode)
			w.Delete(ctx, s, client.PropagationPolicy(how))
			leavesNothing(ctx)
			beginsAnew(ctx, former)
		},
		Entry("while it runs", streamingv1.ModeStream, metav1.DeletePropagationBackground),
		Entry("while it runs, in the foreground", streamingv1.ModeStream, metav1.DeletePropagationForeground),
		Entry("while it backfills", streamingv1.ModeBackfill, metav1.DeletePropagationBackground),
		Entry("while it backfills, in the foreground", streamingv1.ModeBackfill, metav1.DeletePropagationForeground),
	)

	It("does not disturb the next one of its name while its pod still winds up", func(ctx SpecContext) {
		s := w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(story.SlowToEnd))
		former := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.Delete(ctx, s, client.PropagationPolicy(metav1.DeletePropagationBackground))
		beginsAnew(ctx, former)
	})

	It("takes my requests for it along", func(ctx SpecContext) {
		s := w.Given(ctx, "orders", given.Suspended)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Request(ctx, "again", "orders")
		w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
		w.Delete(ctx, s)
		leavesNothing(ctx)
	})
})

var _ = Describe("A foreign job with the name that a stream wants", func() {
	It("costs it that name, and is never touched", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		w.Delete(ctx, given.Template(w.Namespace, story.Template))
		s := w.Given(ctx, "orders", given.NoInitialBackfill)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamPending)
		name := jobspec.Name(s.Name, s.UID, streamingv1.KindStream, s.CreationTimestamp.Unix()+1)
		foreign := given.Job(w.Namespace, name)
		w.Create(ctx, foreign)
		w.Create(ctx, given.Template(w.Namespace, story.Template))

		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.Stream(ctx, "orders").Status.Job.Name).To(Equal(jobspec.Name(s.Name, s.UID, streamingv1.KindStream, s.CreationTimestamp.Unix()+2)))
		w.AwaitQuiet(ctx)
		now := &batchv1.Job{}
		Expect(w.Client.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: name}, now)).To(Succeed())
		Expect(now.UID).To(Equal(foreign.UID))
		Expect(now.Generation).To(Equal(foreign.Generation))
		Expect(now.OwnerReferences).To(BeEmpty())
		Expect(now.Labels).To(HaveKeyWithValue("app", "somebody-else"))

		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Delete(ctx, foreign, client.PropagationPolicy(metav1.DeletePropagationForeground))
		w.Await(ctx, func(g Gomega) {
			g.Expect(apierrors.IsNotFound(w.Client.Get(ctx, w.Key(name), now))).To(BeTrue())
		})
		w.Resume(ctx, "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	})
})
