package v1

// This file says what every condition and every reason means, where it stands, and what to do about it.

import corev1 "k8s.io/api/core/v1"

// Place is where users meet a reason.
//
// +kubebuilder:object:generate=false
type Place struct {
	// Kind of the object that says it.
	Kind string
	// In is the condition, or the field of the status, that holds it; empty for the operator's log.
	In string
	// Event is the type of the event that tells it; empty where none does.
	Event string
}

// The places. One more is a name here, and a word in the lists of reasons below.
var (
	told          = Place{KindStream, ConditionReady, corev1.EventTypeNormal}
	stalled       = Place{KindStream, ConditionStalled, corev1.EventTypeWarning}
	lastRun       = Place{KindStream, ConditionLastRunFailed, ""}
	lastRunFailed = Place{KindStream, ConditionLastRunFailed, corev1.EventTypeWarning}
	warned        = Place{KindStream, ConditionReady, corev1.EventTypeWarning}
	accepted      = Place{KindStream, ConditionAccepted, ""}
	refused       = Place{KindStream, ConditionAccepted, corev1.EventTypeWarning}
	failing       = Place{KindStream, "status.failure", ""}
	pending       = Place{KindStream, ConditionChangePending, ""}
	decided       = Place{KindStream, "status.lastDecision", ""}
	logged        = Place{KindStream, "", ""}
	waiting       = Place{KindBackfillRequest, ConditionReady, ""}
	cancelled     = Place{KindBackfillRequest, ConditionReady, corev1.EventTypeNormal}
	wrong         = Place{KindBackfillRequest, ConditionReady, corev1.EventTypeWarning}
	served        = Place{KindStreamClass, ConditionReady, corev1.EventTypeNormal}
	unserved      = Place{KindStreamClass, ConditionReady, corev1.EventTypeWarning}
	installed     = Place{KindStreamPlugin, ConditionReady, corev1.EventTypeNormal}
	uninstalled   = Place{KindStreamPlugin, ConditionReady, corev1.EventTypeWarning}
)

// Remedy is what to do about a reason.
//
// +kubebuilder:object:generate=false
type Remedy struct {
	// Text is a sentence or two; empty where there is nothing to do.
	Text string
	// Told: nothing happens until somebody acts, so the text stands in conditions and events too.
	Told bool
}

var nothingToDo = Remedy{}

// act is for whom nothing happens until they act; look is for whom it should pass, and does not.
func act(text string) Remedy  { return Remedy{text, true} }
func look(text string) Remedy { return Remedy{text, false} }

// Explanation is all that there is to say of a reason.
//
// +kubebuilder:object:generate=false
type Explanation struct {
	Reason  Reason
	Places  []Place
	Meaning string
	Remedy  Remedy
}

func at(places ...Place) []Place { return places }

