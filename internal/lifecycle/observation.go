// Package lifecycle decides what happens to a stream next: a pure table of
// rules over facts, first match wins.
package lifecycle

// This file names the facts that a decision is made from.

import v1 "github.com/arcane-streaming/arcane-operator/api/v1"

// Observation is all that is known of a stream's world at one moment, folded
// into facts so few that every combination can be enumerated.
//
// The fields marked durable are read from the stream's status, because the
// cluster forgets them; why is said at each. All others are read off the
// cluster. The stream's phase is no fact: it is an answer.
type Observation struct {
	// Deleting: the stream has a deletionTimestamp.
	Deleting bool
	// Suspended: the user's switch.
	Suspended bool
	// Acceptable: class, template and spec can be turned into a job.
	Acceptable bool
	// Failure says whether there is an unacknowledged failure, and what may be done
	// about it. Durable: the failed Job may be deleted by anybody, and the stream
	// must still wait for its user.
	Failure Failure
	// RestartAsked: the restart annotation has a value that was not carried out yet.
	// Durable: which value was, only we know.
	RestartAsked bool
	// Job is the recorded job's state. Durable by UID: without the record a Job
	// that vanished could not be told from one that never was.
	Job Job
	// Mode of the recorded job; ModeStream where there is none.
	Mode v1.Mode
	// Wanted: the request that the recorded backfill serves has not ended.
	Wanted bool
	// Inputs: whether the recorded unfinished job is what would be built now.
	Inputs Inputs
	// Pod is what the recorded streaming job's newest pod tells.
	Pod Pod
	// Lingers: the main container of the recorded job's pod has ended, and others beside
	// it run on, so that the Job does not end by itself. Of an active job: the main
	// container has failed.
	Lingers bool
	// Others is what there is of ours beside the recorded job: the most urgent of it.
	Others Others
	// Initial is what is to be done about the initial backfill. Durable: it is
	// decided once, and its request may be gone long since.
	Initial Initial
	// LooseRequest: a request of our own whose UID was not recorded with the decision to make it.
	LooseRequest bool
	// Request is the next request to serve, beside the recorded job's.
	Request Request
	// Restarts tells of ends after which the stream starts again without anybody's asking.
	// Durable: what they are counted from is gone.
	Restarts Restarts
	// Cron compares the stream's CronJob with the schedule that is wanted.
	Cron Cron
}

// Canonical gives facts that mean nothing beside the others their default, so that
// each world has one observation and every one of them is enumerated in the proof.
func (o Observation) Canonical() Observation {
	if o.Deleting {
		// Ownership cleans up: nothing else is read.
		return Observation{Deleting: true, Mode: v1.ModeStream, Wanted: true}
	}
	return o.canonicalJob().canonicalSurroundings()
}

// canonicalJob is Canonical for what is about the recorded job.
func (o Observation) canonicalJob() Observation {
	if o.Job == NoJob {
		o.Mode = v1.ModeStream
	}
	// Only the success of what carries all data is doubted, and only a backfill's has a request to
	// tell. Of a job that is over its mode means nothing.
	if o.Job == Done || o.Job == Over || o.Job == Interrupted && o.Mode == v1.ModeStream {
		o.Mode = v1.ModeBackfill
	}
	unfinished, active := o.Job == Held || o.Job == Active, o.Job == Active
	// Only a backfill serves a request.
	if o.Mode != v1.ModeBackfill || !unfinished {
		o.Wanted = true
	}
	if o.Job < Active || o.Job == Stopping || o.Job == Vanished || o.Pod != PodServes {
		o.Lingers = false
	}
	if active && o.Mode == v1.ModeStream {
		return o
	}
	o.Pod = PodServes
	if o.Restarts == Healed {
		o.Restarts = Counted
	}
	return o
}

// canonicalSurroundings is Canonical for what depends on the definition.
func (o Observation) canonicalSurroundings() Observation {
	// Without a definition nothing can be compared, and nothing can be built.
	if (!o.Acceptable || !o.comparable()) && (o.Inputs != Altered || o.Job != Held && o.Job != Active) {
		o.Inputs = Same
	}
	if !o.Acceptable && o.Request == RequestReady {
		o.Request = RequestWaiting
	}
	// Of a stream that starts nothing, that its CronJob makes runs is all that matters.
	if (!o.Acceptable || o.Suspended) && (o.Cron == CronStale || o.Cron == CronDue) {
		o.Cron = CronRight
	}
	return o
}

// comparable tells whether a difference of the recorded job's inputs means anything.
func (o Observation) comparable() bool {
	switch {
	case o.Job != Held && o.Job != Active, wrongBackend.holds(o):
		return false
	case o.Inputs == ChangeWaits:
		return o.Mode == v1.ModeBackfill && o.Job == Active
	}
	// A run of a schedule ends as it began.
	return o.Mode != v1.ModeScheduled || o.Job == Held
}

