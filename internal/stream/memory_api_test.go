package stream

// This file is an API server in memory, as far as the stream's hands use one.

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/jsontree"
)

// kind is what the store and the caches are divided by.
type kind int

const (
	streams kind = iota
	jobs
	pods
	requests
	kinds
)

func kindOf(o any) kind {
	switch o.(type) {
	case *v1.Stream:
		return streams
	case *batchv1.Job, *batchv1.JobList:
		return jobs
	case *corev1.Pod, *corev1.PodList:
		return pods
	case *v1.BackfillRequest, *v1.BackfillRequestList:
		return requests
	}
	panic(fmt.Sprintf("no such kind: %T", o))
}

// objects are the versions of one kind at one moment, by name. Versions are never changed.
type objects map[string]client.Object

// store is etcd and the API server's rules.
type store struct {
	clock  clock.PassiveClock
	rv     int
	uids   int
	byKind [kinds]objects
	// ttl is what the template asks for; nil: finished Jobs stay.
	ttl *int32
	// byOperator: the write that is being carried out is an operator's.
	byOperator bool
	// wrote is told of every write, after it.
	wrote func(before, after client.Object)
}

func newStore(c clock.PassiveClock) *store {
	s := &store{clock: c, wrote: func(client.Object, client.Object) {}}
	for k := range s.byKind {
		s.byKind[k] = objects{}
	}
	return s
}

func missing(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, name)
}

func conflict(name, why string) error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, name, fmt.Errorf("%s", why))
}

// put stores the next version of an object, or takes it away where next is nil.
func (s *store) put(k kind, name string, next client.Object) {
	before := s.byKind[k][name]
	changed := objects{}
	for n, o := range s.byKind[k] {
		changed[n] = o
	}
	s.rv++
	if next == nil {
		delete(changed, name)
	} else {
		next.SetResourceVersion(strconv.Itoa(s.rv))
		changed[name] = next
	}
	s.byKind[k] = changed
	s.wrote(before, next)
}

func (s *store) create(o client.Object) error {
	k := kindOf(o)
	if s.byKind[k][o.GetName()] != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "objects"}, o.GetName())
	}
	s.uids++
	o.SetUID(types.UID(fmt.Sprintf("uid-%d", s.uids)))
	o.SetGeneration(1)
	o.SetCreationTimestamp(metav1.NewTime(s.clock.Now()))
	s.put(k, o.GetName(), copyOf(o))
	o.SetResourceVersion(strconv.Itoa(s.rv))
	return nil
}

// change edits a copy of an object as its user or as a controller.
func (s *store) change(o client.Object, edit func(client.Object)) {
	current := s.byKind[kindOf(o)][o.GetName()]
	next := copyOf(current)
	edit(next)
	if q, ok := next.(*v1.BackfillRequest); ok && !equality.Semantic.DeepEqual(q.Spec, current.(*v1.BackfillRequest).Spec) {
		q.Generation++
	}
	s.put(kindOf(o), o.GetName(), next)
}

// patch merges a JSON patch: uid and resourceVersion in it are preconditions.
func (s *store) patch(o client.Object, data []byte, status bool) error {
	k := kindOf(o)
	current := s.byKind[k][o.GetName()]
	if current == nil {
		return missing(o.GetName())
	}
	patch := jsontree.Decoded(data)
	if err := jsontree.Refused(patch, current); err != nil {
		return err
	}
	if status {
		delete(patch, "metadata")
		delete(patch, "spec")
	} else {
		delete(patch, "status")
	}
	merged := jsontree.Encoded(jsontree.Merged(jsontree.Decoded(jsontree.Encoded(current)), patch))
	next := emptied(current)
	if err := json.Unmarshal(merged, next); err != nil {
		panic(err)
	}
	next.SetResourceVersion(current.GetResourceVersion())
	if slices.Equal(jsontree.Encoded(next), jsontree.Encoded(current)) {
		return json.Unmarshal(merged, o)
	}
	if !status {
		next.SetGeneration(current.GetGeneration() + 1)
	}
	s.put(k, o.GetName(), next)
	return json.Unmarshal(jsontree.Encoded(next), o)
}

