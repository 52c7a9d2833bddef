package v1

// This file names every label, annotation and environment variable once.

// Labels on the Jobs and pods of a stream.
const (
	// LabelStreamID holds the stream's name.
	LabelStreamID = "arcane/stream-id"
	// LabelStreamKind holds the stream's kind.
	LabelStreamKind = "arcane/stream-kind"
	// LabelStreamClass holds the name of the stream's class, where it is short enough for a label (63 characters).
	LabelStreamClass = "arcane/stream-class"
	// LabelBackfilling is "true" on the Job and pods of a backfill or of a run of a schedule, else "false".
	LabelBackfilling = "arcane/backfilling"
	// LabelManagedBy is the recommended label of Kubernetes for the tool that manages an object.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy on everything that the operator makes.
	ManagedBy = "arcane-operator"
)

// Annotations on Jobs and CronJobs.
const (
	// AnnotationConfigurationHash holds a hash over the inputs that change the Job.
	AnnotationConfigurationHash = "configuration-hash"
	// AnnotationRun holds the number of the run.
	AnnotationRun = "streaming.sneaksanddata.com/run"
	// AnnotationRequest and AnnotationRequestUID name the BackfillRequest that a backfill's Job serves.
	AnnotationRequest    = "streaming.sneaksanddata.com/request"
	AnnotationRequestUID = "streaming.sneaksanddata.com/request-uid"
	// AnnotationTTL keeps the template's ttlSecondsAfterFinished, which the Job
	// gets only after its outcome has been recorded, so that the evidence
	// outlives any downtime of the operator.
	AnnotationTTL = "streaming.sneaksanddata.com/ttl-seconds-after-finished"
	// AnnotationRunMissed on a CronJob is when the last run was due that has not come. The
	// operator writes it to wake the CronJob controller, and never reads it.
	AnnotationRunMissed = "streaming.sneaksanddata.com/run-missed"
)

// Annotations on Streams and BackfillRequests.
const (
	// AnnotationCreatedSuspended is put by the CREATE webhook on a Stream that is
	// born suspended: it gives up the initial backfill.
	AnnotationCreatedSuspended = "streaming.sneaksanddata.com/created-suspended"
	// AnnotationDefaultPodFailurePolicy holds the hash of the podFailurePolicy
	// that the defaulting webhook wrote. While the spec matches it, the policy is
	// the default and no part of the configuration.
	AnnotationDefaultPodFailurePolicy = "streaming.sneaksanddata.com/default-pod-failure-policy"
	// AnnotationRestartedAt on a Stream asks for a fresh start: any new value
	// clears a failure and restarts the running job.
	AnnotationRestartedAt = "streaming.sneaksanddata.com/restartedAt"
	// AnnotationAdmitted is the stamp that a request gets when it is created and keeps:
	// from the operator on its own, from the defaulting webhook on every other. A request
	// that bears it is not from an earlier Arcane.
	AnnotationAdmitted = "streaming.sneaksanddata.com/admitted"
	// Admitted is the value of AnnotationAdmitted.
	Admitted = "true"
	// AnnotationCompletedBy holds the UID of the Job whose trusted success
	// completed the request. It proves that only where the stream's status holds this
	// success: spec.completed without such a proof is the user's cancellation.
	AnnotationCompletedBy = "streaming.sneaksanddata.com/completed-by"
	// AnnotationMadeBy says on the operator's own requests why it made them
	// (RequestInitial, RequestGap). It does not prove that the operator did: only the
	// request's name, which never changes, does.
	AnnotationMadeBy = "streaming.sneaksanddata.com/made-by"
	// RequestInitial is the value of AnnotationMadeBy on a stream's initial backfill.
	RequestInitial = "initial-backfill"
	// RequestGap is the value of AnnotationMadeBy on a backfill that follows a
	// failure of a class whose action is Backfill.
	RequestGap = "gap-backfill"
)

// FinalizerUninstall keeps a StreamPlugin until the operator has removed what it installed. Without it the class, which has
// no namespace and hence no owner that the garbage collector knows, would stay.
const FinalizerUninstall = "streaming.sneaksanddata.com/uninstall"

// Environment of every container of a stream's Job.
const (
	// EnvPrefix is reserved: a template may not set variables that begin with it.
	EnvPrefix = "STREAMCONTEXT__"
	// EnvStreamID is the stream's name.
	EnvStreamID = EnvPrefix + "STREAM_ID"
	// EnvStreamKind is the stream's kind.
	EnvStreamKind = EnvPrefix + "STREAM_KIND"
	// EnvStreamNamespace is the stream's namespace.
	EnvStreamNamespace = EnvPrefix + "STREAM_NAMESPACE"
	// EnvStreamUID is the stream's UID: names come again, UIDs do not.
	EnvStreamUID = EnvPrefix + "STREAM_UID"
	// EnvSpec is the JSON of the stream's whole spec, keys sorted.
	EnvSpec = EnvPrefix + "SPEC"
	// EnvBackfill is "true" in a backfill and in a run of a schedule, else "false".
	EnvBackfill = EnvPrefix + "BACKFILL"
	// EnvBackfillID is the request's name, the same again on every retry. Not in streaming jobs.
	EnvBackfillID = EnvPrefix + "BACKFILL_ID"
	// EnvBackfillUID is the request's UID: plugins should key their output by it. Not in streaming jobs.
	EnvBackfillUID = EnvPrefix + "BACKFILL_UID"
	// EnvOverride is the JSON of the request's payload. Not in streaming jobs.
	EnvOverride = EnvPrefix + "OVERRIDE"
	// EnvRun is the run's number: it grows with every job of the stream, so a
	// plugin can fence an older writer with it. Not in runs of a schedule.
	EnvRun = EnvPrefix + "RUN"
)
