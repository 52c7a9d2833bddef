package lifecycle

// This file enumerates every observation and says what verbs and the cluster do to one.

import v1 "github.com/arcane-streaming/arcane-operator/api/v1"

var bools = []bool{false, true}

// observations lists every observation that can be told apart.
func observations() []Observation {
	var list []Observation
	for _, base := range workloads() {
		for i := range 1 << 4 {
			o := base
			o.Suspended, o.Acceptable, o.RestartAsked, o.LooseRequest = i&1 > 0, i&2 > 0, i&4 > 0, i&8 > 0
			list = append(list, memories(o)...)
		}
	}
	// Of a stream that is being deleted nothing else is read.
	return append(list, canonical(Observation{Deleting: true}))
}

// workloads lists the states of the recorded job with the facts that only mean
// something in that state.
func workloads() []Observation {
	var list []Observation
	for job := NoJob; job <= Over; job++ {
		for _, mode := range []v1.Mode{v1.ModeStream, v1.ModeBackfill} {
			for _, wanted := range bools {
				for inputs := Same; inputs <= ChangeWaits; inputs++ {
					for _, disrupted := range bools {
						o := Observation{Job: job, Mode: mode, Wanted: wanted, Inputs: inputs, Disrupted: disrupted}
						if o == canonical(o) {
							list = append(list, o)
						}
					}
				}
			}
		}
	}
	return list
}

// canonical gives facts that mean nothing in their state their default.
func canonical(o Observation) Observation {
	if o.Job == NoJob {
		o.Mode = v1.ModeStream
	}
	if o.Job == Interrupted || o.Job == Done || o.Job == Over {
		o.Mode = v1.ModeBackfill
	}
	if o.Mode == v1.ModeStream || o.Job != Held && o.Job != Active {
		o.Wanted = true
	}
	if o.Job != Held && o.Job != Active || o.Inputs == ChangeWaits && (o.Mode != v1.ModeBackfill || o.Job != Active) {
		o.Inputs = Same
	}
	if o.Job != Active || o.Mode != v1.ModeStream {
		o.Disrupted = false
		if o.Restarts == Healed {
			o.Restarts = Counted
		}
	}
	return o
}

func memories(base Observation) []Observation {
	var list []Observation
	for failure := NoFailure; failure <= GapDue; failure++ {
		for restarts := NoRestarts; restarts <= Healed; restarts++ {
			o := base
			o.Failure, o.Restarts = failure, restarts
			if o == canonical(o) {
				list = append(list, surroundings(o)...)
			}
		}
	}
	return list
}

func surroundings(base Observation) []Observation {
	var list []Observation
	for others := Nobody; others <= StrayJob; others++ {
		for initial := Decided; initial <= ToWaive; initial++ {
			for request := NoRequest; request <= RequestReady; request++ {
				o := base
				o.Others, o.Initial, o.Request = others, initial, request
				list = append(list, o)
			}
		}
	}
	return list
}

// effect says what the world looks like after a verb of a decision. A created
// job is a stray until Claim records it.
func effect(d Decision, v Verb, o Observation) Observation {
	switch v {
	case CreateBackfill, CreateStream:
		o.Others = StrayJob
	case Claim:
		o.Others, o.Job, o.Wanted, o.Inputs = Nobody, Held, true, Same
		if o.Mode = v1.ModeStream; has(d, CreateBackfill) {
			o.Mode, o.Request = v1.ModeBackfill, NoRequest
		}
	case ReleaseJob:
		o.Job = Active
	case DeleteJob:
		o.Job = Stopping
	case DeleteStray, DeleteOrphans:
		o.Others = Leaving
	case DeleteLoose:
		o.LooseRequest = false
	case CompleteRequest:
		o.Job = Over
	case Forget:
		o.Job, o.Failure, o.Restarts = NoJob, NoFailure, NoRestarts
	case NoteRestart:
		o.RestartAsked, o.Failure, o.Restarts = false, NoFailure, NoRestarts
	case Retry:
		o.Failure, o.Restarts = NoFailure, Counted
	case RecordGap:
		o.Failure, o.Restarts, o.Request = NoFailure, Counted, RequestReady
	case Heal:
		o.Restarts = NoRestarts
	case RecordInitial:
		o.Initial, o.Request = Decided, RequestReady
	case Waive:
		o.Initial = Decided
	case RecordSuccess:
		o.Job = Done
	case RecordInterrupted:
		o.Job, o.Request = NoJob, RequestReady
	case RecordFailure:
		// One that may be retried is among the observations as well; here it waits,
		// because only a budget that the facts do not hold ends retrying.
		o.Job, o.Failure = NoJob, FailureWaits
	case RecordEnd:
		o.Job, o.Restarts = NoJob, BackingOff
	}
	return canonical(o)
}

// answers lists what the cluster may do next, with nobody else acting.
func answers(o Observation) []Observation {
	var list []Observation
	add := func(change func(*Observation)) {
		next := o
		change(&next)
		list = append(list, canonical(next))
	}
	if o.Job == Stopping {
		add(func(n *Observation) { n.Job = Vanished })
	}
	if o.Others == Leaving {
		add(func(n *Observation) { n.Others = Nobody })
	}
	if o.Restarts == BackingOff {
		add(func(n *Observation) { n.Restarts = Counted })
	}
	if o.Restarts == Counted && o.Job == Active && o.Mode == v1.ModeStream {
		add(func(n *Observation) { n.Restarts = Healed })
	}
	if o.Failure == RetryLater {
		add(func(n *Observation) { n.Failure = RetryDue })
		add(func(n *Observation) { n.Failure = GapDue })
	}
	if o.Job == Active && o.Mode == v1.ModeBackfill {
		add(func(n *Observation) { n.Job = Succeeded })
		add(func(n *Observation) { n.Job = Failed })
		add(func(n *Observation) { n.Job = Interrupted })
	}
	return list
}
