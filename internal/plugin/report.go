package plugin

// This file reports: one status patch, then the event.

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// report writes what has come of an attempt, and then emits the event.
func (r *Reconciler) report(ctx context.Context, p *v1.StreamPlugin, o outcome) error {
	before := p.DeepCopy()
	status := statusOf(p, o)
	if equality.Semantic.DeepEqual(p.Status, status) {
		return nil
	}
	if err := r.commit(ctx, p, status); err != nil {
		return client.IgnoreNotFound(err) // It was deleted meanwhile.
	}
	r.announce(ctx, before, p, o)
	return nil
}

// commit patches the status, under the version that was read. Nobody else writes it.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamplugins/status,verbs=patch
func (r *Reconciler) commit(ctx context.Context, p *v1.StreamPlugin, status v1.StreamPluginStatus) error {
	before := p.DeepCopy()
	p.Status = status
	if err := r.Client.Status().Patch(ctx, p, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("patch the status of StreamPlugin %s/%s: %w", p.Namespace, p.Name, err)
	}
	p.SetGroupVersionKind(v1.GroupVersion.WithKind(v1.KindStreamPlugin))
	return nil
}

// announce emits an event of a transition, after it was written.
func (r *Reconciler) announce(ctx context.Context, before, after *v1.StreamPlugin, o outcome) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1.ConditionReady)
	is := meta.FindStatusCondition(after.Status.Conditions, v1.ConditionReady)
	if was != nil && was.Status == is.Status && was.Reason == is.Reason && before.Status.Version == after.Status.Version {
		return
	}
	kind := corev1.EventTypeWarning
	if o.reason == v1.ReasonInstalled || o.reason == v1.ReasonWaitingForStreams {
		kind = corev1.EventTypeNormal
	}
	logf.FromContext(ctx).Info("plugin reconciled", "reason", is.Reason, "message", is.Message)
	r.Events.Eventf(after, nil, kind, is.Reason, "Reconcile", "%s", is.Message)
}
