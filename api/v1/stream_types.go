package v1

// This file defines Stream: one data stream, its source and its sink.

import (
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Stream is one data stream: a class (the plugin), a source and a sink. The
// operator backfills it once and then lets it stream, each as a Kubernetes Job
// in the Stream's namespace. Suspend and resume it by spec.suspended; ask for
// another backfill with a BackfillRequest; after a failure suspend and resume it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=strm,categories=arcane
// +kubebuilder:selectablefield:JSONPath=`.spec.streamClass`
// +kubebuilder:selectablefield:JSONPath=`.spec.suspended`
// +kubebuilder:selectablefield:JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.streamClass`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspended`
// +kubebuilder:printcolumn:name="Backfill",type=string,JSONPath=`.status.job.request`
// +kubebuilder:printcolumn:name="Restarts",type=integer,JSONPath=`.status.restarts.count`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Job",type=string,priority=1,JSONPath=`.status.job.name`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name: must be at most 63 characters, because the stream's name is a label value on its Jobs and pods; choose a shorter name"
type Stream struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what you want. The operator never writes it.
	Spec StreamSpec `json:"spec"`
	// Status is what the operator knows and remembers.
	// +optional
	Status StreamStatus `json:"status,omitempty"`
}

// StreamSpec says what shall flow, and how.
//
// +kubebuilder:validation:XValidation:rule="!has(self.timeZone) || has(self.schedule)",message="spec.timeZone: only has a meaning beside spec.schedule; set a schedule or remove the time zone"
// +kubebuilder:validation:XValidation:rule="!has(self.schedule) || !has(self.backfill) || !has(self.backfill.initial) || self.backfill.initial == 'Disabled'",message="spec.backfill.initial: a scheduled stream has no initial backfill; remove the field, or make a BackfillRequest when you want one"
type StreamSpec struct {
	// StreamClass names the cluster-scoped StreamClass (the plugin) that carries
	// this stream; its kindRef must be Stream. Required and immutable: what has
	// been written by one plugin cannot be continued by another.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.streamClass: is immutable; delete the Stream and create it again with the new class"
	StreamClass string `json:"streamClass"`

	// Suspended stops the stream: its job and pods are removed and nothing starts
	// until it is false again. Default false. Setting it to true also clears a
	// failure; setting it back to false resumes where the plugin left off (first a
	// waiting backfill, if there is one). A Stream created suspended gets no
	// initial backfill. Changing it does not count as a change of configuration.
	// +optional
	// +kubebuilder:default=false
	Suspended bool `json:"suspended"`

	// Source is the plugin's own object: where data comes from. Checked against
	// the class's schema. Default: none. Changing it restarts the streaming job, and
	// counts from the next run of a schedule; a running backfill is treated as
	// backfill.onSpecChange says.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Source *runtime.RawExtension `json:"source,omitempty"`

	// Sink is the plugin's own object: where data goes. Checked against the
	// class's schema. Default: none. Changing it restarts the streaming job, and
	// counts from the next run of a schedule; a running backfill is treated as
	// backfill.onSpecChange says.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Sink *runtime.RawExtension `json:"sink,omitempty"`

	// JobTemplateRef names the StreamingJobTemplate of the streaming job.
	// Default: the class's jobTemplateRef. Changing it, or the template, restarts
	// the streaming job, and counts from the next run of a schedule.
	// +optional
	JobTemplateRef *TemplateReference `json:"jobTemplateRef,omitempty"`

	// BackfillJobTemplateRef names the StreamingJobTemplate of backfills.
	// Default: the class's backfillJobTemplateRef, else the template of the
	// streaming job. Changing it matters for the next backfill; a running one is
	// treated as backfill.onSpecChange says.
	// +optional
	BackfillJobTemplateRef *TemplateReference `json:"backfillJobTemplateRef,omitempty"`

	// Schedule in cron format, five fields such as "*/15 * * * *", runs the stream
	// by a CronJob (phase Scheduled) instead of one long job; never two runs at
	// once. A run that fails sets the condition LastRunFailed, and the next one
	// comes in its time. Default: none. Setting or removing it stops what runs
	// first; changing it takes effect at the next run.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Schedule *string `json:"schedule,omitempty"`

	// TimeZone of the schedule, a name of the IANA time zone database such as
	// Europe/Copenhagen. Default: the time zone of the controller manager. Changing it
	// takes effect at the next run.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TimeZone *string `json:"timeZone,omitempty"`

	// PodFailurePolicy of the stream's Jobs. Default: computed from the class's
	// failure classes, so that a deleted or evicted pod does not fail the stream.
	// A policy of your own is kept verbatim; changing it restarts the streaming job.
	// +optional
	PodFailurePolicy *batchv1.PodFailurePolicy `json:"podFailurePolicy,omitempty"`

	// Restart says whether a failed stream starts again by itself. Changing it
	// restarts nothing.
	// +optional
	Restart *RestartSpec `json:"restart,omitempty"`

	// Backfill says when the stream backfills by itself, and what a change of
	// configuration does to a running backfill. Changing it restarts nothing.
	// +optional
	Backfill *BackfillSpec `json:"backfill,omitempty"`
}

