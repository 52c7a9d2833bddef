package jobspec

// This file checks a podFailurePolicy against Kubernetes' limits.

import (
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Kubernetes' limits.
const (
	maxRules      = 20
	maxCodes      = 255
	maxConditions = 20
)

// policyFault is the first field of a podFailurePolicy that Kubernetes would
// refuse in a Job with this pod, below path, and what is wrong with it.
func policyFault(policy *batchv1.PodFailurePolicy, pod *corev1.PodSpec, path string) *fault {
	if policy == nil {
		return nil
	}
	path += ".rules"
	if len(policy.Rules) > maxRules {
		return &fault{path, fmt.Sprintf("has %d rules, and Kubernetes allows at most %d; merge some", len(policy.Rules), maxRules)}
	}
	for i := range policy.Rules {
		if f := ruleFault(&policy.Rules[i], pod, fmt.Sprintf("%s[%d]", path, i)); f != nil {
			return f
		}
	}
	return nil
}

func ruleFault(rule *batchv1.PodFailurePolicyRule, pod *corev1.PodSpec, path string) *fault {
	switch rule.Action {
	case batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyActionCount:
	case batchv1.PodFailurePolicyActionFailIndex:
		return &fault{path + ".action", "FailIndex belongs to Indexed Jobs, which a stream's are not; use FailJob, Ignore or Count"}
	default:
		return &fault{path + ".action", fmt.Sprintf("%q is no action; use FailJob, Ignore or Count", rule.Action)}
	}
	if (rule.OnExitCodes == nil) == (len(rule.OnPodConditions) == 0) {
		return &fault{path, "must have either onExitCodes or onPodConditions; split the rule or complete it"}
	}
	if rule.OnExitCodes != nil {
		return exitCodesFault(rule.OnExitCodes, pod, path+".onExitCodes")
	}
	return conditionsFault(rule.OnPodConditions, path+".onPodConditions")
}

func exitCodesFault(on *batchv1.PodFailurePolicyOnExitCodesRequirement, pod *corev1.PodSpec, path string) *fault {
	in := on.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn
	if !in && on.Operator != batchv1.PodFailurePolicyOnExitCodesOpNotIn {
		return &fault{path + ".operator", fmt.Sprintf("%q is no operator; use In or NotIn", on.Operator)}
	}
	names := append(containerNames(pod.Containers), containerNames(pod.InitContainers)...)
	if on.ContainerName != nil && !slices.Contains(names, *on.ContainerName) {
		return &fault{
			path + ".containerName",
			fmt.Sprintf("the template has no container %s, it has %s; name one of these", *on.ContainerName, strings.Join(names, ", ")),
		}
	}
	path += ".values"
	if len(on.Values) == 0 || len(on.Values) > maxCodes {
		return &fault{path, fmt.Sprintf("has %d exit codes, and Kubernetes allows 1 to %d", len(on.Values), maxCodes)}
	}
	for i, code := range on.Values {
		if in && code == 0 {
			return &fault{fmt.Sprintf("%s[%d]", path, i), "0 is success and cannot stand with In; remove it"}
		}
		if i > 0 && on.Values[i-1] >= code {
			return &fault{fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%d comes after %d; sort the exit codes, each once", code, on.Values[i-1])}
		}
	}
	return nil
}

func conditionsFault(on []batchv1.PodFailurePolicyOnPodConditionsPattern, path string) *fault {
	if len(on) > maxConditions {
		return &fault{path, fmt.Sprintf("has %d conditions, and Kubernetes allows at most %d", len(on), maxConditions)}
	}
	for i, c := range on {
		if errs := validation.IsQualifiedName(string(c.Type)); len(errs) > 0 {
			return &fault{fmt.Sprintf("%s[%d].type", path, i), fmt.Sprintf("%q is no type of condition: %s", c.Type, errs[0])}
		}
		switch c.Status {
		case "", corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown: // empty is defaulted to True
		default:
			return &fault{fmt.Sprintf("%s[%d].status", path, i), fmt.Sprintf("%q is no status; use True, False or Unknown", c.Status)}
		}
	}
	return nil
}
