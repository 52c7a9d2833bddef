package plugin

// This file removes what a StreamPlugin has installed.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
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

// uninstall removes the objects and the release, and then the finalizer. It waits for the Streams of the class.
func (r *Reconciler) uninstall(ctx context.Context, p *v1.StreamPlugin) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(p, v1.FinalizerUninstall) {
		return ctrl.Result{}, nil
	}
	users, err := r.blockingStreams(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(users) > 0 {
		// A watch on Streams wakes the controller, also where the cache is behind now.
		return ctrl.Result{RequeueAfter: r.Chart.Period}, r.report(ctx, p, waiting(pluginchart.ClassName(p), users))
	}
	if err := r.remove(ctx, p); err != nil {
		if users := inUse(nil); errors.As(err, &users) {
			return ctrl.Result{RequeueAfter: r.Chart.Period}, r.report(ctx, p, waiting(pluginchart.ClassName(p), users))
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

// blockingStreams are the Streams that the removal waits for: those of the class, as long as anything is installed that they
// use. A namespace that is being deleted does not wait: it would hang.
func (r *Reconciler) blockingStreams(ctx context.Context, p *v1.StreamPlugin) ([]string, error) {
	users, err := r.streamsOf(ctx, pluginchart.ClassName(p))
	if err != nil || len(users) == 0 {
		return nil, err
	}
	class, err := r.find(ctx, classOf(p))
	if err != nil {
		return nil, err
	}
	if len(p.Status.Objects) == 0 && (class == nil || !owns(p, class)) {
		return nil, nil
	}
	ends, err := r.isNamespaceTerminating(ctx, p.Namespace)
	if err != nil || ends {
		return nil, err
	}
	return users, nil
}

// inUse is the error of a removal that has to wait for Streams.
type inUse []string

// Error lists them.
func (u inUse) Error() string { return "Streams are left: " + firstFew(u) }

// remove deletes what is installed: first the class, so that no new Stream can use it, then the rest, then the release.
// Each object is deleted by its UID. It does not read the release, so that a lost release leaves no object behind.
func (r *Reconciler) remove(ctx context.Context, p *v1.StreamPlugin) error {
	for _, o := range r.installedObjects(p) {
		live, err := r.find(ctx, o)
		if err != nil {
			return err
		}
		// The mark besides the record: whoever can write the status could otherwise have anything deleted.
		if live == nil || !owns(p, live) || !isMarked(p, live) || live.GetDeletionTimestamp() != nil {
			continue
		}
		if live.GetKind() == v1.KindStreamClass {
			kept, err := r.verifyUnused(ctx, p, live)
			if err != nil {
				return err
			}
			if kept {
				continue
			}
		}
		if err := r.delete(ctx, live); err != nil {
			return err
		}
	}
	return r.deleteRelease(ctx, p)
}

// verifyUnused looks for Streams once more, at the API server, right before the class is deleted. Where the StreamPlugin's
// namespace is being deleted and Streams of other namespaces use the class, it gives the class up instead: kept is true.
func (r *Reconciler) verifyUnused(ctx context.Context, p *v1.StreamPlugin, class *unstructured.Unstructured) (kept bool, err error) {
	users, err := r.liveStreamsOf(ctx, pluginchart.ClassName(p))
	if err != nil || len(users) == 0 {
		return false, err
	}
	ends, err := r.isNamespaceTerminating(ctx, p.Namespace)
	if err != nil {
		return false, err
	}
	if !ends {
		return false, inUse(users)
	}
	elsewhere := slices.DeleteFunc(users, func(user string) bool { return strings.HasPrefix(user, p.Namespace+"/") })
	if len(elsewhere) == 0 {
		return false, nil
	}
	unmarked := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+pluginchart.AnnotationPluginUID+`":null}}}`))
	if err := r.Live.Patch(ctx, class, unmarked); err != nil {
		return false, fmt.Errorf("give up %s, which Streams of other namespaces use: %w", describe(class), err)
	}
	logf.FromContext(ctx).Info("class kept for Streams of other namespaces", "class", class.GetName(), "streams", firstFew(elsewhere))
	return true, nil
}

// delete deletes an object by its UID.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamclasses;streamingjobtemplates,verbs=delete
// +kubebuilder:rbac:groups="",resources=serviceaccounts;configmaps,verbs=delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=delete
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors,verbs=delete
func (r *Reconciler) delete(ctx context.Context, live *unstructured.Unstructured) error {
	err := r.Live.Delete(ctx, live, byUID(live))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s: %w", describe(live), err)
	}
	return nil
}

// byUID lets a deletion reach this object only, and not one that was made again under its name.
func byUID(live *unstructured.Unstructured) *client.DeleteOptions {
	uid, background := live.GetUID(), metav1.DeletePropagationBackground
	return &client.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background}
}

// installedObjects are the objects that may exist, each once: the class, what the status records, and what the chart renders
// now, because the operator may have died before it recorded an object.
func (r *Reconciler) installedObjects(p *v1.StreamPlugin) []*unstructured.Unstructured {
	all := []*unstructured.Unstructured{classOf(p)}
	for _, o := range p.Status.Objects {
		// A kind that no chart installs was put there by somebody else, and the operator has no right to it.
		if !pluginchart.Installs(o.APIVersion, o.Kind) {
			continue
		}
		recorded := &unstructured.Unstructured{}
		recorded.SetAPIVersion(o.APIVersion)
		recorded.SetKind(o.Kind)
		recorded.SetName(o.Name)
		if o.Kind == v1.KindStreamClass {
			continue // There is one class, and its name is in the spec.
		}
		recorded.SetNamespace(p.Namespace)
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

// deleteRelease deletes the revisions of the release, also those that Helm cannot read.
func (r *Reconciler) deleteRelease(ctx context.Context, p *v1.StreamPlugin) error {
	name := pluginchart.ReleaseName(p)
	var revisions metav1.PartialObjectMetadataList
	revisions.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := r.Live.List(ctx, &revisions, client.InNamespace(r.Namespace)); err != nil {
		return fmt.Errorf("list the revisions of release %s: %w", name, err)
	}
	for i := range revisions.Items {
		// Helm's name for a revision; somebody may have taken its labels.
		if !strings.HasPrefix(revisions.Items[i].Name, "sh.helm.release.v1."+name+".v") {
			continue
		}
		if err := r.Live.Delete(ctx, &revisions.Items[i]); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete ConfigMap %s/%s of release %s: %w", r.Namespace, revisions.Items[i].Name, name, err)
		}
	}
	return nil
}
