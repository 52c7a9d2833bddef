// Package ownership makes a stream an owner of its user's BackfillRequest, for all who
// have to before they go on.
package ownership

// This file takes the request.

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Take leaves the stream that was judged an owner of the request, so that the request
// is deleted with it, and returns the request as it is then. It is nil where there is
// another stream, or none for long: then the world is to be observed again.
//
// The cache may still hold a stream whose name another has taken: the user made the
// request for that one, and would lose it to the garbage collector. Seen alive after
// the request was read, the stream was there when this version of the request was.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests,verbs=patch
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streams,verbs=get
func Take(ctx context.Context, live client.Reader, c client.Client, stream *v1.Stream, q *v1.BackfillRequest) (*v1.BackfillRequest, error) {
	ref := metav1.OwnerReference{APIVersion: v1.GroupVersion.String(), Kind: v1.KindStream, Name: stream.Name, UID: stream.UID}
	if slices.ContainsFunc(q.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Kind == ref.Kind && o.UID == ref.UID }) {
		return q, nil
	}
	there := &v1.Stream{}
	err := live.Get(ctx, client.ObjectKeyFromObject(stream), there)
	switch {
	case apierrors.IsNotFound(err), err == nil && (there.UID != stream.UID || there.DeletionTimestamp != nil):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at the stream of request %s: %w", q.Name, err)
	}
	owned := q.DeepCopy()
	owned.OwnerReferences = append(owned.OwnerReferences, ref)
	if err = c.Patch(ctx, owned, client.MergeFromWithOptions(q, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("make the stream an owner of request %s: %w", q.Name, err)
	}
	return owned, nil
}
