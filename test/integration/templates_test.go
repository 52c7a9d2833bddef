// Scenario 10: what a template may say, and what it may not.

package integration_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// refusedTemplates are named by what is wrong; field is what the refusal must name.
var refusedTemplates = []struct {
	name, field string
	change      func(*batchv1.JobSpec)
}{
	{"on-failure", "spec.spec.template.spec.restartPolicy", func(s *batchv1.JobSpec) {
		s.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	}},
	{"parallelism", "spec.spec.parallelism", func(s *batchv1.JobSpec) { s.Parallelism = ptr.To(int32(2)) }},
	{"completions", "spec.spec.completions", func(s *batchv1.JobSpec) { s.Completions = ptr.To(int32(2)) }},
	{"indexed", "spec.spec.completionMode", func(s *batchv1.JobSpec) { s.CompletionMode = ptr.To(batchv1.IndexedCompletion) }},
	{"selector", "spec.spec.selector", func(s *batchv1.JobSpec) {
		s.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "somebody-else"}}
	}},
	{"manual-selector", "spec.spec.manualSelector", func(s *batchv1.JobSpec) { s.ManualSelector = ptr.To(true) }},
	{"suspend", "spec.spec.suspend", func(s *batchv1.JobSpec) { s.Suspend = ptr.To(true) }},
	{"managed-by", "spec.spec.managedBy", func(s *batchv1.JobSpec) { s.ManagedBy = ptr.To("example.com/other") }},
	{"success-policy", "spec.spec.successPolicy", func(s *batchv1.JobSpec) {
		s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededCount: ptr.To(int32(1))}}}
	}},
	{"per-index", "spec.spec.backoffLimitPerIndex", func(s *batchv1.JobSpec) { s.BackoffLimitPerIndex = ptr.To(int32(1)) }},
	{"reserved-name", "spec.spec.template.spec.containers[0].env[0].name", func(s *batchv1.JobSpec) {
		s.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: streamingv1.EnvBackfill, Value: "true"}}
	}},
}

var _ = Describe("A template", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = stage().Enter(ctx) })

	It("that could break the rules is refused with the field named, one event, no job and no loop", func(ctx SpecContext) {
		streams := map[string]*streamingv1.Stream{}
		for _, t := range refusedTemplates {
			template := given.Template(w.Namespace, t.name)
			t.change(&template.Spec.Spec)
			w.Create(ctx, template)
			streams[t.name] = w.Given(ctx, t.name, given.TemplateOf(t.name))
		}
		for _, t := range refusedTemplates {
			refused := w.AwaitCondition(ctx, t.name, streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonTemplateInvalid)
			Expect(refused.Message).To(ContainSubstring(t.field+":"), t.name)
			w.AwaitPhase(ctx, t.name, streamingv1.StreamPending)
		}
		w.AwaitQuiet(ctx)
		w.RestartOperator(ctx)
		w.AwaitQuiet(ctx)
		for name, s := range streams {
			Expect(w.Jobs(ctx, name)).To(BeEmpty(), name)
			told := map[string]int{}
			for _, e := range w.Warnings(ctx, s) {
				told[e.Reason] += story.Told([]corev1.Event{e})
			}
			Expect(told).To(Equal(map[string]int{string(streamingv1.ReasonTemplateInvalid): 1}), name)
		}
	})

	It("that is corrected lets its stream start", func(ctx SpecContext) {
		w.SetTemplate(ctx, func(t *streamingv1.StreamingJobTemplate) { t.Spec.Spec.Parallelism = ptr.To(int32(2)) })
		w.Given(ctx, "orders", given.NoInitialBackfill)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamPending)
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) { t.Spec.Spec.Parallelism = nil })
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	})

	It("that becomes a bad one leaves its stream running", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill)
		first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.EditTemplate(ctx, story.Template, func(t *streamingv1.StreamingJobTemplate) { t.Spec.Spec.Parallelism = ptr.To(int32(2)) })
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonTemplateInvalid)
		w.AwaitQuiet(ctx)
		expectRunsOn(ctx, w, first)
	})

	It("with a policy of its own is kept verbatim", func(ctx SpecContext) {
		own := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
			{Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
				ContainerName: ptr.To(given.Container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{2},
			}},
			{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
				{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
			}},
		}}
		w.SetTemplate(ctx, func(t *streamingv1.StreamingJobTemplate) { t.Spec.Spec.PodFailurePolicy = own.DeepCopy() })
		w.Given(ctx, "orders", given.NoInitialBackfill)
		p := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(w.Jobs(ctx, "orders")[0].Spec.PodFailurePolicy).To(Equal(own))
		// The operator's own policy would ignore this code.
		w.Exit(ctx, p, 2)
		failed := w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		Expect(failed.Status.Failure.Reason).To(Equal(batchv1.JobReasonPodFailurePolicy))
	})
})
