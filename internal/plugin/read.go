package plugin

// This file reads: StreamPlugins and Streams from the cache, everything else from the API server.

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// read returns a copy of the StreamPlugin that Helm's library can own objects with, nil where there is none.
func (r *Reconciler) read(ctx context.Context, key types.NamespacedName) (*v1.StreamPlugin, error) {
	p := &v1.StreamPlugin{}
	if err := r.Client.Get(ctx, key, p); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil // It is gone, and nothing is left to do.
		}
		return nil, fmt.Errorf("read StreamPlugin %s: %w", key, err)
	}
	p.SetGroupVersionKind(v1.GroupVersion.WithKind(v1.KindStreamPlugin))
	return p, nil
}

// find reads the object that has the name of o now, nil where there is none.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streamclasses;streamingjobtemplates,verbs=get
// +kubebuilder:rbac:groups="",resources=serviceaccounts;configmaps,verbs=get
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=get
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors,verbs=get
func (r *Reconciler) find(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(o.GroupVersionKind())
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(o), found)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil // There is none, nor can there be one of a kind that the cluster does not have.
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", describe(o), err)
	}
	return found, nil
}

// describe names an object in messages.
func describe(o client.Object) string {
	kind := o.GetObjectKind().GroupVersionKind().Kind
	if o.GetNamespace() == "" {
		return fmt.Sprintf("%s %s", kind, o.GetName())
	}
	return fmt.Sprintf("%s %s/%s", kind, o.GetNamespace(), o.GetName())
}

// owns tells whether a live object is the one that this StreamPlugin has installed. The UID that the status records
// decides, and that the object bears the mark or has lost it: whoever can write the status could otherwise have the operator
// take over any object. Before the UID is recorded, which a crash can delay, the mark decides: who may write it may write the
// object.
func owns(p *v1.StreamPlugin, live *unstructured.Unstructured) bool {
	for _, recorded := range p.Status.Objects {
		if isRecordOf(recorded, live) {
			return recorded.UID == live.GetUID() && (isMarked(p, live) || isUnmarked(live) && isWritten(live))
		}
	}
	return isMarked(p, live)
}

// isUnmarked tells whether an object bears no StreamPlugin's mark.
func isUnmarked(live *unstructured.Unstructured) bool {
	_, marked := live.GetAnnotations()[pluginchart.AnnotationPluginUID]
	return !marked
}

// isWritten tells whether the operator has written fields of an object beside its status.
func isWritten(live *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == v1.ManagedBy && entry.Subresource == ""
	})
}

// isMarked tells whether an object bears the StreamPlugin's mark.
func isMarked(p *v1.StreamPlugin, live *unstructured.Unstructured) bool {
	return live.GetAnnotations()[pluginchart.AnnotationPluginUID] == string(p.UID)
}

// ownerOf is the StreamPlugin that an object's mark names, by namespace and name; empty where the cache knows none.
func (r *Reconciler) ownerOf(ctx context.Context, live *unstructured.Unstructured) (string, error) {
	uid := live.GetAnnotations()[pluginchart.AnnotationPluginUID]
	if uid == "" {
		return "", nil
	}
	var all v1.StreamPluginList
	if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("look up the StreamPlugin that has installed %s: %w", describe(live), err)
	}
	for i := range all.Items {
		if string(all.Items[i].UID) == uid {
			return all.Items[i].Namespace + "/" + all.Items[i].Name, nil
		}
	}
	return "", nil
}

// isRecordOf tells whether a record is about an object of this kind and name.
func isRecordOf(recorded v1.PluginObject, o *unstructured.Unstructured) bool {
	return recorded.Kind == o.GetKind() && recorded.Name == o.GetName() && recorded.APIVersion == o.GetAPIVersion()
}

// streamsOf are the Streams of the class that the cache knows, by namespace and name.
func (r *Reconciler) streamsOf(ctx context.Context, class string) ([]string, error) {
	var list v1.StreamList
	if err := r.Client.List(ctx, &list, client.MatchingFields{byClass: class}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("look up the Streams of class %s: %w", class, err)
	}
	return namesOfClass(list.Items, class), nil
}

// pageSize is how many Streams one request lists.
const pageSize = 500

// liveStreamsOf are the Streams of the class that the API server has: the cache may be behind, and a class must not be removed
// from under a Stream.
func (r *Reconciler) liveStreamsOf(ctx context.Context, class string) ([]string, error) {
	var found []string
	list := &v1.StreamList{}
	for {
		if err := r.Live.List(ctx, list, client.Limit(pageSize), client.Continue(list.Continue)); err != nil {
			return nil, fmt.Errorf("list the Streams of class %s: %w", class, err)
		}
		found = append(found, namesOfClass(list.Items, class)...)
		if list.Continue == "" {
			return found, nil
		}
		list = &v1.StreamList{ListMeta: metav1.ListMeta{Continue: list.Continue}}
	}
}

func namesOfClass(streams []v1.Stream, class string) []string {
	var found []string
	for i := range streams {
		if streams[i].Spec.StreamClass == class {
			found = append(found, streams[i].Namespace+"/"+streams[i].Name)
		}
	}
	return found
}

// isNamespaceTerminating tells whether the StreamPlugin's namespace is being deleted, or is gone.
//
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
func (r *Reconciler) isNamespaceTerminating(ctx context.Context, name string) (bool, error) {
	namespace := &corev1.Namespace{}
	switch err := r.Live.Get(ctx, client.ObjectKey{Name: name}, namespace); {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read Namespace %s: %w", name, err)
	}
	return namespace.DeletionTimestamp != nil, nil
}
