// Package model lets random events befall streams in an in-memory cluster — users,
// Kubernetes' controllers, kubelets, caches that lag, crashes, a second operator —
// while the operator's real controllers work on it, and judges the laws of
// docs/design after every step.
package model

// This file names the kinds of objects of the world, and copies them.

import (
	"encoding/json"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/jsontree"
)

// kind is what the store and the caches are divided by.
type kind int

const (
	streams kind = iota
	requests
	jobs
	pods
	crons
	classes
	templates
	kinds
)

func (k kind) String() string {
	return [...]string{"streams", "requests", "jobs", "pods", "cronjobs", "classes", "templates"}[k]
}

func kindOf(o any) kind {
	switch o.(type) {
	case *v1.Stream, *v1.StreamList:
		return streams
	case *v1.BackfillRequest, *v1.BackfillRequestList:
		return requests
	case *batchv1.Job, *batchv1.JobList:
		return jobs
	case *corev1.Pod, *corev1.PodList:
		return pods
	case *batchv1.CronJob:
		return crons
	case *v1.StreamClass, *v1.StreamClassList:
		return classes
	case *v1.StreamingJobTemplate, *v1.StreamingJobTemplateList:
		return templates
	}
	panic(fmt.Sprintf("no such kind: %T", o))
}

// copyInto copies a stored version out; nothing of it is shared afterwards.
func copyInto(from, into client.Object) {
	switch o := from.(type) {
	case *v1.Stream:
		o.DeepCopyInto(into.(*v1.Stream))
	case *v1.BackfillRequest:
		o.DeepCopyInto(into.(*v1.BackfillRequest))
	case *batchv1.Job:
		o.DeepCopyInto(into.(*batchv1.Job))
	case *corev1.Pod:
		o.DeepCopyInto(into.(*corev1.Pod))
	case *batchv1.CronJob:
		o.DeepCopyInto(into.(*batchv1.CronJob))
	case *v1.StreamClass:
		o.DeepCopyInto(into.(*v1.StreamClass))
	case *v1.StreamingJobTemplate:
		o.DeepCopyInto(into.(*v1.StreamingJobTemplate))
	}
}

// addTo adds an object to a list; shared where the reader has promised not to change it.
func addTo(list client.ObjectList, o client.Object, shared bool) {
	if !shared {
		o = copyOf(o)
	}
	switch l := list.(type) {
	case *v1.StreamList:
		l.Items = append(l.Items, *o.(*v1.Stream))
	case *v1.BackfillRequestList:
		l.Items = append(l.Items, *o.(*v1.BackfillRequest))
	case *batchv1.JobList:
		l.Items = append(l.Items, *o.(*batchv1.Job))
	case *corev1.PodList:
		l.Items = append(l.Items, *o.(*corev1.Pod))
	case *v1.StreamClassList:
		l.Items = append(l.Items, *o.(*v1.StreamClass))
	case *v1.StreamingJobTemplateList:
		l.Items = append(l.Items, *o.(*v1.StreamingJobTemplate))
	}
}

func copyOf[T client.Object](o T) T { return o.DeepCopyObject().(T) }

// specOf and statusOf are pointers to an object's sections; nil where it has none.
func specOf(o client.Object) any {
	switch o := o.(type) {
	case *v1.Stream:
		return &o.Spec
	case *v1.BackfillRequest:
		return &o.Spec
	case *batchv1.Job:
		return &o.Spec
	case *batchv1.CronJob:
		return &o.Spec
	case *v1.StreamClass:
		return &o.Spec
	case *v1.StreamingJobTemplate:
		return &o.Spec
	}
	panic(fmt.Sprintf("nobody patches the spec of a %T", o))
}

func statusOf(o client.Object) any {
	switch o := o.(type) {
	case *v1.Stream:
		return &o.Status
	case *v1.BackfillRequest:
		return &o.Status
	}
	panic(fmt.Sprintf("nobody patches the status of a %T", o))
}

// mergeInto applies a JSON merge patch to a section, and tells whether that changed it.
func mergeInto[T any](section *T, patch any) bool {
	before := jsontree.Encoded(section)
	object, ok := patch.(map[string]any)
	if !ok {
		return false
	}
	after := jsontree.Encoded(jsontree.Merged(jsontree.Decoded(before), object))
	var next T
	if err := json.Unmarshal(after, &next); err != nil {
		panic(err)
	}
	*section = next
	return !slices.Equal(before, jsontree.Encoded(section))
}

// mergeSection is mergeInto for what specOf and statusOf return.
func mergeSection(section, patch any) bool {
	switch s := section.(type) {
	case *v1.StreamSpec:
		return mergeInto(s, patch)
	case *v1.StreamStatus:
		return mergeInto(s, patch)
	case *v1.BackfillRequestSpec:
		return mergeInto(s, patch)
	case *v1.BackfillRequestStatus:
		return mergeInto(s, patch)
	case *batchv1.JobSpec:
		return mergeInto(s, patch)
	case *batchv1.CronJobSpec:
		return mergeInto(s, patch)
	}
	panic(fmt.Sprintf("nobody patches a %T", section))
}
