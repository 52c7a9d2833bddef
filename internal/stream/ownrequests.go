package stream

// This file makes the stream's own backfill requests, and deletes those that came after their decision.

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/ownership"
)

// createRequest leaves a request of our own behind. A live request that is there
// already counts in its place.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests,verbs=create
func (p *pass) createRequest(ctx context.Context, name, reason string) error {
	if line := p.line(); len(line) > 0 {
		return p.countOn(ctx, line[0])
	}
	want := p.ownRequest(name, reason)
	err := p.Client.Create(ctx, want)
	if err == nil {
		p.requested = want.UID
		return nil
	}
	if err = p.refused(err, v1.ReasonRequestRefused); err == nil {
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create request %s: %w", want.Name, err)
	}
	there := &v1.BackfillRequest{}
	if err := p.Live.Get(ctx, client.ObjectKeyFromObject(want), there); err != nil {
		return fmt.Errorf("%w: %w", errObserveAgain, err)
	}
	if !backlog.MadeFor(p.stream, there, reason) {
		p.obstacle = &obstacle{reason: v1.ReasonNameConflict, detail: "It is backfillrequest " + there.Name + "."}
		return nil
	}
	p.requested = there.UID
	return nil
}

// countOn lets a user's request count, once the stream is an owner of it. As long as
// it has no owner, whoever still sees a former stream of this name may make that one
// the owner, and the garbage collector takes the request with it: nothing would be left
// of the backfill that was counted on.
func (p *pass) countOn(ctx context.Context, q *v1.BackfillRequest) error {
	owned, err := ownership.Take(ctx, p.Live, p.Client, p.stream, q)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: %w", errObserveAgain, err)
	case err != nil:
		return err
	case owned == nil:
		return fmt.Errorf("%w: the stream is gone, or on its way out", errObserveAgain)
	}
	*q, p.requested = *owned, q.UID
	return nil
}

// initialName holds the stream's UID, so that a stream that is created anew never
// finds the request of its former life.
func (w *world) initialName() string {
	mark := strings.ReplaceAll(string(w.stream.UID), "-", "")
	return fmt.Sprintf("%s-initial-%s", w.stream.Name, mark[:min(8, len(mark))])
}

// gapName holds the number of the run that failed: no run of a stream, nor of a
// later one of its name, has the same.
func (w *world) gapName() string {
	return fmt.Sprintf("%s-gap-%d", w.stream.Name, w.stream.Status.Failure.Run)
}

func (w *world) ownRequest(name, reason string) *v1.BackfillRequest {
	return &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       w.stream.Namespace,
			Name:            name,
			Labels:          map[string]string{v1.LabelManagedBy: v1.ManagedBy},
			Annotations:     map[string]string{v1.AnnotationMadeBy: reason},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w.stream, v1.GroupVersion.WithKind(v1.KindStream))},
		},
		Spec: v1.BackfillRequestSpec{StreamClass: w.stream.Spec.StreamClass, StreamID: w.stream.Name},
	}
}

// deleteLoose deletes requests of our own whose UID was not recorded.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests,verbs=delete
func (p *pass) deleteLoose(ctx context.Context) error {
	for _, q := range p.loose() {
		target := &v1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: q.Namespace, Name: q.Name, UID: q.UID}}
		if err := client.IgnoreNotFound(p.Client.Delete(ctx, target, client.Preconditions{UID: &q.UID})); err != nil {
			return err
		}
	}
	return nil
}
