// What an operator of some namespaces does in them, and leaves alone elsewhere.

package namespaced_test

import (
	"context"
	"slices"

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

// lives tells a stream's whole life: backfill, streaming, off.
func lives(ctx context.Context, w *story.World, name string, options ...given.StreamOption) {
	GinkgoHelper()
	s := w.Given(ctx, name, options...)
	w.AwaitPod(ctx, name, streamingv1.ModeStream)
	w.AwaitPhase(ctx, name, streamingv1.StreamRunning)
	w.AwaitCompleted(ctx, name+"-initial-"+string(s.UID)[:8])
	Expect(w.Modes(ctx, name)).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
	w.Suspend(ctx, name)
	w.AwaitPhase(ctx, name, streamingv1.StreamSuspended)
}

// expectNothing: no operator has looked at the namespace.
func expectNothing(ctx context.Context, w *story.World, name string) {
	GinkgoHelper()
	Expect(w.Stream(ctx, name).Status).To(Equal(streamingv1.StreamStatus{}))
	Expect(w.Jobs(ctx, name)).To(BeEmpty())
	Expect(w.RequestsEver(ctx, name)).To(BeZero())
	var events corev1.EventList
	Expect(w.Client.List(ctx, &events, client.InNamespace(w.Namespace))).To(Succeed())
	Expect(events.Items).To(BeEmpty())
}

// operatorAsked is what the operator has asked for since the last time.
func operatorAsked() []law.Request {
	GinkgoHelper()
	all, err := asked.Next()
	Expect(err).NotTo(HaveOccurred())
	own := slices.DeleteFunc(all, func(r law.Request) bool { return !r.ByOperator() })
	Expect(own).NotTo(BeEmpty())
	return own
}

// expectWithin holds all that the operator has asked for so far to its rights, and to
// its namespaces.
func expectWithin(rights []law.Right) {
	GinkgoHelper()
	own := operatorAsked()
	_, beyond := law.Compare(rights, own)
	Expect(beyond).To(BeEmpty(), "forbidden, or let through by somebody else's rights")
	Expect(own).NotTo(ContainElement(HaveField("Object.Namespace", elsewhere.Namespace)))
	Expect(own).NotTo(ContainElement(And(HaveField("Object.Resource", "streamclasses"), HaveField("Writes()", BeTrue()))))
}

func rightsOf() []law.Right {
	GinkgoHelper()
	rights, err := law.RightsOf(manifests, story.OperatorNamespace, "arcane-operator")
	Expect(err).NotTo(HaveOccurred())
	return rights
}

var _ = Describe("An operator of two namespaces", Ordered, func() {
	It("serves the streams of both, one backfill at a time where their class says so, and none elsewhere", func(ctx SpecContext) {
		teamA.EditClass(ctx, func(c *streamingv1.StreamClass) {
			c.Spec.Backfill = &streamingv1.ClassBackfill{MaxConcurrent: ptr.To(int32(1))}
		})
		left := elsewhere.Given(ctx, "orders")
		Expect(left.Spec.PodFailurePolicy).To(BeNil(), "no webhook of ours stands before it")

		lasts := given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever })
		first := teamA.Given(ctx, "orders", lasts)
		Expect(first.Spec.PodFailurePolicy).NotTo(BeNil(), "the user sees which policy holds")
		backfill := teamA.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		second := given.Stream(teamB.Namespace, "orders", teamA.Class)
		teamB.Create(ctx, second)
		teamB.AwaitRequest(ctx, "orders-initial-"+string(second.UID)[:8], streamingv1.RequestQueued)
		teamB.AwaitQuiet(ctx)
		Expect(teamB.Started(ctx, "orders")).To(BeEmpty(), "the slot is taken in the other namespace")
		teamA.Exit(ctx, backfill, 0)
		for _, w := range []*story.World{teamA, teamB} {
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		}
		lives(ctx, teamB, "more")

		teamA.RestartOperator(ctx)
		teamA.AwaitQuiet(ctx)
		Expect(teamA.Started(ctx, "orders")).To(HaveLen(2), "what ran well is not restarted")
		expectNothing(ctx, elsewhere, "orders")
		class := &streamingv1.StreamClass{}
		Expect(teamA.Client.Get(ctx, client.ObjectKey{Name: teamA.Class}, class)).To(Succeed())
		Expect(class.Status).To(Equal(streamingv1.StreamClassStatus{}), "classes are the whole cluster's")
		expectWithin(rightsOf())
	})

	It("takes a template that its class names elsewhere for one that is missing, and rests", func(ctx SpecContext) {
		class := given.Class("of-elsewhere", story.Template)
		class.Spec.JobTemplateRef.Namespace = elsewhere.Namespace
		class.Spec.AllowedTemplateNamespaces = []string{elsewhere.Namespace}
		teamA.Create(ctx, class)
		DeferCleanup(func(ctx context.Context) { teamA.Delete(ctx, class) })
		teamA.Create(ctx, given.Stream(teamA.Namespace, "far", class.Name, given.NoInitialBackfill))
		teamA.AwaitCondition(ctx, "far", streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonTemplateNotFound)
		teamA.AwaitQuiet(ctx)
		expectWithin(rightsOf())
	})

	It("needs of the whole cluster only to read classes, where it serves no webhooks", func(ctx SpecContext) {
		Expect(stage.Operator.Stop(ctx)).To(Succeed())
		for _, kind := range []string{"mutatingwebhookconfiguration", "validatingwebhookconfiguration"} {
			_, err := stage.Kubectl(ctx, "delete", kind, story.WebhookConfiguration)
			Expect(err).NotTo(HaveOccurred())
		}
		_, err := stage.Kubectl(ctx, "delete", "clusterrolebinding,clusterrole", "arcane-operator-admission")
		Expect(err).NotTo(HaveOccurred())
		rights := slices.DeleteFunc(rightsOf(), func(r law.Right) bool {
			return r.Namespace == "" && r.Resource != "streamclasses" || r.Resource == "secrets"
		})
		operator, ok := stage.Operator.(*story.Process)
		Expect(ok).To(BeTrue())
		operator.Admission = nil
		stage.Operator = operator
		_, err = asked.Next() // What came before had more rights.
		Expect(err).NotTo(HaveOccurred())
		Expect(operator.Start(ctx)).To(Succeed())

		lives(ctx, teamA, "plain")
		teamA.AwaitQuiet(ctx)
		expectNothing(ctx, elsewhere, "orders")
		expectWithin(rights)

		By("and to find out whether a request is from an earlier Arcane: it takes one that may be for cancelled")
		teamA.Request(ctx, "old", "plain", func(q *streamingv1.BackfillRequest) { q.Spec.Completed = true })
		teamA.AwaitRequest(ctx, "old", streamingv1.RequestCancelled)
		teamA.AwaitQuiet(ctx)
		_, beyond := law.Compare(rights, operatorAsked())
		Expect(beyond).To(HaveEach(HaveField("Object.Resource", "customresourcedefinitions")))
		Expect(beyond).To(HaveLen(1))
	})

	It("has kept the laws", func(ctx SpecContext) {
		for _, w := range []*story.World{teamA, teamB, elsewhere} {
			w.AwaitQuiet(ctx)
			Expect(law.Check(w.History(ctx))).To(BeEmpty())
			Expect(w.Operator.Sound(ctx)).To(Succeed())
			w.Close(ctx)
		}
	})
})
