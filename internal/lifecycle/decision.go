package lifecycle

// This file says what a decision is.

import v1 "github.com/arcane-streaming/arcane-operator/api/v1"

// Verb is one thing to do, named by what it leaves behind.
type Verb string

// The looks: live reads that a write depends on. One that does not find what was
// judged ends the pass, and the world is observed again.
const (
	// LookFormer: the recorded job is gone, its pods too; for a backfill, its request is alive; for any other job, no
	// backfill is alive that comes first.
	LookFormer Verb = "LookFormer"
	// LookAgain: for a backfill, its request is alive and has its slot. That nothing else of the stream runs, the
	// observation after the claim has shown.
	LookAgain Verb = "LookAgain"
	// LookJob: the recorded job is the very version that was judged, and no pod of it has given the mark of completion since.
	LookJob Verb = "LookJob"
	// LookStopped: neither the recorded job nor a pod of it is left.
	LookStopped Verb = "LookStopped"
	// LookEnded: the request that the recorded job serves has ended.
	LookEnded Verb = "LookEnded"
	// LookReady: the request that waits has not ended.
	LookReady Verb = "LookReady"
)

// The writes to children and requests.
const (
	// CreateBackfill leaves a held backfill job behind.
	CreateBackfill Verb = "CreateBackfill"
	// CreateStream leaves a held streaming job behind.
	CreateStream Verb = "CreateStream"
	// ReleaseJob lets the recorded job run.
	ReleaseJob Verb = "ReleaseJob"
	// DeleteJob deletes the recorded job in the foreground.
	DeleteJob Verb = "DeleteJob"
	// EndPod deletes the pod whose main container has failed, so that the Job controller
	// counts the failure.
	EndPod Verb = "EndPod"
	// EndJob lets the Job controller end the recorded job, whose ended pods stay for their logs.
	EndJob Verb = "EndJob"
	// DeleteStray deletes Jobs, and a CronJob, that are not recorded.
	DeleteStray Verb = "DeleteStray"
	// DeleteOrphans deletes live pods whose Job no longer exists.
	DeleteOrphans Verb = "DeleteOrphans"
	// ApplyCron leaves the CronJob behind that is wanted, making runs.
	ApplyCron Verb = "ApplyCron"
	// PauseCron lets the CronJob make no more runs.
	PauseCron Verb = "PauseCron"
	// DeleteCron deletes the CronJob in the foreground.
	DeleteCron Verb = "DeleteCron"
	// CreateInitial leaves the initial request behind, unless a live request is there already.
	CreateInitial Verb = "CreateInitial"
	// CreateGap leaves the request behind that a failure asks for, unless a live request is there already.
	CreateGap Verb = "CreateGap"
	// DeleteLoose deletes requests of our own whose UID was not recorded.
	DeleteLoose Verb = "DeleteLoose"
	// CompleteRequest sets completed on the request that the recorded job served.
	CompleteRequest Verb = "CompleteRequest"
)

// The writes to the stream's memory: each is the one status patch of its pass,
// under the resourceVersion that was judged.
const (
	// Claim records the job that was just created.
	Claim Verb = "Claim"
	// ClaimRun records a held run that the CronJob has made.
	ClaimRun Verb = "ClaimRun"
	// ClaimStop shows, before a deletion, that the stream judged is still the stream there is.
	ClaimStop Verb = "ClaimStop"
	// ClaimDiscard is ClaimStop for a stray, whose run number is never used again.
	ClaimDiscard Verb = "ClaimDiscard"
	// Forget clears what suspension clears: job, failure and restarts.
	Forget Verb = "Forget"
	// NoteRestart notes the restart annotation's value, and clears failure and restarts.
	NoteRestart Verb = "NoteRestart"
	// RecordRun notes that a run of the schedule ended with success.
	RecordRun Verb = "RecordRun"
	// RecordRunFailed notes that a run of the schedule failed; the next one comes in its time.
	RecordRunFailed Verb = "RecordRunFailed"
	// ForgetVanished forgets a job that vanished before its end was recorded.
	ForgetVanished Verb = "ForgetVanished"
	// Close forgets a job whose end has been carried out.
	Close Verb = "Close"
	// RecordCron records the CronJob that ApplyCron has left behind.
	RecordCron Verb = "RecordCron"
	// RecordInitial notes that the initial backfill was requested, and by which request.
	RecordInitial Verb = "RecordInitial"
	// Retry clears a failure that the stream may overcome by itself, and counts that.
	Retry Verb = "Retry"
	// RecordGap is Retry, and notes which request has to end before the stream streams on.
	RecordGap Verb = "RecordGap"
	// Heal forgets the restarts of a stream that runs well.
	Heal Verb = "Heal"
	// Waive notes that the stream gives up its initial backfill.
	Waive Verb = "Waive"
	// RecordSuccess notes the trusted success of a backfill.
	RecordSuccess Verb = "RecordSuccess"
	// RecordInterrupted notes that a backfill ended without a success that can be trusted.
	RecordInterrupted Verb = "RecordInterrupted"
	// RecordFailure notes a failure: its user, or the restart policy, decides what follows.
	RecordFailure Verb = "RecordFailure"
	// RecordPodEnd notes that a streaming job's pod ended by itself after running well.
	RecordPodEnd Verb = "RecordPodEnd"
	// NotePod notes which pod's main container had failed before anybody deleted the pod.
	NotePod Verb = "NotePod"
	// RecordEnd notes the end of a streaming job and when the next one is due.
	RecordEnd Verb = "RecordEnd"
)

