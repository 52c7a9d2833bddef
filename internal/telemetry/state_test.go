package telemetry

// This file compares what is told with fleets whose state is known.

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// exposed is what a scrape says, read by Prometheus' own parser: value by series. It
// fails where the answer is no valid exposition or says one series twice.
func exposed(t *testing.T, r *registry) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(scrape(t, r, "identity").Body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(labels)
			series := strings.TrimSpace(name + " " + strings.Join(labels, " "))
			if _, twice := all[series]; twice {
				t.Errorf("%s is told twice", series)
			}
			all[series] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// those are the series that begin with one of the names, as lines.
func those(all map[string]float64, zeros bool, names ...string) []string {
	var list []string
	for series, value := range all {
		if (zeros || value != 0) && slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(series+" ", n+" ") }) {
			list = append(list, fmt.Sprintf("%s %v", series, value))
		}
	}
	slices.Sort(list)
	return list
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// everyPhase is a fleet with a stream, a job and a request in every phase.
func everyPhase(t testing.TB) *cached {
	t.Helper()
	c := &cached{t: t, classes: []runtime.Object{
		aClass("postgres", func(c *v1.StreamClass) { c.Spec.Backfill = &v1.ClassBackfill{MaxConcurrent: ptr.To(int32(2))} }),
		aClass("broken", func(c *v1.StreamClass) {
			c.Status.Conditions = []metav1.Condition{condition(v1.ConditionReady, false, "SchemaInvalid")}
		}),
		aClass("own", func(c *v1.StreamClass) { c.Spec.KindRef = "PostgresStream" }),
	}}
	for _, phase := range phases {
		stalled := ""
		if phase == v1.StreamFailed {
			stalled = string(v1.ReasonJobFailed)
		}
		c.streams = append(c.streams, aStream("is-"+strings.ToLower(string(phase)), phase, stalled))
	}
	c.streams = append(c.streams, aStream("new", "", ""), aStream("pulls", v1.StreamRunning, "ImagePullBackOff"), aStream("odd", v1.StreamRunning, "a text of somebody's scheduler"))
	c.jobs = []runtime.Object{
		aJob("a", "is-running"), aJob("b", "is-running", isHeld), aJob("c", "is-running", isDeleted, isHeld), aJob("d", "is-failed", ended(batchv1.JobFailed), isDeleted),
		aJob("e", "is-backfilling", backfills), aJob("f", "is-backfilling", backfills, ended(batchv1.JobComplete)),
		aJob("g", "is-scheduled", isScheduled), aJob("h", "gone", isDeleted),
		aJob("foreign", "is-running", func(j *batchv1.Job) { j.Labels[v1.LabelStreamKind] = "PostgresStream" }),
	}
	for _, phase := range requestPhases {
		c.requests = append(c.requests, aRequest("is-"+strings.ToLower(string(phase)), "new", phase, "", 0))
	}
	c.requests = append(
		c.requests, aRequest("unseen", "new", "", "", 0), aRequest("elsewhere", "gone", v1.RequestQueued, v1.ReasonStreamNotFound, 9*time.Hour),
		aRequest("old", "new", v1.RequestQueued, v1.ReasonWaitingForSlot, 2*time.Hour), aRequest("young", "new", v1.RequestQueued, v1.ReasonWaitingForSlot, time.Hour),
		aRequest("older", "new", v1.RequestQueued, v1.ReasonStreamSuspended, 3*time.Hour),
	)
	return c
}