// ofStreams explains the reasons of streams.
var ofStreams = []Explanation{
	{ReasonStreaming, at(told), "The stream is streaming.", nothingToDo},
	{ReasonBackfilling, at(told), "A backfill is running; streaming goes on after it.", nothingToDo},
	{ReasonSuspended, at(told), "The stream is suspended and no pod of it is left.", act("Set spec.suspended to false to resume it.")},
	{
		ReasonSuspending, at(told),
		"The stream is being suspended; waiting until its job and pods are gone.",
		look("If it lasts longer than the pods' terminationGracePeriodSeconds, look for a pod that does not end, on a node that is gone for instance."),
	},
	{
		ReasonWaitingForJob, at(told, decided, waiting),
		"Waiting until the former job and its pods are gone, so that two never write at once.",
		look("If it lasts longer than the pods' terminationGracePeriodSeconds, look for a pod that does not end, on a node that is gone for instance."),
	},
	{ReasonWaitingForPods, at(logged), "Removing pods whose job no longer exists, before anything else may write.", nothingToDo},
	{ReasonBackfillRequested, at(told), "A backfill was requested; the streaming job is stopped first.", nothingToDo},
	{ReasonBackfillCompleted, at(told), "The backfill has completed.", nothingToDo},
	{ReasonBackfillCancelled, at(told), "The backfill's request was deleted or cancelled; its job is stopped.", nothingToDo},
	{
		ReasonBackfillInterrupted, at(warned, stalled),
		"The backfill's pod was deleted or evicted before its work was surely done; it runs again with the same id.",
		look("If it happens again and again, find out who takes the pods away: a drain, an autoscaler, a preemption; or see that the plugin writes the mark of completion that its class declares."),
	},
	{ReasonInitialRequested, at(told), "The initial backfill is being requested.", nothingToDo},
	{
		ReasonInitialWaits, at(told),
		"The backfill that has to come first waits for its turn; nothing streams before it.",
		look("Its BackfillRequest says what it waits for. To stream without it, delete the request."),
	},
	{ReasonInitialWaived, at(decided), "The stream starts without an initial backfill.", look("Where you want one, create a BackfillRequest.")},
	{ReasonConfigurationChanged, at(told), "The configuration changed; the old job is stopped before a new one starts.", nothingToDo},
	{
		ReasonStreamEnded, at(told),
		"The streaming job ended by itself; another one starts.",
		look("A plugin should stream until it is told to stop; its log says why it ended."),
	},
	{
		ReasonBackingOff, at(told),
		"The streaming job ended soon after its start; the next start waits.",
		look("The log of the last pod says why it ended; status.restarts says when the next start is due."),
	},
	{ReasonDisrupted, at(told), "The pod was deleted or evicted; its job is replaced.", nothingToDo},
	{
		ReasonPodEnded, at(told),
		"The pod ended by itself after running well, in a way that the failure policy ignores; its job is kept for its log, and another one starts.",
		look("The event holds the exit code and the pod's last words."),
	},
	{ReasonMainContainerEnded, at(decided), "The job's main container has ended; what runs on beside it is ended too.", nothingToDo},
	{
		ReasonJobFailed, at(warned),
		"The job failed.",
		act("Suspend the stream to acknowledge it, then resume it; a BackfillRequest made in between runs first."),
	},
	{ReasonScheduled, at(told), "The stream runs by its schedule.", nothingToDo},
	{ReasonRunSucceeded, at(decided, lastRun), "The last run of the schedule ended with success.", nothingToDo},
	{
		ReasonRunFailed, at(lastRunFailed),
		"The last run of the schedule failed; the next one comes in its time.",
		look("The message holds the exit code and the pod. If the next run is too late, make one by hand: kubectl create job NAME-now --from=cronjob/CRONJOB."),
	},
	{
		ReasonCompletionUnproven, at(failing),
		"The job's main container exited 0, and nothing proves that its work is done: the kubelet may have ended it.",
		look("Let the StreamClass declare by what the plugin marks its completion (spec.completion); where it does, let the plugin write the mark. Or remove the probe, hook or limit that the message names: from the template, or from the LimitRange or policy that added it. Then suspend the stream and resume it."),
	},
	{ReasonEndCarriedOut, at(decided), "The job's end is recorded and carried out.", nothingToDo},
	{ReasonJobVanished, at(decided), "The job was deleted before its end was recorded.", nothingToDo},
	{ReasonBackendChanged, at(told), "The schedule was set or removed; what runs is stopped before anything else starts.", nothingToDo},
	{ReasonRestarting, at(told), "The stream starts again by itself after a failure (spec.restart.policy is OnFailure).", nothingToDo},
	{
		ReasonRestartWaits, at(told),
		"The stream has failed and starts again by itself after a pause.",
		look("The message says why it failed and when it starts again. To stop that, suspend the stream; to start it at once, suspend and resume it."),
	},
	{
		ReasonGapRequested, at(told),
		"The source no longer has all changes since the stream's last position; a backfill is requested before it streams on.",
		look("Find out why the source let go of them: its retention is too short, or the stream was stopped for too long."),
	},
	{ReasonLooseRequest, at(logged), "Deleting a backfill request of the operator's own that came after its decision.", nothingToDo},
	{
		ReasonPodStays, at(stalled),
		"A pod that was to end is still there, on a node that cannot be reached for instance; nothing else starts, so that two never write at once.",
		look("Bring the node back. Where it is gone for good, delete the Node, or the pod with --force. Where a finalizer holds it, the message names it."),
	},
	{
		ReasonJobStays, at(stalled),
		"A job that was to be gone within spec.startDeadlineSeconds of the class is still there; nothing else starts, so that two never write at once.",
		look("The message names the job, the finalizers that hold it, and the command that takes them away."),
	},
	{
		ReasonCronJobStays, at(stalled),
		"A CronJob that was to be gone within spec.startDeadlineSeconds of the class is still there; nothing else starts.",
		look("The message names the CronJob, the finalizers that hold it, and the command that takes them away."),
	},
	{
		ReasonForeignPod, at(stalled),
		"A live pod that the operator did not make bears the stream's labels, or a name of its pods, and may be writing; nothing else starts, and the pod is left alone.",
		look("The message names the pod, its owner and the command that ends it. Where only its labels put it in the way, take arcane/stream-id and arcane/stream-kind off, and out of the template that makes it; one that is in the way by its name has to end."),
	},
	{
		ReasonRunUnseen, at(stalled),
		"The CronJob has made a run that does not bear the stream's labels; it is not let run.",
		act("Exclude what bears the label arcane/stream-id from the admission policy or webhook that changes it; then delete the Job that the message names. The next run comes in its time."),
	},
	{
		ReasonUnsettled, at(stalled),
		"The operator's cache has differed from the API server for longer than spec.startDeadlineSeconds of the class; the operator changes nothing until they agree.",
		look("The message says what differs. Look for errors of watches in the operator's log; restart the operator if it lasts."),
	},
	{
		ReasonPodNotRunning, at(stalled),
		"The job's pod has not got to run within spec.startDeadlineSeconds of the class. Where the pod says why (ImagePullBackOff, Unschedulable, CreateContainerConfigError), the pod's own reason stands here.",
		look("The message is the pod's own: correct the image, the Secret or the resources that it names. The job goes on by itself."),
	},
	{
		ReasonNoPod, at(stalled),
		"The job has had no pod within spec.startDeadlineSeconds of the class.",
		look("The job's events say why: kubectl describe job. Often it is a quota."),
	},
	{
		ReasonCrashLooping, at(stalled),
		"The stream's pods have ended three times or more in a row, none after running well for spec.restart.healthyAfter.",
		look("The log of the last pod says why it ended. Suspend the stream to stop that."),
	},
	{ReasonNameConflict, at(warned, stalled, uninstalled), "An object that is not ours has a name that the stream, or the stream plugin, needs; it is left alone.", act("Delete it, or create it again under another name.")},
	{ReasonRestartRequested, at(told), "A restart was asked for by the annotation streaming.sneaksanddata.com/restartedAt.", nothingToDo},
	{
		ReasonJobAltered, at(warned, stalled),
		"Somebody changed the job so that it may run two pods at a time, or none, or vanish with its end, or suspended it again; it is stopped, and another one starts after a minute.",
		look("The message names the field. Find out who changes Jobs that bear the stream's label, a policy or an autoscaler, and exclude them from it."),
	},
	{
		ReasonWriteRefused, at(warned, stalled),
		"The API server or a policy refused a write that has to come next.",
		act("Correct what it says; it is tried again every minute."),
	},
	{
		ReasonRunDiscarded, at(lastRunFailed),
		"A held run of the schedule was not the job that the CronJob makes, or not any more, and was discarded before it wrote anything.",
		look("The message says why. Where it names a field, exclude what bears the stream's label from the policy or webhook that changes it. If the next run is too late, make one by hand: kubectl create job NAME-now --from=cronjob/CRONJOB."),
	},
	{
		ReasonRunMissed, at(lastRunFailed),
		"No run of the schedule came in its time.",
		look("The message names the job that has taken the run's name, where there is one: delete it. Otherwise the events of the CronJob say why: a quota, a policy, a controller manager that is down. If the next run is too late, make one by hand: kubectl create job NAME-now --from=cronjob/CRONJOB."),
	},
	{ReasonJobRefused, at(warned, stalled), "The API server refused the job that was built from the template, or a policy changed what the operator needs of it.", act("Correct what it says; it is tried again every minute.")},
	{ReasonRequestRefused, at(warned, stalled), "The API server refused the backfill request that the stream needs.", act("Correct what it says, a quota or a policy for instance; it is tried again every minute.")},
	{ReasonAccepted, at(accepted), "The definition can be turned into a job.", nothingToDo},
	{
		ReasonChangeWaits, at(pending),
		"A change of the configuration waits for the end of the running backfill (spec.backfill.onSpecChange is Finish).",
		look("To apply it at once, delete the BackfillRequest, or set spec.backfill.onSpecChange to Restart: the backfill begins anew then."),
	},
	{ReasonNotAccepted, at(decided), "The definition cannot be turned into a job.", look("The condition Accepted says what is wrong, and in which field.")},
	{ReasonDeleting, at(logged), "The stream is being deleted.", nothingToDo},
}

