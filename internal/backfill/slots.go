package backfill

// This file grants the slots of classes that limit their backfills.

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/schemas"
)

// Slots grants the slots of one class after the other: it has one worker, so
// that nobody else grants between its look and its write.
type Slots struct {
	// Client reads from the cache, and waits until the cache has our own writes.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// caughtUp are the classes of which the cache was seen to hold all that was
	// written before this process began to grant. From then on only this process does.
	caughtUp map[string]bool
	schemas  schemas.Kept
}

// Reconcile grants what is free. A class without a limit has no queue: there a
// request counts as granted, and no Granted is written.
func (s *Slots) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	q, err := s.observe(ctx, req.Name)
	if err != nil || q == nil {
		return ctrl.Result{}, err
	}
	if len(q.candidates()) == 0 {
		return ctrl.Result{}, nil
	}
	if err := s.look(ctx, q); err != nil {
		return ctrl.Result{}, err
	}
	err = s.grant(ctx, q)
	if apierrors.IsConflict(err) {
		logf.FromContext(ctx).V(1).Info("a request moved on, observing again", "cause", err.Error())
		return ctrl.Result{RequeueAfter: lookAgainAfter}, nil
	}
	return ctrl.Result{}, err
}

// observe reads a class's queue; nil where it has none.
func (s *Slots) observe(ctx context.Context, name string) (*queue, error) {
	q := &queue{now: s.Clock.Now(), class: &v1.StreamClass{}}
	if err := s.Client.Get(ctx, types.NamespacedName{Name: name}, q.class); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the class: %w", err)
	}
	if _, limited := limit(q.class); !limited {
		return nil, nil
	}
	var requests v1.BackfillRequestList
	if err := s.Client.List(ctx, &requests, client.MatchingFields{byOpen: "true"}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the open requests: %w", err)
	}
	q.requests = requests.Items
	// The streams after the requests: a stream claims its job before it looks at its
	// request for the last time and lets the job run. So a job that may run although
	// its request was seen ended is seen here.
	var streams v1.StreamList
	if err := s.Client.List(ctx, &streams, client.MatchingFields{byClass: name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the streams of the class: %w", err)
	}
	q.setStreams(streams.Items)
	return q, nil
}

// look replaces what the cache says by what the API server says, until the cache
// was seen to have caught up with what an earlier leader granted and claimed. In
// the same order as observe reads, and for the same reason.
func (s *Slots) look(ctx context.Context, q *queue) error {
	if s.caughtUp[q.class.Name] {
		return nil
	}
	var requests v1.BackfillRequestList
	if err := s.Live.List(ctx, &requests, client.MatchingFields{"spec.completed": "false"}); err != nil {
		return fmt.Errorf("look at the open requests: %w", err)
	}
	requests.Items = slices.DeleteFunc(requests.Items, func(r v1.BackfillRequest) bool { return backlog.Ended(&r) })
	var streams v1.StreamList
	if err := s.Live.List(ctx, &streams, client.MatchingFields{"spec.streamClass": q.class.Name}); err != nil {
		return fmt.Errorf("look at the streams of the class: %w", err)
	}
	if q.isAsNewAs(requests.Items, streams.Items) {
		s.caughtUp = with(s.caughtUp, q.class.Name)
	}
	q.requests = requests.Items
	q.setStreams(streams.Items)
	return nil
}

// with is the set with one more.
func with(set map[string]bool, name string) map[string]bool {
	if set == nil {
		set = map[string]bool{}
	}
	set[name] = true
	return set
}

// isAsNewAs tells whether the cache knew all of these requests, and all of the claims
// of these streams. What else was written to a stream since then gives no slot away.
func (q *queue) isAsNewAs(requests []v1.BackfillRequest, streams []v1.Stream) bool {
	known := make(map[types.UID]string, len(q.requests)+len(q.streams))
	for i := range q.requests {
		known[q.requests[i].UID] = q.requests[i].ResourceVersion
	}
	for _, s := range q.streams {
		known[s.UID] = s.ResourceVersion
	}
	return !slices.ContainsFunc(requests, func(r v1.BackfillRequest) bool { return !asNew(known[r.UID], r.ResourceVersion) }) &&
		!slices.ContainsFunc(streams, func(s v1.Stream) bool { return occupies(&s) && !asNew(known[s.UID], s.ResourceVersion) })
}

// asNew tells whether a cached version is at least as new as a live one.
func asNew(cached, live string) bool {
	by, err := resourceversion.CompareResourceVersion(cached, live)
	return err == nil && by >= 0
}

// grant gives the free slots away, one to a stream.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests/status,verbs=patch
func (s *Slots) grant(ctx context.Context, q *queue) error {
	free := q.free()
	served := map[types.UID]bool{}
	for _, c := range q.candidates() {
		if free <= 0 && !c.claimed || served[c.stream.UID] {
			continue
		}
		problem, err := problemOf(ctx, s.Client, c.stream, q.class, s.schemas.Of(q.class), c.request)
		if err != nil {
			return err
		}
		if problem != nil {
			continue // the request tells it itself, and the stream's next one may go
		}
		status := *c.request.Status.DeepCopy()
		backlog.SetPhase(&status, v1.RequestGranted, v1.ReasonGranted, "It has one of the slots of its class and starts next.", c.request.Generation, metav1.NewTime(q.now))
		if _, err := patchStatus(ctx, s.Client, c.request, status); err != nil {
			return err
		}
		logf.FromContext(ctx).Info("slot granted", "request", keyOf(c.request))
		served[c.stream.UID] = true
		if !c.claimed {
			free--
		}
	}
	return nil
}
