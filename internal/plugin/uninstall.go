package plugin

// This file removes what a StreamPlugin has installed.

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"helm.sh/helm/v3/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// uninstall removes the objects and the release, and lets the StreamPlugin go. It waits for the Streams of the class.
func (r *Reconciler) uninstall(ctx context.Context, p *v1.StreamPlugin) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(p, Finalizer) {
		return ctrl.Result{}, nil
	}
	users, err := r.holders(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(users) > 0 {
		// A watch on Streams wakes the controller, also where the cache is behind now.
		return ctrl.Result{RequeueAfter: r.Chart.Period}, r.report(ctx, p, waits(pluginchart.ClassName(p), users))
	}
	if err := r.remove(ctx, p); err != nil {
		if users := (held)(nil); errors.As(err, &users) {
			return ctrl.Result{RequeueAfter: r.Chart.Period}, r.report(ctx, p, waits(pluginchart.ClassName(p), users))
		}
		o := failed(err)
		o.reason, o.stalled = v1.ReasonUninstallFailed, false
		return ctrl.Result{}, errors.Join(err, r.report(ctx, p, o))
	}
	if err := r.setFinalizer(ctx, p, false); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, err
	}
	logf.FromContext(ctx).Info("plugin uninstalled", "class", pluginchart.ClassName(p))
	return ctrl.Result{}, nil
}

// holders are the Streams that the removal waits for: those of the class, unless the class is somebody else's, or the
// namespace itself goes and would hang.
func (r *Reconciler) holders(ctx context.Context, p *v1.StreamPlugin) ([]string, error) {
	users, err := r.users(ctx, pluginchart.ClassName(p))
	if err != nil || len(users) == 0 {
		return nil, err
	}
	class, err := r.find(ctx, classOf(p))
	if err != nil || class == nil || !owns(p, class) {
		return nil, err
	}
	ends, err := r.namespaceEnds(ctx, p.Namespace)
	if err != nil || ends {
		return nil, err
	}
	return users, nil
}

// held is the error of a removal that Streams hold up.
type held []string

// Error lists them.
func (h held) Error() string { return "Streams are left: " + few(h) }

// remove deletes what is installed: first the class, so that no new Stream can use it, then the rest, then the release.
// Each object is deleted by its UID. It relies on the release for nothing, so that a release that is lost leaks nothing.
func (r *Reconciler) remove(ctx context.Context, p *v1.StreamPlugin) error {
	for _, o := range r.installed(p) {
		live, err := r.find(ctx, o)
		if err != nil {
			return err
		}
		if live == nil || !owns(p, live) || live.GetDeletionTimestamp() != nil {
			continue
		}
		if live.GetKind() == v1.KindStreamClass {
			if err := r.ask(ctx, p); err != nil {
				return err
			}
		}
		if err := r.delete(ctx, live); err != nil {
			return err
		}
	}
	return r.forget(ctx, p)
}

// ask looks once more for Streams, at the API server, in the moment in which the class is deleted.
func (r *Reconciler) ask(ctx context.Context, p *v1.StreamPlugin) error {
	users, err := r.usersNow(ctx, pluginchart.ClassName(p))
	if err != nil || len(users) == 0 {
		return err
	}
	if ends, err := r.namespaceEnds(ctx, p.Namespace); err != nil || ends {
		return err
	}
	return held(users)
}

// delete deletes an object by its UID.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamclasses;streamingjobtemplates,verbs=delete
// +kubebuilder:rbac:groups="",resources=serviceaccounts;configmaps,verbs=delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=delete
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors,verbs=delete
func (r *Reconciler) delete(ctx context.Context, live *unstructured.Unstructured) error {
	uid := live.GetUID()
	err := r.Live.Delete(ctx, live, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s: %w", describe(live), err)
	}
	return nil
}

func deleteByUID(uid types.UID) *metav1.DeleteOptions {
	background := metav1.DeletePropagationBackground
	return &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background}
}

// installed are the objects that may be there: the class, what the status records, and what the chart renders now, as a
// crash may have come before the record. Each stands there once.
func (r *Reconciler) installed(p *v1.StreamPlugin) []*unstructured.Unstructured {
	all := []*unstructured.Unstructured{classOf(p)}
	for _, o := range p.Status.Objects {
		recorded := &unstructured.Unstructured{}
		recorded.SetAPIVersion(o.APIVersion)
		recorded.SetKind(o.Kind)
		recorded.SetName(o.Name)
		if o.Kind != v1.KindStreamClass {
			recorded.SetNamespace(p.Namespace)
		}
		all = append(all, recorded)
	}
	// An error is about the spec, which may have become invalid after the installation: the record holds then.
	if rendered, err := r.Chart.Render(p, pluginchart.Capabilities(pluginchart.PodMonitor)); err == nil {
		all = append(all, rendered...)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(o *unstructured.Unstructured) bool {
		known := seen[describe(o)]
		seen[describe(o)] = true
		return known
	})
}

// classOf is the StreamClass, by its name.
func classOf(p *v1.StreamPlugin) *unstructured.Unstructured {
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(v1.GroupVersion.WithKind(v1.KindStreamClass))
	class.SetName(pluginchart.ClassName(p))
	return class
}

// forget deletes the revisions of the release.
func (r *Reconciler) forget(ctx context.Context, p *v1.StreamPlugin) error {
	actions, err := r.Upgrades.ActionClientFor(ctx, p)
	if err != nil {
		return fmt.Errorf("configure Helm: %w", err)
	}
	releases := actions.Config().Releases
	name := pluginchart.ReleaseName(p)
	revisions, err := releases.History(name)
	if err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return fmt.Errorf("read release %s: %w", name, err)
	}
	for _, revision := range revisions {
		if _, err := releases.Delete(name, revision.Version); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
			return fmt.Errorf("delete revision %d of release %s: %w", revision.Version, name, err)
		}
	}
	return nil
}

func changeFinalizer(p *v1.StreamPlugin, held bool) bool {
	if held {
		return controllerutil.AddFinalizer(p, Finalizer)
	}
	return controllerutil.RemoveFinalizer(p, Finalizer)
}