// ofDefinitions explains why a definition is not accepted. What runs is left running meanwhile.
var ofDefinitions = []Explanation{
	{
		ReasonClassNotFound, at(refused),
		"There is no StreamClass of the name in spec.streamClass.",
		act("Correct the name, or install the plugin that brings the class; the stream goes on by itself."),
	},
	{
		ReasonClassNotReady, at(refused),
		"The StreamClass itself is wrong, so that its streams cannot be read.",
		act("Have the class corrected by its administrator; its own condition Ready says what is wrong."),
	},
	{
		ReasonClassKind, at(refused),
		"The StreamClass is for a plugin's own kind, not for Streams.",
		act("Create the stream as an object of that kind, or name another class."),
	},
	{
		ReasonTemplateNotFound, at(refused, wrong),
		"There is no StreamingJobTemplate of the name that the stream, its class or the request gives.",
		act("Create it, or name another; the stream goes on by itself."),
	},
	{
		ReasonTemplateForbidden, at(refused, wrong),
		"The StreamingJobTemplate lies in a namespace that the class does not allow.",
		act("Name one in the stream's own namespace, or have the class allow it."),
	},
	{
		ReasonTemplateInvalid, at(refused, wrong),
		"The StreamingJobTemplate holds something that no stream's job may have; the message names the field.",
		act("Correct the template; the stream goes on by itself."),
	},
	{
		ReasonSpecInvalid, at(refused, wrong, uninstalled),
		"A field of the stream's spec, of the request's or of the stream plugin's, is wrong; the message names it.",
		act("Correct the field."),
	},
}

