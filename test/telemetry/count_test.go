// The same state, counted by hand: from what a user reads at the API server, without
// a line of the operator's code. A second Prometheus scrapes it.

package telemetry_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// told are the metrics that are counted by hand: all state of the fleet.
var told = []string{
	"arcane_streams", "arcane_streams_stalled", "arcane_stream_jobs", "arcane_backfill_requests",
	"arcane_backfill_queue_oldest_timestamp_seconds", "arcane_streamclass_backfill_slots", "arcane_streamclass_watch_up",
	"arcane_stream_phase", "arcane_stream_phase_since_timestamp_seconds", "arcane_stream_ready", "arcane_stream_stalled", "arcane_leader",
}

// The values of closed labels, as users know them.
var (
	phases        = []string{"Pending", "Backfilling", "Running", "Scheduled", "Suspended", "Failed"}
	requestPhases = []string{"Queued", "Granted", "Running", "Paused", "Completed", "Failed", "Cancelled"}
	modes         = []string{"stream", "backfill", "scheduled"}
	jobPhases     = []string{"held", "active", "stopping", "succeeded", "failed"}
)

// count is a page of metrics in the making.
type count struct{ series map[string]float64 }

// named is a series with its labels, which come as names and values in turn.
func named(name string, labels []string) string {
	var text []string
	for pair := range slices.Chunk(labels, 2) {
		text = append(text, fmt.Sprintf("%s=%q", pair[0], pair[1]))
	}
	return name + "{" + strings.Join(text, ",") + "}"
}

func (c *count) set(value float64, name string, labels ...string) {
	c.series[named(name, labels)] = value
}

func (c *count) add(name string, labels ...string) { c.series[named(name, labels)]++ }

// byHand reads everything at the API server and counts it.
func byHand(ctx context.Context, api client.Client) (*count, error) {
	c := &count{series: map[string]float64{}}
	c.set(1, "arcane_leader")
	streams, jobs := &streamingv1.StreamList{}, &batchv1.JobList{}
	requests, classes := &streamingv1.BackfillRequestList{}, &streamingv1.StreamClassList{}
	for _, list := range []client.ObjectList{streams, jobs, requests, classes} {
		if err := api.List(ctx, list); err != nil {
			return nil, fmt.Errorf("count by hand: %w", err)
		}
	}
	of := map[string]string{}
	for i := range streams.Items {
		s := &streams.Items[i]
		of[s.Namespace+"/"+s.Name] = s.Spec.StreamClass
		c.zeros(s.Namespace, s.Spec.StreamClass)
		c.stream(s)
	}
	for i := range requests.Items {
		q := &requests.Items[i]
		class := orNone(of[q.Namespace+"/"+q.Spec.StreamID])
		c.zeros(q.Namespace, class)
		phase := string(q.Status.Phase)
		c.add("arcane_backfill_requests", "namespace", q.Namespace, "stream_class", class, "phase", phase)
		if ready := meta.FindStatusCondition(q.Status.Conditions, "Ready"); ready != nil && phase == "Queued" && ready.Reason == "WaitingForSlot" {
			name, made := `arcane_backfill_queue_oldest_timestamp_seconds{stream_class="`+class+`"}`, float64(q.CreationTimestamp.Unix())
			if oldest, ok := c.series[name]; !ok || made < oldest {
				c.series[name] = made
			}
		}
	}
	for i := range jobs.Items {
		j := &jobs.Items[i]
		class := orNone(of[j.Namespace+"/"+j.Labels["arcane/stream-id"]])
		c.zeros(j.Namespace, class)
		c.add("arcane_stream_jobs", "namespace", j.Namespace, "stream_class", class, "mode", modeOf(j), "phase", phaseOf(j))
	}
	for i := range classes.Items {
		class := &classes.Items[i]
		c.set(1, "arcane_streamclass_watch_up", "stream_class", class.Name)
		if b := class.Spec.Backfill; b != nil && b.MaxConcurrent != nil {
			c.set(float64(*b.MaxConcurrent), "arcane_streamclass_backfill_slots", "stream_class", class.Name)
		}
	}
	return c, nil
}

func orNone(class string) string {
	if class == "" {
		return "none"
	}
	return class
}

// zeros are there for every value of a closed label.
func (c *count) zeros(namespace, class string) {
	zero := func(name string, labels ...string) {
		c.series[named(name, append([]string{"namespace", namespace, "stream_class", class}, labels...))] += 0
	}
	for _, phase := range phases {
		zero("arcane_streams", "phase", phase)
	}
	for _, phase := range requestPhases {
		zero("arcane_backfill_requests", "phase", phase)
	}
	for _, mode := range modes {
		for _, phase := range jobPhases {
			zero("arcane_stream_jobs", "mode", mode, "phase", phase)
		}
	}
}

func (c *count) stream(s *streamingv1.Stream) {
	of := []string{"namespace", s.Namespace, "stream_class", s.Spec.StreamClass}
	each := append([]string{"stream", s.Name}, of...)
	phase := []string{"phase", string(s.Status.Phase)}
	c.add("arcane_streams", append(of, phase...)...)
	c.set(1, "arcane_stream_phase", append(each, phase...)...)
	since := s.CreationTimestamp.Time
	if n := len(s.Status.History); n > 0 {
		since = s.Status.History[n-1].Time.Time
	}
	c.set(float64(since.Unix()), "arcane_stream_phase_since_timestamp_seconds", each...)
	ready := 0.0
	if meta.IsStatusConditionTrue(s.Status.Conditions, "Ready") {
		ready = 1
	}
	c.set(ready, "arcane_stream_ready", each...)
	if meta.IsStatusConditionTrue(s.Status.Conditions, "Stalled") {
		why := []string{"reason", meta.FindStatusCondition(s.Status.Conditions, "Stalled").Reason}
		c.set(1, "arcane_stream_stalled", append(each, why...)...)
		c.add("arcane_streams_stalled", append(of, why...)...)
	}
}

func modeOf(j *batchv1.Job) string {
	if len(j.OwnerReferences) > 0 && j.OwnerReferences[0].Kind == "CronJob" {
		return "scheduled"
	}
	if j.Labels["arcane/backfilling"] == "true" {
		return "backfill"
	}
	return "stream"
}

func phaseOf(j *batchv1.Job) string {
	for _, c := range j.Status.Conditions {
		if c.Type == batchv1.JobComplete && c.Status == "True" {
			return "succeeded"
		}
		if c.Type == batchv1.JobFailed && c.Status == "True" {
			return "failed"
		}
	}
	switch {
	case j.DeletionTimestamp != nil:
		return "stopping"
	case j.Spec.Suspend != nil && *j.Spec.Suspend:
		return "held"
	}
	return "active"
}

// ServeHTTP counts anew for each scrape.
func (c counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counted, err := byHand(r.Context(), c.api)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	for series, value := range counted.series {
		fmt.Fprintf(w, "%s %.3f\n", series, value)
	}
}

// counter serves what is counted by hand.
type counter struct{ api client.Client }
