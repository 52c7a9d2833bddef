package operator

// This file lets what is read from the API server itself be of some namespaces too.

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// within is a manager whose live reads ask of the namespaces one by one: to list a
// kind in all of the cluster takes a right that the operator does not have.
type within struct {
	ctrl.Manager
	names Namespaces
}

// GetAPIReader reads from the API server.
func (w within) GetAPIReader() client.Reader { return live{w.Manager.GetAPIReader(), w} }

type live struct {
	client.Reader
	within within
}

// List reads from the API server.
func (l live) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	in, err := l.within.names.toList(list, opts, l.within.GetScheme(), l.within.GetRESTMapper())
	if err != nil {
		return err
	}
	return listEach(ctx, in, list, opts, func(string) client.Reader { return l.Reader })
}
