package telemetry

// This file makes fleets of streams, and a cache that holds them as the real one does.

import (
	"context"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/prometheus/client_golang/prometheus"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// since is when everything in a fleet came to be.
var since = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// cached is a cache that holds some objects, and does not let them be copied.
type cached struct {
	cache.Cache
	t                                testing.TB
	streams, jobs, requests, classes []runtime.Object
	// many: it is of several namespaces, each with an informer.
	many  bool
	fails error
	// indexers by kind, made once; a test that changes what is held forgets them.
	indexers map[string]toolscache.Indexer
}

func (c *cached) of(o any) []runtime.Object {
	switch o.(type) {
	case *v1.Stream, *v1.StreamList:
		return c.streams
	case *batchv1.Job, *batchv1.JobList:
		return c.jobs
	case *v1.BackfillRequest, *v1.BackfillRequestList:
		return c.requests
	case *v1.StreamClass, *v1.StreamClassList:
		return c.classes
	}
	c.t.Fatalf("a scrape asks for %T", o)
	return nil
}

// GetInformer finds the informer of a kind.
func (c *cached) GetInformer(_ context.Context, o client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	if c.fails != nil || c.many {
		return nil, c.fails
	}
	kind := fmt.Sprintf("%T", o)
	if c.indexers[kind] == nil {
		indexer := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, nil)
		for _, held := range c.of(o) {
			if err := indexer.Add(held); err != nil {
				return nil, err
			}
		}
		if c.indexers == nil {
			c.indexers = map[string]toolscache.Indexer{}
		}
		c.indexers[kind] = indexer
	}
	return informer{indexer: c.indexers[kind]}, nil
}

// informer is one that has caught up.
type informer struct {
	toolscache.SharedIndexInformer
	indexer toolscache.Indexer
}

// GetIndexer holds the objects.
func (i informer) GetIndexer() toolscache.Indexer { return i.indexer }

// List does what the cache's own does.
func (c *cached) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if o := (&client.ListOptions{}).ApplyOptions(opts); o.UnsafeDisableDeepCopy == nil || !*o.UnsafeDisableDeepCopy {
		c.t.Errorf("a scrape copies all of %T", list)
	}
	if !c.many {
		c.t.Errorf("a scrape copies the outermost layer of all of %T, which the informer holds", list)
	}
	return apimeta.SetList(list, c.of(list))
}

func condition(kind string, is bool, reason string) metav1.Condition {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: status, Reason: reason, LastTransitionTime: metav1.NewTime(since)}
}

// aStream is a stream in a phase, as the operator writes it; stalled is a reason, or empty.
func aStream(name string, phase v1.StreamPhase, stalled string) *v1.Stream {
	s := &v1.Stream{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: name, CreationTimestamp: metav1.NewTime(since)},
		Spec:       v1.StreamSpec{StreamClass: "postgres"},
		Status:     v1.StreamStatus{Phase: phase},
	}
	if phase == "" {
		return s
	}
	ready := phase != v1.StreamPending && phase != v1.StreamFailed && stalled == ""
	s.Status.History = []v1.Transition{{To: phase, Time: metav1.NewTime(since.Add(time.Minute))}}
	s.Status.Conditions = []metav1.Condition{
		condition(v1.ConditionReady, ready, "Any"), condition(v1.ConditionReconciling, phase == v1.StreamPending, "Any"),
		condition(v1.ConditionStalled, stalled != "", stalled),
		condition(v1.ConditionBackfilling, false, "Any"), condition(v1.ConditionSuspended, false, "Any"), condition(v1.ConditionAccepted, true, "Accepted"),
	}
	return s
}

func aJob(name, stream string, edits ...func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: name, Labels: map[string]string{
		v1.LabelManagedBy: v1.ManagedBy, v1.LabelStreamKind: v1.KindStream, v1.LabelStreamID: stream, v1.LabelBackfilling: "false",
	}}}
	for _, edit := range edits {
		edit(j)
	}
	return j
}

func backfills(j *batchv1.Job) { j.Labels[v1.LabelBackfilling] = "true" }
func isHeld(j *batchv1.Job)    { j.Spec.Suspend = ptr.To(true) }
func isDeleted(j *batchv1.Job) { j.DeletionTimestamp = ptr.To(metav1.NewTime(since)) }
func isScheduled(j *batchv1.Job) {
	backfills(j)
	j.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "c", Controller: ptr.To(true)}}
}

func ended(kind batchv1.JobConditionType) func(*batchv1.Job) {
	return func(j *batchv1.Job) { j.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: "True"}} }
}

// aRequest is one in a phase; reason is that of its condition Ready.
func aRequest(name, stream string, phase v1.RequestPhase, reason v1.Reason, age time.Duration) *v1.BackfillRequest {
	q := &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: name, CreationTimestamp: metav1.NewTime(since.Add(-age))},
		Spec:       v1.BackfillRequestSpec{StreamID: stream},
		Status:     v1.BackfillRequestStatus{Phase: phase},
	}
	if reason != "" {
		q.Status.Conditions = []metav1.Condition{condition(v1.ConditionReady, false, string(reason))}
	}
	return q
}

func aClass(name string, edits ...func(*v1.StreamClass)) *v1.StreamClass {
	c := &v1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.StreamClassSpec{KindRef: v1.KindStream}}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

// fleet is a cache that holds n streams, each with a running job and a request that
// has ended; every tenth has failed.
func fleet(t testing.TB, n int) *cached {
	t.Helper()
	c := &cached{t: t, classes: []runtime.Object{aClass("postgres")}}
	for i := range n {
		name := fmt.Sprintf("stream-%05d", i)
		s := aStream(name, v1.StreamRunning, "")
		if i%10 == 0 {
			s = aStream(name, v1.StreamFailed, string(v1.ReasonJobFailed))
		}
		c.streams = append(c.streams, s)
		c.jobs = append(c.jobs, aJob(name+"-1767323045-0a1b2c3d", name))
		c.requests = append(c.requests, aRequest(name+"-initial-0a1b2c3d", name, v1.RequestCompleted, v1.ReasonRequestCompleted, 0))
	}
	return c
}

// leads is closed: this process acts.
func leads() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// beside is a registry with nothing else in it.
func beside(c *cached, edits ...func(*Options)) *registry {
	o := Options{PerStream: PerStreamAll, Version: "v0", Elected: leads(), Cache: c}
	for _, edit := range edits {
		edit(&o)
	}
	return Beside(prometheus.NewRegistry(), NewCounters(), o).(*registry)
}