// RestartPolicy says whether a failed stream starts again by itself.
// +kubebuilder:validation:Enum=Never;OnFailure
type RestartPolicy string

const (
	// RestartNever leaves a failed stream to its user: suspend and resume it.
	RestartNever RestartPolicy = "Never"
	// RestartOnFailure starts a failed stream again after a growing pause.
	RestartOnFailure RestartPolicy = "OnFailure"
)

// RestartSpec says whether and how a failed stream starts again by itself.
type RestartSpec struct {
	// Policy is Never (default: a failure waits for the user) or OnFailure.
	// +optional
	// +kubebuilder:default=Never
	Policy RestartPolicy `json:"policy,omitempty"`
	// MaxRestarts is how often a failed stream starts again by itself before it
	// waits for the user. Default 5; back to zero after healthyAfter.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	MaxRestarts *int32 `json:"maxRestarts,omitempty"`
	// Backoff is the pause before a start that follows an end. It also spaces
	// starts of a streaming job that keeps ending without a failure.
	// +optional
	Backoff *BackoffSpec `json:"backoff,omitempty"`
	// HealthyAfter is how long a job must have run to count as healthy: the back-off
	// and the count of restarts then begin anew. Default 10m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns))+$')",message="spec.restart.healthyAfter: must be a duration such as 10m or 1h30m"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns))+$') || duration(self) > duration('0s')",message="spec.restart.healthyAfter: must be longer than 0s, for example 10m"
	HealthyAfter *metav1.Duration `json:"healthyAfter,omitempty"`
}

// BackoffSpec is a pause that doubles from initial to max.
// +kubebuilder:validation:XValidation:rule="!has(self.initial) || !has(self.max) || !self.initial.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns))+$') || !self.max.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns))+$') || duration(self.initial) <= duration(self.max)",message="spec.restart.backoff.initial: must not be longer than max; lower initial or raise max"
type BackoffSpec struct {
	// Initial pause. Default 10s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns))+$')",message="spec.restart.backoff.initial: must be a duration such as 10m or 1h30m"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns))+$') || duration(self) >= duration('1s')",message="spec.restart.backoff.initial: must be at least 1s; lengthen it or remove it for the default of 10s"
	Initial *metav1.Duration `json:"initial,omitempty"`
	// Max is the longest pause. Default 10m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns))+$')",message="spec.restart.backoff.max: must be a duration such as 10m or 1h30m"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns))+$') || duration(self) >= duration('1s')",message="spec.restart.backoff.max: must be at least 1s; lengthen it or remove it for the default of 10m"
	Max *metav1.Duration `json:"max,omitempty"`
}

// InitialBackfill says whether a new stream backfills first.
// +kubebuilder:validation:Enum=Enabled;Disabled
type InitialBackfill string

const (
	// InitialEnabled makes a backfill before the stream first streams.
	InitialEnabled InitialBackfill = "Enabled"
	// InitialDisabled lets the stream start without a backfill.
	InitialDisabled InitialBackfill = "Disabled"
)

