// The witness: it watches a namespace and keeps every version of what it sees.

package law

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// recorded are the kinds that the laws are about.
var recorded = []func() client.ObjectList{
	func() client.ObjectList { return &streamingv1.StreamList{} },
	func() client.ObjectList { return &streamingv1.BackfillRequestList{} },
	func() client.ObjectList { return &streamingv1.StreamPluginList{} },
	func() client.ObjectList { return &batchv1.JobList{} },
	func() client.ObjectList { return &corev1.PodList{} },
}

// Recorder keeps the history of one namespace from its start on.
type Recorder struct {
	cluster   client.WithWatch
	namespace string
	audit     *AuditLog
	cancel    context.CancelFunc
	running   sync.WaitGroup

	mu       sync.Mutex
	versions []Version
	// latest is the resourceVersion seen last of each object; see catchUp.
	latest  map[types.UID]uint64
	failure error
}

// Record starts to watch a namespace, with a client that no rate limits. The audit
// log may be nil: then only the objects testify. The context is that of the whole
// recording; Stop ends it.
func Record(ctx context.Context, cluster client.WithWatch, namespace string, audit *AuditLog) (*Recorder, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &Recorder{cluster: cluster, namespace: namespace, audit: audit, cancel: cancel, latest: map[types.UID]uint64{}}
	for _, list := range recorded {
		if err := r.follow(ctx, list); err != nil {
			cancel()
			r.running.Wait()
			return nil, err
		}
	}
	return r, nil
}

// follow lists a kind and then watches it from that very version on.
func (r *Recorder) follow(ctx context.Context, newList func() client.ObjectList) error {
	list := newList()
	if err := r.cluster.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
		return fmt.Errorf("list what is to be recorded: %w", err)
	}
	objects, err := objectsOf(list)
	if err != nil {
		return err
	}
	for _, o := range objects {
		r.keep(o, false)
	}
	source := &watcher{cluster: r.cluster, namespace: r.namespace, newList: newList}
	events, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), source)
	if err != nil {
		return fmt.Errorf("watch what is to be recorded: %w", err)
	}
	r.running.Go(func() { r.consume(events) })
	return nil
}

func (r *Recorder) consume(events *watchtools.RetryWatcher) {
	defer events.Stop()
	for e := range events.ResultChan() {
		if e.Type == watch.Bookmark {
			continue
		}
		o, ok := e.Object.(client.Object)
		if !ok || e.Type == watch.Error {
			r.fail(fmt.Errorf("the record has a gap: %w", apierrors.FromObject(e.Object)))
			return
		}
		r.keep(o, e.Type == watch.Deleted)
	}
}

func (r *Recorder) keep(o client.Object, deleted bool) {
	rv, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		r.fail(fmt.Errorf("order the record by resourceVersion: %w", err))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions = append(r.versions, Version{RV: rv, Deleted: deleted, Object: o})
	r.latest[o.GetUID()] = rv
	if deleted {
		delete(r.latest, o.GetUID())
	}
}

func (r *Recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = errors.Join(r.failure, err)
}

// History is all that happened until now. It waits until the watches have caught
// up with the cluster; a record with a gap is an error and not a history.
//
// The operator may be at work meanwhile. So the versions end at one moment, and the audit
// log is read after it: it holds the creation of everything that the versions show.
func (r *Recorder) History(ctx context.Context) (History, error) {
	h := History{Until: time.Now()}
	end, err := r.now(ctx)
	if err != nil {
		return History{}, err
	}
	for _, list := range recorded {
		if err := r.catchUp(ctx, list); err != nil {
			return History{}, err
		}
	}
	if r.audit != nil {
		// A reader of its own begins anew, so that asking twice shows all twice.
		again := *r.audit
		requests, err := again.Next()
		if err != nil {
			return History{}, err
		}
		h.Requests, h.Audited = requests, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.versions {
		if v.RV <= end {
			h.Versions = append(h.Versions, v)
		}
	}
	return h, r.failure
}

// now is the cluster's present resourceVersion.
func (r *Recorder) now(ctx context.Context) (uint64, error) {
	list := &streamingv1.StreamList{}
	if err := r.cluster.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
		return 0, fmt.Errorf("find where the record ends: %w", err)
	}
	end, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("find where the record ends: %w", err)
	}
	return end, nil
}

// Stop ends the watches. What was recorded stays.
func (r *Recorder) Stop() {
	r.cancel()
	r.running.Wait()
}

// catchUp waits until the watch of a kind has shown all that a list shows now.
func (r *Recorder) catchUp(ctx context.Context, newList func() client.ObjectList) error {
	list := newList()
	if err := r.cluster.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
		return fmt.Errorf("compare the record with the cluster: %w", err)
	}
	until, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64)
	if err != nil {
		return fmt.Errorf("compare the record with the cluster: %w", err)
	}
	objects, err := objectsOf(list)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !r.shows(list, objects, until) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the record has not caught up with the cluster: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
	return nil
}

// shows tells whether the record has every listed object at its version or later,
// and none that was gone when the list was made.
func (r *Recorder) shows(list client.ObjectList, objects []client.Object, until uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return true
	}
	listed := map[types.UID]bool{}
	for _, o := range objects {
		listed[o.GetUID()] = true
		rv, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
		if seen, ok := r.latest[o.GetUID()]; err != nil || ok && seen < rv || !ok && !r.sawEnd(o.GetUID()) {
			return false
		}
	}
	for _, v := range r.versions {
		uid := v.Object.GetUID()
		seen, present := r.latest[uid]
		if sameKind(list, v.Object) && present && seen <= until && !listed[uid] {
			return false
		}
	}
	return true
}

func (r *Recorder) sawEnd(uid types.UID) bool {
	for _, v := range r.versions {
		if v.Deleted && v.Object.GetUID() == uid {
			return true
		}
	}
	return false
}

func sameKind(list client.ObjectList, o client.Object) bool {
	switch list.(type) {
	case *streamingv1.StreamList:
		_, ok := o.(*streamingv1.Stream)
		return ok
	case *streamingv1.BackfillRequestList:
		_, ok := o.(*streamingv1.BackfillRequest)
		return ok
	case *streamingv1.StreamPluginList:
		_, ok := o.(*streamingv1.StreamPlugin)
		return ok
	case *batchv1.JobList:
		_, ok := o.(*batchv1.Job)
		return ok
	default:
		_, ok := o.(*corev1.Pod)
		return ok
	}
}

func objectsOf(list client.ObjectList) ([]client.Object, error) {
	var objects []client.Object
	err := meta.EachListItem(list, func(item runtime.Object) error {
		o, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("a list holds a %T", item)
		}
		objects = append(objects, o)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read a list: %w", err)
	}
	return objects, nil
}

// watcher opens the watches that a RetryWatcher asks for.
type watcher struct {
	cluster   client.WithWatch
	namespace string
	newList   func() client.ObjectList
}

// WatchWithContext opens one watch.
func (w *watcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	events, err := w.cluster.Watch(ctx, w.newList(), &client.ListOptions{Namespace: w.namespace, Raw: &options})
	if err != nil {
		// The caller looks into the error itself to tell a gap from a fault.
		return nil, err
	}
	return events, nil
}
