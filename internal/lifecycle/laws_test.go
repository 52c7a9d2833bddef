package lifecycle

// This file holds what must be true of every decision, and of every world that decisions lead to.

import (
	"fmt"
	"slices"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// judge checks one observation and its decision. It restates the promises of the
// lifecycle, not the rules: nothing here knows which rule won.
func judge(o Observation, d Decision) error {
	for _, law := range []struct {
		name  string
		holds func(Observation, Decision) bool
	}{
		{"I1: a job is created only when nothing else is there", createIsFree},
		{"I1: a job is released only when nothing else is there", releaseIsFree},
		{"I2, I3: an end is recorded before anything else", endsAreRecorded},
		{"I6: what runs well is left alone", runsWellIsLeftAlone},
		{"a job is deleted only for a reason", deleteHasReason},
		{"I8: Suspended means that nothing is left", suspendedIsStopped},
		{"a phase tells the truth", phaseIsTrue},
		{"looks and claims come before what they protect", protocolIsKept},
		{"a stream that is being deleted is left to ownership", deletingIsLeft},
		{"I1, I8: what must not run on is stopped before anything else is put in order", stopsAreFirst},
		{"what nobody accounts for is removed", strangersAreRemoved},
		{"failure and initial backfill are decided by their facts alone", memoryIsJustified},
		{"one workload, and that of the backend that is wanted", scheduleIsKept},
		{"what runs on beside an ended main container is ended, and its end recorded first", lingeringEnds},
		{"a pass that nothing else will follow up goes on by itself", wakesUp},
	} {
		if !law.holds(o, d) {
			return fmt.Errorf("%s: %+v → %+v", law.name, o, d)
		}
	}
	return nil
}

func has(d Decision, v Verb) bool { return slices.Contains(d.Do, v) }

func mayRun(o Observation) bool {
	return !o.Deleting && !o.Suspended && o.Acceptable && o.Failure == NoFailure && !o.RestartAsked && o.Initial == Decided
}

func createIsFree(o Observation, d Decision) bool {
	free := o.Others == Nobody && mayRun(o) && !o.Lingers && (o.Job == NoJob || o.Job == Vanished || o.Job == Over)
	switch {
	case has(d, CreateBackfill):
		return free && o.Request == RequestReady && !makesNow(o) && d.Phase == v1.StreamBackfilling
	case has(d, CreateStream):
		return free && o.Request < RequestFirst && o.Restarts != BackingOff && o.Cron == NoCron && d.Phase == v1.StreamRunning
	case has(d, ClaimRun):
		return free && o.Request < RequestFirst && o.Cron == CronDue && d.Phase == v1.StreamScheduled
	}
	return true
}

func releaseIsFree(o Observation, d Decision) bool {
	if !has(d, ReleaseJob) {
		return true
	}
	makesWay := o.Mode != v1.ModeBackfill && (o.Request >= RequestFirst || wrongJob(o))
	return o.Others == Nobody && mayRun(o) && o.Job == Held && o.Wanted && o.Inputs == Same && !makesWay
}

func endsAreRecorded(o Observation, d Decision) bool {
	want := Verb("")
	switch {
	case o.Deleting:
	case o.Job == Succeeded && o.Mode == v1.ModeBackfill:
		want = RecordSuccess
	case o.Mode == v1.ModeScheduled && o.Job == Succeeded:
		want = RecordRun
	case o.Mode == v1.ModeScheduled && (o.Job == Failed || o.Job == Interrupted):
		want = RecordRunFailed
	case o.Job == Succeeded:
		want = RecordEnd
	case o.Job == Interrupted:
		want = RecordInterrupted
	case o.Job == Failed:
		want = RecordFailure
	case o.Job == Done:
		want = CompleteRequest
	}
	if want != "" {
		return len(d.Do) == 1 && d.Do[0] == want
	}
	for _, v := range []Verb{RecordSuccess, RecordEnd, RecordInterrupted, RecordFailure, CompleteRequest, RecordRun, RecordRunFailed} {
		if has(d, v) {
			return false
		}
	}
	return true
}

// wantsCron and makesNow restate what the facts say of the CronJob.
func wantsCron(o Observation) bool {
	return slices.Contains([]Cron{CronIdle, CronStale, CronRight, CronDue}, o.Cron)
}

func makesNow(o Observation) bool {
	return slices.Contains([]Cron{CronStale, CronRight, CronDue, CronUnwanted}, o.Cron)
}

// wrongJob: the recorded job belongs to the backend that is not wanted.
func wrongJob(o Observation) bool {
	return o.Mode == v1.ModeStream && wantsCron(o) || o.Mode == v1.ModeScheduled && !wantsCron(o) && o.Cron != CronStopping
}

func scheduleIsKept(o Observation, d Decision) bool {
	waits := o.Failure != NoFailure || o.RestartAsked || o.Initial != Decided
	switch {
	case has(d, ApplyCron):
		return !o.Suspended && o.Acceptable && !waits && (o.Cron == CronIdle || o.Cron == CronStale) && !wrongJobRuns(o) && o.Request != RequestReady
	case has(d, PauseCron):
		return makesNow(o) && (o.Suspended || o.Acceptable && !waits && o.Request == RequestReady)
	case has(d, DeleteCron):
		return !o.Suspended && o.Acceptable && !waits && (o.Cron == CronUnwanted || o.Cron == CronLeftOver)
	case has(d, Close):
		return o.Job == Over && !o.Lingers && !startsNext(o)
	case has(d, ForgetVanished):
		return o.Job == Vanished && o.Others != Leaving && o.Cron != CronStopping && !startsNext(o)
	}
	return true
}

// startsNext: the record of the next job is about to take the place of the present one.
func startsNext(o Observation) bool {
	return o.Acceptable && (o.Request == RequestReady || !wantsCron(o) && o.Request < RequestFirst && o.Restarts != BackingOff)
}

func wrongJobRuns(o Observation) bool { return wrongJob(o) && (o.Job == Held || o.Job == Active) }

func runsWellIsLeftAlone(o Observation, d Decision) bool {
	quiet := o.Others < OrphanPods && !o.LooseRequest && o.Initial == Decided && o.Restarts != Healed
	well := o.Job == Active && !o.Suspended && !o.Deleting && o.Wanted && o.Inputs != Changed && o.Inputs != Altered && o.Pod == PodServes && !o.Lingers && o.Failure == NoFailure &&
		(!o.RestartAsked || !o.Acceptable)
	replaced := o.Acceptable && o.Mode != v1.ModeBackfill && (o.Request == RequestReady || wrongJob(o))
	if !quiet || !well || replaced {
		return true
	}
	phase := v1.StreamRunning
	switch o.Mode {
	case v1.ModeBackfill:
		phase = v1.StreamBackfilling
	case v1.ModeScheduled:
		phase = v1.StreamScheduled
	}
	alone := len(d.Do) == 0 && d.Phase == phase
	if o.Acceptable && alone {
		// What is wrong with the schedule is put right beside what runs.
		return o.Mode == v1.ModeBackfill || o.Cron != CronUnwanted && o.Cron != CronLeftOver && o.Cron != CronStale
	}
	return alone || has(d, ApplyCron) || has(d, PauseCron) || has(d, DeleteCron)
}

func deleteHasReason(o Observation, d Decision) bool {
	if !has(d, DeleteJob) {
		return true
	}
	if o.Job == Over {
		return o.Lingers
	}
	reason := o.Suspended || !o.Wanted || o.RestartAsked && o.Acceptable || o.Inputs == Altered
	if mayRun(o) {
		reason = reason || o.Inputs == Changed || o.Pod == PodTakenAway || o.Mode != v1.ModeBackfill && o.Request == RequestReady || wrongJob(o)
	}
	return reason && (o.Job == Held || o.Job == Active) && !o.Deleting
}

func suspendedIsStopped(o Observation, d Decision) bool {
	if d.Phase != v1.StreamSuspended {
		return true
	}
	forgotten := o.Job == NoJob && o.Failure == NoFailure && o.Restarts == NoRestarts || has(d, Forget)
	stopped := !o.Lingers && (o.Job == NoJob || o.Job == Vanished || o.Job == Over)
	return o.Suspended && forgotten && stopped && o.Others == Nobody && !makesNow(o) && o.Cron != CronStopping
}

func phaseIsTrue(o Observation, d Decision) bool {
	if d.Reason == v1.ReasonNotAccepted && o.Acceptable {
		return false
	}
	switch d.Phase {
	case v1.StreamFailed:
		return o.Failure == FailureWaits && len(d.Do) == 0 || has(d, RecordFailure)
	case v1.StreamRunning:
		return o.Job == Active && o.Mode == v1.ModeStream || has(d, CreateStream) || has(d, ReleaseJob) && o.Mode == v1.ModeStream
	case v1.StreamBackfilling:
		return o.Mode == v1.ModeBackfill && (o.Job == Active || o.Job == Succeeded || o.Job == Done || has(d, ReleaseJob)) || has(d, CreateBackfill)
	case v1.StreamScheduled:
		ran := o.Mode == v1.ModeScheduled && (o.Job == Active || has(d, ReleaseJob))
		idle := o.Job != Held && o.Job != Active && o.Job != Over
		return ran || idle && wantsCron(o) && (len(d.Do) > 0 || o.Cron == CronRight)
	case v1.StreamSuspended:
		return o.Suspended
	case v1.StreamPending:
		return mayRun(o) || o.Failure != FailureWaits || o.Suspended || !o.Acceptable || o.Job == Held || o.Job == Active || endsNow(d) || has(d, NoteRestart)
	}
	return d.Phase == keep
}

func endsNow(d Decision) bool { return has(d, RecordEnd) || has(d, RecordInterrupted) }

// protocol names, for each write that needs one, what must come right before it, nearest last.
var protocol = []struct {
	write  Verb
	before []Verb
}{
	{Claim, []Verb{LookFormer, CreateBackfill}},
	{Claim, []Verb{LookFormer, CreateStream}},
	{ReleaseJob, []Verb{LookAgain}},
	{DeleteJob, []Verb{LookJob, ClaimStop}},
	{EndJob, []Verb{LookJob, RecordPodEnd}},
	{EndPod, []Verb{NotePod}},
	{PauseCron, []Verb{ClaimStop}},
	{DeleteCron, []Verb{ClaimStop}},
	{DeleteLoose, []Verb{ClaimStop}},
	{ClaimRun, []Verb{LookFormer}},
	{ForgetVanished, []Verb{LookStopped}},
	{DeleteStray, []Verb{ClaimDiscard}},
	{Forget, []Verb{LookStopped}},
	{RecordCron, []Verb{ApplyCron}},
	{RecordInitial, []Verb{CreateInitial}},
	{RecordGap, []Verb{CreateGap}},
}

func protocolIsKept(o Observation, d Decision) bool {
	kept := true
	for i, v := range d.Do {
		fits, named := false, false
		for _, p := range protocol {
			if p.write != v {
				continue
			}
			named = true
			from := i - len(p.before)
			fits = fits || from >= 0 && slices.Equal(d.Do[from:i], p.before)
		}
		kept = kept && (fits || !named)
	}
	created := has(d, CreateBackfill) || has(d, CreateStream)
	stops := has(d, DeleteJob) && !o.Suspended && o.Job != Over
	return kept && created == has(d, Claim) &&
		has(d, ClaimStop) == (has(d, DeleteJob) || has(d, PauseCron) || has(d, DeleteCron) || has(d, DeleteLoose)) && has(d, ClaimDiscard) == has(d, DeleteStray) &&
		has(d, CreateInitial) == has(d, RecordInitial) && has(d, ApplyCron) == has(d, RecordCron) && has(d, CreateGap) == has(d, RecordGap) && has(d, LookStopped) == (has(d, Forget) || has(d, ForgetVanished)) &&
		has(d, LookEnded) == (stops && !o.Wanted) &&
		has(d, LookReady) == (forRequest(o, d) && (stops || has(d, PauseCron)))
}

// forRequest tells whether what is stopped makes way for a request.
func forRequest(o Observation, d Decision) bool {
	return !o.Suspended && o.Wanted && o.Inputs != Altered && !o.RestartAsked && o.Request == RequestReady && o.Mode != v1.ModeBackfill && !has(d, DeleteCron) ||
		!o.Suspended && has(d, PauseCron)
}

// lingeringEnds: an ended main container decides, whatever runs beside it.
func lingeringEnds(o Observation, d Decision) bool {
	switch {
	case o.Deleting || !o.Lingers:
		return !has(d, EndPod) && has(d, EndJob) == (o.Pod == PodEnded && d.Reason == v1.ReasonPodEnded)
	case o.Job == Active:
		return slices.Equal(d.Do, []Verb{NotePod, EndPod})
	case o.Job == Over:
		return slices.Equal(d.Do, []Verb{LookJob, ClaimStop, DeleteJob})
	}
	return !has(d, EndPod) && !has(d, EndJob)
}

// alteredIsStopped: whatever else is known of it, but for what has to be put in order before anything is stopped.
func deletingIsLeft(o Observation, d Decision) bool {
	return !o.Deleting || len(d.Do) == 0 && d.Phase == keep
}

// mustNotRunOn tells whether a job, or a schedule, is to be stopped: suspended, its request
// given up, or altered.
func mustNotRunOn(o Observation) bool {
	unfinished := o.Job == Held || o.Job == Active
	return o.Suspended && (makesNow(o) || unfinished) || unfinished && (!o.Wanted || o.Inputs == Altered)
}

// endsFirst tells whether an end has to be recorded, or carried out, before anything else.
func endsFirst(o Observation) bool { return o.Job >= Succeeded && o.Job <= Done || o.Lingers }

func stopsAreFirst(o Observation, d Decision) bool {
	stop := DeleteJob
	if o.Suspended && makesNow(o) {
		stop = PauseCron
	}
	return o.Deleting || endsFirst(o) || !mustNotRunOn(o) || has(d, stop)
}

func strangersAreRemoved(o Observation, d Decision) bool {
	first := !o.Deleting && !endsFirst(o) && !mustNotRunOn(o)
	switch {
	case first && o.Others == StrayJob:
		return slices.Equal(d.Do, []Verb{ClaimDiscard, DeleteStray})
	case first && o.Others == OrphanPods:
		return slices.Equal(d.Do, []Verb{DeleteOrphans})
	case first && o.LooseRequest:
		return slices.Equal(d.Do, []Verb{ClaimStop, DeleteLoose})
	}
	return !has(d, DeleteStray) && !has(d, DeleteOrphans) && !has(d, DeleteLoose)
}

func memoryIsJustified(o Observation, d Decision) bool {
	if has(d, Forget) && !o.Suspended || has(d, RecordInitial) && (o.Initial != ToRequest || o.Suspended || !o.Acceptable || o.Failure != NoFailure) {
		return false
	}
	if has(d, Retry) && o.Failure != RetryDue || has(d, RecordGap) && o.Failure != GapDue || has(d, Heal) && (o.Restarts != Healed || o.Job != Active) {
		return false
	}
	if (has(d, Retry) || has(d, RecordGap)) && (o.Suspended || !o.Acceptable || o.Deleting || o.RestartAsked) {
		return false
	}
	if has(d, NoteRestart) && (!o.RestartAsked || o.Suspended || !o.Acceptable || o.Job == Held || o.Job == Active) {
		return false
	}
	return !has(d, Waive) || o.Initial == ToWaive
}

// wakesUp: a pass whose writes change only memory or requests is followed by
// another at once, since no watch tells us of our own writes; one that waits for
// a time says so.
func wakesUp(_ Observation, d Decision) bool {
	answered := has(d, DeleteJob) || has(d, DeleteStray) || has(d, DeleteOrphans) || has(d, ReleaseJob) || has(d, EndJob) || has(d, EndPod) ||
		has(d, PauseCron) || has(d, DeleteCron)
	if d.Again != (len(d.Do) > 0 && !answered) {
		return false
	}
	return d.Timed == (d.Reason == v1.ReasonBackingOff || d.Reason == v1.ReasonRestartWaits)
}

// isHome tells whether a world in which nothing moves any more is the declared one.
func isHome(o Observation, d Decision) bool {
	switch {
	case o.Deleting:
		return true
	case o.Inputs == Altered:
		return false
	case o.Suspended:
		return d.Phase == v1.StreamSuspended && o.Job == NoJob && o.Failure == NoFailure && o.Restarts == NoRestarts
	case !o.Acceptable:
		return o.Job != Over && (o.Job != Active || d.Phase == v1.StreamRunning || d.Phase == v1.StreamScheduled)
	case o.RestartAsked:
		return false
	case o.Failure != NoFailure:
		return d.Phase == v1.StreamFailed && o.Failure == FailureWaits
	case o.Request == RequestFirst && o.Job != Active:
		return d.Phase == v1.StreamPending && d.Reason == v1.ReasonInitialWaits && o.Job != Over
	case wantsCron(o):
		settled := o.Job == NoJob || o.Mode == v1.ModeScheduled && o.Job == Active
		return d.Phase == v1.StreamScheduled && settled && (o.Cron == CronRight || o.Cron == CronDue && o.Job == Active)
	case o.Cron != NoCron:
		return false
	}
	return d.Phase == v1.StreamRunning && o.Job == Active && o.Mode == v1.ModeStream && o.Request != RequestReady && o.Inputs == Same && o.Pod == PodServes && !o.Lingers && o.Restarts == NoRestarts
}
