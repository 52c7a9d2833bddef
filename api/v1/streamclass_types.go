package v1

// This file defines StreamClass: the registration of a plugin.

import (
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// StreamClass registers a plugin: which kind carries its stream definitions,
// and the plugin's defaults. It is an administrator's object.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=strc,categories=arcane
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.kindRef`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Running",type=integer,JSONPath=`.status.streams.Running`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.streams.Failed`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type StreamClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec describes the plugin.
	Spec StreamClassSpec `json:"spec"`
	// Status tells whether the plugin's streams are being served.
	// +optional
	Status StreamClassStatus `json:"status,omitempty"`
}

// StreamClassSpec describes a plugin.
type StreamClassSpec struct {
	// APIGroupRef is the API group of the kind that carries the stream definitions.
	// Default: streaming.sneaksanddata.com. To change group, version, kind or plural
	// is to make the class another's: Streams that name it are not accepted then, and
	// what runs of them is left running.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	APIGroupRef string `json:"apiGroupRef,omitempty"`
	// APIVersion of that kind, such as v1. Required; what changing it causes: apiGroupRef.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	APIVersion string `json:"apiVersion"`
	// KindRef is the kind that carries the stream definitions: Stream, or the plugin's
	// own. Required; what changing it causes: apiGroupRef.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	KindRef string `json:"kindRef"`
	// PluralName of that kind, such as streams. Required; what changing it causes: apiGroupRef.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	PluralName string `json:"pluralName"`

	// SecretRefs are the fields of a stream's spec that hold {name: secret}; for
	// kind Stream a path below spec, such as source.credentials. Each named Secret
	// becomes an envFrom in every container. Default: none. Changing it restarts the
	// class's streaming jobs.
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	SecretRefs []string `json:"secretRefs,omitempty"`

	// JobTemplateRef is the template of streaming jobs whose Stream names none; without
	// a namespace it is one in the stream's own. Default: none, then each Stream has to
	// name one. Changing it restarts the jobs that are built from it.
	// +optional
	JobTemplateRef *TemplateReference `json:"jobTemplateRef,omitempty"`
	// BackfillJobTemplateRef is the template of backfills whose Stream names none.
	// Default: the template of the streaming job. Changing it matters for the next
	// backfill; a running one is treated as its stream's backfill.onSpecChange says.
	// +optional
	BackfillJobTemplateRef *TemplateReference `json:"backfillJobTemplateRef,omitempty"`
	// AllowedTemplateNamespaces are the namespaces, beside its own, from which a
	// Stream or a BackfillRequest may name a template. Default: none. Changing it restarts
	// nothing; a stream that names a template in a namespace that is taken off the list is
	// not accepted (TemplateForbidden) until it names another, and what runs of it is left
	// running.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	AllowedTemplateNamespaces []string `json:"allowedTemplateNamespaces,omitempty"`

	// FailureClasses say what the plugin's exit codes mean. Default: graceful (143)
	// and transient (2), both ignored; a list of your own replaces these. Changing it
	// restarts the streaming jobs whose podFailurePolicy is computed from it, and counts
	// for every failure that is seen from then on.
	// +optional
	// +kubebuilder:validation:MaxItems=18
	// +listType=map
	// +listMapKey=name
	FailureClasses []FailureClass `json:"failureClasses,omitempty"`
	// PodFailurePolicy replaces the policy that is computed from the failure classes,
	// for streams that have none of their own and whose template has none. Default: the
	// computed one. Changing it restarts the streaming jobs of those.
	// +optional
	PodFailurePolicy *batchv1.PodFailurePolicy `json:"podFailurePolicy,omitempty"`

	// PodSecurityLevel is the level of the Pod Security Standards that the pods of this
	// class's streams must keep: privileged, baseline (default) or restricted.
	// Changing it restarts nothing; a stream whose template goes beyond a level that was
	// raised is not accepted (TemplateInvalid) until the template is corrected, and what
	// runs of it is left running.
	// +optional
	// +kubebuilder:default=baseline
	PodSecurityLevel PodSecurityLevel `json:"podSecurityLevel,omitempty"`

	// Schema of {source, sink} of this class's Streams. Default: none, anything goes.
	// Changing it restarts nothing; a stream that no longer fits is not accepted
	// (SpecInvalid) until it does, and what runs of it is left running.
	// +optional
	Schema *StreamSchema `json:"schema,omitempty"`

	// Backfill says how many backfills of this class may run at once. Default: no limit.
	// Changing it stops nothing.
	// +optional
	Backfill *ClassBackfill `json:"backfill,omitempty"`

	// StartDeadlineSeconds is how long a stream may wait before it is shown as Stalled: for a started job's
	// pod to run, for a pod, Job or CronJob to be gone, for a pod that is not its own to end, for a refused
	// write, or for the operator's cache and the API server to agree. Default 600. Changing it restarts
	// nothing and counts at once.
	// +optional
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=1
	StartDeadlineSeconds *int32 `json:"startDeadlineSeconds,omitempty"`

	// ContainerName is the main container: exit codes are about it, unless a podFailurePolicy of the
	// stream's, the template's or the class's own names one and the same container in all its rules about
	// exit codes. Default: the template's first. Changing it restarts the streaming jobs whose podFailurePolicy
	// is computed; a template without that container is not accepted (TemplateInvalid).
	// +optional
	// +kubebuilder:validation:MaxLength=63
	ContainerName string `json:"containerName,omitempty"`

	// Completion says by what a backfill, or a run of a schedule, shows that it has done all of its work.
	// Default: exit code 0 is believed where nothing but the plugin can have ended the container. Where the
	// kubelet can (a liveness or startup probe, a postStart hook, a limit on ephemeral storage or on an emptyDir),
	// a plugin that exits 0 on SIGTERM would pass for one that has finished: such an end is not believed. The
	// stream fails, with CompletionUnproven in status.failure.reason; a run of a schedule sets LastRunFailed. Changing it restarts nothing: a job that
	// runs is judged by what was declared when it was recorded, and where that was nothing, the termination message
	// that is declared by its end counts too.
	// +optional
	Completion *Completion `json:"completion,omitempty"`
}

