package operator

// This file limits the operator to some namespaces.

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Namespaces are those that the operator serves: it has no rights in any other, and
// asks for nothing there. None are named: it serves all.
type Namespaces []string

// Into limits a manager's options to the namespaces.
func (n Namespaces) Into(o *ctrl.Options) {
	if len(n) == 0 {
		return
	}
	o.Cache.DefaultNamespaces = map[string]cache.Config{}
	for _, namespace := range n {
		o.Cache.DefaultNamespaces[namespace] = cache.Config{}
	}
	inAll := o.NewClient
	o.NewClient = func(c *rest.Config, co client.Options) (client.Client, error) {
		cl, err := inAll(c, co)
		return limited{cl, n}, err
	}
}

// limited finds no template outside the namespaces. A class may name one there, and
// the cache would answer that it does not know the namespace, again at each attempt:
// for an operator that may not look, what is there is not there.
type limited struct {
	client.Client
	to Namespaces
}

// Get reads from the cache.
func (l limited) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, ok := o.(*v1.StreamingJobTemplate); ok && !slices.Contains(l.to, key.Namespace) {
		return apierrors.NewNotFound(v1.GroupVersion.WithResource("streamingjobtemplates").GroupResource(), key.Name)
	}
	return l.Client.Get(ctx, key, o, opts...) //nolint:wrapcheck // It is the same client to whoever asks.
}
