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

// PolicyFaults are the fields of a podFailurePolicy that Kubernetes would refuse
// in a Job with this pod, below path. Without a pod it is not asked which
// containers there are.
func PolicyFaults(policy *batchv1.PodFailurePolicy, pod *corev1.PodSpec, path string) []Fault {
	if policy == nil {
		return nil
	}
	if len(policy.Rules) > maxRules {
		return []Fault{{path + ".rules", fmt.Sprintf("has %d rules, and Kubernetes allows at most %d; merge some", len(policy.Rules), maxRules)}}
	}
	var all []Fault
	for i := range policy.Rules {
		for _, f := range ruleFaults(&policy.Rules[i], pod) {
			all = append(all, Fault{fmt.Sprintf("%s.rules[%d]%s", path, i, f.Field), f.Text})
		}
	}
	return all
}

// ruleFaults and those below it name fields from the rule on: most rules have no
// fault, and then nobody asks where they stand.
func ruleFaults(rule *batchv1.PodFailurePolicyRule, pod *corev1.PodSpec) []Fault {
	var all []Fault
	switch rule.Action {
	case batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyActionCount:
	case batchv1.PodFailurePolicyActionFailIndex:
		all = append(all, Fault{".action", "FailIndex belongs to Indexed Jobs, which a stream's are not; use FailJob, Ignore or Count"})
	default:
		all = append(all, Fault{".action", fmt.Sprintf("%q is no action; use FailJob, Ignore or Count", rule.Action)})
	}
	if (rule.OnExitCodes == nil) == (len(rule.OnPodConditions) == 0) {
		return append(all, Fault{"", "must have either onExitCodes or onPodConditions; split the rule or complete it"})
	}
	if rule.OnExitCodes != nil {
		return append(all, exitCodesFaults(rule.OnExitCodes, pod)...)
	}
	return append(all, conditionsFaults(rule.OnPodConditions)...)
}

func exitCodesFaults(on *batchv1.PodFailurePolicyOnExitCodesRequirement, pod *corev1.PodSpec) []Fault {
	const path = ".onExitCodes"
	var all []Fault
	in := on.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn
	if !in && on.Operator != batchv1.PodFailurePolicyOnExitCodesOpNotIn {
		all = append(all, Fault{path + ".operator", fmt.Sprintf("%q is no operator; use In or NotIn", on.Operator)})
	}
	if on.ContainerName != nil && pod != nil {
		names := append(containerNames(pod.Containers), containerNames(pod.InitContainers)...)
		if !slices.Contains(names, *on.ContainerName) {
			all = append(all, Fault{
				path + ".containerName",
				fmt.Sprintf("the template has no container %s, it has %s; name one of these", *on.ContainerName, strings.Join(names, ", ")),
			})
		}
	}
	const values = path + ".values"
	if len(on.Values) == 0 || len(on.Values) > maxCodes {
		return append(all, Fault{values, fmt.Sprintf("has %d exit codes, and Kubernetes allows 1 to %d; remove the rule, or split it", len(on.Values), maxCodes)})
	}
	for i, code := range on.Values {
		if in && code == 0 {
			all = append(all, Fault{fmt.Sprintf("%s[%d]", values, i), "0 is success and cannot stand with In; remove it"})
		}
		if i > 0 && on.Values[i-1] >= code {
			all = append(all, Fault{fmt.Sprintf("%s[%d]", values, i), fmt.Sprintf("%d comes after %d; sort the exit codes, each once", code, on.Values[i-1])})
		}
	}
	return all
}

func conditionsFaults(on []batchv1.PodFailurePolicyOnPodConditionsPattern) []Fault {
	const path = ".onPodConditions"
	if len(on) > maxConditions {
		return []Fault{{path, fmt.Sprintf("has %d conditions, and Kubernetes allows at most %d; split the rule", len(on), maxConditions)}}
	}
	var all []Fault
	for i, c := range on {
		if errs := validation.IsQualifiedName(string(c.Type)); len(errs) > 0 {
			all = append(all, Fault{fmt.Sprintf("%s[%d].type", path, i), fmt.Sprintf("%q is no type of condition: %s", c.Type, errs[0])})
		}
		switch c.Status {
		case "", corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown: // empty is defaulted to True
		default:
			all = append(all, Fault{fmt.Sprintf("%s[%d].status", path, i), fmt.Sprintf("%q is no status; use True, False or Unknown", c.Status)})
		}
	}
	return all
}
