// Package jobspec builds a stream's Jobs: from a definition, its class, a
// template, a mode and a request to one batch/v1 Job.
package jobspec

// This file builds the Job.

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// Input is all that a Job is built from.
type Input struct {
	Definition definition.Definition
	Class      *v1.StreamClass
	// Template is the one that definition.Template names.
	Template *v1.StreamingJobTemplate
	Mode     v1.Mode
	// Request that a backfill serves; nil for a streaming job.
	Request *v1.BackfillRequest
	// Run is the number of the run.
	Run int64
}

// Build builds the Job, suspended: it is released only after it has been
// recorded. Equal inputs give equal Jobs. A Problem of kind BackfillRequest is
// that request's alone. A backfill without a request is only checked: there is
// neither a Problem nor a Job.
func Build(in Input) (*batchv1.Job, *definition.Problem) {
	payload, p := check(in)
	if p != nil || in.Mode == v1.ModeBackfill && in.Request == nil {
		return nil, p
	}
	job := &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"},
		ObjectMeta: metadata(in),
		Spec:       spec(in, payload),
	}
	return job, nil
}

// spec is the template's, with what the operator adds and decides.
func spec(in Input, payload []byte) batchv1.JobSpec {
	spec := *in.Template.Spec.Spec.DeepCopy()
	hold(&spec)
	spec.PodFailurePolicy = FailurePolicy(in.Definition, in.Class, in.Template)
	spec.Template.Labels = Merged(spec.Template.Labels, labels(in))
	equip(&spec.Template.Spec, environment(in, payload), in.Definition.Secrets)
	return spec
}

// hold sets what the operator decides for every Job.
func hold(spec *batchv1.JobSpec) {
	spec.Suspend = ptr.To(true)
	// Written out: a Job with parallelism 1 and no completions would be a work queue.
	spec.Parallelism, spec.Completions = ptr.To[int32](1), ptr.To[int32](1)
	// A replacement starts only when the pod before it has ended: two would write at once.
	spec.PodReplacementPolicy = ptr.To(batchv1.Failed)
	// A podFailurePolicy needs it, and a container restarted in place would hide its exit code.
	spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	// Held back in an annotation until the outcome has been recorded.
	spec.TTLSecondsAfterFinished = nil
}

// NotOneWriter is the field in which a Job is not as hold made it, of those that keep its
// pods from being two at a time, and their ends from being lost. Empty where there is none.
func NotOneWriter(spec *batchv1.JobSpec) string {
	switch {
	case ptr.Deref(spec.Parallelism, 0) != 1:
		return "spec.parallelism"
	case ptr.Deref(spec.Completions, 0) != 1:
		return "spec.completions"
	case ptr.Deref(spec.PodReplacementPolicy, "") != batchv1.Failed:
		return "spec.podReplacementPolicy"
	case spec.TTLSecondsAfterFinished != nil:
		return "spec.ttlSecondsAfterFinished"
	case ptr.Deref(spec.ManagedBy, batchv1.JobControllerName) != batchv1.JobControllerName:
		return "spec.managedBy"
	}
	return ""
}

// Altered is the field in which a Job that was stored differs from the one that was sent,
// of those that the lifecycle rests on: a policy may have changed it on its way. Empty
// where there is none.
func Altered(there, sent *batchv1.Job) string {
	if field := alteredJob(&there.ObjectMeta, &there.Spec, &sent.ObjectMeta, &sent.Spec); field != "" {
		return field
	}
	if !ownedAlike(there, sent) {
		return "the controller in metadata.ownerReferences"
	}
	return ""
}

// ownedAlike tells whether what was stored has the controller with which it was sent.
func ownedAlike(there, sent metav1.Object) bool {
	is, want := metav1.GetControllerOf(there), metav1.GetControllerOf(sent)
	return is != nil && is.UID == want.UID && is.Kind == want.Kind
}

