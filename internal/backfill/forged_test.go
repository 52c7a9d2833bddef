package backfill

// This file lets somebody who may only update requests write what would have one taken
// for completed, and an operator whose cache is behind judge the operator's own signature.

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func signed(q *v1.BackfillRequest) { annotated(v1.AnnotationCompletedBy, "job")(q) }

// TestNoUserCompletesARequest: whatever they write into a request or make one with, it has
// not been completed by a job, and counts as cancelled.
func TestNoUserCompletesARequest(t *testing.T) {
	for name, c := range map[string]struct {
		stream  *v1.Stream
		request *v1.BackfillRequest
		edits   []func(*v1.BackfillRequest)
	}{
		"the operator's own, before it has a phase":       {stream(initialIs("a")), request("a", ours, aged(0)), []func(*v1.BackfillRequest){completed}},
		"the operator's own, its stamp removed":           {stream(initialIs("a")), request("a", ours, aged(0)), []func(*v1.BackfillRequest){completed, unstamped}},
		"a user's, its stamp removed in the same patch":   {stream(), request("a", aged(0)), []func(*v1.BackfillRequest){completed, unstamped}},
		"a user's, made without a stamp":                  {stream(), request("a", unstamped), []func(*v1.BackfillRequest){completed}},
		"signed by hand":                                  {stream(streaming), request("a"), []func(*v1.BackfillRequest){completed, signed}},
		"signed by hand, its stamp removed":               {stream(streaming), request("a"), []func(*v1.BackfillRequest){completed, func(q *v1.BackfillRequest) { q.Annotations = map[string]string{} }, signed}},
		"signed by hand, for a stream that is not there":  {nil, request("a", unowned), []func(*v1.BackfillRequest){completed, signed}},
		"signed by hand with the job that runs for it":    {stream(serving("a")), request("a", in(v1.RequestRunning)), []func(*v1.BackfillRequest){completed, signed}},
		"signed by hand with another request's success":   {stream(serving("b"), recordedSuccess), request("a"), []func(*v1.BackfillRequest){completed, signed}},
		"created completed":                               {stream(), request("a", completed, unstamped), nil},
		"created completed, with a stamp":                 {stream(), request("a", completed, annotated(v1.AnnotationAdmitted, "no")), nil},
		"created from the manifest of one that has ended": {stream(streaming), request("a", completed, copied, signed), nil},
		"created likewise, without an owner":              {stream(streaming), request("a", completed, unowned, func(q *v1.BackfillRequest) { q.Annotations[v1.AnnotationMadeBy] = v1.RequestInitial }, signed), nil},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{class(0), c.request}
			if c.stream != nil {
				objects = append(objects, c.stream)
			}
			there := newCluster(t, objects...)
			there.edit(c.request.Name, c.edits...)
			there.settle()
			if got := there.request(c.request.Name).Status; got.Phase != v1.RequestCancelled || got.AttemptCount != 0 || got.CompletionTime == nil {
				t.Errorf("it is %s, with %d attempts", got.Phase, got.AttemptCount)
			}
		})
	}
}

// TestAUsersOwnIsNotCleanedUp: one that bears copies of the operator's annotation and owner.
func TestAUsersOwnIsNotCleanedUp(t *testing.T) {
	c := newCluster(t, class(0), stream(streaming), request("a", copied, completed, endedAt(v1.RequestCompleted, time.Hour)),
		request("b", forGap, completed, endedAt(v1.RequestCompleted, time.Minute)), request("c", forGap, completed, endedAt(v1.RequestCompleted, time.Minute)),
		request("d", forGap, completed, endedAt(v1.RequestCompleted, time.Minute)), request("e", forGap, completed, endedAt(v1.RequestCompleted, 2*time.Hour)))
	c.settle()
	if got := len(c.requests()); got != 4 || len(c.writes) != 1 || c.writes[0] != "delete orders-gap-201" {
		t.Errorf("%d are left, writes %v", got, c.writes)
	}
	c.request("a")
}

