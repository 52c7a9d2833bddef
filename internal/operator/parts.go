package operator

// This file gives each namespace a client of its own, as each has a watch of its own.
//
// A client that waits for its own writes notes the newest version that the cache has
// seen of a kind. Several namespaces are several watches, and one that is ahead would
// vouch for one that is behind: a read could then miss a write that was made before it.

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// parts is a client of some namespaces. What lies in none of them, and in none at
// all, is its own Client's.
type parts struct {
	client.Client
	names   Namespaces
	clients map[string]client.Client
}

func (p parts) of(namespace string) client.Client {
	if c, ok := p.clients[namespace]; ok {
		return c
	}
	return p.Client
}

// Get reads from the cache. It finds no template outside the namespaces: a class may
// name one there, and the cache would answer that it does not know the namespace,
// again at each attempt. To an operator that may not look, what is there is not there.
func (p parts) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, ok := o.(*v1.StreamingJobTemplate); ok && !slices.Contains(p.names, key.Namespace) {
		return apierrors.NewNotFound(v1.GroupVersion.WithResource("streamingjobtemplates").GroupResource(), key.Name) //nolint:wrapcheck // It is what a cache answers.
	}
	return p.of(key.Namespace).Get(ctx, key, o, opts...) //nolint:wrapcheck // It is one client to whoever asks, here and below.
}

// List reads from the cache, of all the namespaces one after the other.
func (p parts) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	in, err := p.names.toList(list, opts, p.Scheme(), p.RESTMapper())
	if err != nil {
		return err
	}
	return listEach(ctx, in, list, opts, func(namespace string) client.Reader { return p.of(namespace) })
}

// Create writes.
func (p parts) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	return p.of(o.GetNamespace()).Create(ctx, o, opts...) //nolint:wrapcheck // See Get.
}

// Update writes.
func (p parts) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	return p.of(o.GetNamespace()).Update(ctx, o, opts...) //nolint:wrapcheck // See Get.
}

// Patch writes.
func (p parts) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return p.of(o.GetNamespace()).Patch(ctx, o, patch, opts...) //nolint:wrapcheck // See Get.
}

// Delete writes.
func (p parts) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	return p.of(o.GetNamespace()).Delete(ctx, o, opts...) //nolint:wrapcheck // See Get.
}

// Status writes statuses.
func (p parts) Status() client.SubResourceWriter { return statuses{p.Client.Status(), p} }

// statuses are those of the parts.
type statuses struct {
	client.SubResourceWriter
	parts parts
}

// Update writes.
func (s statuses) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	return s.parts.of(o.GetNamespace()).Status().Update(ctx, o, opts...) //nolint:wrapcheck // See Get.
}

// Patch writes.
func (s statuses) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.parts.of(o.GetNamespace()).Status().Patch(ctx, o, patch, opts...) //nolint:wrapcheck // See Get.
}

// toList are the namespaces that a list is put together from: the one that it asks
// for, the empty one for what lies in none, or all.
func (n Namespaces) toList(list client.ObjectList, opts []client.ListOption, scheme *runtime.Scheme, mapper meta.RESTMapper) ([]string, error) {
	if one := (&client.ListOptions{}).ApplyOptions(opts).Namespace; one != "" {
		return []string{one}, nil
	}
	kind, err := apiutil.GVKForObject(list, scheme)
	if err != nil {
		return nil, fmt.Errorf("find out what %T lists: %w", list, err)
	}
	kind.Kind = strings.TrimSuffix(kind.Kind, "List")
	namespaced, err := apiutil.IsGVKNamespaced(kind, mapper)
	if err != nil {
		return nil, fmt.Errorf("find out where %s lies: %w", kind.Kind, err)
	}
	if !namespaced {
		return []string{""}, nil
	}
	return n, nil
}

// listEach lists the namespaces one after the other, as one list.
func listEach(ctx context.Context, in []string, list client.ObjectList, opts []client.ListOption, from func(namespace string) client.Reader) error {
	if len(in) == 1 {
		return from(in[0]).List(ctx, list, append(slices.Clone(opts), client.InNamespace(in[0]))...) //nolint:wrapcheck // See Get.
	}
	var all []runtime.Object
	for _, namespace := range in {
		one, ok := list.DeepCopyObject().(client.ObjectList)
		if !ok {
			return fmt.Errorf("list %T: its copy is no list", list)
		}
		if err := from(namespace).List(ctx, one, append(slices.Clone(opts), client.InNamespace(namespace))...); err != nil {
			return err //nolint:wrapcheck // See Get.
		}
		items, err := meta.ExtractList(one)
		if err != nil {
			return fmt.Errorf("list %T: %w", list, err)
		}
		all = append(all, items...)
	}
	if err := meta.SetList(list, all); err != nil {
		return fmt.Errorf("list %T: %w", list, err)
	}
	return nil
}

// view is a cache whose informers tell of one namespace only.
type view struct {
	cache.Cache
	namespace string
}

// GetInformer finds the informer of an object's kind.
func (v view) GetInformer(ctx context.Context, o client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	i, err := v.Cache.GetInformer(ctx, o, opts...)
	return informer{i, v.namespace}, err //nolint:wrapcheck // It is the cache to whoever asks.
}

// GetInformerForKind finds the informer of a kind.
func (v view) GetInformerForKind(ctx context.Context, kind schema.GroupVersionKind, opts ...cache.InformerGetOption) (cache.Informer, error) {
	i, err := v.Cache.GetInformerForKind(ctx, kind, opts...)
	return informer{i, v.namespace}, err //nolint:wrapcheck // It is the cache to whoever asks.
}

// informer tells of one namespace, and of what lies in none.
type informer struct {
	cache.Informer
	namespace string
}

// AddEventHandler lets a listener hear of the namespace.
func (i informer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.Informer.AddEventHandler(toolscache.FilteringResourceEventHandler{FilterFunc: i.tells, Handler: h}) //nolint:wrapcheck // It is the informer to whoever asks.
}

func (i informer) tells(o any) bool {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	m, err := meta.Accessor(o)
	return err == nil && (m.GetNamespace() == i.namespace || m.GetNamespace() == "")
}
