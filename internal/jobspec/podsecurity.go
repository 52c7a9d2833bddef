package jobspec

// This file holds a template's pod to the level of the Pod Security Standards that its class asks for.

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// DefaultSecurityLevel holds where a class names none.
const DefaultSecurityLevel v1.PodSecurityLevel = "baseline"

// standards are the checks of Kubernetes' own admission: the API server only warns
// of a Job whose pods a namespace would refuse, and refuses nothing where the
// namespace names no level.
var standards = func() policy.Evaluator {
	e, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic(err) // a library's own list
	}
	return e
}()

// securityFaults are what the class's level forbids. The template's pod is
// checked, and not the Job's: nothing that the builder adds or sets (environment,
// labels, restartPolicy) is what a level looks at. The level of a class that is
// not known is not known either.
func securityFaults(pod *corev1.PodTemplateSpec, class *v1.StreamClass) []Fault {
	if class == nil {
		return nil
	}
	level := class.Spec.PodSecurityLevel
	if level == "" {
		level = DefaultSecurityLevel
	}
	var all []Fault
	for _, text := range Forbidden(pod, level) {
		all = append(all, Fault{
			podField,
			fmt.Sprintf("%s, which level %s of StreamClass %s forbids; change the template, or have the class's spec.podSecurityLevel changed",
				text, level, class.Name),
		})
	}
	return all
}

// Forbidden is what a level of the Pod Security Standards forbids in a pod.
func Forbidden(pod *corev1.PodTemplateSpec, level v1.PodSecurityLevel) []string {
	var all []string
	asked := api.LevelVersion{Level: api.Level(level), Version: api.LatestVersion()}
	for _, result := range standards.EvaluatePod(asked, &pod.ObjectMeta, &pod.Spec) {
		switch {
		case result.Allowed:
		case result.ForbiddenDetail == "":
			all = append(all, "has "+result.ForbiddenReason)
		default:
			all = append(all, fmt.Sprintf("has %s (%s)", result.ForbiddenReason, result.ForbiddenDetail))
		}
	}
	return all
}
