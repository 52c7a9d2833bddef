package jobspec

// This file builds the CronJob of a stream that has a schedule.

import (
	"maps"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
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

// IsRunOf tells whether a Job's name is that of a run of the CronJob.
func IsRunOf(cron, job string) bool {
	return len(job) > len(cron)+1 && job[:len(cron)+1] == cron+"-"
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
					Labels:      merged(in.Template.Spec.Labels, labels(in)),
					Annotations: merged(foreign(in.Template.Spec.Annotations), annotations(in)),
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

// SameCron tells whether a CronJob that is there makes the runs that the wanted one
// would make, when it would make them; whether it makes any at all now is not asked.
func SameCron(there, wanted *batchv1.CronJob) bool {
	held := there.Spec.JobTemplate.Spec.Suspend
	return there.Annotations[v1.AnnotationConfigurationHash] == wanted.Annotations[v1.AnnotationConfigurationHash] &&
		there.Spec.Schedule == wanted.Spec.Schedule &&
		ptr.Equal(there.Spec.TimeZone, wanted.Spec.TimeZone) &&
		there.Spec.ConcurrencyPolicy == wanted.Spec.ConcurrencyPolicy &&
		held != nil && *held && OneWriter(&there.Spec.JobTemplate.Spec) &&
		maps.Equal(there.Spec.JobTemplate.Labels, wanted.Spec.JobTemplate.Labels)
}

// fromJob is a variable whose value the pod reads off the Job that it was made for.
func fromJob(name, label string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.labels['" + label + "']"},
	}}
}
