package forged_test

// This file lets a cluster's own policy write over what the operator labels.

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// relabel is what a policy does to a label; an empty value takes it away.
type relabel struct{ label, value string }

// enforce installs a policy for the world's namespace, and waits until it is followed.
func enforce(ctx context.Context, w *story.World, r relabel, resources ...string) {
	GinkgoHelper()
	path := fmt.Sprintf(`"/metadata/labels/" + jsonpatch.escapeKey(%q)`, r.label)
	operation := fmt.Sprintf(`JSONPatch{op: "replace", path: %s, value: %q}`, path, r.value)
	if r.value == "" {
		operation = fmt.Sprintf(`JSONPatch{op: "remove", path: %s}`, path)
	}
	rule := func(group string, resources ...string) admissionregistrationv1.NamedRuleWithOperations {
		return admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: resources},
		}}
	}
	var rules []admissionregistrationv1.NamedRuleWithOperations
	for _, resource := range resources {
		group := "batch"
		if resource == "pods" {
			group = ""
		}
		rules = append(rules, rule(group, resource))
	}
	policy := &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: w.Namespace},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: rules},
			MatchConditions: []admissionregistrationv1.MatchCondition{{
				Name: "labelled", Expression: fmt.Sprintf("has(object.metadata.labels) && %q in object.metadata.labels", r.label),
			}},
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType: admissionregistrationv1.PatchTypeJSONPatch,
				JSONPatch: &admissionregistrationv1.JSONPatch{Expression: "[" + operation + "]"},
			}},
			FailurePolicy:      ptr.To(admissionregistrationv1.Fail),
			ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
		},
	}
	policies := w.Kube.AdmissionregistrationV1().MutatingAdmissionPolicies()
	_, err := policies.Create(ctx, policy, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	bindings := w.Kube.AdmissionregistrationV1().MutatingAdmissionPolicyBindings()
	_, err = bindings.Create(ctx, &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.Namespace},
		Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{
			PolicyName: policy.Name,
			MatchResources: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.Namespace}},
			},
		},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) {
		Expect(bindings.Delete(ctx, w.Namespace, metav1.DeleteOptions{})).To(Succeed())
		Expect(policies.Delete(ctx, w.Namespace, metav1.DeleteOptions{})).To(Succeed())
	})
	w.Await(ctx, func(g Gomega) {
		probe := given.Job(w.Namespace, "probe")
		probe.Labels[r.label] = "before"
		g.Expect(w.Client.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		g.Expect(probe.Labels[r.label]).To(Equal(r.value))
	})
}

var _ = Describe("A policy of the cluster that writes over the manager's label", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) {
		w = stage.Enter(ctx)
		enforce(ctx, w, relabel{streamingv1.LabelManagedBy, "platform"}, "jobs", "cronjobs", "pods")
	})

	It("changes nothing for a stream: it backfills, streams, is backfilled, stops and goes on", func(ctx SpecContext) {
		w.Given(ctx, "orders")
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(first.Labels).To(HaveKeyWithValue(streamingv1.LabelManagedBy, "platform"))
		w.Request(ctx, "again", "orders")
		w.AwaitCompleted(ctx, "again")
		second := w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.RestartOperator(ctx)
		w.AwaitQuiet(ctx)
		Expect(awaitOnePod(ctx, w, "orders").UID).To(Equal(second.UID))
		suspend(ctx, w, "orders")
		Expect(living(ctx, w)).To(BeEmpty())
		w.Resume(ctx, "orders")
		awaitOnePod(ctx, w, "orders", second)
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(2))
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{
			streamingv1.ModeBackfill, streamingv1.ModeStream, streamingv1.ModeBackfill, streamingv1.ModeStream, streamingv1.ModeStream,
		}))
	})

	It("changes nothing for a stream with a schedule: its run comes, and it stops", func(ctx SpecContext) {
		scheduled(ctx, w)
		due := w.RunNow(ctx, "orders", "due")
		Expect(controls(due, awaitOnePod(ctx, w, "orders"))).To(BeTrue())
		suspend(ctx, w, "orders")
		Expect(living(ctx, w)).To(BeEmpty())
	})

	It("does not hide the pod of a Job that was orphaned", func(ctx SpecContext) {
		_, job, pod := streaming(ctx, w, "orders")
		w.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationOrphan))
		awaitDeleted(ctx, w, pod)
		awaitOnePod(ctx, w, "orders", pod)
	})
})

var _ = Describe("A policy of the cluster that leaves Jobs without their stream's label", func() {
	for name, value := range map[string]string{"taken away": "", "written over": "platform"} {
		for _, due := range []struct {
			name    string
			options []given.StreamOption
		}{
			{"that streams", []given.StreamOption{given.NoInitialBackfill}},
			{"that backfills first", nil},
		} {
			It("("+name+") is named by a stream "+due.name+", which starts nothing", func(ctx SpecContext) {
				w := stage.Enter(ctx)
				enforce(ctx, w, relabel{streamingv1.LabelStreamID, value}, "jobs")
				writes := audit(w)
				w.Given(ctx, "orders", due.options...)
				w.Await(ctx, func(g Gomega) {
					s := w.Stream(ctx, "orders")
					ready := meta.FindStatusCondition(s.Status.Conditions, streamingv1.ConditionReady)
					stalled := meta.FindStatusCondition(s.Status.Conditions, streamingv1.ConditionStalled)
					g.Expect(ready).NotTo(BeNil())
					g.Expect(ready.Status).To(Equal(metav1.ConditionFalse))
					verdict := ready.Message
					if stalled != nil {
						verdict += " " + stalled.Message
					}
					g.Expect(verdict).To(And(ContainSubstring(streamingv1.LabelStreamID), ContainSubstring(base(s)+"-")))
				})
				w.AwaitQuiet(ctx)
				Expect(len(writes("create", "jobs"))).To(BeNumerically("<=", 10), "no hot loop")
				for _, v := range w.History(ctx).Versions {
					switch o := v.Object.(type) {
					case *batchv1.Job:
						Expect(o.Spec.Suspend).To(HaveValue(BeTrue()), "job %s was let run", o.Name)
					case *corev1.Pod:
						Fail("pod " + o.Name + " was made")
					}
				}
			})
		}
	}

	It("is named by a stream with a schedule whose run is due, which lets nothing run", func(ctx SpecContext) {
		w := stage.Enter(ctx)
		impatient(ctx, w)
		scheduled(ctx, w)
		enforce(ctx, w, relabel{streamingv1.LabelStreamID, "platform"}, "jobs")
		due := w.RunNow(ctx, "orders", "due")
		w.Await(ctx, func(g Gomega) {
			var verdict string
			for _, c := range w.Stream(ctx, "orders").Status.Conditions {
				verdict += " " + c.Message
			}
			g.Expect(verdict).To(And(ContainSubstring(streamingv1.LabelStreamID), ContainSubstring(due.Name)))
		})
		w.AwaitQuiet(ctx)
		Expect(living(ctx, w)).To(BeEmpty())
	})
})
