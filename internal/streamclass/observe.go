package streamclass

// This file is the only reader.

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

// world is what was read of a class's world.
type world struct {
	now   time.Time
	class *v1.StreamClass
	// problem is why the class cannot be served.
	problem *definition.Problem
	// ownKind: the class is for a plugin's own kind, not for Streams.
	ownKind bool
	// streams of the class by phase; nil where there are none.
	streams map[v1.StreamPhase]int32
	// counted is when the counts were last written; zero where this process has not written them.
	counted time.Time
}

// observe reads a class and counts its streams. It returns nil for a class that
// is not there, or not for long.
func (r *Reconciler) observe(ctx context.Context, name string) (*world, error) {
	w := &world{now: r.Clock.Now(), class: &v1.StreamClass{}}
	if err := r.Client.Get(ctx, types.NamespacedName{Name: name}, w.class); err != nil {
		if apierrors.IsNotFound(err) {
			delete(r.counted, name)
			return nil, nil
		}
		return nil, fmt.Errorf("read the class: %w", err)
	}
	if w.class.DeletionTimestamp != nil {
		return nil, nil
	}
	w.counted = r.counted[name]
	w.problem, w.ownKind = problemOf(w.class), !definition.OfKindStream(w.class)
	if w.ownKind {
		return w, nil
	}
	var err error
	w.streams, err = r.count(ctx, name)
	return w, err
}

// problemOf is the first thing that is wrong with a class. What keeps its streams
// from being read has a reason of its own; the rest is what admission refuses, of a
// class that came by another way. (The other classes do not matter: two may want the
// same kind only where it is a plugin's own, which is a problem already.)
func problemOf(class *v1.StreamClass) *definition.Problem {
	if p := definition.ClassProblem(class); p != nil {
		return p
	}
	_, errs := validation.Class(nil, class, validation.ClassSurroundings{})
	if len(errs) == 0 {
		return nil
	}
	return &definition.Problem{
		Reason: v1.ReasonClassInvalid, Kind: v1.KindStreamClass, Field: errs[0].Field,
		Message: fmt.Sprintf("StreamClass %s: %s", class.Name, errs[0].Error()),
	}
}

func (r *Reconciler) count(ctx context.Context, class string) (map[v1.StreamPhase]int32, error) {
	var list v1.StreamList
	// Read only, so not copied; and a count that comes a moment late is followed
	// by the event that corrects it, so nothing is waited for.
	err := r.Client.List(ctx, &list, client.MatchingFields{byClass: class}, client.UnsafeDisableDeepCopy,
		&client.ListOptions{DisableReadYourWritesConsistency: true})
	if err != nil {
		return nil, fmt.Errorf("list the streams of the class: %w", err)
	}
	var counts map[v1.StreamPhase]int32
	for i := range list.Items {
		if counts == nil {
			counts = map[v1.StreamPhase]int32{}
		}
		counts[phaseOf(&list.Items[i])]++
	}
	return counts, nil
}

// phaseOf is a stream's phase; one that nobody has looked at yet is Pending.
func phaseOf(s *v1.Stream) v1.StreamPhase {
	if s.Status.Phase == "" {
		return v1.StreamPending
	}
	return s.Status.Phase
}
