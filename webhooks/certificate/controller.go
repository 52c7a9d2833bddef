package certificate

// This file writes the Secret as it shall be, and the authorities into the webhook configurations.

import (
	"bytes"
	"context"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/arcane-streaming/arcane-operator/internal/retries"
)

// rotation replaces the certificate in time. Every replica does, as every one
// serves: the Secret's resourceVersion decides between two that want to at once.
type rotation struct {
	*Certificate
	plan   plan
	client client.Client
	// bundle is what the configurations have trusted since then.
	bundle []byte
	since  time.Time
}

func (c *Certificate) rotate(mgr ctrl.Manager) error {
	r := &rotation{Certificate: c, plan: plan{names: c.Names, life: c.Life}, client: mgr.GetClient()}
	wake := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: c.Secret}}
	})
	b := builder.ControllerManagedBy(mgr).Named("webhook-certificate").
		For(&corev1.Secret{}).
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false), RateLimiter: retries.Limiter()})
	if c.Configuration != "" {
		b = b.Watches(&admissionregistrationv1.MutatingWebhookConfiguration{}, wake).
			Watches(&admissionregistrationv1.ValidatingWebhookConfiguration{}, wake)
	}
	if err := b.Complete(r); err != nil {
		return fmt.Errorf("watch the certificate's Secret: %w", err)
	}
	return nil
}

// Reconcile serves what the Secret holds, and takes the one step that is due.
//
// +kubebuilder:rbac:groups="",namespace=system,resources=secrets,resourceNames=arcane-webhook-certificate,verbs=list;watch;update
func (r *rotation) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	secret := &corev1.Secret{}
	if err := r.client.Get(ctx, r.Secret, secret); err != nil {
		if apierrors.IsNotFound(err) {
			logf.FromContext(ctx).Error(nil, "the Secret for the certificate of the webhooks is gone; apply the installation again", "secret", r.Secret)
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, fmt.Errorf("read the certificate's Secret: %w", err)
	}
	now := time.Now()
	if err := r.take(ctx, secret, now); err != nil {
		return reconcile.Result{}, err
	}
	wanted, wake, err := r.plan.next(secret.Data, r.since, now)
	if err != nil || wanted == nil {
		return reconcile.Result{RequeueAfter: wake}, err
	}
	secret.Data = wanted
	err = r.client.Update(ctx, secret)
	if apierrors.IsConflict(err) {
		// Another replica was first, and its write wakes us.
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("write the certificate's Secret: %w", err)
	}
	return reconcile.Result{}, nil
}

// take serves the Secret's certificate and lets the configurations trust it. One
// that cannot be served is passed over: the last good one goes on.
func (r *rotation) take(ctx context.Context, secret *corev1.Secret, now time.Time) error {
	served, err := read(secret.Data[keyCert], secret.Data[keyKey], r.Names, now)
	if err != nil || trusts(secret.Data[keyAuthorities], served, now) != nil {
		return nil //nolint:nilerr // It is not lost: the plan makes a new one.
	}
	if before := r.own.Swap(served); before == nil || !before.Leaf.Equal(served.Leaf) {
		logf.FromContext(ctx).Info("serving a certificate", "until", served.Leaf.NotAfter)
	}
	return r.publish(ctx, secret.Data[keyAuthorities], now)
}

// publish writes the authorities into each configuration that has others, and
// notes since when all have had them.
//
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations;validatingwebhookconfigurations,resourceNames=arcane-operator,verbs=patch
func (r *rotation) publish(ctx context.Context, bundle []byte, now time.Time) error {
	if r.Configuration != "" {
		configurations, err := r.configurations(ctx)
		if apierrors.IsNotFound(err) {
			// Its creation wakes us, and until then readiness says so.
			r.since = time.Time{}
			return nil
		}
		if err != nil {
			return err
		}
		for _, configuration := range configurations {
			if err := r.publishTo(ctx, configuration, bundle); err != nil {
				r.since = time.Time{}
				return err
			}
		}
	}
	if r.since.IsZero() || !bytes.Equal(r.bundle, bundle) {
		r.bundle, r.since = bundle, now
	}
	return nil
}

func (r *rotation) publishTo(ctx context.Context, configuration configuration, bundle []byte) error {
	before, differs := configuration.DeepCopyObject().(client.Object), false
	for _, called := range configuration.called {
		if !bytes.Equal(called.CABundle, bundle) {
			called.CABundle, differs = bundle, true
		}
	}
	if !differs {
		return nil
	}
	// By name of the webhook: a patch that held the whole list would undo what somebody else changes.
	if err := r.client.Patch(ctx, configuration.Object, client.StrategicMergeFrom(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("let %s %s trust the certificate: %w", configuration.kind, r.Configuration, err)
	}
	return nil
}