// Kind sorts verbs by what they touch.
type Kind int

// The kinds of verbs.
const (
	// Look reads live.
	Look Kind = iota
	// Write changes an object other than the stream.
	Write
	// Remember is the stream's one status patch.
	Remember
)

// verbs lists every verb with its kind.
var verbs = []struct {
	verb Verb
	kind Kind
}{
	{LookFormer, Look},
	{LookAgain, Look},
	{LookJob, Look},
	{LookStopped, Look},
	{LookEnded, Look},
	{LookReady, Look},
	{CreateBackfill, Write},
	{CreateStream, Write},
	{ReleaseJob, Write},
	{DeleteJob, Write},
	{EndPod, Write},
	{EndJob, Write},
	{DeleteStray, Write},
	{DeleteOrphans, Write},
	{ApplyCron, Write},
	{PauseCron, Write},
	{DeleteCron, Write},
	{CreateInitial, Write},
	{CreateGap, Write},
	{DeleteLoose, Write},
	{CompleteRequest, Write},
	{Claim, Remember},
	{ClaimRun, Remember},
	{ClaimStop, Remember},
	{ClaimDiscard, Remember},
	{Forget, Remember},
	{NoteRestart, Remember},
	{Retry, Remember},
	{RecordGap, Remember},
	{Heal, Remember},
	{RecordCron, Remember},
	{RecordInitial, Remember},
	{Waive, Remember},
	{RecordSuccess, Remember},
	{RecordInterrupted, Remember},
	{RecordFailure, Remember},
	{RecordEnd, Remember},
	{RecordPodEnd, Remember},
	{NotePod, Remember},
	{RecordRun, Remember},
	{RecordRunFailed, Remember},
	{ForgetVanished, Remember},
	{Close, Remember},
}

// Verbs lists every verb.
func Verbs() []Verb {
	all := make([]Verb, 0, len(verbs))
	for _, v := range verbs {
		all = append(all, v.verb)
	}
	return all
}

// Kind tells what the verb touches. A verb that is not listed is a bug and panics.
func (v Verb) Kind() Kind {
	for _, known := range verbs {
		if known.verb == v {
			return known.kind
		}
	}
	panic("lifecycle: unknown verb " + string(v))
}

// Decision is what happens next, and why.
type Decision struct {
	// Rule that won.
	Rule string
	// Phase that is true once the verbs are done; empty leaves the phase as it is.
	Phase v1.StreamPhase
	// Do in this order, which is the crash order: after dying between two of
	// them, the next observation meets a rule that finishes the work.
	Do []Verb
	// Reason for people and programs.
	Reason v1.Reason
	// Again: once done, observe again at once, nothing will wake us.
	Again bool
	// Timed: nothing but time will wake us.
	Timed bool
}

// Decide finds the rule that wins. It is total: the last rule always holds.
func Decide(o Observation) Decision { return decide(rules, o) }

func decide(table []rule, o Observation) Decision {
	for _, r := range table {
		if r.holds(o) {
			return Decision{Rule: r.name, Phase: r.phase, Do: r.do, Reason: r.reason, Again: r.then == again, Timed: r.then == timed}
		}
	}
	panic("lifecycle: no rule holds")
}
