package jobspec

// This file checks a template: what would break the rules of a stream's Job is refused with the field named.

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

const (
	jobField = "spec.spec"
	podField = jobField + ".template.spec"

	// maxAnnotations leaves the operator a KiB of the 256 that Kubernetes allows an object.
	maxAnnotations = 255 * 1024
)

// templateFaults are the fields of a template that cannot be used for the class's
// streams, and what is wrong with them. Without a class it is not asked what a
// class asks for.
func templateFaults(t *v1.StreamingJobTemplate, class *v1.StreamClass) []Fault {
	pod := &t.Spec.Spec.Template
	all := jobFaults(&t.Spec.Spec)
	all = append(all, limitsFaults(&t.Spec.Spec)...)
	all = append(all, metadataFaults(t)...)
	all = append(all, podFaults(&pod.Spec, class)...)
	all = append(all, environmentFaults(&pod.Spec)...)
	return append(all, securityFaults(pod, class)...)
}

// jobFaults finds what would make more than one pod at a time, or take the Job out of our hands.
func jobFaults(spec *batchv1.JobSpec) []Fault {
	rules := []struct {
		broken bool
		field  string
		text   string
	}{
		{spec.Parallelism != nil && *spec.Parallelism != 1, "parallelism", "must be 1: a stream has one writer; remove it"},
		{spec.Completions != nil && *spec.Completions != 1, "completions", "must be 1: a stream has one writer; remove it"},
		{
			spec.CompletionMode != nil && *spec.CompletionMode != batchv1.NonIndexedCompletion, "completionMode",
			"must be NonIndexed: a stream has one writer; remove it",
		},
		{spec.Selector != nil, "selector", "must not be set: Kubernetes chooses it, so that a Job never takes another one's pods; remove it"},
		{spec.ManualSelector != nil && *spec.ManualSelector, "manualSelector", "must not be true: a Job could take another one's pods; remove it"},
		{spec.Suspend != nil && *spec.Suspend, "suspend", "must not be true: the operator decides when a Job runs; suspend the Stream by its spec.suspended"},
		{
			spec.ManagedBy != nil && *spec.ManagedBy != batchv1.JobControllerName, "managedBy",
			"must not name another controller: the operator relies on the Job controller's promises; remove it",
		},
		{spec.SuccessPolicy != nil, "successPolicy", "must not be set: the operator decides by the main container whether a job has succeeded; remove it"},
		{spec.BackoffLimitPerIndex != nil, "backoffLimitPerIndex", "must not be set: it belongs to Indexed Jobs; use backoffLimit"},
		{spec.MaxFailedIndexes != nil, "maxFailedIndexes", "must not be set: it belongs to Indexed Jobs; remove it"},
	}
	var all []Fault
	for _, r := range rules {
		if r.broken {
			all = append(all, Fault{jobField + "." + r.field, r.text})
		}
	}
	return all
}

// limitsFaults finds numbers that Kubernetes would refuse.
func limitsFaults(spec *batchv1.JobSpec) []Fault {
	var all []Fault
	if spec.BackoffLimit != nil && *spec.BackoffLimit < 0 {
		all = append(all, Fault{jobField + ".backoffLimit", "must not be negative; use 0 for no retry"})
	}
	if spec.ActiveDeadlineSeconds != nil && *spec.ActiveDeadlineSeconds < 0 {
		all = append(all, Fault{jobField + ".activeDeadlineSeconds", "must not be negative; remove it for no deadline"})
	}
	if spec.TTLSecondsAfterFinished != nil && *spec.TTLSecondsAfterFinished < 0 {
		all = append(all, Fault{jobField + ".ttlSecondsAfterFinished", "must not be negative; remove it to keep finished Jobs"})
	}
	return all
}

// metadataFaults finds labels and annotations that Kubernetes would refuse, and
// those that it gives itself: a template copied from a live Job holds them.
func metadataFaults(t *v1.StreamingJobTemplate) []Fault {
	var all []Fault
	pod := t.Spec.Spec.Template.ObjectMeta
	own := []string{"controller-uid", "job-name", batchv1.ControllerUidLabel, batchv1.JobNameLabel}
	for _, at := range []struct {
		field  string
		labels map[string]string
	}{{"spec.metadata.labels", t.Spec.Labels}, {jobField + ".template.metadata.labels", pod.Labels}} {
		for _, key := range keysOf(at.labels) {
			field := fmt.Sprintf("%s[%s]", at.field, key)
			if slices.Contains(own, key) {
				all = append(all, Fault{field, "is set by Kubernetes on every Job anew; remove it"})
			}
			if errs := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(at.labels[key])...); len(errs) > 0 {
				all = append(all, Fault{field, "is no valid label: " + errs[0]})
			}
		}
	}
	for _, at := range []struct {
		field       string
		annotations map[string]string
	}{{"spec.metadata.annotations", t.Spec.Annotations}, {jobField + ".template.metadata.annotations", pod.Annotations}} {
		size := 0
		for _, key := range keysOf(at.annotations) {
			size += len(key) + len(at.annotations[key])
			if errs := validation.IsQualifiedName(strings.ToLower(key)); len(errs) > 0 {
				all = append(all, Fault{fmt.Sprintf("%s[%s]", at.field, key), "is no valid annotation: " + errs[0]})
			}
		}
		if size > maxAnnotations {
			all = append(all, Fault{at.field, fmt.Sprintf("have %d bytes, and a template's may have %d; shorten them", size, maxAnnotations)})
		}
	}
	return all
}

