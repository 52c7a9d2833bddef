package lifecycle

// This file is the table of rules: first match wins, order is urgency.

import v1 "github.com/arcane-streaming/arcane-operator/api/v1"

// rule is one row: when all guards hold, do the verbs and answer the phase.
type rule struct {
	name   string
	when   []guard
	do     []Verb
	phase  v1.StreamPhase
	reason v1.Reason
	then   next
}

// next says what wakes the stream after the row's verbs are done.
type next int

const (
	// watched: the cluster's answer wakes us.
	watched next = iota
	// again: the next step follows at once.
	again
	// timed: only time wakes us.
	timed
)

func (r rule) holds(o Observation) bool {
	for _, g := range r.when {
		if !g.holds(o) {
			return false
		}
	}
	return true
}

func all(guards ...guard) []guard { return guards }
func do(verbs ...Verb) []Verb     { return verbs }

// nothing to do; keep leaves the phase as it is.
var nothing []Verb

const keep = v1.StreamPhase("")

var rules = []rule{
	// Ownership cleans up after a stream that is being deleted: no finalizers of ours.
	{"deleting", all(deleting), nothing, keep, v1.ReasonDeleting, watched},

	// Every end is recorded before anything else, also when a suspension, the end
	// of the request or a change of the spec came in the same moment.
	{"record-success", all(succeeded, backfill), do(RecordSuccess), v1.StreamBackfilling, v1.ReasonBackfillCompleted, again},
	{"complete-request", all(done), do(CompleteRequest), v1.StreamBackfilling, v1.ReasonBackfillCompleted, again},
	{"record-run-failed", all(spoilt, run), do(RecordRunFailed), keep, v1.ReasonRunFailed, again},
	{"record-run", all(succeeded, run), do(RecordRun), keep, v1.ReasonRunSucceeded, again},
	{"record-interrupted", all(interrupted), do(RecordInterrupted), v1.StreamPending, v1.ReasonBackfillInterrupted, again},
	{"record-failure", all(failed), do(RecordFailure), v1.StreamFailed, v1.ReasonJobFailed, again},
	{"record-end", all(succeeded), do(RecordEnd), v1.StreamPending, v1.ReasonStreamEnded, again},

	// What runs on beside a main container that has ended is ended: once that end is
	// recorded, with the job; before, so that the Job controller counts the failure.
	{"end-job", all(over, lingers), do(LookJob, ClaimStop, DeleteJob), keep, v1.ReasonMainContainerEnded, watched},
	{"end-pod", all(lingers), do(NotePod, EndPod), keep, v1.ReasonMainContainerEnded, watched},

	// A job that must not run on is stopped before anything else is put in order: a stray job
	// or a foreign pod must not keep it at work. Suspending needs neither class nor template.
	{"suspend-schedule", all(suspended, makesRuns), do(ClaimStop, PauseCron), v1.StreamPending, v1.ReasonSuspending, watched},
	{"suspend", all(suspended, unfinished), do(LookJob, ClaimStop, DeleteJob), v1.StreamPending, v1.ReasonSuspending, watched},
	// A backfill that nobody wants any more.
	{"stop-cancelled", all(not(wanted)), do(LookEnded, LookJob, ClaimStop, DeleteJob), v1.StreamPending, v1.ReasonBackfillCancelled, watched},
	// Two pods of one job would be two writers, whatever it is that runs.
	{"stop-altered", all(altered), do(LookJob, ClaimStop, DeleteJob), v1.StreamPending, v1.ReasonJobAltered, watched},

	// Then what nobody accounts for is deleted, also in a suspended stream.
	{"discard-stray", all(stray), do(ClaimDiscard, DeleteStray), keep, v1.ReasonWaitingForJob, watched},
	{"delete-orphans", all(orphans), do(DeleteOrphans), keep, v1.ReasonWaitingForPods, watched},
	{"delete-loose-request", all(looseRequest), do(ClaimStop, DeleteLoose), keep, v1.ReasonLooseRequest, again},
	{"waive-initial", all(toWaive), do(Waive), keep, v1.ReasonInitialWaived, again},

	// Suspended: nothing starts, and once all is gone the stream forgets its job.
	{"await-stop", all(suspended, leaving), nothing, v1.StreamPending, v1.ReasonSuspending, watched},
	{"forget", all(suspended, remembered), do(LookStopped, Forget), v1.StreamSuspended, v1.ReasonSuspended, again},
	{"suspended", all(suspended), nothing, v1.StreamSuspended, v1.ReasonSuspended, watched},

	// A job that is gone, and in whose place none starts, is forgotten: a backfill
	// makes room for others of its class at once.
	{"close", all(over, nothingStarts), do(Close), keep, v1.ReasonEndCarriedOut, again},
	{"forget-vanished", all(vanished, nothingStarts, not(leaving)), do(LookStopped, ForgetVanished), keep, v1.ReasonJobVanished, again},

	// What runs is left running; nothing new starts.
	{"unacceptable-backfilling", all(not(acceptable), active, backfill), nothing, v1.StreamBackfilling, v1.ReasonNotAccepted, watched},
	{"unacceptable-run", all(not(acceptable), active, run), nothing, v1.StreamScheduled, v1.ReasonNotAccepted, watched},
	{"unacceptable-running", all(not(acceptable), active), nothing, v1.StreamRunning, v1.ReasonNotAccepted, watched},
	{"unacceptable", all(not(acceptable)), nothing, v1.StreamPending, v1.ReasonNotAccepted, watched},

	// A restart that was asked for: once the job is on its way out, it is carried out.
	{"restart", all(restartAsked, unfinished), do(LookJob, ClaimStop, DeleteJob), v1.StreamPending, v1.ReasonRestartRequested, watched},
	{"note-restart", all(restartAsked), do(NoteRestart), v1.StreamPending, v1.ReasonRestartRequested, again},

	// A failure that may be retried is, in its time; any other waits for its user:
	// start nothing, delete nothing.
	{"retry", all(retryDue), do(Retry), v1.StreamPending, v1.ReasonRestarting, again},
	{"request-gap", all(gapDue), do(CreateGap, RecordGap), v1.StreamPending, v1.ReasonGapRequested, again},
	{"await-retry", all(retryLater), nothing, v1.StreamPending, v1.ReasonRestartWaits, timed},
	{"failed", all(failure), nothing, v1.StreamFailed, v1.ReasonJobFailed, watched},

	{"request-initial", all(toRequest), do(CreateInitial, RecordInitial), v1.StreamPending, v1.ReasonInitialRequested, again},

	// What has to make way.
	{"pause-schedule", all(requestReady, makesRuns), do(LookReady, ClaimStop, PauseCron), v1.StreamPending, v1.ReasonBackfillRequested, watched},
	{"stop-for-backfill", all(unfinished, not(backfill), requestReady), do(LookReady, LookJob, ClaimStop, DeleteJob), v1.StreamPending, v1.ReasonBackfillRequested, watched},
	{"stop-backend", all(unfinished, wrongBackend), do(LookJob, ClaimStop, DeleteJob), v1.StreamPending, v1.ReasonBackendChanged, watched},
	{"stop-changed", all(changed), do(LookJob, ClaimStop, DeleteJob), v1.StreamPending, v1.ReasonConfigurationChanged, watched},
	{"replace-disrupted", all(takenAway), do(LookJob, ClaimStop, DeleteJob), v1.StreamPending, v1.ReasonDisrupted, watched},
	{"replace-ended", all(podEnded), do(LookJob, RecordPodEnd, EndJob), v1.StreamPending, v1.ReasonPodEnded, watched},

	{"heal", all(healed), do(Heal), v1.StreamRunning, v1.ReasonStreaming, again},
	{"backfilling", all(active, backfill), nothing, v1.StreamBackfilling, v1.ReasonBackfilling, watched},
	{"remove-schedule", all(cronUnwanted), do(ClaimStop, DeleteCron), v1.StreamPending, v1.ReasonBackendChanged, watched},
	{"update-schedule", all(active, cronStale), do(ApplyCron, RecordCron), v1.StreamScheduled, v1.ReasonScheduled, again},
	{"run-active", all(active, run), nothing, v1.StreamScheduled, v1.ReasonScheduled, watched},
	{"running", all(active), nothing, v1.StreamRunning, v1.ReasonStreaming, watched},

	// What is on its way out blocks every start, so two jobs never overlap.
	{"await-former", all(leaving), nothing, v1.StreamPending, v1.ReasonWaitingForJob, watched},

	{"release-backfill", all(held, backfill), do(LookAgain, ReleaseJob), v1.StreamBackfilling, v1.ReasonBackfilling, watched},
	{"await-initial", all(requestFirst), nothing, v1.StreamPending, v1.ReasonInitialWaits, watched},
	{"release-run", all(held, run), do(LookAgain, ReleaseJob), v1.StreamScheduled, v1.ReasonScheduled, watched},
	{"release-stream", all(held), do(LookAgain, ReleaseJob), v1.StreamRunning, v1.ReasonStreaming, watched},
	{"start-backfill", all(requestReady), do(LookFormer, CreateBackfill, Claim), v1.StreamBackfilling, v1.ReasonBackfilling, again},
	{"apply-schedule", all(cronWrong), do(ApplyCron, RecordCron), v1.StreamScheduled, v1.ReasonScheduled, again},
	{"claim-run", all(runDue), do(LookFormer, ClaimRun), v1.StreamScheduled, v1.ReasonScheduled, again},
	{"scheduled", all(scheduled), nothing, v1.StreamScheduled, v1.ReasonScheduled, watched},
	{"back-off", all(backingOff), nothing, v1.StreamPending, v1.ReasonBackingOff, timed},
	{"start-stream", all(), do(LookFormer, CreateStream, Claim), v1.StreamRunning, v1.ReasonStreaming, again},
}

// Rules lists the names of all rules, in their order.
func Rules() []string {
	names := make([]string, 0, len(rules))
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}