// ofRequests explains the reasons of backfill requests.
var ofRequests = []Explanation{
	{
		ReasonStreamNotFound, at(wrong),
		"The request's stream does not exist; the request waits until it does.",
		act("Correct spec.streamId, create the stream, or delete the request."),
	},
	{
		ReasonClassMismatch, at(wrong),
		"The request names another class than its stream has.",
		act("Correct spec.streamClass or leave it out, or delete the request."),
	},
	{ReasonWaitingForTurn, at(waiting), "Another backfill of the same stream comes first.", nothingToDo},
	{
		ReasonWaitingForSlot, at(waiting),
		"As many backfills as the class allows are running; the request waits for its turn.",
		look("Wait, or have spec.backfill.maxConcurrent of the class raised."),
	},
	{
		ReasonStreamSuspended, at(waiting),
		"The stream is suspended; the backfill runs when it is resumed.",
		look("Resume the stream, or delete the request."),
	},
	{
		ReasonStreamFailed, at(waiting),
		"The stream has failed; the backfill runs first when it is resumed.",
		look("Suspend the stream and resume it."),
	},
	{ReasonStreamNotReady, at(waiting), "The stream's definition is not accepted.", look("The stream's condition Accepted says what is wrong.")},
	{ReasonGranted, at(waiting), "The request has one of the slots of its class and starts next.", nothingToDo},
	{ReasonRequestRunning, at(waiting), "The backfill's job is running.", look("Its log says how far it is: kubectl logs job/ and the name in status.job.")},
	{ReasonRequestCompleted, at(waiting), "The backfill has completed.", nothingToDo},
	{
		ReasonRequestCancelled, at(cancelled),
		"The request was cancelled by its user: spec.completed was set.",
		look("To backfill after all, create another request."),
	},
	{
		ReasonRequestFailed, at(waiting),
		"The backfill's job failed, and its stream with it.",
		look("Correct what its message says, then suspend and resume the stream: it runs again with the same id. Deleting the request first gives it up."),
	},
}

// ofClasses explains the reasons of stream classes.
var ofClasses = []Explanation{
	{ReasonServed, at(served), "Streams of the class are being served.", nothingToDo},
	{
		ReasonKindUnsupported, at(unserved),
		"The class names a kind, or a version or plural of one, that this version of the operator does not serve.",
		act("Correct the field that the message names, or use another version of the operator."),
	},
	{ReasonSchemaInvalid, at(unserved), "The class's schema cannot be read; the message names the field.", act("Correct the schema.")},
	{ReasonFailureClasses, at(unserved), "The class's failureClasses contradict each other; the message names the field.", act("Correct them.")},
	{ReasonClassInvalid, at(unserved), "Another field of the class is wrong; the message names it. Its streams may run all the same.", act("Correct the field.")},
}

