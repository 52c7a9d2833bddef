package backfill

// This file tests who is woken by what.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func requestOf(o client.Object) ctrl.Request { return ctrl.Request{NamespacedName: keyOf(o)} }

func TestPredicates(t *testing.T) {
	generation := func(q *v1.BackfillRequest) { q.Generation++ }
	queuedFor := func(reason v1.Reason) func(*v1.BackfillRequest) { return told(reason, "") }
	for name, c := range map[string]struct {
		before, after *v1.BackfillRequest
		// whom it wakes: itself, the others of its stream, the slots of its class.
		want string
	}{
		"nothing":                  {request("a"), request("a"), ""},
		"spec":                     {request("a"), request("a", generation), "itself slots"},
		"cancelled by its user":    {request("a"), request("a", completed, generation), "itself others slots"},
		"annotation":               {request("a"), request("a", annotated("x", "y")), "itself"},
		"our owner":                {request("a", unowned), request("a"), ""},
		"our status: queued":       {request("a"), request("a", queuedFor(v1.ReasonStreamSuspended)), "slots"},
		"the slots': granted":      {request("a", in(v1.RequestQueued)), request("a", in(v1.RequestGranted)), "itself slots"},
		"our status: cancelled":    {request("a", completed), request("a", endedAt(v1.RequestCancelled, 0), completed), "others"},
		"the stream's: running":    {request("a", in(v1.RequestGranted)), request("a", in(v1.RequestRunning)), ""},
		"the stream's: failed":     {request("a", in(v1.RequestRunning)), request("a", in(v1.RequestFailed)), "slots"},
		"the stream's: completed":  {request("a", completed, in(v1.RequestRunning)), request("a", completed, in(v1.RequestCompleted)), "itself others slots"},
		"made anew under its name": {request("a"), request("a", func(q *v1.BackfillRequest) { q.UID = "new" }), "itself others slots"},
	} {
		t.Run(name, func(t *testing.T) {
			e := event.UpdateEvent{ObjectOld: c.before, ObjectNew: c.after}
			var got []string
			for _, p := range []struct {
				who string
				predicate.Predicate
			}{{"itself", requestChanged()}, {"others", requestEnded()}, {"slots", slotsMoved()}} {
				if p.Update(e) {
					got = append(got, p.who)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("wakes %v, want %q", got, c.want)
			}
		})
	}
	if requestEnded().Create(event.CreateEvent{Object: request("a")}) || !requestEnded().Delete(event.DeleteEvent{Object: request("a")}) {
		t.Error("the others are woken by a creation, or not by a deletion")
	}
}

func TestStreamChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1.Stream)
		want   bool
	}{
		"nothing":      {func(*v1.Stream) {}, false},
		"phase":        {func(s *v1.Stream) { s.Status.Phase = v1.StreamRunning; s.Generation++ }, false},
		"streaming":    {streaming, false},
		"suspended":    {suspended, true},
		"failed":       {failed, true},
		"not accepted": {refused, true},
		"deletion":     {deleting, true},
		"backfilling":  {serving("a"), true},
		"gap":          {gapIs("a"), true},
		"initial":      {func(s *v1.Stream) { s.Status.InitialRequestUID = "u" }, true},
	} {
		if got := streamChanged().Update(event.UpdateEvent{ObjectOld: stream(), ObjectNew: stream(c.change)}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if !streamChanged().Update(event.UpdateEvent{ObjectOld: stream(serving("a")), ObjectNew: stream(serving("a"), recordedSuccess)}) {
		t.Error("a slot that was given back wakes nobody")
	}
	spec := class(1)
	spec.Generation = 2
	if specChanged().Update(event.UpdateEvent{ObjectOld: class(1), ObjectNew: class(1)}) || !specChanged().Update(event.UpdateEvent{ObjectOld: class(1), ObjectNew: spec}) {
		t.Error("a class wakes its queue by its generation only")
	}
}

func TestWhomItWakes(t *testing.T) {
	c := newCluster(t, stream(), request("1"), request("2", ours), request("3", completed), request("4", endedAt(v1.RequestCompleted, time.Hour)),
		request("5", forGap, endedAt(v1.RequestCompleted, time.Hour)), request("6", of("others")), request("7", naming),
		request("8", naming, completed))
	for name, found := range map[string][]reconcile.Request{
		"1 2 3 7":   c.r.requestsOf(t.Context(), stream()),
		"2 3 5 7 8": c.r.othersOf(t.Context(), c.request("1")),
		"7":         c.r.requestsNaming(t.Context(), template("mine")),
		"":          c.r.requestsNaming(t.Context(), template("other")),
		"c":         c.slots.classOfRequest(t.Context(), request("1")),
		" ":         c.slots.classOfRequest(t.Context(), request("6", of("others"))),
		"c ":        classOfStream(t.Context(), stream()),
	} {
		var got []string
		for _, f := range found {
			name := f.Name
			if q := (&v1.BackfillRequest{}); c.api.Get(t.Context(), f.NamespacedName, q) == nil {
				name = strings.TrimPrefix(string(q.UID), "uid-")
			}
			got = append(got, name)
		}
		slices.Sort(got)
		want := strings.TrimSpace(name)
		if name == "1 2 3 7" {
			want = "1 2 3 7 8"
		}
		if strings.Join(got, " ") != want {
			t.Errorf("woken are %v, want %q", got, want)
		}
	}
}

// recording is a queue that notes what it is given.
type recording struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	added []string
}

func (r *recording) AddAfter(request reconcile.Request, after time.Duration) {
	r.added = append(r.added, fmt.Sprintf("%s in %s", request.Name, after))
}

func TestLater(t *testing.T) {
	h := later(func(_ context.Context, o client.Object) []reconcile.Request { return []reconcile.Request{requestOf(o)} })
	q := &recording{}
	h.Create(t.Context(), event.CreateEvent{Object: stream(named("listed")), IsInInitialList: true}, q)
	h.Create(t.Context(), event.CreateEvent{Object: stream(named("created"))}, q)
	h.Update(t.Context(), event.UpdateEvent{ObjectOld: stream(), ObjectNew: stream(named("updated"))}, q)
	h.Delete(t.Context(), event.DeleteEvent{Object: stream(named("deleted"))}, q)
	if got, want := strings.Join(q.added, ", "), "created in 1s, updated in 1s, deleted in 1s"; got != want {
		t.Errorf("added %q, want %q", got, want)
	}
}