func TestEveryPhaseIsTold(t *testing.T) {
	all := exposed(t, beside(everyPhase(t)))
	const sales = "namespace=sales "
	compare(t, those(all, false, "arcane_streams", "arcane_streams_stalled", "arcane_stream_jobs", "arcane_backfill_requests"), []string{
		"arcane_streams " + sales + "phase=Pending stream_class=postgres 2",
		"arcane_streams " + sales + "phase=Backfilling stream_class=postgres 1",
		"arcane_streams " + sales + "phase=Running stream_class=postgres 3",
		"arcane_streams " + sales + "phase=Scheduled stream_class=postgres 1",
		"arcane_streams " + sales + "phase=Suspended stream_class=postgres 1",
		"arcane_streams " + sales + "phase=Failed stream_class=postgres 1",
		"arcane_streams_stalled " + sales + "reason=ImagePullBackOff stream_class=postgres 1",
		"arcane_streams_stalled " + sales + "reason=JobFailed stream_class=postgres 1",
		"arcane_streams_stalled " + sales + "reason=PodNotRunning stream_class=postgres 1",
		"arcane_stream_jobs mode=stream " + sales + "phase=active stream_class=postgres 1",
		"arcane_stream_jobs mode=stream " + sales + "phase=held stream_class=postgres 1",
		"arcane_stream_jobs mode=stream " + sales + "phase=stopping stream_class=postgres 1",
		"arcane_stream_jobs mode=stream " + sales + "phase=failed stream_class=postgres 1",
		"arcane_stream_jobs mode=backfill " + sales + "phase=active stream_class=postgres 1",
		"arcane_stream_jobs mode=backfill " + sales + "phase=succeeded stream_class=postgres 1",
		"arcane_stream_jobs mode=scheduled " + sales + "phase=active stream_class=postgres 1",
		"arcane_stream_jobs mode=stream " + sales + "phase=stopping stream_class=none 1",
		"arcane_backfill_requests " + sales + "phase=Queued stream_class=postgres 5",
		"arcane_backfill_requests " + sales + "phase=Granted stream_class=postgres 1",
		"arcane_backfill_requests " + sales + "phase=Running stream_class=postgres 1",
		"arcane_backfill_requests " + sales + "phase=Paused stream_class=postgres 1",
		"arcane_backfill_requests " + sales + "phase=Completed stream_class=postgres 1",
		"arcane_backfill_requests " + sales + "phase=Failed stream_class=postgres 1",
		"arcane_backfill_requests " + sales + "phase=Cancelled stream_class=postgres 1",
		"arcane_backfill_requests " + sales + "phase=Queued stream_class=none 1",
	})
	compare(t, those(all, true, "arcane_backfill_queue_oldest_timestamp_seconds", "arcane_streamclass_backfill_slots", "arcane_streamclass_watch_up", "arcane_leader"), []string{
		fmt.Sprintf("arcane_backfill_queue_oldest_timestamp_seconds stream_class=postgres %v", float64(since.Add(-2*time.Hour).Unix())),
		"arcane_streamclass_backfill_slots stream_class=postgres 2",
		"arcane_streamclass_watch_up stream_class=broken 0",
		"arcane_streamclass_watch_up stream_class=own 0",
		"arcane_streamclass_watch_up stream_class=postgres 1",
		"arcane_leader 1",
	})
	began, changed := float64(since.Unix()), float64(since.Unix()+60)
	compare(t, those(all, true, "arcane_stream_phase_since_timestamp_seconds")[:2], []string{
		fmt.Sprintf("arcane_stream_phase_since_timestamp_seconds %sstream=is-backfilling stream_class=postgres %v", sales, changed),
		fmt.Sprintf("arcane_stream_phase_since_timestamp_seconds %sstream=is-failed stream_class=postgres %v", sales, changed),
	})
	if got := all["arcane_stream_phase_since_timestamp_seconds "+sales+"stream=new stream_class=postgres"]; got != began {
		t.Errorf("a new stream has been so since %v, want %v", got, began)
	}
}

func TestEachStreamIsToldAsTheFlagSays(t *testing.T) {
	const about = "namespace=sales "
	unhealthy := []string{
		"arcane_stream_phase " + about + "phase=Failed stream=is-failed stream_class=postgres 1",
		"arcane_stream_phase " + about + "phase=Pending stream=is-pending stream_class=postgres 1",
		"arcane_stream_phase " + about + "phase=Pending stream=new stream_class=postgres 1",
		"arcane_stream_phase " + about + "phase=Running stream=odd stream_class=postgres 1",
		"arcane_stream_phase " + about + "phase=Running stream=pulls stream_class=postgres 1",
		"arcane_stream_ready " + about + "stream=is-failed stream_class=postgres 0",
		"arcane_stream_ready " + about + "stream=is-pending stream_class=postgres 0",
		"arcane_stream_ready " + about + "stream=new stream_class=postgres 0",
		"arcane_stream_ready " + about + "stream=odd stream_class=postgres 0",
		"arcane_stream_ready " + about + "stream=pulls stream_class=postgres 0",
		"arcane_stream_stalled " + about + "reason=ImagePullBackOff stream=pulls stream_class=postgres 1",
		"arcane_stream_stalled " + about + "reason=JobFailed stream=is-failed stream_class=postgres 1",
		"arcane_stream_stalled " + about + "reason=PodNotRunning stream=odd stream_class=postgres 1",
	}
	healthy := []string{}
	for _, phase := range []string{"Backfilling", "Running", "Scheduled", "Suspended"} {
		stream := "stream=is-" + strings.ToLower(phase) + " stream_class=postgres 1"
		healthy = append(healthy, "arcane_stream_phase "+about+"phase="+phase+" "+stream, "arcane_stream_ready "+about+stream)
	}
	var sums []string
	for choice, want := range map[PerStream][]string{PerStreamAll: append(healthy, unhealthy...), PerStreamUnhealthy: unhealthy, PerStreamNone: {}} {
		t.Run(string(choice), func(t *testing.T) {
			all := exposed(t, beside(everyPhase(t), func(o *Options) { o.PerStream = choice }))
			compare(t, those(all, true, "arcane_stream_phase", "arcane_stream_ready", "arcane_stream_stalled"), slices.Clone(want))
			got := those(all, true, "arcane_streams", "arcane_streams_stalled", "arcane_stream_jobs", "arcane_backfill_requests")
			if sums != nil {
				compare(t, got, sums)
			}
			sums = got
		})
	}
}

