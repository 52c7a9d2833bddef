package lifecycle

// This file names the conditions that the rules are made of.

import v1 "github.com/arcane-streaming/arcane-operator/api/v1"

// guard is a condition with the name that the printed table shows.
type guard struct {
	name  string
	holds func(Observation) bool
}

func not(g guard) guard {
	return guard{"not " + g.name, func(o Observation) bool { return !g.holds(o) }}
}

var (
	deleting   = guard{"deleting", func(o Observation) bool { return o.Deleting }}
	suspended  = guard{"suspended", func(o Observation) bool { return o.Suspended }}
	acceptable = guard{"acceptable", func(o Observation) bool { return o.Acceptable }}
	failure    = guard{"failure", func(o Observation) bool { return o.Failure != NoFailure }}
	retryLater = guard{"retry later", func(o Observation) bool { return o.Failure == RetryLater }}
	retryDue   = guard{"retry due", func(o Observation) bool { return o.Failure == RetryDue }}
	gapDue     = guard{"gap backfill due", func(o Observation) bool { return o.Failure == GapDue }}

	restartAsked = guard{"restart asked", func(o Observation) bool { return o.RestartAsked }}

	held        = guard{"held", func(o Observation) bool { return o.Job == Held }}
	active      = guard{"active", func(o Observation) bool { return o.Job == Active }}
	succeeded   = guard{"succeeded", func(o Observation) bool { return o.Job == Succeeded }}
	interrupted = guard{"interrupted", func(o Observation) bool { return o.Job == Interrupted }}
	failed      = guard{"failed", func(o Observation) bool { return o.Job == Failed }}
	done        = guard{"done", func(o Observation) bool { return o.Job == Done }}
	backfill    = guard{"backfill", func(o Observation) bool { return o.Mode == v1.ModeBackfill }}
	over        = guard{"over", func(o Observation) bool { return o.Job == Over }}
	vanished    = guard{"vanished", func(o Observation) bool { return o.Job == Vanished }}
	spoilt      = guard{"failed or interrupted", func(o Observation) bool { return o.Job == Failed || o.Job == Interrupted }}
	run         = guard{"run of the schedule", func(o Observation) bool { return o.Mode == v1.ModeScheduled }}
	wanted      = guard{"wanted", func(o Observation) bool { return o.Wanted }}
	altered     = guard{"job altered", func(o Observation) bool { return o.Inputs == Altered }}
	changed     = guard{"inputs changed", func(o Observation) bool { return o.Inputs == Changed }}
	takenAway   = guard{"pod taken away", func(o Observation) bool { return o.Pod == PodTakenAway }}
	podEnded    = guard{"pod ended by itself", func(o Observation) bool { return o.Pod == PodEnded }}
	lingers     = guard{"lingers", func(o Observation) bool { return o.Lingers }}

	// unfinished: the recorded job can be stopped.
	unfinished = guard{"unfinished", func(o Observation) bool { return o.Job == Held || o.Job == Active }}
	// leaving: something is on its way out and must be gone before anything starts.
	leaving = guard{"leaving", func(o Observation) bool {
		return o.Job == Stopping || o.Others == Leaving || o.Cron == CronStopping
	}}
	// remembered: the status holds something that suspension clears.
	remembered = guard{"remembered", func(o Observation) bool {
		return o.Job != NoJob || o.Failure != NoFailure || o.Restarts != NoRestarts
	}}

	stray        = guard{"stray job", func(o Observation) bool { return o.Others == StrayJob }}
	orphans      = guard{"orphan pods", func(o Observation) bool { return o.Others == OrphanPods }}
	looseRequest = guard{"loose request", func(o Observation) bool { return o.LooseRequest }}
	toRequest    = guard{"initial backfill due", func(o Observation) bool { return o.Initial == ToRequest }}
	toWaive      = guard{"initial backfill given up", func(o Observation) bool { return o.Initial == ToWaive }}
	requestReady = guard{"request ready", func(o Observation) bool { return o.Request == RequestReady }}
	requestFirst = guard{"first backfill waits", func(o Observation) bool { return o.Request == RequestFirst }}
	backingOff   = guard{"backing off", func(o Observation) bool { return o.Restarts == BackingOff }}

	scheduled    = guard{"scheduled", func(o Observation) bool { return o.Cron >= CronIdle && o.Cron <= CronDue }}
	makesRuns    = guard{"schedule makes runs", func(o Observation) bool { return o.Cron >= CronStale && o.Cron <= CronUnwanted }}
	cronUnwanted = guard{"schedule unwanted", func(o Observation) bool { return o.Cron == CronUnwanted || o.Cron == CronLeftOver }}
	cronWrong    = guard{"schedule not as it should be", func(o Observation) bool { return o.Cron == CronIdle || o.Cron == CronStale }}
	cronStale    = guard{"schedule changed", func(o Observation) bool { return o.Cron == CronStale }}
	runDue       = guard{"run due", func(o Observation) bool { return o.Cron == CronDue }}
	// wrongBackend: the recorded job is of the backend that the stream no longer has.
	wrongBackend = guard{"wrong backend", func(o Observation) bool {
		return o.Mode == v1.ModeStream && scheduled.holds(o) || o.Mode == v1.ModeScheduled && (o.Cron == NoCron || cronUnwanted.holds(o))
	}}
	// nothingStarts: no job is about to be recorded in place of the one that is.
	nothingStarts = guard{"nothing starts", func(o Observation) bool {
		return !o.Acceptable || o.Request != RequestReady && (scheduled.holds(o) || o.Request == RequestFirst || o.Restarts == BackingOff)
	}}

	healed = guard{"healed", func(o Observation) bool { return o.Restarts == Healed }}
)
