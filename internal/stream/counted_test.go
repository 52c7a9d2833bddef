package stream

// This file holds the counters to whole stories: exact, also where every write is broken once.

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
)

// counts lets an operator count, and reads what it has counted: the series that are not
// zero, without the prefix and the labels that are the same in every story.
func (c *cluster) counts(edit ...func(map[string]float64)) map[string]float64 {
	c.t.Helper()
	standby := make(chan struct{}) // so that no state is told beside the counters
	g := telemetry.Beside(prometheus.NewRegistry(), c.counters, telemetry.Options{Elected: standby})
	families, err := g.Gather()
	c.must(err)
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetCounter().GetValue()
			if f.GetType() == dto.MetricType_HISTOGRAM {
				value = float64(m.GetHistogram().GetSampleCount())
				if sum := m.GetHistogram().GetSampleSum(); sum != 0 {
					all[seriesOf(f, m)+" sum"] = sum
				}
			}
			if value != 0 {
				all[seriesOf(f, m)] = value
			}
		}
	}
	for _, f := range edit {
		f(all)
	}
	return all
}

func seriesOf(f *dto.MetricFamily, m *dto.Metric) string {
	name := strings.TrimPrefix(f.GetName(), "arcane_")
	for _, l := range m.GetLabel() {
		if l.GetName() != "namespace" && l.GetName() != "stream_class" {
			name += " " + l.GetName() + "=" + l.GetValue()
		}
	}
	return name
}

// withoutDecisions leaves out the rules: the stories' own tests hold them.
func withoutDecisions(all map[string]float64) {
	maps.DeleteFunc(all, func(series string, _ float64) bool { return strings.HasPrefix(series, "decisions") })
}

// counting is a cluster whose operator counts.
func counting(t *testing.T, given ...func(*v1.Stream)) *cluster {
	t.Helper()
	c := newCluster(t, orders(given...)...)
	c.counters = telemetry.NewCounters()
	c.restart()
	return c
}

func (c *cluster) later(d time.Duration) { c.clock.SetTime(c.clock.Now().Add(d)) }

// ends lets the running job end after so long.
func (c *cluster) endsAfter(d time.Duration, exitCode int32, change ...func(*corev1.Pod)) {
	c.later(d)
	c.end(exitCode, change...)
	c.settle()
}

func lines(all map[string]float64) []string {
	list := make([]string, 0, len(all))
	for series, value := range all {
		list = append(list, series+" "+strconv.FormatFloat(value, 'g', -1, 64))
	}
	slices.Sort(list)
	return list
}

