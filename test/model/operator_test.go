package model

// This file is an operator's process: its caches, which may lag, its queues, and
// its passes, which stand before every request until they may go on.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/arcane-streaming/arcane-operator/test/jsontree"
)

var (
	errCrash = errors.New("the operator died")
	errLags  = errors.New("the cache does not catch up")
)

// operator is one process.
type operator struct {
	*wiring
	name   string
	api    *store
	clock  *passiveClock
	caches [kinds]stock
	// own is the version of our last write of an object: a read of it waits for that.
	own   [kinds]map[string]int
	works []*work
	// knows are the pods that have ever been in its cache.
	knows map[types.UID]bool
	// current is the work whose pass runs at this moment; nil while the informers run.
	current *work
	dead    bool
}

// stock is the cache of one kind.
type stock struct {
	seen objects
	// rv is the newest event's.
	rv int
	// lags: nothing arrives until it catches up.
	lags bool
	// missing: the next event does not arrive, and then its object is missed until
	// another event of it arrives, or the kind is listed anew.
	missing bool
	missed  []string
}

// work is what one controller does.
type work struct {
	op       *operator
	number   int
	due      map[key]time.Time
	failures map[key]int
	// key is being reconciled; resume lets the pass go on.
	key     key
	running bool
	resume  func() (request, bool)
	stop    func()
	permit  permission
	// next is the request that the pass stands before.
	next request
	// patched counts the patches of the stream's status in one pass, but for those after the first that only tell.
	patched int
	err     error
	again   time.Duration
}

// request is what a pass stands before.
type request struct {
	verb string
	name string
}

// permission is what becomes of the request.
type permission struct {
	send  bool
	crash bool
}

// newOperator starts a process whose caches begin with these objects.
func newOperator(w *wiring, name string, s *store, clock *passiveClock, seen [kinds]objects, rv int) *operator {
	o := &operator{wiring: w, name: name, api: s, clock: clock, knows: map[types.UID]bool{}}
	w.now = o
	w.setClock(clock)
	for i := range w.do {
		o.works = append(o.works, &work{op: o, number: i, due: map[key]time.Time{}, failures: map[key]int{}})
	}
	for k := range o.caches {
		o.caches[k] = stock{seen: seen[k], rv: rv, lags: rv != s.rv}
	}
	for k := range kinds {
		for _, n := range seen[k].names() {
			o.see(k, nil, seen[k][n], true)
		}
	}
	return o
}

// see tells the watchers what an informer has seen.
func (o *operator) see(k kind, before, after client.Object, initial bool) {
	if k == pods && after != nil {
		o.knows[after.GetUID()] = true
	}
	o.tell(k, before, after, initial)
}

// follow lets an event reach the cache, and then the watchers.
func (o *operator) follow(k kind, name string) {
	c, after := &o.caches[k], o.api.cached[k][name]
	switch {
	case c.lags:
		return
	case c.missing:
		c.missing = false
		if !slices.Contains(c.missed, name) {
			c.missed = append(c.missed, name)
		}
		c.seen, c.rv = o.known(k), o.api.rv
		return
	}
	was := c.seen[name]
	c.missed = slices.DeleteFunc(c.missed, func(n string) bool { return n == name })
	c.seen, c.rv = o.known(k), o.api.rv
	o.see(k, was, after, false)
}

// known is what is there, but for what was missed.
func (o *operator) known(k kind) objects {
	next := o.api.cached[k]
	for _, n := range o.caches[k].missed {
		next = next.with(n, o.caches[k].seen[n])
	}
	return next
}

// catchUp lists a kind anew and tells what differs.
func (o *operator) catchUp(k kind) {
	c := &o.caches[k]
	before, after := c.seen, o.api.cached[k]
	*c = stock{seen: after, rv: o.api.rv}
	if maps.Equal(before, after) {
		return
	}
	names := after.names()
	for _, n := range before.names() {
		if after[n] == nil {
			names = append(names, n)
		}
	}
	for _, n := range names {
		if before[n] != after[n] {
			o.see(k, before[n], after[n], false)
		}
	}
}

// behind tells whether a read would have to wait for a write of ours.
func (o *operator) behind(k kind, name string) bool {
	c := &o.caches[k]
	if !c.lags && len(c.missed) == 0 {
		return false
	}
	late := func(n string) bool { return o.own[k][n] > c.rv || o.own[k][n] > 0 && slices.Contains(c.missed, n) }
	if name != "" {
		return late(name)
	}
	for n := range o.own[k] {
		if late(n) {
			return true
		}
	}
	return false
}

