package backfill

// This file writes: the owner, the status, the deletion; then it tells.

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/ownership"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

func (r *Reconciler) apply(ctx context.Context, w *world, d decision) (err error) {
	ctx, span := tracing.Step(ctx, "apply")
	defer func() { span.End(err) }()
	switch d.does {
	case own:
		return r.own(ctx, w)
	case tell:
		return r.tell(ctx, w, d)
	case remove:
		return r.remove(ctx, w)
	case nothing:
	}
	return nil
}

// own makes the stream an owner of the request, so that it is deleted with it.
func (r *Reconciler) own(ctx context.Context, w *world) error {
	owned, err := ownership.Take(ctx, r.Live, r.Client, w.stream, w.request)
	if err == nil && owned == nil {
		return fmt.Errorf("%w: stream %s is another, or on its way out", errObserveAgain, w.stream.Name)
	}
	return client.IgnoreNotFound(err)
}

// tell patches the status.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests/status,verbs=patch
func (r *Reconciler) tell(ctx context.Context, w *world, d decision) error {
	gone, err := patchStatus(ctx, r.Client, w.request, d.status)
	if err != nil || gone {
		return err
	}
	class := ""
	if w.stream != nil {
		class = w.stream.Spec.StreamClass
	}
	r.Counters.RequestTold(class, w.request, &d.status)
	was := meta.FindStatusCondition(w.request.Status.Conditions, v1.ConditionReady)
	is := meta.FindStatusCondition(d.status.Conditions, v1.ConditionReady)
	if is == nil || was != nil && was.Reason == is.Reason {
		return nil // also of a status that somebody else has written, without a condition
	}
	logf.FromContext(ctx).Info("request told", "phase", d.status.Phase, "reason", is.Reason)
	if kind := eventType(v1.Reason(is.Reason)); kind != "" {
		r.Events.Eventf(w.request, nil, kind, is.Reason, "Reconcile", "%s", backlog.Truncate(is.Message, 1000))
	}
	return nil
}

// eventType is the type of the event that a reason is worth; empty for none: to
// wait for one's turn is no news.
func eventType(reason v1.Reason) string {
	switch reason {
	case v1.ReasonRequestCancelled:
		return corev1.EventTypeNormal
	case v1.ReasonStreamNotFound, v1.ReasonClassMismatch, v1.ReasonSpecInvalid,
		v1.ReasonTemplateNotFound, v1.ReasonTemplateForbidden, v1.ReasonTemplateInvalid:
		return corev1.EventTypeWarning
	default:
		return ""
	}
}

// remove deletes the very request that was judged.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests,verbs=delete
func (r *Reconciler) remove(ctx context.Context, w *world) error {
	q := w.request
	err := r.Client.Delete(ctx, &v1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: q.Namespace, Name: q.Name}},
		client.Preconditions{UID: &q.UID}, &client.DeleteOptions{DisableReadYourWritesConsistency: true})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete the ended request %s: %w", q.Name, err)
	}
	logf.FromContext(ctx).Info("ended request deleted")
	return nil
}

// patchStatus writes a request's status under the version that was judged. One
// that is gone has nobody left to tell.
func patchStatus(ctx context.Context, c client.Client, q *v1.BackfillRequest, status v1.BackfillRequestStatus) (gone bool, err error) {
	after := q.DeepCopy()
	after.Status = status
	if err := c.Status().Patch(ctx, after, locked(q)); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return true, nil
		}
		return false, fmt.Errorf("patch the status of request %s: %w", q.Name, err)
	}
	return false, nil
}

// locked is a merge patch that only the version that was judged accepts.
func locked(q *v1.BackfillRequest) client.Patch {
	return client.MergeFromWithOptions(q, client.MergeFromWithOptimisticLock{})
}