var tallies = []struct {
	name  string
	given func(*v1.Stream)
	tell  func(*cluster)
	want  []string
}{
	{"born, backfilled, streaming", func(*v1.Stream) {}, func(c *cluster) {
		c.settle()
		c.endsAfter(time.Hour, 0)
		c.settle() // says nothing new
	}, []string{
		"backfill_duration_seconds result=completed trigger=initial 1",
		"backfill_duration_seconds result=completed trigger=initial sum 3600",
		"backfill_queue_wait_seconds 1",
		"backfills_finished_total result=completed trigger=initial 1",
		"jobs_finished_total failure_class=none mode=backfill outcome=succeeded 1",
		"stream_transitions_total from=Backfilling to=Running 1",
		"stream_transitions_total from=Pending to=Backfilling 1",
		"stream_transitions_total from=none to=Pending 1",
	}},
	{"a failure that its user acknowledges", suspend, func(c *cluster) {
		c.settle()
		c.change(resume)
		c.settle()
		c.endsAfter(time.Minute, 20)
		c.later(time.Hour)
		c.change(suspend)
		c.settle()
		c.later(time.Hour)
		c.change(resume)
		c.settle()
	}, []string{
		"jobs_finished_total failure_class=config mode=stream outcome=failed 1",
		"stream_recovery_duration_seconds 1",
		"stream_recovery_duration_seconds sum 7200",
		"stream_transitions_total from=Failed to=Suspended 1",
		"stream_transitions_total from=Running to=Failed 1",
		"stream_transitions_total from=Suspended to=Running 2",
		"stream_transitions_total from=none to=Suspended 1",
	}},
	{"a failure that it overcomes by itself", func(s *v1.Stream) { suspend(s); onFailure(s) }, func(c *cluster) {
		c.settle()
		c.change(resume)
		c.settle()
		c.endsAfter(time.Minute, 3)
		c.later(10 * time.Second)
		c.settle()
		c.endsAfter(time.Minute, 3)
		c.later(20 * time.Second)
		c.settle()
	}, []string{
		"jobs_finished_total failure_class=none mode=stream outcome=failed 2",
		"stream_recovery_duration_seconds 2",
		"stream_recovery_duration_seconds sum 30",
		"stream_restarts_total failure_class=none 2",
		"stream_transitions_total from=Failed to=Pending 2",
		"stream_transitions_total from=Pending to=Running 2",
		"stream_transitions_total from=Running to=Failed 2",
		"stream_transitions_total from=Suspended to=Running 1",
		"stream_transitions_total from=none to=Suspended 1",
	}},
	{"a user's backfill stops the stream, and fails", suspend, func(c *cluster) {
		c.settle()
		c.change(resume)
		c.settle()
		c.request("again")
		c.later(time.Minute)
		c.settle()
		c.endsAfter(time.Minute, 20)
	}, []string{
		"backfill_duration_seconds result=failed trigger=user 1",
		"backfill_duration_seconds result=failed trigger=user sum 60",
		"backfill_queue_wait_seconds 1",
		"backfill_queue_wait_seconds sum 60",
		"backfills_finished_total result=failed trigger=user 1",
		"jobs_finished_total failure_class=config mode=backfill outcome=failed 1",
		"jobs_finished_total failure_class=none mode=stream outcome=stopped 1",
		"stream_stop_duration_seconds end=graceful 1",
		"stream_transitions_total from=Backfilling to=Failed 1",
		"stream_transitions_total from=Pending to=Backfilling 1",
		"stream_transitions_total from=Running to=Pending 1",
		"stream_transitions_total from=Suspended to=Running 1",
		"stream_transitions_total from=none to=Suspended 1",
	}},
	{"its job is deleted by hand, and its backfill interrupted", func(*v1.Stream) {}, func(c *cluster) {
		c.settle()
		c.endsAfter(time.Minute, 0, func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
		})
		c.must(c.api.Delete(c.t.Context(), c.running()))
		c.later(time.Minute) // the next one waits
		c.settle()
	}, []string{
		"backfill_queue_wait_seconds 1",
		"jobs_finished_total failure_class=none mode=backfill outcome=interrupted 1",
		"jobs_finished_total failure_class=none mode=backfill outcome=vanished 1",
		"stream_transitions_total from=Backfilling to=Pending 1",
		"stream_transitions_total from=Pending to=Backfilling 2",
		"stream_transitions_total from=none to=Pending 1",
	}},
	{"its job is deleted by hand, and its pods take their time", suspend, func(c *cluster) {
		c.settle()
		c.change(resume)
		c.settle()
		j := c.running()
		j.Finalizers = []string{metav1.FinalizerDeleteDependents}
		c.must(c.api.Update(c.t.Context(), j))
		c.must(c.api.Delete(c.t.Context(), j))
		c.settle()
		c.later(time.Minute)
		c.must(c.api.Get(c.t.Context(), client.ObjectKeyFromObject(j), j))
		j.Finalizers = nil
		c.must(c.api.Update(c.t.Context(), j))
		c.settle()
	}, []string{
		"jobs_finished_total failure_class=none mode=stream outcome=vanished 1",
		"stream_transitions_total from=Pending to=Running 1",
		"stream_transitions_total from=Running to=Pending 1",
		"stream_transitions_total from=Suspended to=Running 1",
		"stream_transitions_total from=none to=Suspended 1",
	}},
	{"a run of its schedule fails", scheduled, func(c *cluster) {
		c.settle()
		c.due("1")
		c.endsAfter(time.Minute, 20)
		c.due("2")
		c.endsAfter(time.Minute, 0)
	}, []string{
		"jobs_finished_total failure_class=config mode=scheduled outcome=failed 1",
		"jobs_finished_total failure_class=none mode=scheduled outcome=succeeded 1",
		"stream_transitions_total from=none to=Scheduled 1",
	}},
}

