package operator

// This file limits the operator to some namespaces.

import (
	"fmt"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	newClient := o.NewClient
	o.NewClient = func(c *rest.Config, co client.Options) (client.Client, error) {
		base, err := newClient(c, co)
		if err != nil {
			return nil, err
		}
		all, ok := co.Cache.Reader.(cache.Cache)
		if !ok {
			return nil, fmt.Errorf("limit the client to namespaces: %T is no cache", co.Cache.Reader)
		}
		parts := parts{Client: base, names: n, clients: map[string]client.Client{}}
		for _, namespace := range n {
			part, of := co, *co.Cache
			of.Reader = view{all, namespace}
			part.Cache = &of
			if parts.clients[namespace], err = newClient(c, part); err != nil {
				return nil, err
			}
		}
		return parts, nil
	}
}