// Completion is the mark that the plugin gives only when it has done all of its work.
// +kubebuilder:validation:XValidation:rule="!has(self.terminationMessage) || self.mark == 'TerminationMessage'",message="spec.completion.terminationMessage: only has a meaning beside mark TerminationMessage; remove it, or set the mark"
type Completion struct {
	// Mark is TerminationMessage (the main container exits 0 and its termination message has a line that is
	// terminationMessage) or ExitCode (the main container exits 0 only when all of its work is done, and with
	// another code, such as 143, when SIGTERM cut it short). Required.
	Mark CompletionMark `json:"mark"`
	// TerminationMessage is the whole of that line. Default: completed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^\S(.*\S)?$`
	TerminationMessage string `json:"terminationMessage,omitempty"`
}

// CompletionMark is how the plugin marks that all of its work is done.
// +kubebuilder:validation:Enum=TerminationMessage;ExitCode
type CompletionMark string

const (
	// MarkTerminationMessage is a line of the termination message.
	MarkTerminationMessage CompletionMark = "TerminationMessage"
	// MarkExitCode is exit code 0, which the plugin gives in no other case.
	MarkExitCode CompletionMark = "ExitCode"
	// DefaultTerminationMessage is the line that marks a completion where the class names none.
	DefaultTerminationMessage = "completed"
)

// PodSecurityLevel is a level of the Pod Security Standards.
// +kubebuilder:validation:Enum=privileged;baseline;restricted
type PodSecurityLevel string

// FailureAction is what follows from an exit code.
// +kubebuilder:validation:Enum=Ignore;Fail;Backfill
type FailureAction string

const (
	// ActionIgnore replaces the pod and does not count it against the backoffLimit.
	ActionIgnore FailureAction = "Ignore"
	// ActionFail fails the stream at once: retrying is useless.
	ActionFail FailureAction = "Fail"
	// ActionBackfill fails the job; the stream needs a backfill before it can go on.
	ActionBackfill FailureAction = "Backfill"
)

// FailureClass gives a name and a consequence to exit codes.
type FailureClass struct {
	// Name of the class, shown in a stream's failure, in events and in metrics. Required, each once.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$`
	Name string `json:"name"`
	// ExitCodes of the main container that belong to this class, each to one class only;
	// 0 is success and cannot. Required.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=255
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=255
	// +listType=set
	ExitCodes []int32 `json:"exitCodes"`
	// Action: Ignore (replace the pod, do not count it), Fail (fail the stream at
	// once) or Backfill (fail the job; the operator makes a BackfillRequest, and the stream
	// streams on after it; that spends one of restart.maxRestarts, at most one in restart.healthyAfter).
	// Required.
	Action FailureAction `json:"action"`
}

// StreamSchema describes {source, sink}.
type StreamSchema struct {
	// OpenAPIV3Schema of an object with the properties source and sink, in the
	// structural form that CustomResourceDefinitions use, without rules in CEL. A field that
	// it does not name is stored and warned of, unless the object names no field at all or
	// is marked with x-kubernetes-preserve-unknown-fields. Required.
	// +kubebuilder:pruning:PreserveUnknownFields
	OpenAPIV3Schema *runtime.RawExtension `json:"openAPIV3Schema"`
}

// ClassBackfill limits backfills.
type ClassBackfill struct {
	// MaxConcurrent is how many backfills of this class may run at once; further
	// requests are Queued, oldest first. Default: no limit. Lowering it stops no backfill
	// that runs; raising it lets waiting ones start.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxConcurrent *int32 `json:"maxConcurrent,omitempty"`
}

// ClassPhase is a summary for people.
// +kubebuilder:validation:Enum=Pending;Ready;Failed;Stopped
type ClassPhase string

// The phases of a StreamClass.
const (
	// ClassPending has not been looked at yet.
	ClassPending ClassPhase = "Pending"
	// ClassReady is being served.
	ClassReady ClassPhase = "Ready"
	// ClassFailed cannot be served: see condition Ready.
	ClassFailed ClassPhase = "Failed"
	// ClassStopped is no longer served.
	ClassStopped ClassPhase = "Stopped"
)

// StreamClassStatus tells whether the plugin's streams are being served.
type StreamClassStatus struct {
	// Phase is a summary for people. Pending: not looked at yet. Ready: being served.
	// Failed: cannot be served, condition Ready says why. Stopped: no longer served.
	// +optional
	Phase ClassPhase `json:"phase,omitempty"`
	// ObservedGeneration is the generation of the spec that was last looked at.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready; Stalled where the class is not served.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Streams of this class by phase; written at most every 30 seconds.
	// +optional
	Streams map[StreamPhase]int32 `json:"streams,omitempty"`
}

// StreamClassList is a list of StreamClasses.
// +kubebuilder:object:root=true
type StreamClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []StreamClass `json:"items"`
}