// keysOf are the keys in order, at no cost where there are none.
func keysOf(m map[string]string) []string {
	if len(m) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m))
}

func podFaults(pod *corev1.PodSpec, class *v1.StreamClass) []Fault {
	var all []Fault
	if pod.RestartPolicy != "" && pod.RestartPolicy != corev1.RestartPolicyNever {
		all = append(all, Fault{
			podField + ".restartPolicy",
			fmt.Sprintf("must be Never, not %s: a podFailurePolicy needs it; set it to Never or remove it", pod.RestartPolicy),
		})
	}
	all = append(all, restartFaults(pod)...)
	if len(pod.EphemeralContainers) > 0 {
		all = append(all, Fault{podField + ".ephemeralContainers", "must not be set in a template; remove it"})
	}
	if len(pod.Containers) == 0 {
		return append(all, Fault{podField + ".containers", "must hold at least one container: the plugin's"})
	}
	if class == nil || class.Spec.ContainerName == "" {
		return all
	}
	names := containerNames(pod.Containers)
	if slices.Contains(names, class.Spec.ContainerName) {
		return all
	}
	return append(all, Fault{
		podField + ".containers",
		fmt.Sprintf("must hold a container named %s, the main one of StreamClass %s, and holds %s; rename one, or change the class's spec.containerName",
			class.Spec.ContainerName, class.Name, strings.Join(names, ", ")),
	})
}

// containerGroup is one of a pod's lists of containers, and its field.
type containerGroup struct {
	field string
	list  []corev1.Container
}

func containersOf(pod *corev1.PodSpec) []containerGroup {
	return []containerGroup{{"initContainers", pod.InitContainers}, {"containers", pod.Containers}}
}

// restartFaults finds containers that the kubelet would restart in place. An init
// container that it restarts is a sidecar, whose exit code nobody asks for.
func restartFaults(pod *corev1.PodSpec) []Fault {
	var all []Fault
	for _, group := range containersOf(pod) {
		for i := range group.list {
			c, field := &group.list[i], fmt.Sprintf("%s.%s[%d]", podField, group.field, i)
			if c.RestartPolicy != nil && group.field == "containers" {
				all = append(all, Fault{field + ".restartPolicy", "must not be set: the exit code of a container that is restarted in place is lost; remove it"})
			}
			if len(c.RestartPolicyRules) > 0 {
				all = append(all, Fault{field + ".restartPolicyRules", "must not be set: the exit code of a container that is restarted in place is lost; remove them"})
			}
		}
	}
	return all
}

// environmentFaults finds variables that would pass for the operator's.
func environmentFaults(pod *corev1.PodSpec) []Fault {
	var all []Fault
	for _, group := range containersOf(pod) {
		for i := range group.list {
			for _, f := range reserved(&group.list[i]) {
				all = append(all, Fault{fmt.Sprintf("%s.%s[%d].%s", podField, group.field, i, f.Field), f.Text})
			}
		}
	}
	return all
}

// reserved names fields from the container on.
func reserved(c *corev1.Container) []Fault {
	var all []Fault
	for i, e := range c.Env {
		if strings.HasPrefix(e.Name, v1.EnvPrefix) {
			all = append(all, Fault{
				fmt.Sprintf("env[%d].name", i),
				fmt.Sprintf("%s: names that begin with %s are the operator's; rename it", e.Name, v1.EnvPrefix),
			})
		}
	}
	for i, f := range c.EnvFrom {
		if strings.HasPrefix(f.Prefix, v1.EnvPrefix) {
			all = append(all, Fault{
				fmt.Sprintf("envFrom[%d].prefix", i),
				fmt.Sprintf("%s: names that begin with %s are the operator's; choose another prefix", f.Prefix, v1.EnvPrefix),
			})
		}
	}
	return all
}

func containerNames(list []corev1.Container) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	return names
}