// Cron compares the CronJob of a stream with the schedule that is wanted. The Jobs
// that it makes are held, so it is no writer: only what is released of it is.
type Cron int

// What there may be of a CronJob.
const (
	// NoCron: there is none, and none is wanted.
	NoCron Cron = iota
	// CronIdle: one is wanted, and there is none, or one that makes no runs now.
	CronIdle
	// CronStale: one is wanted, and the one that makes runs is not as it should be.
	CronStale
	// CronRight: the one that is wanted makes runs.
	CronRight
	// CronDue: as CronRight, and a run of it waits to be let run.
	CronDue
	// CronUnwanted: there is one that makes runs, and none is wanted.
	CronUnwanted
	// CronLeftOver: there is one that makes no runs, and none is wanted.
	CronLeftOver
	// CronStopping: there is one that is being deleted.
	CronStopping
)

// Pod is what the newest pod of a streaming job tells of it. Only the Job controller's own
// back-off, which never heals, would bring the next one.
type Pod int

// What a pod may tell.
const (
	// PodServes: nothing that calls for anything.
	PodServes Pod = iota
	// PodTakenAway: somebody deleted or evicted it.
	PodTakenAway
	// PodEnded: it ran well and then ended by itself, in a way that the failure policy ignores.
	PodEnded
)

// Failure is an unacknowledged failure, and what may be done about it.
type Failure int

// What may be done about a failure.
const (
	// NoFailure: there is none.
	NoFailure Failure = iota
	// FailureWaits for the user.
	FailureWaits
	// RetryLater: the stream may start again by itself, or make a backfill of its own, but not yet.
	RetryLater
	// RetryDue: the stream starts again by itself.
	RetryDue
	// GapDue: the stream needs a backfill before it can go on, and may ask for it.
	GapDue
)

// Restarts are ends after which the stream starts again without anybody's asking.
type Restarts int

// What is known of such ends.
const (
	// NoRestarts: none are counted.
	NoRestarts Restarts = iota
	// BackingOff: the next start is not due yet.
	BackingOff
	// Counted: some are, and the next start is due.
	Counted
	// Healed: some are, and the streaming job has been running well for long enough to forget them.
	Healed
)

// Job is the state of the job that is recorded in the stream's status, found by UID.
type Job int

// The states of the recorded job.
const (
	// NoJob: nothing is recorded.
	NoJob Job = iota
	// Held: it exists and has not been released yet.
	Held
	// Active: it was released and has not ended.
	Active
	// Stopping: it was being deleted before it ended; whatever end it comes to says nothing.
	Stopping
	// Vanished: no such Job exists any more, and how it ended was not recorded.
	Vanished
	// Succeeded: its main container has exited 0, and for what carries all data something
	// proves that all of it was carried.
	Succeeded
	// Interrupted: the main container of a backfill, or of a run of a schedule, exited 0, and that cannot be trusted.
	Interrupted
	// Failed: it has failed, or nothing will ever prove its success.
	Failed
	// Done: a backfill whose trusted success is recorded and whose request still waits for it.
	Done
	// Over: its end is recorded and carried out.
	Over
)

// Inputs compares the recorded unfinished job with what would be built now.
type Inputs int

// The results of the comparison.
const (
	// Same: nothing changed.
	Same Inputs = iota
	// Changed: it has to be replaced.
	Changed
	// ChangeWaits: it is a running backfill, and the change waits for its end.
	ChangeWaits
	// Altered: somebody has changed the Job itself, so that it may run two pods at a time, or none, or vanish with its end, or has suspended it again.
	Altered
)

// Others is what there is of ours beside the recorded job.
type Others int

// What there may be, the least urgent first.
const (
	// Nobody: nothing.
	Nobody Others = iota
	// Leaving: unfinished Jobs that are being deleted, or live pods that are on their way out
	// or are not ours to end.
	Leaving
	// OrphanPods: a live pod whose Job no longer exists and that nobody deletes.
	OrphanPods
	// StrayJob: an unfinished Job, or a CronJob, that is not the recorded one, that only the
	// operator can have made, and that nobody deletes.
	StrayJob
)

// Initial is what is to be done about the initial backfill.
type Initial int

// What is to be done about it.
const (
	// Decided: nothing any more.
	Decided Initial = iota
	// ToRequest: a request is to be made, or one that is there already counts.
	ToRequest
	// ToWaive: the stream gives it up.
	ToWaive
)

// Request is the next request to serve.
type Request int

// The states of the next request.
const (
	// NoRequest: there is none.
	NoRequest Request = iota
	// RequestWaiting: the first in line cannot start yet; it never stops streaming.
	RequestWaiting
	// RequestFirst: it is the initial backfill, or the one that a failure asked for; it
	// cannot start yet, and nothing streams before it.
	RequestFirst
	// RequestReady: one is valid, granted, and its job can be built.
	RequestReady
)
