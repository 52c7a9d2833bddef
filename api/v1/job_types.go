package v1

// This file holds what several kinds say about jobs and their templates.

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TemplateReference names a StreamingJobTemplate.
type TemplateReference struct {
	// Name of the StreamingJobTemplate.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Namespace of the StreamingJobTemplate. Default: the stream's own namespace.
	// Another namespace works only where the StreamClass lists it in
	// spec.allowedTemplateNamespaces or names the same template itself.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// Mode tells what a job of a stream does.
// +kubebuilder:validation:Enum=Stream;Backfill;Scheduled
type Mode string

const (
	// ModeStream carries changes as they come, for as long as the stream runs.
	ModeStream Mode = "Stream"
	// ModeBackfill carries all data once, and ends.
	ModeBackfill Mode = "Backfill"
	// ModeScheduled is one run of a stream that has a schedule; it carries all data once, and ends.
	ModeScheduled Mode = "Scheduled"
)

// Outcome is the end of a job that has been recorded but perhaps not yet carried out.
// +kubebuilder:validation:Enum=Succeeded;Ended
type Outcome string

const (
	// OutcomeSucceeded means: the backfill's success can be trusted, whatever happens to its Job from now on.
	OutcomeSucceeded Outcome = "Succeeded"
	// OutcomeEnded means: the end has been recorded and carried out, and the Job is still there.
	OutcomeEnded Outcome = "Ended"
)

// JobRecord is the job that was started last, until nothing of its end is left to carry out. What decides about its
// end is recorded with it: class, template and the Job itself may be changed while it runs.
type JobRecord struct {
	// Name of the Job.
	Name string `json:"name"`
	// UID of the Job: another Job of the same name is not this one.
	UID types.UID `json:"uid"`
	// Run is the number of the run; it grows with every job of the stream.
	Run int64 `json:"run"`
	// Mode of the job: Stream, Backfill or Scheduled.
	Mode Mode `json:"mode"`
	// Request is the name of the BackfillRequest that the job serves (backfills only).
	// +optional
	Request string `json:"request,omitempty"`
	// RequestUID is the UID of that request.
	// +optional
	RequestUID types.UID `json:"requestUID,omitempty"`
	// ConfigurationHash of the inputs that the job was built from.
	// +optional
	ConfigurationHash string `json:"configurationHash,omitempty"`
	// MainContainer is the container whose exit code decides, as the job was built.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	MainContainer string `json:"mainContainer,omitempty"`
	// Completion is what the class declared as the mark of completion when the job was recorded.
	// +optional
	Completion *Completion `json:"completion,omitempty"`
	// StartTime is when the job was recorded.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// Outcome says how the job ended, and keeps that although the Job may go. Succeeded: a
	// backfill's success, which the operator has yet to write into its request. Ended: nothing
	// is left to do.
	// +optional
	Outcome Outcome `json:"outcome,omitempty"`
	// Lingers: when the outcome was recorded the Job had not ended, because other
	// containers ran on beside the main one. Nothing starts before it was seen gone.
	// +optional
	Lingers bool `json:"lingers,omitempty"`
	// EndedPod is the pod whose main container had failed by itself before the operator
	// deleted the pod, because other containers ran on.
	// +optional
	EndedPod *EndedPod `json:"endedPod,omitempty"`
	// Stop is why the operator ends the job, written before it does: Suspending,
	// BackfillRequested or JobAltered, for instance. Cleared if the job runs on. Where it is
	// absent and the Job is gone, somebody else has deleted the Job.
	// +optional
	Stop *Stop `json:"stop,omitempty"`
}

// Stop is one decision to end a job.
type Stop struct {
	// Reason as in the conditions.
	Reason string `json:"reason"`
	// Time of the decision.
	Time metav1.Time `json:"time"`
}

// CronJobRecord is the CronJob that the operator has made, as its own last write left it.
type CronJobRecord struct {
	// UID of the CronJob: another CronJob of the same name is not this one.
	UID types.UID `json:"uid"`
	// Generation that the operator's last write gave it. At another one somebody else has
	// changed its spec, and the operator writes it anew before it lets a run start.
	// +optional
	Generation int64 `json:"generation,omitempty"`
	// Applied is a hash of what the operator sent in that write.
	// +optional
	Applied string `json:"applied,omitempty"`
	// Time after which runs are expected: a run that was due after it and has not come within
	// the class's startDeadlineSeconds is RunMissed. The operator sets it when it creates the
	// CronJob, when it changes or resumes it for the stream, and when it reports a missed run.
	// Absent while the operator has suspended the CronJob.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}

// EndedPod is how the main container of a pod ended, noted before the pod was deleted.
type EndedPod struct {
	// UID of the pod.
	UID types.UID `json:"uid"`
	// Name of the pod.
	Name string `json:"name"`
	// ExitCode of the main container.
	ExitCode int32 `json:"exitCode"`
	// Message of the main container (its termination message); at most 1,024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