// remove deletes with preconditions: a Job in the foreground, a pod with its grace.
func (s *store) remove(o client.Object, opts *client.DeleteOptions) error {
	k := kindOf(o)
	current := s.byKind[k][o.GetName()]
	if current == nil {
		return missing(o.GetName())
	}
	if p := opts.Preconditions; p != nil {
		if p.UID != nil && *p.UID != current.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != current.GetResourceVersion() {
			return conflict(o.GetName(), "a precondition fails")
		}
	}
	pod, isPod := current.(*corev1.Pod)
	foreground := k == jobs && opts.PropagationPolicy != nil && *opts.PropagationPolicy == metav1.DeletePropagationForeground
	if !foreground && (!isPod || !alive(pod)) {
		s.put(k, o.GetName(), nil)
		return nil
	}
	if current.GetDeletionTimestamp() != nil {
		return nil
	}
	s.change(current, func(next client.Object) {
		now := metav1.NewTime(s.clock.Now())
		next.SetDeletionTimestamp(&now)
		if foreground {
			next.SetFinalizers([]string{metav1.FinalizerDeleteDependents})
		}
	})
	return nil
}

// names lists in a stable order.
func (o objects) names() []string {
	list := make([]string, 0, len(o))
	for n := range o {
		list = append(list, n)
	}
	sort.Strings(list)
	return list
}

// get copies one object out.
func (o objects) get(name string, into client.Object) error {
	current := o[name]
	if current == nil {
		return missing(name)
	}
	return json.Unmarshal(jsontree.Encoded(current), into)
}

// list copies all objects out that carry the labels and stand in the index.
func (o objects) list(into client.ObjectList, options *client.ListOptions) error {
	for _, n := range o.names() {
		current := copyOf(o[n])
		if options.LabelSelector != nil && !options.LabelSelector.Matches(labels.Set(current.GetLabels())) {
			continue
		}
		if options.FieldSelector != nil && !options.FieldSelector.Matches(indexOf(current)) {
			continue
		}
		switch l := into.(type) {
		case *batchv1.JobList:
			l.Items = append(l.Items, *current.(*batchv1.Job))
		case *corev1.PodList:
			l.Items = append(l.Items, *current.(*corev1.Pod))
		case *v1.BackfillRequestList:
			l.Items = append(l.Items, *current.(*v1.BackfillRequest))
		}
	}
	return nil
}

// indexOf is where the indexes of the cache list an object.
func indexOf(o client.Object) fields.Set {
	if q, ok := o.(*v1.BackfillRequest); ok {
		return fields.Set{byStreamID: q.Spec.StreamID, "spec.streamId": q.Spec.StreamID} // the cache's, and the API server's own
	}
	if s, ok := o.(*v1.Stream); ok {
		return fields.Set{byMark: strings.Join(markOf(s), "")}
	}
	return fields.Set{byStream: strings.Join(labelsOfStream(o), ""), byMark: strings.Join(marks(o), "")}
}

func copyOf(o client.Object) client.Object { return o.DeepCopyObject().(client.Object) }

func emptied(o client.Object) client.Object {
	switch o.(type) {
	case *v1.Stream:
		return &v1.Stream{}
	case *batchv1.Job:
		return &batchv1.Job{}
	case *corev1.Pod:
		return &corev1.Pod{}
	}
	return &v1.BackfillRequest{}
}

// operator is one process: its caches, which may lag, and its connection, which may break.
type operator struct {
	client.Client // nil: what is not written here, the hands do not use

	api *store
	// frozen caches keep what they had.
	frozen [kinds]objects
	// own is the version of our last write of an object: a read of it waits for that.
	own map[string]int
	// gate is asked before every request that reaches the API server.
	gate func(write bool) (send bool, err error)
}