// wait makes a read wait for our own writes: a pass waits in vain, an informer as long as it takes.
func (o *operator) wait(k kind, name string) error {
	switch {
	case !o.behind(k, name):
		return nil
	case o.current == nil:
		o.catchUp(k)
		return nil
	}
	return errLags
}

// add makes a key due after a while.
func (w *work) add(k key, after time.Duration) {
	at := w.op.clock.Now().Add(after)
	if due, ok := w.due[k]; ok && !at.Before(due) {
		return
	}
	w.due[k] = at
}

// ready are the keys that are due.
func (w *work) ready() []key {
	if w.running {
		return nil
	}
	var list []key
	for k, at := range w.due {
		if !at.After(w.op.clock.Now()) {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, compareKeys)
	return list
}

// begin starts a pass and lets it go up to its first request.
func (w *work) begin(k key) {
	delete(w.due, k)
	w.key, w.running, w.err, w.again = k, true, nil, 0
	w.resume, w.stop = iter.Pull(func(yield func(request) bool) {
		ctx := context.WithValue(context.Background(), gateKey{}, func(r request) permission {
			if w.op.dead || !yield(r) {
				return permission{crash: true}
			}
			return w.permit
		})
		result, err := w.op.do[w.number].Reconcile(ctx, k)
		w.err, w.again = err, result.RequeueAfter
	})
	w.step(permission{})
}

type gateKey struct{}

// step lets one request through, and the pass go up to the next.
func (w *work) step(p permission) {
	o := w.op
	w.permit = p
	o.current, o.now = w, o
	w.next, w.running = w.resume()
	o.current = nil
	if w.running || o.dead {
		return
	}
	w.stop()
	switch {
	case w.err != nil:
		// The queue's own back-off.
		n := min(w.failures[w.key], 20)
		w.failures[w.key]++
		w.add(w.key, min(5*time.Millisecond<<n, 1000*time.Second))
	case w.again > 0:
		delete(w.failures, w.key)
		w.add(w.key, w.again)
	default:
		delete(w.failures, w.key)
	}
}

// die ends the process; what becomes of the requests that its passes stand before, is given.
func (o *operator) die(sent func(*work) bool) {
	o.dead = true
	for _, w := range o.works {
		if !w.running {
			continue
		}
		w.step(permission{send: sent(w), crash: true})
		if w.running {
			panic("a dead operator asked for more")
		}
		w.stop()
	}
}

// write sends a write, if it may.
func (o *operator) write(ctx context.Context, verb string, target client.Object, do func() error) error {
	p := ctx.Value(gateKey{}).(func(request) permission)(request{verb, target.GetName()})
	if !p.send {
		return errCrash
	}
	o.api.by = o
	err := do()
	o.api.by = nil
	if err == nil && !p.crash { // nobody waits for a version that nobody was told of
		k := kindOf(target)
		if o.own[k] == nil {
			o.own[k] = map[string]int{}
		}
		o.own[k][target.GetName()] = o.api.rv
	}
	if p.crash {
		return errCrash
	}
	return err
}

// look lets a live read through, if it may.
func (o *operator) look(ctx context.Context, name string) error {
	p := ctx.Value(gateKey{}).(func(request) permission)(request{"look", name})
	if p.crash || !p.send {
		return errCrash
	}
	return nil
}

// cached is the client of a process: reads come from the cache.
type cached struct {
	client.Client // nil: what is not written here, nobody uses
	wiring        *wiring
}

// Get reads from the cache.
func (c cached) Get(_ context.Context, at client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	o, k := c.wiring.now, kindOf(into)
	if !(&client.GetOptions{}).ApplyOptions(opts).DisableReadYourWritesConsistency {
		if err := o.wait(k, at.Name); err != nil {
			return err
		}
	}
	if k == streams && o.current != nil {
		o.current.patched = 0
	}
	return find(o.caches[k].seen, at, into)
}

func find(there objects, at client.ObjectKey, into client.Object) error {
	found := there[at.Name]
	if found == nil || found.GetNamespace() != at.Namespace {
		return missing(at.Name)
	}
	copyInto(found, into)
	return nil
}

// List reads from the cache.
func (c cached) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	o, k := c.wiring.now, kindOf(into)
	options := (&client.ListOptions{}).ApplyOptions(opts)
	if !options.DisableReadYourWritesConsistency {
		if err := o.wait(k, ""); err != nil {
			return err
		}
	}
	shared := options.UnsafeDisableDeepCopy != nil && *options.UnsafeDisableDeepCopy
	there := o.caches[k].seen
	for _, n := range there.names() {
		if c.wiring.selects(k, there[n], options) {
			addTo(into, there[n], shared)
		}
	}
	return nil
}

