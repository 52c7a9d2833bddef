package jobspec

// This file computes the podFailurePolicy of a stream's Jobs.

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// DefaultFailureClasses hold where a class declares none: a JVM that took the
// SIGTERM itself, and an end that the plugin calls transient.
func DefaultFailureClasses() []v1.FailureClass {
	return []v1.FailureClass{
		{Name: "graceful", ExitCodes: []int32{143}, Action: v1.ActionIgnore},
		{Name: "transient", ExitCodes: []int32{2}, Action: v1.ActionIgnore},
	}
}

func failureClasses(class *v1.StreamClass) []v1.FailureClass {
	if class == nil || len(class.Spec.FailureClasses) == 0 {
		return DefaultFailureClasses()
	}
	return class.Spec.FailureClasses
}

// FailureClassOf is the failure class that an exit code of the main container
// belongs to. 0 is success and belongs to none.
func FailureClassOf(class *v1.StreamClass, exitCode int32) (v1.FailureClass, bool) {
	if exitCode == 0 {
		return v1.FailureClass{}, false
	}
	for _, f := range failureClasses(class) {
		if slices.Contains(f.ExitCodes, exitCode) {
			return f, true
		}
	}
	return v1.FailureClass{}, false
}

// policySource is whose policy holds.
type policySource int

const (
	policyOfStream policySource = iota
	policyOfTemplate
	policyOfClass
	policyComputed
)

func sourceOfPolicy(d definition.Definition, class *v1.StreamClass, t *v1.StreamingJobTemplate) policySource {
	switch {
	case d.PodFailurePolicy != nil:
		return policyOfStream
	case t != nil && t.Spec.Spec.PodFailurePolicy != nil:
		return policyOfTemplate
	case class != nil && class.Spec.PodFailurePolicy != nil:
		return policyOfClass
	default:
		return policyComputed
	}
}

// FailurePolicy is the effective podFailurePolicy: the stream's own, else the
// template's own, else the class's, each verbatim; else the computed default. It
// is the webhooks' function as well as the builder's, so a webhook that was
// bypassed changes nothing.
func FailurePolicy(d definition.Definition, class *v1.StreamClass, t *v1.StreamingJobTemplate) *batchv1.PodFailurePolicy {
	switch sourceOfPolicy(d, class, t) {
	case policyOfStream:
		return d.PodFailurePolicy.DeepCopy()
	case policyOfTemplate:
		return t.Spec.Spec.PodFailurePolicy.DeepCopy()
	case policyOfClass:
		return class.Spec.PodFailurePolicy.DeepCopy()
	case policyComputed:
	}
	return computed(class, t)
}

// computed is the default. What ends the job comes first: an evicted pod whose
// plugin said that retrying is useless is not retried.
func computed(class *v1.StreamClass, t *v1.StreamingJobTemplate) *batchv1.PodFailurePolicy {
	main := MainContainer(class, t)
	policy := &batchv1.PodFailurePolicy{}
	if codes := exitCodes(class, v1.ActionFail, v1.ActionBackfill); len(codes) > 0 {
		policy.Rules = append(policy.Rules, onExitCodes(batchv1.PodFailurePolicyActionFailJob, main, codes))
	}
	policy.Rules = append(policy.Rules, batchv1.PodFailurePolicyRule{
		Action: batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		},
	})
	if codes := exitCodes(class, v1.ActionIgnore); len(codes) > 0 {
		policy.Rules = append(policy.Rules, onExitCodes(batchv1.PodFailurePolicyActionIgnore, main, codes))
	}
	return policy
}

// onExitCodes names the main container: without a name the rule would match any
// container, and a sidecar's 143 beside the main container's 1 would be ignored for ever.
func onExitCodes(action batchv1.PodFailurePolicyAction, main string, codes []int32) batchv1.PodFailurePolicyRule {
	rule := batchv1.PodFailurePolicyRule{
		Action: action,
		OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			Operator: batchv1.PodFailurePolicyOnExitCodesOpIn,
			Values:   codes,
		},
	}
	if main != "" {
		rule.OnExitCodes.ContainerName = &main
	}
	return rule
}

// exitCodes of the classes with these actions, sorted, each once, as Kubernetes wants them.
func exitCodes(class *v1.StreamClass, actions ...v1.FailureAction) []int32 {
	var codes []int32
	for _, f := range failureClasses(class) {
		if !slices.Contains(actions, f.Action) {
			continue
		}
		for _, code := range f.ExitCodes {
			if code != 0 {
				codes = append(codes, code)
			}
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Ignores tells whether a policy ignores a container's exit code: the first rule that
// matches decides, as in the Job controller.
func Ignores(policy *batchv1.PodFailurePolicy, container string, code int32) bool {
	for _, rule := range policy.Rules {
		on := rule.OnExitCodes
		if on == nil || on.ContainerName != nil && *on.ContainerName != container {
			continue
		}
		if in := slices.Contains(on.Values, code); in == (on.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn) {
			return rule.Action == batchv1.PodFailurePolicyActionIgnore
		}
	}
	return false
}

// MainContainer is the container that exit codes are about: the class's
// containerName, else the template's first; empty where there is neither.
func MainContainer(class *v1.StreamClass, t *v1.StreamingJobTemplate) string {
	if class != nil && class.Spec.ContainerName != "" {
		return class.Spec.ContainerName
	}
	if t == nil || len(t.Spec.Spec.Template.Spec.Containers) == 0 {
		return ""
	}
	return t.Spec.Spec.Template.Spec.Containers[0].Name
}