// ofPlugins explains the reasons of stream plugins.
var ofPlugins = []Explanation{
	{ReasonInstalled, at(installed), "All that the plugin needs is installed; Streams can use its class.", nothingToDo},
	{
		ReasonReleaseFailed, at(uninstalled),
		"The API server refused an object that the plugin needs, or did not answer; the message says which. A failed upgrade is rolled back, and the operator tries again.",
		look("If it lasts, look at what the message names: a policy, a quota, or a right that the operator lacks."),
	},
	{
		ReasonWaitingForStreams, at(installed),
		"The stream plugin is being deleted, and Streams of its class are left; the message names them.",
		look("Delete these Streams. The plugin is removed as soon as the last one is gone."),
	},
	{
		ReasonUninstallFailed, at(uninstalled),
		"The stream plugin is being deleted, and an object of it could not be removed; the message says which. The operator tries again.",
		look("If it lasts, look at what the message names."),
	},
}

// Chapter is a group of reasons under a title.
//
// +kubebuilder:object:generate=false
type Chapter struct {
	Title   string
	Reasons []Explanation
}

// Chapters lists every reason, in the order in which people read of them.
func Chapters() []Chapter {
	return []Chapter{
		{"Streams", ofStreams},
		{"Definitions that are not accepted", ofDefinitions},
		{"Backfill requests", ofRequests},
		{"Stream classes", ofClasses},
		{"Stream plugins", ofPlugins},
	}
}

// explanations finds a reason's explanation.
var explanations = func() map[Reason]Explanation {
	byReason := map[Reason]Explanation{}
	for _, chapter := range Chapters() {
		for _, e := range chapter.Reasons {
			byReason[e.Reason] = e
		}
	}
	return byReason
}()

// Explain says all that there is to say of the reason; ok tells whether there is such a reason.
func (r Reason) Explain() (e Explanation, ok bool) {
	e, ok = explanations[r]
	return e, ok
}

// Meaning is what people read in conditions and events: what is so, and what they have to do where nothing
// happens without them.
func (r Reason) Meaning() string {
	e := explanations[r]
	if e.Remedy.Told {
		return e.Meaning + " " + e.Remedy.Text
	}
	return e.Meaning
}

// ConditionMeaning says what a condition's two answers mean.
//
// +kubebuilder:object:generate=false
type ConditionMeaning struct {
	Type  string
	Kinds []string
	True  string
	False string
}

// Conditions lists every condition type.
func Conditions() []ConditionMeaning {
	stream := []string{KindStream}
	streamAndPlugin := []string{KindStream, KindStreamPlugin}
	return []ConditionMeaning{
		{
			ConditionReady,
			[]string{KindStream, KindBackfillRequest, KindStreamClass, KindStreamPlugin},
			"The declared state is reached, or being served as designed. A request: its backfill has completed. A class: its streams are being served. A stream plugin: all of it is installed.",
			"Not yet, or not without somebody's help; the reason says which.",
		},
		{ConditionReconciling, streamAndPlugin, "The operator is on its way to the declared state.", "It is there, or it waits for somebody."},
		{ConditionStalled, []string{KindStream, KindBackfillRequest, KindStreamClass, KindStreamPlugin}, "It does not get on as it should: somebody has to act, or at least to look.", "Nobody has to act."},
		{ConditionAccepted, stream, "The definition can be turned into a job.", "It cannot, and the message names the field. What runs is left running, nothing new starts."},
		{ConditionBackfilling, stream, "A backfill is running.", "None is running."},
		{ConditionSuspended, stream, "No pod of the stream is alive, by its user's wish.", "The stream is not suspended, or not yet."},
		{ConditionLastRunFailed, stream, "The last run of the stream's schedule failed, was discarded before it ran, or did not come.", "It did not."},
		{ConditionChangePending, stream, "A change of configuration waits for the end of the running backfill.", "Never: the condition goes when nothing waits any more."},
	}
}