// TestAStandbyIsSilent: it holds the same cache, and nothing may count twice.
func TestAStandbyIsSilent(t *testing.T) {
	elected := make(chan struct{})
	r := beside(everyPhase(t), func(o *Options) { o.Elected = elected })
	names := func() []string {
		var list []string
		for _, f := range gathered(t, r) {
			list = append(list, f.GetName())
		}
		return list
	}
	if got, want := names(), []string{"arcane_build_info", "arcane_leader"}; !slices.Equal(got, want) {
		t.Errorf("a standby tells %v, want %v", got, want)
	}
	if exposed(t, r)["arcane_leader"] != 0 {
		t.Error("a standby says that it leads")
	}
	close(elected)
	var want []string
	for _, m := range Metrics() {
		if !m.Elsewhere {
			want = append(want, m.Name)
		}
	}
	slices.Sort(want)
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("the leader tells %v, the table has %v", got, want)
	}
}

// TestZerosAreThere counts the series of a namespace and class: every value of every
// closed label, and none that depends on how many streams there are.
func TestZerosAreThere(t *testing.T) {
	size := func(streams int, choice PerStream) int {
		return len(exposed(t, beside(fleet(t, streams), func(o *Options) { o.PerStream = choice })))
	}
	want := 2 + 1 // leader, build; watch_up
	for _, m := range Metrics() {
		if n := m.children(); !m.Elsewhere && !m.perStream() && !m.has("reason") && len(m.Labels) > 0 && n > 0 && m != &classSlots && m != &queueOldest && m != &buildInfo && m != &classWatchUp {
			want += n
		}
	}
	want++ // one reason for which streams are stalled
	if got := size(20, PerStreamNone); got != want {
		t.Errorf("%d series of one namespace and class, the table makes it %d", got, want)
	}
	if few, many := size(20, PerStreamNone), size(300, PerStreamNone); few != many {
		t.Errorf("20 streams have %d series in sums, 300 have %d", few, many)
	}
	if few, many := size(20, PerStreamAll), size(120, PerStreamAll); many-few != 310 {
		t.Errorf("100 streams more, a tenth of them failed, are %d series more; want 310", many-few)
	}
}

func TestSeriesGoWithTheirStream(t *testing.T) {
	c := everyPhase(t)
	r := beside(c)
	before := exposed(t, r)
	c.streams, c.jobs, c.requests, c.indexers = c.streams[:1], nil, nil, nil
	after := exposed(t, r)
	for series := range before {
		if strings.Contains(series, "stream=") && !strings.Contains(series, "stream=is-pending") {
			if _, there := after[series]; there {
				t.Errorf("%s is still told", series)
			}
		}
	}
	compare(t, those(after, false, "arcane_streams", "arcane_stream_jobs", "arcane_backfill_requests"), []string{"arcane_streams namespace=sales phase=Pending stream_class=postgres 1"})
	c.streams, c.indexers = nil, nil
	if got := those(exposed(t, r), true, "arcane_streams", "arcane_stream_jobs", "arcane_backfill_requests", "arcane_stream_phase"); len(got) > 0 {
		t.Errorf("without any stream %v is told", got)
	}
}

// TestSeveralNamespacesTellTheSame: their cache has no one informer to look into.
func TestSeveralNamespacesTellTheSame(t *testing.T) {
	many := everyPhase(t)
	many.many = true
	if one, two := exposed(t, beside(everyPhase(t))), exposed(t, beside(many)); !maps.Equal(one, two) {
		t.Errorf("told\n%v\nwant\n%v", two, one)
	}
}

func TestACacheThatDoesNotAnswerFailsTheScrape(t *testing.T) {
	c := fleet(t, 1)
	c.fails = errors.New("not synced")
	if _, err := beside(c).Gather(); err == nil || !strings.Contains(err.Error(), "not synced") {
		t.Errorf("gather: %v", err)
	}
}

// TestNamesAreWellFormed asks Prometheus' own linter.
func TestNamesAreWellFormed(t *testing.T) {
	problems, err := testutil.GatherAndLint(beside(everyPhase(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
