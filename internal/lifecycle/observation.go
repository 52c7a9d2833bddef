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
	// Failure: an unacknowledged failure. Durable: the failed Job may be deleted
	// by anybody, and the stream must still wait for its user.
	Failure bool
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
	// Disrupted: the recorded streaming job's pod was taken away from it, or ended
	// in an ignored way after running well, and only the Job controller's own
	// back-off, which never heals, would bring the next one.
	Disrupted bool
	// Stray is an unfinished Job of ours that is not the recorded one.
	Stray Stray
	// Pods are live pods that no unfinished Job of ours accounts for.
	Pods Pods
	// Initial is what is to be done about the initial backfill. Durable: it is
	// decided once, and its request may be gone long since.
	Initial Initial
	// LooseInitial: an initial request of ours whose UID was not recorded with the decision.
	LooseInitial bool
	// Request is the next request to serve, beside the recorded job's.
	Request Request
	// BackingOff: the next start of the streaming job is not due yet. Durable: the
	// ends that it is counted from are gone.
	BackingOff bool
}

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
	// Succeeded: it is complete, and for a backfill the success can be trusted.
	Succeeded
	// Interrupted: a backfill that is complete, but whose success cannot be trusted.
	Interrupted
	// Failed: it has failed.
	Failed
	// Done: a backfill whose trusted success is recorded and whose request still waits for it.
	Done
	// Over: a backfill whose trusted success is recorded and whose request has ended.
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
)

// Stray is an unfinished Job of ours that is not the recorded one.
type Stray int

// The states of a stray Job.
const (
	// NoStray: there is none.
	NoStray Stray = iota
	// StrayUnfinished: there is one that nobody has begun to delete.
	StrayUnfinished
	// StrayStopping: all that there are, are being deleted.
	StrayStopping
)

// Pods are live pods that no unfinished Job of ours accounts for.
type Pods int

// The states of such pods.
const (
	// NoPods: there is none.
	NoPods Pods = iota
	// OrphanPods: there is one whose Job no longer exists and that nobody deletes.
	OrphanPods
	// DyingPods: all that there are, are on their way out.
	DyingPods
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
	// RequestFirst: it is the initial backfill, it cannot start yet, and nothing streams before it.
	RequestFirst
	// RequestReady: one is valid, granted, and its job can be built.
	RequestReady
)