// TestTheCacheIsBehindTheSignature: the API server holds the success that the cached stream does not.
func TestTheCacheIsBehindTheSignature(t *testing.T) {
	for name, stale := range map[string]*v1.Stream{"the job runs": stream(serving("a")), "it streams": stream(streaming)} {
		c := newCluster(t, class(0), stream(serving("a"), recordedSuccess), request("a", completed, signed, in(v1.RequestRunning)))
		c.cachedStream = stale
		c.settle()
		if got := c.request("a").Status.Phase; got != v1.RequestRunning || len(c.writes) > 0 {
			t.Errorf("%s: it is %s, writes %v", name, got, c.writes)
		}
	}
}

// TestTheCacheIsBehindTheEnd: the stream has said how the request has ended, and then let
// go of the job. The request that was judged is an older version.
func TestTheCacheIsBehindTheEnd(t *testing.T) {
	c := newCluster(t, class(0), stream(serving("a"), recordedSuccess), request("a", completed, signed, in(v1.RequestRunning)))
	c.cachedStream = stream(serving("a"))
	c.getting = func(o client.Object) error {
		if _, ok := o.(*v1.Stream); ok {
			c.getting = nil
			c.edit("a", endedAt(v1.RequestCompleted, 0))
			c.editStream("orders", func(s *v1.Stream) { s.Status.Job = nil })
		}
		return nil
	}
	result, err := c.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: keyOf(request("a"))})
	if got := c.request("a").Status.Phase; err != nil || got != v1.RequestCompleted || result.RequeueAfter != lookAgainAfter {
		t.Errorf("it is %s, %v, %v", got, result, err)
	}
	c.cachedStream = nil
	c.settle()
	if got := c.request("a").Status.Phase; got != v1.RequestCompleted {
		t.Errorf("in the end it is %s", got)
	}
}

// TestTheStreamCannotBeRead: what is not known is neither proved nor disproved.
func TestTheStreamCannotBeRead(t *testing.T) {
	c := newCluster(t, class(0), stream(streaming), request("a", completed, signed))
	c.getting = func(client.Object) error { return errCut }
	if _, err := c.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: keyOf(request("a"))}); !errors.Is(err, errCut) || len(c.writes) > 0 {
		t.Errorf("got %v, writes %v", err, c.writes)
	}
}

// TestWhenTheKindWasAddedIsAskedOnce: and only where it matters.
func TestWhenTheKindWasAddedIsAskedOnce(t *testing.T) {
	asked := 0
	kinds := func(err error) func(client.Object) error {
		return func(o client.Object) error {
			if _, ok := o.(*v1.Stream); ok {
				return nil
			}
			asked++
			return err
		}
	}
	old := aged(3 * time.Hour)
	c := newCluster(t, class(0), stream(streaming), request("a", completed, unstamped, old), request("b", completed, unstamped, old),
		request("c", completed), request("d", unstamped), request("e", completed, unstamped, endedAt(v1.RequestCancelled, time.Hour)))
	c.getting = kinds(nil)
	c.settle()
	if asked != 1 || c.request("a").Status.Phase != v1.RequestCompleted || c.request("b").Status.Phase != v1.RequestCompleted {
		t.Errorf("asked %d times; %s", asked, c.ending())
	}

	gone := apierrors.NewForbidden(schema.GroupResource{Resource: "customresourcedefinitions"}, "streams", nil)
	c = newCluster(t, class(0), stream(streaming), request("a", completed, unstamped, old))
	c.getting = kinds(gone)
	c.settle()
	if got := c.request("a").Status.Phase; got != v1.RequestCancelled {
		t.Errorf("an operator that may not read kinds: %s", got)
	}

	c = newCluster(t, class(0), stream(streaming), request("a", completed, unstamped, old))
	c.getting = kinds(errCut)
	if _, err := c.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: keyOf(request("a"))}); !errors.Is(err, errCut) || len(c.writes) > 0 {
		t.Errorf("got %v, writes %v", err, c.writes)
	}
}