// OnSpecChange says what a change of configuration does to a running backfill.
// +kubebuilder:validation:Enum=Finish;Restart
type OnSpecChange string

const (
	// OnSpecChangeFinish lets the backfill run on with its old configuration.
	OnSpecChangeFinish OnSpecChange = "Finish"
	// OnSpecChangeRestart stops the backfill and starts it anew, for the same request.
	OnSpecChangeRestart OnSpecChange = "Restart"
)

// BackfillSpec says when the stream backfills by itself.
type BackfillSpec struct {
	// Initial is Enabled (a new stream backfills first) or Disabled (it streams at
	// once). Absent means: Enabled, unless the stream was created suspended or has
	// a schedule. It is decided once; changing it later changes nothing: make a
	// BackfillRequest instead.
	// +optional
	Initial InitialBackfill `json:"initial,omitempty"`
	// OnSpecChange is Finish (default: a running backfill runs on and the change
	// takes effect after it) or Restart (it is stopped and started anew for the
	// same request). Setting it to Restart while a change waits starts the running
	// backfill anew.
	// +optional
	// +kubebuilder:default=Finish
	OnSpecChange OnSpecChange `json:"onSpecChange,omitempty"`
}

// StreamPhase is a summary for people; programs should read the conditions.
// +kubebuilder:validation:Enum=Pending;Backfilling;Running;Scheduled;Suspended;Failed
type StreamPhase string

// The phases of a Stream.
const (
	// StreamPending is on its way: something is awaited, see condition Ready.
	StreamPending StreamPhase = "Pending"
	// StreamBackfilling runs a backfill.
	StreamBackfilling StreamPhase = "Backfilling"
	// StreamRunning streams.
	StreamRunning StreamPhase = "Running"
	// StreamScheduled runs by its schedule.
	StreamScheduled StreamPhase = "Scheduled"
	// StreamSuspended is stopped by its user: no pod of it is alive.
	StreamSuspended StreamPhase = "Suspended"
	// StreamFailed waits for its user: suspend and resume it.
	StreamFailed StreamPhase = "Failed"
)

// InitialBackfillDecision is what was decided, once, about the initial backfill.
// +kubebuilder:validation:Enum=Requested;Waived
type InitialBackfillDecision string

const (
	// InitialRequested means that the stream's first backfill was requested.
	InitialRequested InitialBackfillDecision = "Requested"
	// InitialWaived means that the stream streams without one.
	InitialWaived InitialBackfillDecision = "Waived"
)

// StreamStatus is what the operator knows of the stream, and all that it remembers.
type StreamStatus struct {
	// Phase is a summary for people; programs should read the conditions. Pending: on
	// its way, condition Ready says what is awaited. Backfilling: carries all data once.
	// Running: carries changes as they come. Scheduled: runs by its schedule.
	// Suspended: stopped by its user, no pod of it is alive. Failed: waits for its user;
	// suspend and resume it.
	// +optional
	Phase StreamPhase `json:"phase,omitempty"`

	// ObservedGeneration is the generation of the spec that was last carried out.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready, Reconciling and Stalled (as kstatus reads them), Accepted,
	// Backfilling, Suspended; ChangePending and LastRunFailed where they apply.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Runs is the number of the last job. It begins at the creation time in Unix
	// seconds, so that a stream created anew never uses a number again.
	// +optional
	// +kubebuilder:validation:Maximum=9007199254740991
	Runs int64 `json:"runs,omitempty"`

	// Job is the job that was started last and whose end has not yet been carried out.
	// +optional
	Job *JobRecord `json:"job,omitempty"`

	// Failure that nobody has acknowledged yet: suspend the stream to clear it.
	// +optional
	Failure *Failure `json:"failure,omitempty"`

	// InitialBackfill is what was decided about the first backfill. Decided once.
	// +optional
	InitialBackfill InitialBackfillDecision `json:"initialBackfill,omitempty"`

	// InitialRequestUID is the UID of the request that was made for the initial backfill.
	// +optional
	InitialRequestUID types.UID `json:"initialRequestUID,omitempty"`

	// GapRequestUID is the UID of the request that was last made after a failure
	// of a class whose action is Backfill; nothing streams before it has ended.
	// +optional
	GapRequestUID types.UID `json:"gapRequestUID,omitempty"`

	// CronJob is the CronJob that the operator has made for the stream's schedule. Another
	// one, whatever it is called, is not the stream's.
	// +optional
	CronJob *CronJobRecord `json:"cronJob,omitempty"`

	// Restarts counts the ends after which the stream starts again without anybody's
	// asking. Absent once the stream has run well for restart.healthyAfter.
	// +optional
	Restarts *Restarts `json:"restarts,omitempty"`

	// ObservedRestartedAt is the restart annotation's value that was last carried out.
	// +optional
	ObservedRestartedAt string `json:"observedRestartedAt,omitempty"`

	// PodFailurePolicy is the effective one: that of the last job.
	// +optional
	PodFailurePolicy *batchv1.PodFailurePolicy `json:"podFailurePolicy,omitempty"`

	// LastDecision is the rule that won last, and since when.
	// +optional
	LastDecision *Decision `json:"lastDecision,omitempty"`

	// History holds the last 10 transitions, newest last.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	History []Transition `json:"history,omitempty"`

	// ConfigurationHash of the last job. Kept for compatibility with earlier versions of Arcane.
	// +optional
	ConfigurationHash string `json:"configurationHash,omitempty"`
}

