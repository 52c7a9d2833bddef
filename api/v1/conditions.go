package v1

// This file names every condition type and reason; meanings.go explains them.

// The condition types. Ready, Reconciling and Stalled are read as kstatus reads them.
const (
	// ConditionReady: the declared state is reached, or being served as designed.
	ConditionReady = "Ready"
	// ConditionReconciling: the operator is on its way to the declared state.
	ConditionReconciling = "Reconciling"
	// ConditionStalled: nothing will happen until somebody acts.
	ConditionStalled = "Stalled"
	// ConditionAccepted: the definition can be turned into a job.
	ConditionAccepted = "Accepted"
	// ConditionBackfilling: a backfill is running.
	ConditionBackfilling = "Backfilling"
	// ConditionSuspended: no pod of the stream is alive, by the user's wish.
	ConditionSuspended = "Suspended"
	// ConditionChangePending: a change of configuration waits for the end of the running backfill.
	ConditionChangePending = "ChangePending"
	// ConditionLastRunFailed: the last run of a stream that has a schedule failed.
	ConditionLastRunFailed = "LastRunFailed"
)

// Reason is a stable word for why something is as it is.
type Reason string

// Reasons of streams.
const (
	ReasonStreaming            Reason = "Streaming"
	ReasonBackfilling          Reason = "Backfilling"
	ReasonSuspended            Reason = "Suspended"
	ReasonSuspending           Reason = "Suspending"
	ReasonWaitingForJob        Reason = "WaitingForJob"
	ReasonWaitingForPods       Reason = "WaitingForPods"
	ReasonBackfillRequested    Reason = "BackfillRequested"
	ReasonBackfillCompleted    Reason = "BackfillCompleted"
	ReasonBackfillCancelled    Reason = "BackfillCancelled"
	ReasonBackfillInterrupted  Reason = "BackfillInterrupted"
	ReasonInitialRequested     Reason = "InitialBackfillRequested"
	ReasonInitialWaits         Reason = "InitialBackfillWaits"
	ReasonInitialWaived        Reason = "InitialBackfillWaived"
	ReasonConfigurationChanged Reason = "ConfigurationChanged"
	ReasonStreamEnded          Reason = "StreamEnded"
	ReasonBackingOff           Reason = "BackingOff"
	ReasonDisrupted            Reason = "Disrupted"
	ReasonPodEnded             Reason = "PodEnded"
	ReasonMainContainerEnded   Reason = "MainContainerEnded"
	ReasonJobFailed            Reason = "JobFailed"
	ReasonRestarting           Reason = "Restarting"
	ReasonRestartWaits         Reason = "RestartBackOff"
	ReasonGapRequested         Reason = "GapBackfillRequested"
	ReasonLooseRequest         Reason = "RequestNotRecorded"
	ReasonScheduled            Reason = "Scheduled"
	ReasonRunSucceeded         Reason = "RunSucceeded"
	ReasonRunFailed            Reason = "RunFailed"
	ReasonJobVanished          Reason = "JobVanished"
	ReasonEndCarriedOut        Reason = "EndCarriedOut"
	ReasonCompletionUnproven   Reason = "CompletionUnproven"
	ReasonBackendChanged       Reason = "BackendChanged"
	ReasonPodStays             Reason = "PodDoesNotEnd"
	ReasonJobStays             Reason = "JobDoesNotEnd"
	ReasonCronJobStays         Reason = "CronJobDoesNotEnd"
	ReasonForeignPod           Reason = "ForeignPod"
	ReasonRunUnseen            Reason = "RunNotLabelled"
	ReasonUnsettled            Reason = "Unsettled"
	ReasonPodNotRunning        Reason = "PodNotRunning"
	ReasonNoPod                Reason = "JobHasNoPod"
	ReasonCrashLooping         Reason = "CrashLooping"
	ReasonNameConflict         Reason = "NameConflict"
	ReasonRestartRequested     Reason = "RestartRequested"
	ReasonJobRefused           Reason = "JobRefused"
	ReasonJobAltered           Reason = "JobAltered"
	ReasonWriteRefused         Reason = "WriteRefused"
	ReasonRunDiscarded         Reason = "RunDiscarded"
	ReasonRunMissed            Reason = "RunMissed"
	ReasonRequestRefused       Reason = "RequestRefused"
	ReasonAccepted             Reason = "Accepted"
	ReasonChangeWaits          Reason = "ChangeWaitsForBackfill"
	ReasonDeleting             Reason = "Deleting"
	ReasonNotAccepted          Reason = "NotAccepted"
)

// Reasons why a definition is not accepted.
const (
	ReasonClassNotFound     Reason = "StreamClassNotFound"
	ReasonClassNotReady     Reason = "StreamClassNotReady"
	ReasonClassKind         Reason = "StreamClassKind"
	ReasonTemplateNotFound  Reason = "TemplateNotFound"
	ReasonTemplateForbidden Reason = "TemplateForbidden"
	ReasonTemplateInvalid   Reason = "TemplateInvalid"
	ReasonSpecInvalid       Reason = "SpecInvalid"
)

// Reasons of backfill requests.
const (
	ReasonStreamNotFound   Reason = "StreamNotFound"
	ReasonClassMismatch    Reason = "ClassMismatch"
	ReasonWaitingForTurn   Reason = "WaitingForTurn"
	ReasonWaitingForSlot   Reason = "WaitingForSlot"
	ReasonStreamSuspended  Reason = "StreamSuspended"
	ReasonStreamFailed     Reason = "StreamFailed"
	ReasonStreamNotReady   Reason = "StreamNotAccepted"
	ReasonGranted          Reason = "Granted"
	ReasonRequestRunning   Reason = "Running"
	ReasonRequestCompleted Reason = "Completed"
	ReasonRequestCancelled Reason = "Cancelled"
	ReasonRequestFailed    Reason = "Failed"
)

// Reasons of stream classes.
const (
	ReasonServed          Reason = "Served"
	ReasonKindUnsupported Reason = "KindNotSupported"
	ReasonSchemaInvalid   Reason = "SchemaInvalid"
	ReasonFailureClasses  Reason = "FailureClassesInvalid"
	ReasonClassInvalid    Reason = "ClassInvalid"
)

// Reasons of stream plugins; also SpecInvalid and NameConflict.
const (
	ReasonInstalled         Reason = "Installed"
	ReasonReleaseFailed     Reason = "ReleaseFailed"
	ReasonWaitingForStreams Reason = "WaitingForStreams"
	ReasonUninstallFailed   Reason = "UninstallFailed"
)
