package telemetry

// This file reads the state of all streams off the cache, in one pass, when somebody asks for it.

import (
	"context"
	"runtime"
	"time"

	dto "github.com/prometheus/client_model/go"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// scrapeTimeout ends a scrape that waits for a cache; Prometheus itself gives up after ten seconds.
const scrapeTimeout = 10 * time.Second

// Options say what is told, and by whom.
type Options struct {
	// PerStream says which streams have series of their own.
	PerStream PerStream
	// Version of the operator.
	Version string
	// Elected is closed when this process becomes the one that acts.
	Elected <-chan struct{}
	// Cache holds what is told. Only read, and nothing in it is copied.
	Cache cache.Cache
}

// state tells how things are.
type state struct {
	Options
	counters *Counters
}

// gather tells the state. A process that stands by holds the same cache, but is
// silent, so that no stream counts twice.
func (s *state) gather() ([]*dto.MetricFamily, error) {
	f := newFamilies()
	f.add(&buildInfo, 1, f.sharedPair("go_version", runtime.Version()), f.sharedPair("version", s.Version))
	select {
	case <-s.Elected:
	default:
		f.add(&leader, 0)
		return f.sorted(), nil
	}
	f.add(&leader, 1)
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	c := &census{families: f, perStream: s.PerStream, classes: map[types.NamespacedName]string{}, pairs: map[pair]*tally{}, waiting: map[string]time.Time{}}
	for _, read := range []func(context.Context, cache.Cache) error{c.readStreams, c.readJobs, c.readRequests, c.readClasses} {
		if err := read(ctx, s.Cache); err != nil {
			return nil, err
		}
	}
	c.sum()
	c.zeros(s.counters)
	return f.sorted(), nil
}

// census is one pass over the cache.
type census struct {
	*families
	perStream PerStream
	// classes of the streams there are.
	classes map[types.NamespacedName]string
	pairs   map[pair]*tally
	// waiting is when the oldest request of a class was created that waits for a slot.
	waiting map[string]time.Time
	known   []string
}

// tally counts what belongs to one namespace and class, by closed sets.
type tally struct {
	streams, requests map[string]int
	stalled           map[string]int
	jobs              map[[2]string]int
}

func (c *census) tally(namespace, class string) *tally {
	key := pair{namespace, class}
	t, ok := c.pairs[key]
	if !ok {
		t = &tally{streams: map[string]int{}, requests: map[string]int{}, stalled: map[string]int{}, jobs: map[[2]string]int{}}
		c.pairs[key] = t
	}
	return t
}

func (c *census) readStreams(ctx context.Context, from cache.Cache) error {
	c.known = stalledReasons()
	return each(ctx, from, &v1.StreamList{}, func(s *v1.Stream) {
		c.classes[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}] = s.Spec.StreamClass
		t := c.tally(s.Namespace, s.Spec.StreamClass)
		phase := phaseOf(s)
		t.streams[phase]++
		why := ""
		if stalled := meta.FindStatusCondition(s.Status.Conditions, v1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
			why = closed(c.known, stalled.Reason)
			t.stalled[why]++
		}
		ready := meta.IsStatusConditionTrue(s.Status.Conditions, v1.ConditionReady)
		if c.perStream.tells(ready, why != "") {
			c.stream(s, phase, why, ready)
		}
	})
}

// phaseOf is a stream's phase; one of which nothing has been written yet is on its way.
func phaseOf(s *v1.Stream) string {
	if s.Status.Phase == "" {
		return string(v1.StreamPending)
	}
	return string(s.Status.Phase)
}

// stream tells the series of one stream; why it is stalled is empty where it is not.
func (c *census) stream(s *v1.Stream, phase, why string, ready bool) {
	in, name, class := c.sharedPair("namespace", s.Namespace), c.pair("stream", s.Name), c.sharedPair("stream_class", s.Spec.StreamClass)
	c.add(&streamPhase, 1, in, c.sharedPair("phase", phase), name, class)
	c.add(&streamPhaseSince, seconds(phaseSince(s)), in, name, class)
	is := 0.0
	if ready {
		is = 1
	}
	c.add(&streamReady, is, in, name, class)
	if why != "" {
		c.add(&streamStalled, 1, in, c.sharedPair("reason", why), name, class)
	}
}

// phaseSince is when a stream came into its phase.
func phaseSince(s *v1.Stream) time.Time {
	if n := len(s.Status.History); n > 0 {
		return s.Status.History[n-1].Time.Time
	}
	return s.CreationTimestamp.Time
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (c *census) readJobs(ctx context.Context, from cache.Cache) error {
	return each(ctx, from, &batchv1.JobList{}, func(j *batchv1.Job) {
		if j.Labels[v1.LabelStreamKind] == v1.KindStream {
			c.tally(j.Namespace, c.classOf(j.Namespace, j.Labels[v1.LabelStreamID])).jobs[[2]string{modeOfJob(j), phaseOfJob(j)}]++
		}
	})
}

// classOf is the class of a stream; what is left of one that is gone has none.
func (c *census) classOf(namespace, stream string) string {
	if class, ok := c.classes[types.NamespacedName{Namespace: namespace, Name: stream}]; ok {
		return class
	}
	return None
}

// modeOfJob is what a Job does. The runs of a schedule are the CronJob's.
func modeOfJob(j *batchv1.Job) string {
	owner := metav1.GetControllerOfNoCopy(j)
	switch {
	case owner != nil && owner.Kind == "CronJob":
		return ModeScheduled
	case j.Labels[v1.LabelBackfilling] == "true":
		return ModeBackfill
	}
	return ModeStream
}

// phaseOfJob is how far a Job is. One that has ended and is being deleted has ended.
func phaseOfJob(j *batchv1.Job) string {
	for i := range j.Status.Conditions {
		c := &j.Status.Conditions[i]
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == batchv1.JobComplete:
			return jobSucceeded
		case c.Type == batchv1.JobFailed:
			return jobFailed
		}
	}
	switch {
	case j.DeletionTimestamp != nil:
		return jobStopping
	case j.Spec.Suspend != nil && *j.Spec.Suspend:
		return jobHeld
	}
	return jobActive
}

func (c *census) readRequests(ctx context.Context, from cache.Cache) error {
	return each(ctx, from, &v1.BackfillRequestList{}, func(q *v1.BackfillRequest) {
		class := c.classOf(q.Namespace, q.Spec.StreamID)
		phase := q.Status.Phase
		if phase == "" {
			phase = v1.RequestQueued
		}
		c.tally(q.Namespace, class).requests[string(phase)]++
		waits := meta.FindStatusCondition(q.Status.Conditions, v1.ConditionReady)
		if phase != v1.RequestQueued || waits == nil || waits.Reason != string(v1.ReasonWaitingForSlot) {
			return
		}
		if oldest, ok := c.waiting[class]; !ok || q.CreationTimestamp.Time.Before(oldest) {
			c.waiting[class] = q.CreationTimestamp.Time
		}
	})
}

func (c *census) readClasses(ctx context.Context, from cache.Cache) error {
	return each(ctx, from, &v1.StreamClassList{}, func(class *v1.StreamClass) {
		label := c.sharedPair("stream_class", class.Name)
		up := 0.0
		if class.Spec.KindRef == v1.KindStream && !meta.IsStatusConditionFalse(class.Status.Conditions, v1.ConditionReady) {
			up = 1
		}
		c.add(&classWatchUp, up, label)
		if b := class.Spec.Backfill; b != nil && b.MaxConcurrent != nil {
			c.add(&classSlots, float64(*b.MaxConcurrent), label)
		}
	})
}
