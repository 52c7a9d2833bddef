package lifecycle

// This file enumerates every observation and says what verbs and the cluster do to one.

import (
	"slices"
	"sync"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

var (
	bools = []bool{false, true}
	modes = []v1.Mode{v1.ModeStream, v1.ModeBackfill, v1.ModeScheduled}
)

// observations lists every observation that can be told apart, once for all tests: none
// may change the list. Counting first is cheaper than a list of millions that grows.
var observations = sync.OnceValue(func() []Observation {
	count := 0
	everyObservation(func(Observation) { count++ })
	list := make([]Observation, 0, count)
	everyObservation(func(o Observation) { list = append(list, o) })
	return list
})

func everyObservation(yield func(Observation)) {
	for _, base := range workloads() {
		for i := range 1 << 4 {
			o := base
			o.Suspended, o.Acceptable, o.RestartAsked, o.LooseRequest = i&1 > 0, i&2 > 0, i&4 > 0, i&8 > 0
			everyMemory(o, yield)
		}
	}
	// Of a stream that is being deleted nothing else is read.
	yield(Observation{Deleting: true}.Canonical())
}

// workloads lists the states of the recorded job with the facts that only mean
// something in that state.
func workloads() []Observation {
	var list []Observation
	for job := NoJob; job <= Over; job++ {
		for _, mode := range modes {
			for _, wanted := range bools {
				for inputs := Same; inputs <= Altered; inputs++ {
					for pod := PodServes; pod <= PodEnded; pod++ {
						for _, lingers := range bools {
							o := Observation{Acceptable: true, Job: job, Mode: mode, Wanted: wanted, Inputs: inputs, Pod: pod, Lingers: lingers}
							if o == o.Canonical() {
								list = append(list, o)
							}
						}
					}
				}
			}
		}
	}
	return list
}

func everyMemory(base Observation, yield func(Observation)) {
	for failure := NoFailure; failure <= GapDue; failure++ {
		for restarts := NoRestarts; restarts <= Healed; restarts++ {
			o := base
			o.Failure, o.Restarts = failure, restarts
			if o == o.Canonical() {
				everySurrounding(o, yield)
			}
		}
	}
}

func everySurrounding(base Observation, yield func(Observation)) {
	for others := Nobody; others <= StrayJob; others++ {
		for initial := Decided; initial <= ToWaive; initial++ {
			for request := NoRequest; request <= RequestReady; request++ {
				for cron := NoCron; cron <= CronStopping; cron++ {
					o := base
					o.Others, o.Initial, o.Request, o.Cron = others, initial, request, cron
					if o == o.Canonical() {
						yield(o)
					}
				}
			}
		}
	}
}

// code is an observation's number: each has its own.
func code(o Observation) int {
	n := 0
	add := func(value, values int) { n = n*values + value }
	for _, b := range []bool{o.Deleting, o.Suspended, o.Acceptable, o.RestartAsked, o.LooseRequest, o.Wanted} {
		bit := 0
		if b {
			bit = 1
		}
		add(bit, 2)
	}
	add(int(o.Job), int(Over)+1)
	// What its pod tells means nothing of a job that lingers.
	if pods := int(PodEnded) + 1; o.Lingers {
		add(pods, pods+1)
	} else {
		add(int(o.Pod), pods+1)
	}
	add(slices.Index(modes, o.Mode), len(modes))
	add(int(o.Inputs), int(Altered)+1)
	add(int(o.Failure), int(GapDue)+1)
	add(int(o.Restarts), int(Healed)+1)
	add(int(o.Others), int(StrayJob)+1)
	add(int(o.Initial), int(ToWaive)+1)
	add(int(o.Request), int(RequestReady)+1)
	add(int(o.Cron), int(CronStopping)+1)
	return n
}

// codes is the number of numbers.
var codes = 1 << 6 * (int(Over) + 1) * (int(PodEnded) + 2) * len(modes) * (int(Altered) + 1) * (int(GapDue) + 1) * (int(Healed) + 1) *
	(int(StrayJob) + 1) * (int(ToWaive) + 1) * (int(RequestReady) + 1) * (int(CronStopping) + 1)

// effect says what the world looks like after a verb of a decision. A created
// job is a stray until Claim records it.
func effect(d Decision, v Verb, o Observation) Observation {
	before := o
	switch v {
	case CreateBackfill, CreateStream:
		o.Others = StrayJob
	case Claim:
		o.Others, o.Job, o.Wanted, o.Inputs = Nobody, Held, true, Same
		if o.Mode = v1.ModeStream; has(d, CreateBackfill) {
			o.Mode, o.Request = v1.ModeBackfill, NoRequest
		}
	case ClaimRun:
		o.Job, o.Mode, o.Wanted, o.Inputs, o.Cron = Held, v1.ModeScheduled, true, Same, CronRight
	case ApplyCron:
		o.Cron = CronRight
	case PauseCron:
		if o.Cron = CronIdle; !wantsCron(before) {
			o.Cron = CronLeftOver
		}
	case DeleteCron:
		o.Cron = CronStopping
	case ForgetVanished, Close:
		o.Job = NoJob
	case RecordRun, RecordRunFailed:
		o = letGo(o)
	case RecordPodEnd:
		o.Job, o.Pod, o.Lingers, o.Restarts = Over, PodServes, true, NoRestarts
	case EndJob:
		o.Job = Stopping
	case EndPod:
		o.Lingers = false
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
		o = letGo(o)
		o.Request = RequestReady // which Canonical takes back where nothing can be built
	case RecordFailure:
		// One that may be retried is among the observations as well; here it waits,
		// because only a budget that the facts do not hold ends retrying.
		o = letGo(o)
		o.Failure = FailureWaits
	case RecordEnd:
		o = letGo(o)
		o.Restarts = BackingOff
	}
	return o.Canonical()
}

// letGo forgets a job whose end was recorded; one that lingers is kept in mind until it is gone.
func letGo(o Observation) Observation {
	if o.Job = NoJob; o.Lingers {
		o.Job = Over
	}
	return o
}

// answers lists what the cluster may do next, with nobody else acting.
func answers(o Observation) []Observation {
	var list []Observation
	add := func(change func(*Observation)) {
		next := o
		change(&next)
		list = append(list, next.Canonical())
	}
	if o.Job == Stopping {
		add(func(n *Observation) { n.Job = Vanished })
		add(func(n *Observation) { n.Job = Over })
	}
	if o.Others == Leaving {
		add(func(n *Observation) { n.Others = Nobody })
	}
	if o.Cron == CronStopping {
		add(func(n *Observation) { n.Cron = NoCron })
		add(func(n *Observation) { n.Cron = CronIdle })
	}
	for _, end := range []Job{Succeeded, Failed, Interrupted} {
		if o.Job == Active && o.Mode != v1.ModeStream {
			add(func(n *Observation) { n.Job, n.Lingers = end, false })
			add(func(n *Observation) { n.Job, n.Lingers = end, true })
		}
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
	return list
}
