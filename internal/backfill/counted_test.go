package backfill

// This file holds the counters to what becomes of requests, also where writes are lost.

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
)

// finished are the series of ended requests that are not zero: "class trigger result", with how often.
func finished(t *testing.T, counters *telemetry.Counters) map[string]float64 {
	t.Helper()
	families, err := telemetry.Beside(prometheus.NewRegistry(), counters, telemetry.Options{Elected: make(chan struct{})}).Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != "arcane_backfills_finished_total" || m.GetCounter().GetValue() == 0 {
				continue
			}
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			all[strings.Join([]string{labels["stream_class"], labels["trigger"], labels["result"]}, " ")] = m.GetCounter().GetValue()
		}
	}
	return all
}

func TestAnEndOfARequestIsCountedOnce(t *testing.T) {
	// Before the kind Stream; see newCluster.
	legacy := func(q *v1.BackfillRequest) { q.Annotations, q.CreationTimestamp = nil, ago(3*time.Hour) }
	byJob := annotated(v1.AnnotationCompletedBy, "job")
	for _, story := range []struct {
		name  string
		given []client.Object
		want  string
	}{
		{"cancelled by its user", []client.Object{stream(suspended), request("a", completed)}, "c user cancelled"},
		{"cancelled, and there is no stream", []client.Object{request("a", unowned, completed)}, "none user cancelled"},
		{"cancelled, for a gap", []client.Object{stream(suspended, gapIs("a")), request("a", completed, forGap)}, "c gap cancelled"},
		{"cancelled, a copy of ours", []client.Object{stream(suspended), request("a", completed, copied)}, "c user cancelled"},
		{"completed by a job: its stream counts it", []client.Object{stream(serving("a"), recordedSuccess), request("a", completed, byJob)}, ""},
		{"completed by no job", []client.Object{stream(streaming), request("a", completed, byJob)}, "c user cancelled"},
		{"completed before this version saw it", []client.Object{stream(streaming), request("a", completed, legacy)}, ""},
		{"open", []client.Object{stream(suspended), request("a")}, ""},
	} {
		for _, f := range []fate{arrives, lost, conflicts} {
			t.Run(story.name+", the first write "+string(f), func(t *testing.T) {
				c := newCluster(t, append(story.given, class(0))...)
				c.fails = func(n int) fate {
					if n == 1 {
						return f
					}
					return arrives
				}
				c.r.Counters = telemetry.NewCounters()
				c.settle()
				c.settle()
				got := finished(t, c.r.Counters)
				if story.want == "" && len(got) == 0 || len(got) == 1 && got[story.want] == 1 {
					return
				}
				t.Errorf("counted %v, want %q once", got, story.want)
			})
		}
	}
}
