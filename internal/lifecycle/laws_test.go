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
		{"what nobody accounts for is removed", strangersAreRemoved},
		{"failure and initial backfill are decided by their facts alone", memoryIsJustified},
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
	free := o.Others == Nobody && mayRun(o) && (o.Job == NoJob || o.Job == Vanished || o.Job == Over)
	switch {
	case has(d, CreateBackfill):
		return free && o.Request == RequestReady && d.Phase == v1.StreamBackfilling
	case has(d, CreateStream):
		return free && o.Request < RequestFirst && o.Restarts != BackingOff && d.Phase == v1.StreamRunning
	}
	return true
}

func releaseIsFree(o Observation, d Decision) bool {
	if !has(d, ReleaseJob) {
		return true
	}
	makesWay := o.Mode == v1.ModeStream && o.Request >= RequestFirst
	return o.Others == Nobody && mayRun(o) && o.Job == Held && o.Wanted && o.Inputs == Same && !makesWay
}

func endsAreRecorded(o Observation, d Decision) bool {
	want := Verb("")
	switch {
	case o.Deleting:
	case o.Job == Succeeded && o.Mode == v1.ModeBackfill:
		want = RecordSuccess
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
	return !has(d, RecordSuccess) && !has(d, RecordEnd) && !has(d, RecordInterrupted) && !has(d, RecordFailure) && !has(d, CompleteRequest)
}

func runsWellIsLeftAlone(o Observation, d Decision) bool {
	quiet := o.Others < OrphanPods && !o.LooseRequest && o.Initial == Decided && o.Restarts != Healed
	well := o.Job == Active && !o.Suspended && !o.Deleting && o.Wanted && o.Inputs != Changed && !o.Disrupted && o.Failure == NoFailure &&
		(!o.RestartAsked || !o.Acceptable)
	if !quiet || !well || o.Mode == v1.ModeStream && o.Request == RequestReady && o.Acceptable {
		return true
	}
	phase := v1.StreamRunning
	if o.Mode == v1.ModeBackfill {
		phase = v1.StreamBackfilling
	}
	return len(d.Do) == 0 && d.Phase == phase
}

func deleteHasReason(o Observation, d Decision) bool {
	if !has(d, DeleteJob) {
		return true
	}
	reason := o.Suspended || !o.Wanted || o.RestartAsked && o.Acceptable
	if mayRun(o) {
		reason = reason || o.Inputs == Changed || o.Disrupted || o.Mode == v1.ModeStream && o.Request == RequestReady
	}
	return reason && (o.Job == Held || o.Job == Active) && !o.Deleting
}

func suspendedIsStopped(o Observation, d Decision) bool {
	if d.Phase != v1.StreamSuspended {
		return true
	}
	forgotten := o.Job == NoJob && o.Failure == NoFailure && o.Restarts == NoRestarts || has(d, Forget)
	stopped := o.Job == NoJob || o.Job == Vanished || o.Job == Over
	return o.Suspended && forgotten && stopped && o.Others == Nobody
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
	{DeleteStray, []Verb{ClaimDiscard}},
	{Forget, []Verb{LookStopped}},
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
	stops := has(d, DeleteJob) && !o.Suspended
	return kept && created == has(d, Claim) &&
		has(d, ClaimStop) == has(d, DeleteJob) && has(d, ClaimDiscard) == has(d, DeleteStray) &&
		has(d, CreateInitial) == has(d, RecordInitial) && has(d, CreateGap) == has(d, RecordGap) && has(d, LookStopped) == has(d, Forget) &&
		has(d, LookEnded) == (stops && !o.Wanted) &&
		has(d, LookReady) == (stops && o.Wanted && !o.RestartAsked && o.Mode == v1.ModeStream && o.Request == RequestReady)
}

func deletingIsLeft(o Observation, d Decision) bool {
	return !o.Deleting || len(d.Do) == 0 && d.Phase == keep
}

func strangersAreRemoved(o Observation, d Decision) bool {
	ended := o.Job >= Succeeded && o.Job <= Done
	first := !o.Deleting && !ended
	switch {
	case first && o.Others == StrayJob:
		return slices.Equal(d.Do, []Verb{ClaimDiscard, DeleteStray})
	case first && o.Others == OrphanPods:
		return slices.Equal(d.Do, []Verb{DeleteOrphans})
	case first && o.LooseRequest:
		return slices.Equal(d.Do, []Verb{DeleteLoose})
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
	answered := has(d, DeleteJob) || has(d, DeleteStray) || has(d, DeleteOrphans) || has(d, ReleaseJob) || has(d, Forget)
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
	case o.Suspended:
		return d.Phase == v1.StreamSuspended && o.Job == NoJob && o.Failure == NoFailure && o.Restarts == NoRestarts
	case !o.Acceptable:
		return o.Job != Active || d.Phase == v1.StreamRunning
	case o.RestartAsked:
		return false
	case o.Failure != NoFailure:
		return d.Phase == v1.StreamFailed && o.Failure == FailureWaits
	case o.Request == RequestFirst && o.Job != Active:
		return d.Phase == v1.StreamPending && d.Reason == v1.ReasonInitialWaits
	}
	return d.Phase == v1.StreamRunning && o.Job == Active && o.Mode == v1.ModeStream && o.Request != RequestReady && o.Inputs == Same && !o.Disrupted && o.Restarts == NoRestarts
}
