package jobspec

// This file builds the CronJob of a stream that has a schedule.

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// How many ended runs a CronJob keeps for their logs.
const (
	keptSuccesses int32 = 3
	keptFailures  int32 = 3
)

// CronName is the name of a stream's CronJob: that of its Jobs without a run. The
// CronJob controller adds the minute of the run to it.
func CronName(streamName string, streamUID types.UID, kind string) string {
	return named(streamName, streamUID, kind, MaxName)
}

// NameOfRun is the name of the run that a CronJob makes for a time of its schedule:
// getJobName in Kubernetes' CronJob controller adds the minutes since 1970.
func NameOfRun(cron *batchv1.CronJob, due time.Time) string {
	return fmt.Sprintf("%s-%d", cron.Name, due.Unix()/60)
}

// BuildCron builds the CronJob. Every Job that it makes is held: Kubernetes'
// CronJob controller decides when a run is due, the operator alone lets it run,
// so that a run never meets another writer. Mode must be ModeScheduled.
func BuildCron(in Input) (*batchv1.CronJob, *definition.Problem) {
	if _, p := check(in); p != nil {
		return nil, p
	}
	d := in.Definition
	cron := &batchv1.CronJob{
		TypeMeta: metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "CronJob"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       d.Namespace,
			Name:            CronName(d.Name, d.UID, d.Kind),
			Labels:          labels(in),
			Annotations:     map[string]string{v1.AnnotationConfigurationHash: Hash(in)},
			OwnerReferences: []metav1.OwnerReference{owner(d)},
		},
		Spec: batchv1.CronJobSpec{
			Schedule:                   d.Schedule,
			ConcurrencyPolicy:          batchv1.ForbidConcurrent,
			Suspend:                    ptr.To(false),
			SuccessfulJobsHistoryLimit: ptr.To(keptSuccesses),
			FailedJobsHistoryLimit:     ptr.To(keptFailures),
			JobTemplate: batchv1.JobTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels:      Merged(in.Template.Spec.Labels, labels(in)),
					Annotations: Merged(foreign(in.Template.Spec.Annotations), annotations(in)),
				},
				Spec: spec(in, []byte(noPayload)),
			},
		},
	}
	if d.TimeZone != "" {
		cron.Spec.TimeZone = ptr.To(d.TimeZone)
	}
	return cron, nil
}

// DigestOfCron is a hash of a CronJob as it was built: of what is sent, whatever
// admission makes of it.
func DigestOfCron(built *batchv1.CronJob) string {
	b, err := definition.Essence(map[string]any{
		"labels": built.Labels, "annotations": built.Annotations, "owners": built.OwnerReferences, "spec": built.Spec,
	})
	if err != nil {
		panic(fmt.Errorf("hash the CronJob: %w", err)) // typed values can always be written
	}
	return definition.Digest(b)
}

// Differs is the field in which a held Job is not what the CronJob makes: one writer, with
// the very pods of its template. Empty where there is none. What the Job controller adds
// to a Job's pods is left out.
func Differs(j *batchv1.Job, cron *batchv1.CronJob) string {
	is, made := &j.Spec, &cron.Spec.JobTemplate.Spec
	if field := NotOneWriter(is); field != "" {
		return field
	}
	for key, value := range made.Template.Labels {
		if is.Template.Labels[key] != value {
			return "the label " + key + " of its pods"
		}
	}
	switch {
	case !equality.Semantic.DeepEqual(is.Template.Spec, made.Template.Spec):
		return "spec.template.spec"
	case !equality.Semantic.DeepEqual(is.Template.Annotations, made.Template.Annotations):
		return "spec.template.metadata.annotations"
	case !equality.Semantic.DeepEqual(is.PodFailurePolicy, made.PodFailurePolicy):
		return "spec.podFailurePolicy"
	case !ptr.Equal(is.ActiveDeadlineSeconds, made.ActiveDeadlineSeconds):
		return "spec.activeDeadlineSeconds"
	case made.BackoffLimit != nil && !ptr.Equal(is.BackoffLimit, made.BackoffLimit):
		return "spec.backoffLimit"
	case ptr.Deref(is.CompletionMode, batchv1.NonIndexedCompletion) != ptr.Deref(made.CompletionMode, batchv1.NonIndexedCompletion):
		return "spec.completionMode"
	case ptr.Deref(is.ManualSelector, false) != ptr.Deref(made.ManualSelector, false):
		return "spec.manualSelector"
	case !equality.Semantic.DeepEqual(is.SuccessPolicy, made.SuccessPolicy):
		return "spec.successPolicy"
	case !equality.Semantic.DeepEqual(is.Template.Finalizers, made.Template.Finalizers):
		return "spec.template.metadata.finalizers"
	}
	return ""
}

// AlteredCron is the field in which a CronJob that was stored would make other Jobs than
// the one that was sent, of those that the lifecycle rests on. Empty where there is none.
func AlteredCron(there, sent *batchv1.CronJob) string {
	is, made := &there.Spec.JobTemplate, &sent.Spec.JobTemplate
	for _, key := range []string{v1.LabelStreamID, v1.LabelStreamKind} {
		if there.Labels[key] != sent.Labels[key] {
			return "the label " + key
		}
	}
	switch {
	case ptr.Deref(there.Spec.Suspend, false) != ptr.Deref(sent.Spec.Suspend, false):
		return "spec.suspend"
	case there.Spec.Schedule != sent.Spec.Schedule:
		return "spec.schedule"
	case ptr.Deref(there.Spec.TimeZone, "") != ptr.Deref(sent.Spec.TimeZone, ""):
		return "spec.timeZone"
	}
	if field := alteredJob(&is.ObjectMeta, &is.Spec, &made.ObjectMeta, &made.Spec); field != "" {
		return field + " of its jobTemplate"
	}
	if !ownedAlike(there, sent) {
		return "the controller in metadata.ownerReferences"
	}
	return ""
}

// fromJob is a variable whose value the pod reads off the Job that it was made for.
func fromJob(name, label string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.labels['" + label + "']"},
	}}
}
