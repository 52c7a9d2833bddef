// Package telemetry holds the operator's metrics: the table of all of them, the
// counters that hands tell after they have written, and the state that is read off
// the cache when somebody asks for it.
package telemetry

// This file is the table: every metric, once.

import (
	"slices"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

// Type is a metric's type.
type Type string

// The types.
const (
	Gauge     Type = "gauge"
	Counter   Type = "counter"
	Histogram Type = "histogram"
)

// None is the value of a label where there is nothing to name: Prometheus takes an
// empty value for a label that is not there.
const None = "none"

// Label is a label and the values that it may have.
type Label struct {
	Name string
	// Values that it may have; nil where it holds names that users give.
	Values []string
	// Meaning in a sentence; empty where the name says it.
	Meaning string
	// One of the values at a time, not all of them.
	One bool
}

// Metric is one row of the table.
type Metric struct {
	Name   string
	Type   Type
	Labels []Label
	// Help is what Prometheus and the page say of it.
	Help string
	// Since is the version that has it first.
	Since string
	// Buckets of a histogram, in seconds.
	Buckets []float64
	// Elsewhere: another package of the operator tells it.
	Elsewhere bool
}

// names are those of the labels, in order.
func (m *Metric) names() []string {
	names := make([]string, 0, len(m.Labels))
	for _, l := range m.Labels {
		names = append(names, l.Name)
	}
	return names
}

// label finds one of the metric's labels.
func (m *Metric) label(name string) Label {
	return m.Labels[slices.IndexFunc(m.Labels, func(l Label) bool { return l.Name == name })]
}

// The values of closed labels.
var (
	phases        = []v1.StreamPhase{v1.StreamPending, v1.StreamBackfilling, v1.StreamRunning, v1.StreamScheduled, v1.StreamSuspended, v1.StreamFailed}
	requestPhases = []v1.RequestPhase{
		v1.RequestQueued, v1.RequestGranted, v1.RequestRunning, v1.RequestPaused,
		v1.RequestCompleted, v1.RequestFailed, v1.RequestCancelled,
	}
	modes     = []string{ModeStream, ModeBackfill, ModeScheduled}
	jobPhases = []string{jobHeld, jobActive, jobStopping, jobSucceeded, jobFailed}
)

// Modes of a job.
const (
	ModeStream    = "stream"
	ModeBackfill  = "backfill"
	ModeScheduled = "scheduled"
)

// Phases of a job that exists.
const (
	jobHeld      = "held"
	jobActive    = "active"
	jobStopping  = "stopping"
	jobSucceeded = "succeeded"
	jobFailed    = "failed"
)

// Outcome is how a job ended.
type Outcome string

// The outcomes.
const (
	Succeeded   Outcome = "succeeded"
	Failed      Outcome = "failed"
	Interrupted Outcome = "interrupted"
	Stopped     Outcome = "stopped"
	Vanished    Outcome = "vanished"
)

// Trigger is why a backfill was requested.
type Trigger string

// The triggers.
const (
	TriggerInitial Trigger = "initial"
	TriggerGap     Trigger = "gap"
	TriggerUser    Trigger = "user"
)

// Result is how a backfill ended.
type Result string

// The results.
const (
	ResultCompleted Result = "completed"
	ResultFailed    Result = "failed"
	ResultCancelled Result = "cancelled"
)

// The ends of a stop.
const (
	endGraceful = "graceful"
	endKilled   = "killed"
)

var (
	outcomes = []Outcome{Succeeded, Failed, Interrupted, Stopped, Vanished}
	triggers = []Trigger{TriggerInitial, TriggerGap, TriggerUser}
	results  = []Result{ResultCompleted, ResultFailed, ResultCancelled}
	ends     = []string{endGraceful, endKilled}
)

func texts[T ~string](values []T) []string {
	list := make([]string, 0, len(values))
	for _, v := range values {
		list = append(list, string(v))
	}
	return list
}

// The labels.
var (
	namespace   = Label{Name: "namespace"}
	streamClass = Label{Name: "stream_class", Meaning: "the StreamClass, or `none` where the stream is not there"}
	stream      = Label{Name: "stream"}
	mode        = Label{Name: "mode", Values: modes}
	reason      = Label{Name: "reason", Values: stalledReasons(), One: true, Meaning: "the reason of the condition Stalled; one of a pod's own that is not in this list counts as `PodNotRunning`"}
	failure     = Label{Name: "failure_class", Meaning: "a name of the class's `failureClasses`, or `none`"}
	trigger     = Label{Name: "trigger", Values: texts(triggers), Meaning: "who asked for it: the operator before the stream's first start, the operator after a failure that needs one, or a user"}
	result      = Label{Name: "result", Values: texts(results)}
)

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

var (
	// moments are for what takes seconds, and days when something is wrong.
	moments = []float64{1, 2, 5, 10, 20, 30, minute, 2 * minute, 5 * minute, 10 * minute, 30 * minute, hour, 6 * hour, day, 3 * day}
	// efforts are for what takes hours.
	efforts = []float64{5, 30, 2 * minute, 5 * minute, 15 * minute, hour, 2 * hour, 4 * hour, 8 * hour, 16 * hour, day, 2 * day, 4 * day, 7 * day, 14 * day}
)

const first = "0.9.0"

// The state: read off the cache, told by the leader alone.
var (
	streams = Metric{
		Name: "arcane_streams", Type: Gauge, Since: first,
		Labels: []Label{namespace, streamClass, {Name: "phase", Values: texts(phases)}},
		Help:   "Streams by phase. One of which nothing has been written yet is Pending.",
	}
	streamsStalled = Metric{
		Name: "arcane_streams_stalled", Type: Gauge, Since: first,
		Labels: []Label{namespace, streamClass, reason},
		Help:   "Streams whose condition Stalled is True, by its reason. Reasons that do not occur are absent.",
	}
	streamJobs = Metric{
		Name: "arcane_stream_jobs", Type: Gauge, Since: first,
		Labels: []Label{
			namespace, streamClass, mode,
			{Name: "phase", Values: jobPhases, Meaning: "`held` was made and may not run yet; `stopping` is being deleted, its pods may still run"},
		},
		Help: "Jobs of streams that exist, those kept for their logs too, by what they do and how far they are.",
	}
	backfillRequests = Metric{
		Name: "arcane_backfill_requests", Type: Gauge, Since: first,
		Labels: []Label{namespace, streamClass, {Name: "phase", Values: texts(requestPhases)}},
		Help:   "BackfillRequests that exist, those that have ended too, by phase. One of which nothing has been written yet is Queued.",
	}
	queueOldest = Metric{
		Name: "arcane_backfill_queue_oldest_timestamp_seconds", Type: Gauge, Since: first,
		Labels: []Label{streamClass},
		Help:   "When the oldest BackfillRequest that waits for a slot of its class was created, in Unix seconds. Absent where none waits.",
	}
	classSlots = Metric{
		Name: "arcane_streamclass_backfill_slots", Type: Gauge, Since: first,
		Labels: []Label{streamClass},
		Help:   "How many backfills of a class may run at once (spec.backfill.maxConcurrent). Absent for a class without a limit.",
	}
	classWatchUp = Metric{
		Name: "arcane_streamclass_watch_up", Type: Gauge, Since: first,
		Labels: []Label{streamClass},
		Help:   "1 where the streams of a class are being watched and served, 0 where the class or its kind does not let them.",
	}
	streamPhase = Metric{
		Name: "arcane_stream_phase", Type: Gauge, Since: first,
		Labels: []Label{namespace, {Name: "phase", Values: texts(phases), One: true}, stream, streamClass},
		Help:   "1 for the phase that a stream is in; the other phases are absent.",
	}
	streamPhaseSince = Metric{
		Name: "arcane_stream_phase_since_timestamp_seconds", Type: Gauge, Since: first,
		Labels: []Label{namespace, stream, streamClass},
		Help:   "Since when a stream has been in its phase, in Unix seconds.",
	}
	streamReady = Metric{
		Name: "arcane_stream_ready", Type: Gauge, Since: first,
		Labels: []Label{namespace, stream, streamClass},
		Help:   "1 where the condition Ready of a stream is True: it streams, backfills or is suspended as its user wants it. Else 0.",
	}
	streamStalled = Metric{
		Name: "arcane_stream_stalled", Type: Gauge, Since: first,
		Labels: []Label{namespace, reason, stream, streamClass},
		Help:   "1 while the condition Stalled of a stream is True: nothing will happen until somebody acts. Else absent.",
	}
	leader = Metric{
		Name: "arcane_leader", Type: Gauge, Since: first,
		Help: "1 on the replica that acts, 0 on one that stands by. Only the one that acts tells the state of streams.",
	}
	buildInfo = Metric{
		Name: "arcane_build_info", Type: Gauge, Since: first,
		Labels: []Label{{Name: "go_version"}, {Name: "version"}},
		Help:   "Always 1; its labels say what runs.",
	}
)

// The counters: told after a write succeeded, for what that write newly recorded.
var (
	jobsFinished = Metric{
		Name: "arcane_jobs_finished_total", Type: Counter, Since: first,
		Labels: []Label{
			namespace, streamClass, mode,
			{Name: "outcome", Values: texts(outcomes), Meaning: "`interrupted` ended with a success that cannot be trusted; `stopped` was stopped by the operator; `vanished` was deleted by somebody else before its end was recorded"},
			failure,
		},
		Help: "Jobs whose end was recorded, by what they did and how they ended.",
	}
	backfillsFinished = Metric{
		Name: "arcane_backfills_finished_total", Type: Counter, Since: first,
		Labels: []Label{namespace, streamClass, trigger, result},
		Help:   "BackfillRequests that were completed, failed or were cancelled by spec.completed. A failed one may be retried, and counts each time. One that is deleted before it has ended leaves no record, and is not counted.",
	}
	transitions = Metric{
		Name: "arcane_stream_transitions_total", Type: Counter, Since: first,
		Labels: []Label{
			{Name: "from", Values: append([]string{None}, texts(phases)...), Meaning: "`none` for a new stream"},
			{Name: "to", Values: texts(phases)},
		},
		Help: "Changes of the phase of streams.",
	}
	restarts = Metric{
		Name: "arcane_stream_restarts_total", Type: Counter, Since: first,
		Labels: []Label{namespace, streamClass, failure},
		Help:   "Starts of failed streams that nobody asked for (spec.restart, or a failure class whose action is Backfill).",
	}
	decisions = Metric{
		Name: "arcane_decisions_total", Type: Counter, Since: first,
		Labels: []Label{{Name: "rule", Values: lifecycle.Rules(), Meaning: "a rule of [the lifecycle's table](lifecycle.md#the-rules)"}},
		Help:   "Decisions about streams that were carried out and wrote something, by the rule that won.",
	}
	startDuration = Metric{
		Name: "arcane_stream_start_duration_seconds", Type: Histogram, Since: first, Buckets: moments,
		Labels: []Label{streamClass, mode},
		Help:   "From a job's creation until the main container of its pod ran. A start during which the operator's leader changed is not counted.",
	}
	stopDuration = Metric{
		Name: "arcane_stream_stop_duration_seconds", Type: Histogram, Since: first, Buckets: moments,
		Labels: []Label{streamClass, {Name: "end", Values: ends, Meaning: "`killed` took the whole terminationGracePeriodSeconds of its template or longer"}},
		Help:   "From the operator's wish to stop a job until the job and its pods were gone.",
	}
	recoveryDuration = Metric{
		Name: "arcane_stream_recovery_duration_seconds", Type: Histogram, Since: first, Buckets: efforts,
		Labels: []Label{streamClass},
		Help:   "From a stream's first failure until it streamed, or ran by its schedule, again: by itself or by its user.",
	}
	backfillDuration = Metric{
		Name: "arcane_backfill_duration_seconds", Type: Histogram, Since: first, Buckets: efforts,
		Labels: []Label{streamClass, trigger, {Name: "result", Values: texts([]Result{ResultCompleted, ResultFailed})}},
		Help:   "From the record of a backfill's job until the record of its outcome: the last attempt alone.",
	}
	queueWait = Metric{
		Name: "arcane_backfill_queue_wait_seconds", Type: Histogram, Since: first, Buckets: efforts,
		Labels: []Label{streamClass},
		Help:   "From a BackfillRequest's creation until its first job started.",
	}
)

// certificateExpiry is told by webhooks/certificate.
var certificateExpiry = Metric{
	Name: "arcane_webhook_certificate_expiration_timestamp_seconds", Type: Gauge, Since: first, Elsewhere: true,
	Help: "When the certificate that the webhooks serve runs out, in Unix seconds; 0 while there is none. Absent with --webhooks=false.",
}

// webhookDenials is told by webhooks, which holds it to these values.
var webhookDenials = Metric{
	Name: "arcane_webhook_requests_denied_total", Type: Counter, Since: first, Elsewhere: true,
	Labels: []Label{
		{Name: "resource", Values: []string{"streams", "backfillrequests", "streamingjobtemplates", "streamclasses", "streamplugins"}},
		{
			Name: "rule", Values: []string{"rights", "required", "invalid", "forbidden", "dry_run", "unreadable", "unanswered"},
			Meaning: "the first rule against it: `rights` to create Jobs or read Secrets are missing; `dry_run`: Kubernetes refuses the Job that would come of it; " +
				"`unreadable` cannot be decoded; `unanswered` is no fault of whoever writes: what the answer depends on could not be found out",
		},
	},
	Help: "Writes that the webhooks refused, by what was written and by the first rule against it. Absent with --webhooks=false.",
}

// Group is some metrics under a title.
type Group struct {
	Title, Text string
	Metrics     []*Metric
}

// Groups lists every metric, in the order in which people read of them.
func Groups() []Group {
	return []Group{
		{
			"All streams", "These are exported however many streams there are: for each namespace and class that has a stream, a job or a request, with every value of a closed label, zeros too.",
			[]*Metric{&streams, &streamsStalled, &streamJobs, &backfillRequests},
		},
		{
			"Classes", "These are exported for each StreamClass, also for one without streams.",
			[]*Metric{&classWatchUp, &classSlots, &queueOldest},
		},
		{
			"Each stream", "For every stream with `--per-stream-metrics=all`, for those that are not Ready or are Stalled with `unhealthy`, for no stream with `none`.",
			[]*Metric{&streamPhase, &streamPhaseSince, &streamReady, &streamStalled},
		},
		{
			"What has happened", "Counted since the operator became the leader, each after it was written to the cluster and never before. A crash between the write and the count loses that count; nothing is counted twice.",
			[]*Metric{&transitions, &decisions, &jobsFinished, &backfillsFinished, &restarts},
		},
		{
			"How long it took", "Kubernetes keeps times in whole seconds, so a second more or less means nothing.",
			[]*Metric{&startDuration, &stopDuration, &recoveryDuration, &backfillDuration, &queueWait},
		},
		{
			"The operator itself", "",
			[]*Metric{&leader, &buildInfo, &certificateExpiry, &webhookDenials},
		},
	}
}

// Metrics lists every metric.
func Metrics() []*Metric {
	var all []*Metric
	for _, g := range Groups() {
		all = append(all, g.Metrics...)
	}
	return all
}
