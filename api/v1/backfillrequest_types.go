package v1

// This file defines BackfillRequest: "run a backfill of that stream now".

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// BackfillRequest asks for one backfill of one stream. The streaming job is
// stopped first, the backfill runs, the request is completed by that very job,
// and streaming goes on. Delete it, or set spec.completed, to cancel it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=bfr,categories=arcane
// +kubebuilder:selectablefield:JSONPath=`.spec.completed`
// +kubebuilder:selectablefield:JSONPath=`.spec.streamId`
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.streamClass`
// +kubebuilder:printcolumn:name="Stream",type=string,JSONPath=`.spec.streamId`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Completed",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Attempts",type=integer,JSONPath=`.status.attemptCount`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.message`
type BackfillRequest struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what you ask for.
	Spec BackfillRequestSpec `json:"spec"`
	// Status is how far it has come.
	// +optional
	Status BackfillRequestStatus `json:"status,omitempty"`
}

// BackfillRequestSpec says which stream to backfill, and how.
type BackfillRequestSpec struct {
	// StreamClass of the stream. Default: taken from the stream. A class that is
	// not the stream's own makes the request wait with reason ClassMismatch, until
	// it is changed.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StreamClass string `json:"streamClass,omitempty"`

	// StreamID is the name of the stream, in the request's namespace. Required and immutable.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.streamId: is immutable; delete this request and create one for the other stream"
	StreamID string `json:"streamId"`

	// Completed is set to true by the operator, once, when the backfill has completed.
	// Wait with kubectl wait --for=condition=Ready; this field is for clients that wait
	// for it already, and a manifest that says false sets it back. Default false.
	// Setting it to true yourself cancels the request; it cannot be undone. Once the
	// request has ended, what it says has no meaning any more.
	// +optional
	// +kubebuilder:default=false
	Completed bool `json:"completed"`

	// Payload is a free object that the job gets as STREAMCONTEXT__OVERRIDE. Default:
	// none. Changing it while the backfill runs is treated as a change of configuration:
	// as the stream's backfill.onSpecChange says.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Payload *runtime.RawExtension `json:"payload,omitempty"`

	// JobTemplateRef names the StreamingJobTemplate of this one backfill. Default: that
	// of the stream's backfills. Changing it while the backfill runs is treated as a
	// change of configuration: as the stream's backfill.onSpecChange says.
	// +optional
	JobTemplateRef *TemplateReference `json:"jobTemplateRef,omitempty"`

	// TTLSecondsAfterFinished deletes the request that many seconds after it has
	// ended (Completed or Cancelled). Default: requests made by users are kept, and of
	// those made by the operator the last 3 of each stream. Changing it counts at once,
	// also for a request that has ended.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// RequestPhase is a summary for people.
// +kubebuilder:validation:Enum=Queued;Granted;Running;Paused;Completed;Failed;Cancelled
type RequestPhase string

// The phases of a BackfillRequest. Completed and Cancelled are final.
const (
	// RequestQueued waits: for its stream, for its turn or for a slot of its class.
	RequestQueued RequestPhase = "Queued"
	// RequestGranted has a slot and is about to run.
	RequestGranted RequestPhase = "Granted"
	// RequestRunning has a job.
	RequestRunning RequestPhase = "Running"
	// RequestPaused was stopped because its stream was suspended; it runs again, with the same id.
	RequestPaused RequestPhase = "Paused"
	// RequestCompleted has been completed by a job whose success can be trusted.
	RequestCompleted RequestPhase = "Completed"
	// RequestFailed: its job failed. It runs again, with the same id, when its stream does: by itself where
	// spec.restart says so, else when its user suspends and resumes the stream; delete it to give it up.
	RequestFailed RequestPhase = "Failed"
	// RequestCancelled was given up by the user.
	RequestCancelled RequestPhase = "Cancelled"
)

// Final tells whether a request in this phase has ended for good.
func (p RequestPhase) Final() bool { return p == RequestCompleted || p == RequestCancelled }

// AttemptResult is how an attempt ended.
// +kubebuilder:validation:Enum=Succeeded;Failed;Interrupted;Unproven;Stopped
type AttemptResult string

const (
	// AttemptSucceeded ended with a success that can be trusted.
	AttemptSucceeded AttemptResult = "Succeeded"
	// AttemptFailed ended with a failed Job.
	AttemptFailed AttemptResult = "Failed"
	// AttemptInterrupted ended with a success that cannot be trusted (its pod was
	// deleted or evicted), or its Job vanished: the backfill runs again, same id.
	AttemptInterrupted AttemptResult = "Interrupted"
	// AttemptUnproven ended with exit code 0 and without the mark of completion that the class
	// declares, although nobody deleted or evicted its pod: the backfill runs again, same id; the
	// third in a row is a failure. Interrupted ones in between do not count.
	AttemptUnproven AttemptResult = "Unproven"
	// AttemptStopped was stopped by the operator: suspension or a change of configuration.
	AttemptStopped AttemptResult = "Stopped"
)

// Attempt is one job that served the request.
type Attempt struct {
	// Job is the Job's name.
	Job string `json:"job"`
	// JobUID is the Job's UID.
	JobUID types.UID `json:"jobUID"`
	// Result is how it ended. Succeeded: with a success that can be trusted. Failed: its
	// Job failed. Interrupted: its pod was deleted or evicted, or its Job vanished; the
	// backfill runs again. Unproven: it exited 0 without the mark of completion that the class
	// declares; the backfill runs again, and the third in a row, interrupted ones in between apart, is a
	// failure. Stopped: by the operator, for a suspension or a change of configuration.
	Result AttemptResult `json:"result"`
	// Time of the end.
	Time metav1.Time `json:"time"`
	// Message in a sentence.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// BackfillRequestStatus is how far the request has come.
type BackfillRequestStatus struct {
	// Phase is a summary for people. Queued: waits for its stream, its turn or a slot of
	// its class. Granted: has a slot and is about to run. Running: has a job. Paused:
	// stopped because its stream was suspended; it runs again, with the same id. Failed:
	// it runs again when its stream does, by itself where spec.restart says so, else when
	// its user suspends and resumes the stream; delete it to give it up. Completed and
	// Cancelled are final.
	// +optional
	Phase RequestPhase `json:"phase,omitempty"`
	// ObservedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, which is True once the backfill has completed; Stalled where the
	// request has failed.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Job that runs for this request, or ran last.
	// +optional
	Job string `json:"job,omitempty"`
	// AttemptCount is the number of jobs that have served this request and ended. One
	// that the request's own cancellation stopped is not counted.
	// +optional
	AttemptCount int32 `json:"attemptCount,omitempty"`
	// Attempts are the last 10 jobs that served this request and ended, newest last.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	Attempts []Attempt `json:"attempts,omitempty"`
	// StartTime is when its first job was started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// CompletionTime is when it was completed or cancelled.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// Message says in a sentence what it waits for or how it ended.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// BackfillRequestList is a list of BackfillRequests.
// +kubebuilder:object:root=true
type BackfillRequestList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BackfillRequest `json:"items"`
}
