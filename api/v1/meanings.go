package v1

// This file says what every reason of a stream means, in the words that users read.

// meanings are the sentences that stand in conditions, events and history.
var meanings = map[Reason]string{
	ReasonStreaming:            "The stream is streaming.",
	ReasonBackfilling:          "A backfill is running; streaming goes on after it.",
	ReasonSuspended:            "The stream is suspended and no pod of it is left; set spec.suspended to false to resume it.",
	ReasonSuspending:           "The stream is being suspended; waiting until its job and pods are gone.",
	ReasonWaitingForJob:        "Waiting until the former job and its pods are gone, so that two never write at once.",
	ReasonWaitingForPods:       "Removing pods whose job no longer exists, before anything else may write.",
	ReasonBackfillRequested:    "A backfill was requested; the streaming job is stopped first.",
	ReasonBackfillCompleted:    "The backfill has completed.",
	ReasonBackfillCancelled:    "The backfill's request was deleted or cancelled; its job is stopped.",
	ReasonBackfillInterrupted:  "The backfill's pod was deleted or evicted before its work was surely done; it runs again with the same id.",
	ReasonInitialRequested:     "The initial backfill is being requested.",
	ReasonInitialWaits:         "The backfill that has to come first waits for its turn; nothing streams before it.",
	ReasonInitialWaived:        "The stream starts without an initial backfill.",
	ReasonConfigurationChanged: "The configuration changed; the old job is stopped before a new one starts.",
	ReasonStreamEnded:          "The streaming job ended by itself; another one starts.",
	ReasonBackingOff:           "The streaming job ended soon after its start; the next start waits.",
	ReasonDisrupted:            "The pod was deleted or evicted; its job is replaced.",
	ReasonJobFailed:            "The job failed. Suspend the stream to acknowledge it, then resume it; a BackfillRequest made in between runs first.",
	ReasonRestarting:           "The stream starts again by itself after a failure (spec.restart.policy is OnFailure).",
	ReasonRestartWaits:         "The stream has failed and starts again by itself after a pause.",
	ReasonGapRequested:         "The source no longer has all changes since the stream's last position; a backfill is requested before it streams on.",
	ReasonLooseRequest:         "Deleting a backfill request of the operator's own that came after its decision.",
	ReasonNameConflict:         "An object that is not ours has a name that the stream needs; it is left alone. Rename or delete it.",
	ReasonRestartRequested:     "A restart was asked for by the annotation streaming.sneaksanddata.com/restartedAt.",
	ReasonJobRefused:           "The API server refused the job that was built from the template. Correct what it says; it is tried again every minute.",
	ReasonAccepted:             "The definition can be turned into a job.",
	ReasonChangeWaits:          "A change of the configuration waits for the end of the running backfill (spec.backfill.onSpecChange is Finish).",
	ReasonNotAccepted:          "The definition cannot be turned into a job.",
	ReasonDeleting:             "The stream is being deleted.",
}

// Meaning is a sentence for people; empty for a reason that always comes with one of its own.
func (r Reason) Meaning() string { return meanings[r] }
