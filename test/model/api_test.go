package model

// This file is etcd and the API server in memory, as far as the operator uses one.

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/jsontree"
)

const (
	namespace = "sales"
	// grace is what a pod gets to end.
	grace = 30
)

// objects are the versions of one kind at one moment, by name. Versions, and the
// map itself, are never changed.
type objects map[string]client.Object

// store is etcd and the API server's rules.
type store struct {
	clock  clock.PassiveClock
	rv     int
	uids   int
	byKind [kinds]objects
	// cached is byKind as an operator's caches select and keep it.
	cached [kinds]objects
	// admission: the webhooks are there.
	admission bool
	// policy: somebody's admission policy writes over a common label of what is created.
	policy bool
	// by is the operator whose request is being carried out; nil for everybody else.
	by *operator
	// wrote is told of every write, after it.
	wrote func(k kind, name string, before, after client.Object)
}

func newStore(c clock.PassiveClock) *store {
	s := &store{clock: c}
	for k := range s.byKind {
		s.byKind[k], s.cached[k] = objects{}, objects{}
	}
	return s
}

func missing(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, name)
}

func conflict(name, why string) error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, name, fmt.Errorf("%s", why))
}

// with is the objects with another version of one of them, or without it.
func (o objects) with(name string, next client.Object) objects {
	changed := maps.Clone(o)
	if next == nil {
		delete(changed, name)
	} else {
		changed[name] = next
	}
	return changed
}

// names lists in a stable order.
func (o objects) names() []string { return slices.Sorted(maps.Keys(o)) }

// put stores the next version of an object, or takes it away where next is nil.
func (s *store) put(k kind, name string, next client.Object) {
	before := s.byKind[k][name]
	s.rv++
	if next != nil {
		next.SetResourceVersion(strconv.Itoa(s.rv))
	}
	s.byKind[k] = s.byKind[k].with(name, next)
	if kept := keptOf(next); kept != nil || s.cached[k][name] != nil {
		s.cached[k] = s.cached[k].with(name, kept)
	}
	s.wrote(k, name, before, next)
}

func (s *store) create(o client.Object) error {
	k := kindOf(o)
	if s.byKind[k][o.GetName()] != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "objects"}, o.GetName())
	}
	s.uids++
	// The first characters of a UID tell streams apart: see the initial request's name.
	o.SetUID(types.UID(fmt.Sprintf("%08x-uid", s.uids)))
	o.SetGeneration(1)
	o.SetCreationTimestamp(metav1.NewTime(s.clock.Now()))
	if s.admission {
		admit(o)
	}
	s.overwrite(o)
	s.put(k, o.GetName(), copyOf(o))
	o.SetResourceVersion(strconv.Itoa(s.rv))
	return nil
}

// overwrite lets a policy put its own value into a label that others use as well.
func (s *store) overwrite(o client.Object) {
	switch o.(type) {
	case *batchv1.Job, *batchv1.CronJob, *corev1.Pod:
		if s.policy {
			o.SetLabels(mapWith(o.GetLabels(), v1.LabelManagedBy, "platform"))
		}
	}
}

// keptOf is what a cache keeps of an object; nil where it does not select it.
func keptOf(o client.Object) client.Object {
	switch o := o.(type) {
	case *batchv1.Job:
		if o.Labels[v1.LabelStreamID] == "" {
			return nil
		}
		if ref := metav1.GetControllerOf(o); ref != nil && ref.Kind == "CronJob" && held(o) {
			return o
		}
		kept := *o
		kept.Spec.Template = corev1.PodTemplateSpec{}
		return &kept
	case *batchv1.CronJob:
		if o.Labels[v1.LabelStreamID] == "" {
			return nil
		}
	case *corev1.Pod:
		if o.Labels[v1.LabelStreamID] == "" {
			return nil
		}
		kept := *o
		kept.Spec = jobspec.Kept(&o.Spec)
		return &kept
	}
	return o
}

// admit does what the CREATE webhooks do.
func admit(o client.Object) {
	mark := ""
	switch o := o.(type) {
	case *v1.Stream:
		if o.Spec.Suspended {
			mark = v1.AnnotationCreatedSuspended
		}
	case *v1.BackfillRequest:
		mark = v1.AnnotationAdmitted
	}
	if mark != "" {
		a := maps.Clone(o.GetAnnotations())
		if a == nil {
			a = map[string]string{}
		}
		a[mark] = "true"
		o.SetAnnotations(a)
	}
}

// change edits a copy of an object as its user or as a controller; an object that
// nothing holds any longer goes.
func change[T client.Object](s *store, o T, edit func(T)) {
	k := kindOf(o)
	next := copyOf(s.byKind[k][o.GetName()].(T))
	edit(next)
	if next.GetDeletionTimestamp() != nil && len(next.GetFinalizers()) == 0 && ptr.Deref(next.GetDeletionGracePeriodSeconds(), 0) == 0 {
		s.put(k, o.GetName(), nil)
		return
	}
	s.put(k, o.GetName(), next)
}

// patch merges a JSON patch: uid and resourceVersion in it are preconditions.
func (s *store) patch(o client.Object, data []byte, status bool) error {
	k := kindOf(o)
	current := s.byKind[k][o.GetName()]
	if current == nil {
		return missing(o.GetName())
	}
	tree := jsontree.Decoded(data)
	if err := jsontree.Refused(tree, current); err != nil {
		return err
	}
	next := copyOf(current)
	var changed bool
	if status {
		changed = mergeSection(statusOf(next), tree["status"])
	} else {
		changed = s.patchMain(next, tree)
	}
	if changed {
		s.put(k, o.GetName(), next)
	}
	copyInto(next, o)
	return nil
}

