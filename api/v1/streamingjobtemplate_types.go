package v1

// This file defines StreamingJobTemplate: a whole batch/v1 Job to build a stream's jobs from.

import (
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StreamingJobTemplate is a Job to build a stream's jobs from. The operator
// gives the Job its name, labels, owner, environment and failure policy, and
// sets suspend, podReplacementPolicy and the pod's restartPolicy. Changing a
// template restarts the streaming jobs that use it, and counts from the next run of
// a schedule; a running backfill is treated as its stream's backfill.onSpecChange says.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=sjt,categories=arcane
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.spec.template.spec.containers[0].image`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type StreamingJobTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the Job: its pod spec is at spec.spec.template.spec.
	Spec JobTemplate `json:"spec"`
}

// JobTemplate is a batch/v1 Job without a status.
type JobTemplate struct {
	// APIVersion may be given, as in a Job (batch/v1), and means nothing.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind may be given, as in a Job, and means nothing.
	// +optional
	Kind string `json:"kind,omitempty"`
	// Metadata: labels and annotations are taken over to the Job; the name is not.
	// Default: none.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// Spec of the Job, as in kubectl explain job.spec. Required. Refused is what would
	// make more than one pod at a time, or take the Job out of the operator's hands. A
	// podFailurePolicy here replaces the class's; ttlSecondsAfterFinished is held back
	// until the Job's outcome has been recorded.
	Spec batchv1.JobSpec `json:"spec"`
}

// StreamingJobTemplateList is a list of StreamingJobTemplates.
// +kubebuilder:object:root=true
type StreamingJobTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []StreamingJobTemplate `json:"items"`
}