// alteredJob is Altered for what a CronJob's template holds as well.
func alteredJob(there *metav1.ObjectMeta, is *batchv1.JobSpec, sent *metav1.ObjectMeta, was *batchv1.JobSpec) string {
	for _, key := range []string{v1.LabelStreamID, v1.LabelStreamKind} {
		if there.Labels[key] != sent.Labels[key] || is.Template.Labels[key] != was.Template.Labels[key] {
			return "the label " + key
		}
	}
	if !ptr.Deref(is.Suspend, false) {
		return "spec.suspend"
	}
	if field := NotOneWriter(is); field != "" {
		return field
	}
	if is.PodFailurePolicy == nil {
		return "spec.podFailurePolicy"
	}
	return alteredPod(&is.Template.Spec, &was.Template.Spec)
}

// alteredPod is Altered for the pods. What is added to them is its author's business, but
// for what would hide an exit code.
func alteredPod(is, was *corev1.PodSpec) string {
	if is.RestartPolicy != was.RestartPolicy {
		return "spec.template.spec.restartPolicy"
	}
	for i := range was.Containers {
		name := was.Containers[i].Name
		at := slices.IndexFunc(is.Containers, func(c corev1.Container) bool { return c.Name == name })
		switch {
		case at < 0:
			return "the container " + name
		case is.Containers[at].RestartPolicy != nil || len(is.Containers[at].RestartPolicyRules) > 0:
			return "the restartPolicy of container " + name
		}
	}
	return ""
}

func metadata(in Input) metav1.ObjectMeta {
	d, t := in.Definition, in.Template
	ours := annotations(in)
	ours[v1.AnnotationRun] = strconv.FormatInt(in.Run, 10)
	if in.Mode == v1.ModeBackfill {
		ours[v1.AnnotationRequest] = in.Request.Name
		ours[v1.AnnotationRequestUID] = string(in.Request.UID)
	}
	return metav1.ObjectMeta{
		Namespace:       d.Namespace,
		Name:            Name(d.Name, d.UID, d.Kind, in.Run),
		Labels:          Merged(t.Spec.Labels, labels(in)),
		Annotations:     Merged(foreign(t.Spec.Annotations), ours),
		OwnerReferences: []metav1.OwnerReference{owner(d)},
	}
}

func owner(d definition.Definition) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: d.APIVersion, Kind: d.Kind, Name: d.Name, UID: d.UID,
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}
}

// annotations are what the Jobs of one configuration have in common.
func annotations(in Input) map[string]string {
	ours := map[string]string{v1.AnnotationConfigurationHash: Hash(in)}
	if ttl := in.Template.Spec.Spec.TTLSecondsAfterFinished; ttl != nil {
		ours[v1.AnnotationTTL] = strconv.FormatInt(int64(*ttl), 10)
	}
	return ours
}

// labels of the Job and of its pods.
func labels(in Input) map[string]string {
	ours := map[string]string{
		v1.LabelStreamID:    in.Definition.Name,
		v1.LabelStreamKind:  in.Definition.Kind,
		v1.LabelBackfilling: strconv.FormatBool(carriesAll(in.Mode)),
		v1.LabelManagedBy:   v1.ManagedBy,
	}
	if in.Class != nil && len(in.Class.Name) <= content.LabelValueMaxLength {
		ours[v1.LabelStreamClass] = in.Class.Name
	}
	return ours
}

// carriesAll tells whether a job of this mode carries all data once, and ends.
func carriesAll(mode v1.Mode) bool { return mode == v1.ModeBackfill || mode == v1.ModeScheduled }

// foreign leaves the operator's own annotations out, which a template copied from a
// live Job holds: not every Job gets all of them anew, and what stands in them is believed.
func foreign(annotations map[string]string) map[string]string {
	return maps.Collect(func(yield func(string, string) bool) {
		for key, value := range annotations {
			if !strings.HasPrefix(key, v1.GroupVersion.Group+"/") && !yield(key, value) {
				return
			}
		}
	})
}

// Merged is theirs with ours on top, in a map of its own.
func Merged(theirs, ours map[string]string) map[string]string {
	all := make(map[string]string, len(theirs)+len(ours))
	maps.Copy(all, theirs)
	maps.Copy(all, ours)
	return all
}
