package jobspec

// This file gives a job's containers what the plugin reads: who it is, what to do, and its credentials.

import (
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// noPayload is what a request without a payload gives: a plugin may always read an object.
const noPayload = "{}"

// environment is the contract with the plugin, in the order of the documentation.
func environment(in Input, override []byte) []corev1.EnvVar {
	d := in.Definition
	env := []corev1.EnvVar{
		variable(v1.EnvStreamID, d.Name),
		variable(v1.EnvStreamKind, d.Kind),
		variable(v1.EnvStreamNamespace, d.Namespace),
		variable(v1.EnvStreamUID, string(d.UID)),
		variable(v1.EnvSpec, string(d.Spec)),
	}
	if in.Mode != v1.ModeScheduled {
		env = append(env, variable(v1.EnvRun, strconv.FormatInt(in.Run, 10)))
	}
	env = append(env, variable(v1.EnvBackfill, strconv.FormatBool(carriesAll(in.Mode))))
	switch in.Mode {
	case v1.ModeBackfill:
		return append(
			env,
			variable(v1.EnvBackfillID, in.Request.Name),
			variable(v1.EnvBackfillUID, string(in.Request.UID)),
			variable(v1.EnvOverride, string(override)),
		)
	case v1.ModeScheduled:
		// One template serves all runs, so what tells them apart is read off the Job.
		return append(
			env,
			fromJob(v1.EnvBackfillID, batchv1.JobNameLabel),
			fromJob(v1.EnvBackfillUID, batchv1.ControllerUidLabel),
			variable(v1.EnvOverride, string(override)),
		)
	case v1.ModeStream:
	}
	return env
}

// variable escapes what the kubelet would expand: it replaces $(NAME) by another
// variable's value and $$ by $, in a spec that means neither.
func variable(name, value string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, Value: strings.ReplaceAll(value, "$", "$$")}
}

// override is the request's payload as JSON, keys sorted.
func override(request *v1.BackfillRequest) ([]byte, error) {
	if request == nil || request.Spec.Payload == nil {
		return []byte(noPayload), nil
	}
	b, err := definition.Canonical(request.Spec.Payload)
	if err != nil {
		return nil, err
	}
	if string(b) == "null" {
		return []byte(noPayload), nil
	}
	return b, nil
}

// equip gives every container, init containers included, the environment and the
// Secrets. Ours come first, so that a template's own variables can refer to them.
func equip(pod *corev1.PodSpec, env []corev1.EnvVar, secrets []string) {
	for _, list := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range list {
			c := &list[i]
			own := c.Env
			c.Env = make([]corev1.EnvVar, 0, len(env)+len(own))
			c.Env = append(append(c.Env, env...), own...)
			c.EnvFrom = withSecrets(c.EnvFrom, secrets)
		}
	}
}

// withSecrets adds the Secrets that a template does not name itself.
func withSecrets(from []corev1.EnvFromSource, secrets []string) []corev1.EnvFromSource {
	for _, name := range secrets {
		if !namesSecret(from, name) {
			from = append(from, corev1.EnvFromSource{
				SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}},
			})
		}
	}
	return from
}

func namesSecret(from []corev1.EnvFromSource, name string) bool {
	for _, f := range from {
		if f.SecretRef != nil && f.SecretRef.Name == name && f.Prefix == "" {
			return true
		}
	}
	return false
}