// lags tells whether a read would have to wait for a write of ours.
func (o *operator) lags(k kind, name string) bool {
	if o.frozen[k] == nil {
		return false
	}
	for key, rv := range o.own {
		if key != ownKey(k, name) && name != "" || key[:1] != ownKey(k, "")[:1] {
			continue
		}
		newest := 0
		for _, object := range o.frozen[k] {
			newest = max(newest, version(object))
		}
		if rv > newest {
			return true
		}
	}
	return false
}

func ownKey(k kind, name string) string { return strconv.Itoa(int(k)) + name }

func version(o client.Object) int {
	rv, err := strconv.Atoi(o.GetResourceVersion())
	if err != nil {
		panic(err)
	}
	return rv
}

// cache holds of Jobs and pods those that bear the label of a stream.
func (o *operator) cache(k kind) objects {
	all := o.api.byKind[k]
	if o.frozen[k] != nil {
		all = o.frozen[k]
	}
	if k != jobs && k != pods {
		return all
	}
	labelled := objects{}
	for n, object := range all {
		if object.GetLabels()[v1.LabelStreamID] != "" {
			labelled[n] = object
		}
	}
	return labelled
}

var errLags = fmt.Errorf("the cache does not catch up")

// Get reads from the cache.
func (o *operator) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	switch fixed := into.(type) {
	case *v1.StreamClass:
		*fixed = *orders()[1].(*v1.StreamClass)
		return nil
	case *v1.StreamingJobTemplate:
		*fixed = *orders()[2].(*v1.StreamingJobTemplate)
		fixed.Spec.Spec.TTLSecondsAfterFinished = o.api.ttl
		return nil
	case *batchv1.CronJob:
		return missing(key.Name) // no stream of the model has a schedule
	}
	if o.lags(kindOf(into), key.Name) {
		return errLags
	}
	return o.cache(kindOf(into)).get(key.Name, into)
}

// List reads from the cache.
func (o *operator) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	options := (&client.ListOptions{}).ApplyOptions(opts)
	if !options.DisableReadYourWritesConsistency && o.lags(kindOf(into), "") {
		return errLags
	}
	return o.cache(kindOf(into)).list(into, options)
}

// write sends a write, if the gate lets it through.
func (o *operator) write(target client.Object, do func() error) error {
	send, broken := o.gate(true)
	if !send {
		return broken
	}
	o.api.byOperator = true
	err := do()
	o.api.byOperator = false
	if err != nil {
		return err
	}
	o.own[ownKey(kindOf(target), target.GetName())] = o.api.rv
	return broken
}

// Create writes.
func (o *operator) Create(_ context.Context, target client.Object, _ ...client.CreateOption) error {
	return o.write(target, func() error { return o.api.create(target) })
}

// Delete writes.
func (o *operator) Delete(_ context.Context, target client.Object, opts ...client.DeleteOption) error {
	return o.write(target, func() error { return o.api.remove(target, (&client.DeleteOptions{}).ApplyOptions(opts)) })
}

// Patch writes.
func (o *operator) Patch(_ context.Context, target client.Object, p client.Patch, _ ...client.PatchOption) error {
	return o.write(target, func() error {
		data, err := p.Data(target)
		if err != nil {
			return err
		}
		return o.api.patch(target, data, false)
	})
}

// Status writes to the status.
func (o *operator) Status() client.SubResourceWriter { return &statusWriter{operator: o} }

type statusWriter struct {
	client.SubResourceWriter
	operator *operator
}

// Patch writes.
func (s *statusWriter) Patch(_ context.Context, target client.Object, p client.Patch, _ ...client.SubResourcePatchOption) error {
	return s.operator.write(target, func() error {
		data, err := p.Data(target)
		if err != nil {
			return err
		}
		return s.operator.api.patch(target, data, true)
	})
}

// live reads from the API server.
type live struct{ *operator }

// Get reads one object.
func (l live) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if send, err := l.gate(false); !send {
		return err
	}
	return l.api.byKind[kindOf(into)].get(key.Name, into)
}

// List reads all objects of a kind.
func (l live) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	if send, err := l.gate(false); !send {
		return err
	}
	return l.api.byKind[kindOf(into)].list(into, (&client.ListOptions{}).ApplyOptions(opts))
}