func (s *store) patchMain(next client.Object, tree map[string]any) bool {
	changed := false
	if metadata := tree["metadata"].(map[string]any); len(metadata) > 2 || metadata["uid"] == nil {
		meta := metav1.ObjectMeta{Annotations: next.GetAnnotations(), OwnerReferences: next.GetOwnerReferences()}
		delete(metadata, "uid")
		delete(metadata, "resourceVersion")
		changed = mergeInto(&meta, metadata)
		next.SetAnnotations(meta.Annotations)
		next.SetOwnerReferences(meta.OwnerReferences)
	}
	if tree["spec"] != nil && mergeSection(specOf(next), tree["spec"]) {
		next.SetGeneration(next.GetGeneration() + 1)
		changed = true
	}
	return changed
}

// update replaces a CronJob, if it is still the version that was judged.
func (s *store) update(o *batchv1.CronJob) error {
	current := get[*batchv1.CronJob](s, crons, o.Name)
	switch {
	case current == nil:
		return missing(o.Name)
	case o.UID != current.UID || o.ResourceVersion != current.ResourceVersion:
		return conflict(o.Name, "another version")
	}
	next := copyOf(current)
	next.Labels, next.Annotations, next.OwnerReferences = maps.Clone(o.Labels), maps.Clone(o.Annotations), o.OwnerReferences
	if !bytes.Equal(jsontree.Encoded(current.Spec), jsontree.Encoded(o.Spec)) {
		o.Spec.DeepCopyInto(&next.Spec)
		next.Generation++
	}
	s.overwrite(next)
	if !bytes.Equal(jsontree.Encoded(current), jsontree.Encoded(next)) {
		s.put(crons, o.Name, next)
	}
	next.DeepCopyInto(o)
	return nil
}

// remove deletes with preconditions and a propagation policy. Without one it is
// the background's: the object goes at once, and the garbage collector follows.
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
	if pod, ok := current.(*corev1.Pod); ok {
		s.removePod(pod, graceOf(pod))
		return nil
	}
	if ptr.Deref(opts.PropagationPolicy, metav1.DeletePropagationBackground) != metav1.DeletePropagationForeground {
		s.put(k, o.GetName(), nil)
		return nil
	}
	if current.GetDeletionTimestamp() != nil {
		return nil
	}
	change(s, current, func(next client.Object) {
		next.SetDeletionTimestamp(ptr.To(metav1.NewTime(s.clock.Now())))
		next.SetFinalizers([]string{metav1.FinalizerDeleteDependents})
	})
	return nil
}

// graceOf is the grace that the API server gives a pod by default: none where no process of it can run.
func graceOf(p *corev1.Pod) int64 {
	if !alive(p) || p.Spec.NodeName == "" {
		return 0
	}
	return grace
}

// removePod deletes a pod; a later deletion can only shorten the grace. With no
// grace left a pod goes as soon as its finalizers do.
func (s *store) removePod(p *corev1.Pod, seconds int64) {
	if p.DeletionTimestamp != nil && *p.DeletionGracePeriodSeconds <= seconds {
		return
	}
	change(s, p, func(next *corev1.Pod) {
		next.DeletionTimestamp = ptr.To(metav1.NewTime(s.clock.Now().Add(time.Duration(seconds) * time.Second)))
		next.DeletionGracePeriodSeconds = ptr.To(seconds)
	})
}

func all[T client.Object](s *store, k kind) []T {
	list := make([]T, 0, len(s.byKind[k]))
	for _, n := range s.byKind[k].names() {
		list = append(list, s.byKind[k][n].(T))
	}
	return list
}

func (s *store) streams() []*v1.Stream           { return all[*v1.Stream](s, streams) }
func (s *store) requests() []*v1.BackfillRequest { return all[*v1.BackfillRequest](s, requests) }
func (s *store) jobs() []*batchv1.Job            { return all[*batchv1.Job](s, jobs) }
func (s *store) crons() []*batchv1.CronJob       { return all[*batchv1.CronJob](s, crons) }
func (s *store) pods() []*corev1.Pod             { return all[*corev1.Pod](s, pods) }

// get finds one object; the zero value where there is none.
func get[T client.Object](s *store, k kind, name string) T {
	o, _ := s.byKind[k][name].(T)
	return o
}

// Words about objects, in the model's own understanding.

func alive(p *corev1.Pod) bool {
	return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

func finished(j *batchv1.Job) bool { return endOf(j) != nil }

func endOf(j *batchv1.Job) *batchv1.JobCondition {
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return c
		}
	}
	return nil
}

func held(j *batchv1.Job) bool { return ptr.Deref(j.Spec.Suspend, false) }

// ownerOf is the UID of the Stream that controls an object; empty where none does.
func ownerOf(o client.Object) types.UID {
	if ref := metav1.GetControllerOf(o); ref != nil && ref.Kind == v1.KindStream {
		return ref.UID
	}
	return ""
}

// over tells whether a request will never be served again.
func over(q *v1.BackfillRequest) bool {
	return q.DeletionTimestamp != nil || q.Spec.Completed || q.Status.Phase.Final()
}

// selectableFields are those by which the API server itself can select.
func selectableFields(o client.Object) fields.Set {
	set := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	switch o := o.(type) {
	case *v1.BackfillRequest:
		set["spec.completed"], set["spec.streamId"] = strconv.FormatBool(o.Spec.Completed), o.Spec.StreamID
	case *v1.Stream:
		set["spec.streamClass"] = o.Spec.StreamClass
	}
	return set
}