// selects tells whether an object is meant by a list from the cache.
func (w *wiring) selects(k kind, o client.Object, options *client.ListOptions) bool {
	if options.Namespace != "" && o.GetNamespace() != options.Namespace {
		return false
	}
	if options.LabelSelector != nil && !options.LabelSelector.Matches(labels.Set(o.GetLabels())) {
		return false
	}
	if options.FieldSelector == nil {
		return true
	}
	for _, r := range options.FieldSelector.Requirements() {
		values := w.index[k][r.Field]
		if values == nil {
			panic(fmt.Sprintf("%s have no index %s", k, r.Field))
		}
		if !slices.Contains(values(o), r.Value) {
			return false
		}
	}
	return true
}

// Create writes.
func (c cached) Create(ctx context.Context, target client.Object, _ ...client.CreateOption) error {
	o := c.wiring.now
	return o.write(ctx, "create", target, func() error { return o.api.create(target) })
}

// Delete writes.
func (c cached) Delete(ctx context.Context, target client.Object, opts ...client.DeleteOption) error {
	o := c.wiring.now
	return o.write(ctx, "delete", target, func() error {
		return o.api.remove(target, (&client.DeleteOptions{}).ApplyOptions(opts))
	})
}

// Update writes the whole of a CronJob: nothing else is written so.
func (c cached) Update(ctx context.Context, target client.Object, _ ...client.UpdateOption) error {
	o := c.wiring.now
	return o.write(ctx, "update", target, func() error { return o.api.update(target.(*batchv1.CronJob)) })
}

// Patch writes.
func (c cached) Patch(ctx context.Context, target client.Object, p client.Patch, _ ...client.PatchOption) error {
	return c.patch(ctx, target, p, false)
}

func (c cached) patch(ctx context.Context, target client.Object, p client.Patch, status bool) error {
	o, verb := c.wiring.now, "patch"
	if status {
		verb = "patch status"
	}
	return o.write(ctx, verb, target, func() error {
		data, err := p.Data(target)
		if err != nil {
			return err
		}
		if status && kindOf(target) == streams && (o.current.patched == 0 || remembers(data)) {
			o.current.patched++
		}
		return o.api.patch(target, data, status)
	})
}

// told are the fields of a stream's status that only tell: a pass may write them once more,
// where a write after its patch was refused.
var told = []string{"phase", "conditions", "history", "lastDecision", "observedGeneration"}

// remembers tells whether a patch of a stream's status changes what its decisions are made from.
func remembers(data []byte) bool {
	status, _ := jsontree.Decoded(data)["status"].(map[string]any)
	for field := range status {
		if !slices.Contains(told, field) {
			return true
		}
	}
	return false
}

// Status writes to the status.
func (c cached) Status() client.SubResourceWriter { return statusWriter{cached: c} }

type statusWriter struct {
	client.SubResourceWriter
	cached cached
}

// Patch writes.
func (s statusWriter) Patch(ctx context.Context, target client.Object, p client.Patch, _ ...client.SubResourcePatchOption) error {
	return s.cached.patch(ctx, target, p, true)
}

// live reads from the API server.
type live struct{ wiring *wiring }

// Get reads one object.
func (l live) Get(ctx context.Context, at client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	o := l.wiring.now
	if err := o.look(ctx, at.Name); err != nil {
		return err
	}
	if crd, ok := into.(*metav1.PartialObjectMetadata); ok {
		// The kinds have been there for longer than anything of them.
		crd.Name, crd.CreationTimestamp = at.Name, metav1.NewTime(begin.Add(-time.Hour))
		return nil
	}
	return find(o.api.byKind[kindOf(into)], at, into)
}

// List reads objects of a kind.
func (l live) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	o, k := l.wiring.now, kindOf(into)
	if err := o.look(ctx, "all "+k.String()); err != nil {
		return err
	}
	options := (&client.ListOptions{}).ApplyOptions(opts)
	there := o.api.byKind[k]
	for _, n := range there.names() {
		if selectable(there[n], options.FieldSelector) &&
			(options.LabelSelector == nil || options.LabelSelector.Matches(labels.Set(there[n].GetLabels()))) {
			addTo(into, there[n], false)
		}
	}
	return nil
}

// selectable is the API server's field selector, by what the kinds declare selectable.
func selectable(o client.Object, s fields.Selector) bool {
	if s == nil || s.Empty() {
		return true
	}
	return s.Matches(selectableFields(o))
}
