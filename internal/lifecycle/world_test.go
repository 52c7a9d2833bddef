package lifecycle

// This file enumerates every observation and says what verbs and the cluster do to one.

import v1 "github.com/arcane-streaming/arcane-operator/api/v1"

var bools = []bool{false, true}

// observations lists every observation that can be told apart.
func observations() []Observation {
	var list []Observation
	for _, base := range workloads() {
		for i := range 1 << 7 {
			o := base
			o.Deleting, o.Suspended, o.Acceptable = i&1 > 0, i&2 > 0, i&4 > 0
			o.Failure, o.LooseInitial, o.BackingOff = i&8 > 0, i&16 > 0, i&32 > 0
			o.RestartAsked = i&64 > 0
			list = append(list, others(o)...)
		}
	}
	return list
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
	}
	return o
}

func others(base Observation) []Observation {
	var list []Observation
	for stray := NoStray; stray <= StrayStopping; stray++ {
		for pods := NoPods; pods <= DyingPods; pods++ {
			for initial := Decided; initial <= ToWaive; initial++ {
				for request := NoRequest; request <= RequestReady; request++ {
					o := base
					o.Stray, o.Pods, o.Initial, o.Request = stray, pods, initial, request
					list = append(list, o)
				}
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
		o.Stray = StrayUnfinished
	case Claim:
		o.Stray, o.Job, o.Wanted, o.Inputs = NoStray, Held, true, Same
		if o.Mode = v1.ModeStream; has(d, CreateBackfill) {
			o.Mode, o.Request = v1.ModeBackfill, NoRequest
		}
	case ReleaseJob:
		o.Job = Active
	case DeleteJob:
		o.Job = Stopping
	case DeleteStray:
		o.Stray = StrayStopping
	case DeleteOrphans:
		o.Pods = DyingPods
	case DeleteLoose:
		o.LooseInitial = false
	case CompleteRequest:
		o.Job = Over
	case Forget:
		o.Job, o.Failure, o.BackingOff = NoJob, false, false
	case NoteRestart:
		o.RestartAsked, o.Failure, o.BackingOff = false, false, false
	case RecordInitial:
		o.Initial, o.Request = Decided, RequestReady
	case Waive:
		o.Initial = Decided
	case RecordSuccess:
		o.Job = Done
	case RecordInterrupted:
		o.Job, o.Request = NoJob, RequestReady
	case RecordFailure:
		o.Job, o.Failure = NoJob, true
	case RecordEnd:
		o.Job, o.BackingOff = NoJob, true
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
	if o.Stray == StrayStopping {
		add(func(n *Observation) { n.Stray = NoStray })
	}
	if o.Pods == DyingPods {
		add(func(n *Observation) { n.Pods = NoPods })
	}
	if o.BackingOff {
		add(func(n *Observation) { n.BackingOff = false })
	}
	if o.Job == Active && o.Mode == v1.ModeBackfill {
		add(func(n *Observation) { n.Job = Succeeded })
		add(func(n *Observation) { n.Job = Failed })
		add(func(n *Observation) { n.Job = Interrupted })
	}
	return list
}