func TestAStoryIsCountedExactly(t *testing.T) {
	for _, story := range tallies {
		t.Run(story.name, func(t *testing.T) {
			c := counting(t, story.given)
			story.tell(c)
			if got := lines(c.counts(withoutDecisions)); !slices.Equal(got, story.want) {
				t.Errorf("counted\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(story.want, "\n"))
			}
		})
	}
}

// TestABrokenWriteIsNeverCountedTwice breaks each write of each story once. The
// operator dies with it, and what it has counted is put together with what the next
// one counts. A write of which nobody heard is lost to the counts; one that was never
// made is made again, and counted then.
func TestABrokenWriteIsNeverCountedTwice(t *testing.T) {
	for _, story := range tallies {
		whole := counting(t, story.given)
		story.tell(whole)
		want := whole.counts(withoutDecisions)
		for n := 1; n <= len(whole.writes); n++ {
			for kind, f := range map[string]fault{"dropped": dropped, "reply lost": replyLost} {
				t.Run(story.name+" "+kind+" "+strconv.Itoa(n), func(t *testing.T) {
					c := counting(t, story.given) // all processes' counters, as Prometheus adds them up
					c.faultAt, c.fault = n, f
					story.tell(c)
					missing := 0.0
					got := c.counts(withoutDecisions)
					for series, value := range got {
						if strings.HasSuffix(series, " sum") {
							continue
						}
						if value > want[series] {
							t.Errorf("%s is counted %v times, of %v", series, value, want[series])
						}
					}
					for series, value := range want {
						if !strings.HasSuffix(series, " sum") {
							missing += value - got[series]
						}
					}
					// One write may record several facts: the transition, the job's end, how long it took.
					if f == dropped && missing != 0 || missing > 4 {
						t.Errorf("%v counts are missing:\n%s\nwant\n%s", missing, strings.Join(lines(got), "\n"), strings.Join(lines(want), "\n"))
					}
				})
			}
		}
	}
}

// TestDecisionsThatWriteAreCounted holds the rules of the shortest story.
func TestDecisionsThatWriteAreCounted(t *testing.T) {
	c := counting(t, suspend)
	c.settle()
	c.change(resume)
	c.settle()
	c.settle()
	want := []string{"decisions_total rule=release-stream 1", "decisions_total rule=start-stream 1", "decisions_total rule=suspended 1", "decisions_total rule=waive-initial 1"}
	got := slices.DeleteFunc(lines(c.counts()), func(s string) bool { return !strings.HasPrefix(s, "decisions") })
	if !slices.Equal(got, want) {
		t.Errorf("counted %q, want %q", got, want)
	}
}

// TestAStartIsMeasuredOnce runs the first pod of a job, lets more passes see it, and
// then replaces it; another process leaves out what may have been told.
func TestAStartIsMeasuredOnce(t *testing.T) {
	c := counting(t, suspend)
	c.settle()
	c.change(resume)
	c.settle()
	runs := func() {
		pod := c.run()
		c.later(7 * time.Second)
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.clock.Now())}}}}
		c.must(c.api.Status().Update(c.t.Context(), pod))
		c.settle()
	}
	runs()
	const series = "stream_start_duration_seconds mode=stream"
	if got := c.counts(); got[series] != 1 || got[series+" sum"] != 7 {
		t.Errorf("told %v", lines(got))
	}
	c.restart()
	c.change(func(s *v1.Stream) { s.Labels = map[string]string{"a": "b"} })
	c.settle()
	if got := c.counts(); got[series] != 1 {
		t.Errorf("another process tells the same start again: %v", lines(got))
	}
}

// TestAStopThatTakesItsWholeGraceIsAKill stops a job whose pod takes that long.
func TestAStopThatTakesItsWholeGraceIsAKill(t *testing.T) {
	for took, end := range map[time.Duration]string{29 * time.Second: "graceful", 30 * time.Second: "killed"} {
		c := counting(t, suspend)
		c.settle()
		c.change(resume)
		c.settle()
		pod := c.run()
		pod.Finalizers = []string{"test/stays"}
		c.must(c.api.Update(t.Context(), pod))
		c.later(time.Hour)
		c.change(suspend)
		c.settle()
		c.later(took)
		c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
		pod.Finalizers = nil
		c.must(c.api.Update(t.Context(), pod))
		c.settle()
		series := "stream_stop_duration_seconds end=" + end
		if got := c.counts(); got[series] != 1 || got[series+" sum"] != took.Seconds() {
			t.Errorf("%s: told %v", took, lines(got))
		}
	}
}
