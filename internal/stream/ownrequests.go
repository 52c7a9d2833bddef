package stream

// This file makes the stream's own backfill requests, and deletes those that came after their decision.

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/ownership"
)

// createRequest leaves a request of our own behind. A live request that is there
// already counts in its place. One that has the name of our own counts only where it is
// exactly what this would have made and has not been begun: then it matters to nobody who
// made it. Annotations and owners alone prove nothing, for whoever may create requests
// writes them, and may have written that the backfill has ended.
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
		return gone(err, "look at request "+want.Name)
	}
	if flaw := flawOf(p.stream, there, want, reason); flaw != "" {
		p.obstacle = &obstacle{reason: v1.ReasonNameConflict, detail: fmt.Sprintf("It is backfillrequest %s, %s. Delete it: kubectl delete backfillrequest %s --namespace %s",
			there.Name, flaw, there.Name, there.Namespace)}
		return nil
	}
	p.requested = there.UID
	return nil
}

// flawOf is why the request that has the name of ours cannot count in its place; empty
// where it can. A wait may be on record: the operator that made it may have died before
// the stream recorded it, and the next one reports on every request that is there. And its
// user may have cancelled it meanwhile, which stays a cancellation; but one that was
// created as ended has never asked for anything, and the API server tells them apart: only
// a change of the spec makes a second generation.
func flawOf(s *v1.Stream, there, want *v1.BackfillRequest, reason string) string {
	asks := *there.Spec.DeepCopy()
	asks.Completed = want.Spec.Completed
	switch phase := there.Status.Phase; {
	case !backlog.MadeFor(s, there, reason):
		return "which the operator has not made"
	case there.DeletionTimestamp != nil:
		return "which is being deleted"
	case backlog.Ended(there) && there.Generation <= 1:
		return "which was created as one that has ended"
	case !equality.Semantic.DeepEqual(asks, want.Spec):
		return "which asks for another backfill than the operator's"
	case phase != "" && phase != v1.RequestQueued && phase != v1.RequestCancelled:
		return "which is " + string(phase) + " before the stream recorded it"
	}
	return ""
}

// countOn lets a user's request count, once the stream is an owner of it. As long as
// it has no owner, whoever still sees a former stream of this name may make that one
// the owner, and the garbage collector takes the request with it: nothing would be left
// of the backfill that was counted on.
func (p *pass) countOn(ctx context.Context, q *v1.BackfillRequest) error {
	owned, err := ownership.Take(ctx, p.Live, p.Client, p.stream, q)
	switch {
	case apierrors.IsNotFound(err):
		return notAsJudged("%w", err)
	case err != nil:
		return err
	case owned == nil:
		return notAsJudged("the stream is gone, or on its way out")
	}
	*q, p.requested = *owned, q.UID
	return nil
}

func (w *world) initialName() string { return backlog.InitialName(w.stream.Name, w.stream.UID) }

// gapName is the name of the request that the present failure asks for.
func (w *world) gapName() string { return backlog.GapName(w.stream.Name, w.stream.Status.Failure.Run) }

// ownRequest is a request of the operator's own. It bears the stamp that the defaulting
// webhook puts on every request, so that it has it also where no webhook is served.
func (w *world) ownRequest(name, reason string) *v1.BackfillRequest {
	return &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       w.stream.Namespace,
			Name:            name,
			Labels:          map[string]string{v1.LabelManagedBy: v1.ManagedBy},
			Annotations:     map[string]string{v1.AnnotationMadeBy: reason, v1.AnnotationAdmitted: v1.Admitted},
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
