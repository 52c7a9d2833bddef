package model

// This file registers the operator's real controllers at a manager that starts
// nothing, so that the real predicates and mappings decide who is woken.

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backfill"
	"github.com/arcane-streaming/arcane-operator/internal/stream"
)

// key is what a controller is woken for.
type key = reconcile.Request

// limiter is the type of a controller's back-off, and queue that of its queue.
type (
	limiter = workqueue.TypedRateLimiter[key]
	queue   = workqueue.TypedRateLimitingInterface[key]
)

// wiring is what Register has set up, for one operator after the other.
type wiring struct {
	// now is the operator that lives at present.
	now      *operator
	names    []string
	do       []reconcile.Reconciler
	watchers [kinds][]toolscache.ResourceEventHandler
	index    [kinds]map[string]client.IndexerFunc
	mu       sync.Mutex
}

var scheme = sync.OnceValue(func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{batchv1.AddToScheme, corev1.AddToScheme, v1.AddToScheme} {
		must(add(s))
	}
	return s
})

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// wire registers everything and starts the watches, which go on for as long as the tests run.
func wire(clock *passiveClock) *wiring {
	w := &wiring{}
	for k := range w.index {
		w.index[k] = map[string]client.IndexerFunc{}
	}
	m := &board{wiring: w}
	ctx := context.Background()
	must(stream.Register(ctx, m, stream.Options{Workers: 1}))
	must(backfill.Register(ctx, m, backfill.Options{Workers: 1}))
	for i, c := range m.added {
		w.names = append(w.names, reflect.ValueOf(c).Elem().FieldByName("Name").String())
		w.do = append(w.do, m.start(ctx, i, c))
	}
	w.setClock(clock)
	return w
}

// setClock gives the reconcilers the world's clock instead of the machine's.
func (w *wiring) setClock(clock *passiveClock) {
	for _, r := range w.do {
		switch r := r.(type) {
		case *stream.Reconciler:
			// What a reconciler remembers is its process's: another one has seen nothing.
			*r = stream.Reconciler{Client: r.Client, Live: r.Live, Events: r.Events, Clock: clock}
		case *backfill.Reconciler:
			*r = backfill.Reconciler{Client: r.Client, Live: r.Live, Events: r.Events, Clock: clock}
		case *backfill.Slots:
			*r = backfill.Slots{Client: r.Client, Live: r.Live, Clock: clock}
		default:
			panic("a controller that the model does not know")
		}
	}
}

// board is the manager: what is registered ends up here.
type board struct {
	manager.Manager
	*wiring
	added []controller.Controller
}

func (b *board) GetFieldIndexer() client.FieldIndexer           { return b }
func (b *board) GetClient() client.Client                       { return cached{wiring: b.wiring} }
func (b *board) GetAPIReader() client.Reader                    { return live{b.wiring} }
func (b *board) GetEventRecorder(string) recorder.EventRecorder { return nobody{} }
func (b *board) GetCache() cache.Cache                          { return informers{board: b} }
func (b *board) GetScheme() *runtime.Scheme                     { return scheme() }
func (b *board) GetLogger() logr.Logger                         { return logr.Discard() }
func (b *board) GetControllerOptions() config.Controller {
	return config.Controller{SkipNameValidation: ptr.To(true), EnableWarmup: ptr.To(true)}
}

// IndexField notes an index.
func (b *board) IndexField(_ context.Context, o client.Object, field string, f client.IndexerFunc) error {
	b.index[kindOf(o)][field] = f
	return nil
}

// Add notes a controller.
func (b *board) Add(r manager.Runnable) error {
	b.added = append(b.added, r.(controller.Controller))
	return nil
}

// start starts a controller's watches, as on a standby, without any worker: who
// works when is up to the model. A field is set by its name, because its type is internal.
func (b *board) start(ctx context.Context, i int, c controller.Controller) reconcile.Reconciler {
	fields := reflect.ValueOf(c).Elem()
	fields.FieldByName("NewQueue").Set(reflect.ValueOf(func(string, limiter) queue { return line{b.wiring, i} }))
	must(c.(interface{ Warmup(context.Context) error }).Warmup(ctx))
	return fields.FieldByName("Do").Interface().(reconcile.Reconciler)
}

// informers is the cache, as far as watches are concerned.
type informers struct {
	cache.Cache
	board *board
}

// GetInformer is asked for by every watch.
func (i informers) GetInformer(_ context.Context, o client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	return informer{wiring: i.board.wiring, kind: kindOf(o)}, nil
}

// WaitForCacheSync is true: the world fills the caches itself.
func (i informers) WaitForCacheSync(context.Context) bool { return true }

type informer struct {
	cache.Informer
	wiring *wiring
	kind   kind
}

// AddEventHandlerWithOptions notes whom to tell. Watches begin at once and in any
// order, which does not matter: a queue has no order.
func (i informer) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, _ toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	i.wiring.mu.Lock()
	defer i.wiring.mu.Unlock()
	i.wiring.watchers[i.kind] = append(i.wiring.watchers[i.kind], h)
	return synced{}, nil
}

type synced struct {
	toolscache.ResourceEventHandlerRegistration
}

// HasSynced is true from the beginning.
func (synced) HasSynced() bool { return true }

// nobody hears the events.
type nobody struct{ recorder.EventRecorder }

// Eventf does nothing.
func (nobody) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

// line is the queue of one controller: which keys are due, and when.
type line struct {
	wiring *wiring
	number int
}

func (l line) work() *work { return l.wiring.now.works[l.number] }

// Add makes a key due now.
func (l line) Add(k key) { l.work().add(k, 0) }

// AddAfter makes a key due later.
func (l line) AddAfter(k key, d time.Duration) { l.work().add(k, d) }

// AddRateLimited is what the model does itself after an error.
func (l line) AddRateLimited(k key) { l.work().add(k, 0) }

// The rest of a queue is for workers, and there are none.

// Forget is not called.
func (line) Forget(key) {}

// NumRequeues is not called.
func (line) NumRequeues(key) int { return 0 }

// Len is not called.
func (line) Len() int { return 0 }

// Get is not called.
func (line) Get() (k key, shutdown bool) { return k, true }

// Done is not called.
func (line) Done(key) {}

// ShutDown is not called.
func (line) ShutDown() {}

// ShutDownWithDrain is not called.
func (line) ShutDownWithDrain() {}

// ShuttingDown is not called.
func (line) ShuttingDown() bool { return false }

// tell tells all watchers of a kind what an informer has seen.
func (w *wiring) tell(k kind, before, after client.Object, initial bool) {
	for _, h := range w.watchers[k] {
		switch {
		case before == nil && after == nil:
		case before == nil:
			h.OnAdd(after, initial)
		case after == nil:
			h.OnDelete(before)
		default:
			h.OnUpdate(before, after)
		}
	}
}

func compareKeys(a, b key) int {
	if a.Namespace != b.Namespace {
		return slices.Compare([]string{a.Namespace}, []string{b.Namespace})
	}
	return slices.Compare([]string{a.Name}, []string{b.Name})
}