// Failure is why a stream failed.
type Failure struct {
	// JobUID is the UID of the failed Job.
	JobUID types.UID `json:"jobUID"`
	// Job is the name of the failed Job; it is kept, with its logs, while it exists.
	// +optional
	Job string `json:"job,omitempty"`
	// Run is the number of the failed run.
	Run int64 `json:"run"`
	// Mode of the failed job.
	Mode Mode `json:"mode"`
	// Reason as the Job gives it, such as BackoffLimitExceeded or PodFailurePolicy; or CompletionUnproven where nothing
	// proves that the work is done.
	Reason string `json:"reason"`
	// FailureClass is the class's name for the exit code, if it has one.
	// +optional
	FailureClass string `json:"failureClass,omitempty"`
	// ExitCode of the main container, where a pod, or the operator's note of it (status.job.endedPod), could still be read.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// Pod that failed, where it, or the operator's note of it (status.job.endedPod), could still be read.
	// +optional
	Pod string `json:"pod,omitempty"`
	// Message of the container (its termination message), else of the Job; at most 1,024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// Time of the failure.
	Time metav1.Time `json:"time"`
}

// Restarts counts the ends after which the stream starts again without anybody's asking.
type Restarts struct {
	// Count of the ends since the stream last ran well, with the one after which no
	// restart was left. The pause before the next start grows with it.
	Count int32 `json:"count"`
	// Retries are the starts that followed a failure: restart.maxRestarts is how many
	// there may be. Ends without a failure spend none of them.
	// +optional
	Retries int32 `json:"retries,omitempty"`
	// Since when they are counted.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// NextTime is when the next start is due.
	// +optional
	NextTime *metav1.Time `json:"nextTime,omitempty"`
	// GapTime is when the stream last made a backfill request because of a failure:
	// at most one in restart.healthyAfter.
	// +optional
	GapTime *metav1.Time `json:"gapTime,omitempty"`
}

// Decision is the rule that won, and since when.
type Decision struct {
	// Rule is the name of the rule, as listed in the lifecycle table.
	Rule string `json:"rule"`
	// Reason as in the conditions.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Time since when this rule has been winning.
	Time metav1.Time `json:"time"`
}

// Transition is one change of phase.
type Transition struct {
	// Time of the change.
	Time metav1.Time `json:"time"`
	// From is the phase before; empty at first.
	// +optional
	From StreamPhase `json:"from,omitempty"`
	// To is the phase after.
	To StreamPhase `json:"to"`
	// Reason of the change, one of the documented reasons.
	Reason string `json:"reason"`
	// Message in a sentence.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// StreamList is a list of Streams.
// +kubebuilder:object:root=true
type StreamList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Stream `json:"items"`
}
