package streamclass

// This file tells: one status patch, then the event.

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// report patches the status, under the version that was judged, only where it differs.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamclasses/status,verbs=patch
func (r *Reconciler) report(ctx context.Context, w *world, status *v1.StreamClassStatus) error {
	before := w.class
	if equality.Semantic.DeepEqual(&before.Status, status) {
		return nil
	}
	after := before.DeepCopy()
	after.Status = *status
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, after, patch); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil // it was deleted: there is nobody left to tell
		}
		return fmt.Errorf("patch the status of class %s: %w", before.Name, err)
	}
	if !maps.Equal(before.Status.Streams, status.Streams) {
		r.counted[before.Name] = w.now
	}
	r.announce(ctx, w, status)
	return nil
}

// announce tells of a transition, after it was written. The first verdict on a
// good class is none: most classes are good.
func (r *Reconciler) announce(ctx context.Context, w *world, status *v1.StreamClassStatus) {
	was := meta.FindStatusCondition(w.class.Status.Conditions, v1.ConditionReady)
	is := meta.FindStatusCondition(status.Conditions, v1.ConditionReady)
	if was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	logf.FromContext(ctx).Info("class judged", "phase", status.Phase, "reason", is.Reason)
	switch {
	case status.Phase != v1.ClassReady:
		r.Events.Eventf(w.class, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", noteOf(is.Message))
	case was != nil:
		r.Events.Eventf(w.class, nil, corev1.EventTypeNormal, is.Reason, "Reconcile", "%s", is.Message)
	}
}

// noteOf keeps a message within the 1,024 bytes that an event may hold.
func noteOf(message string) string {
	const most = 1000
	if len(message) <= most {
		return message
	}
	cut := most
	for cut > 0 && message[cut]&0xC0 == 0x80 {
		cut-- // not within a character
	}
	return message[:cut] + "…"
}
