package stream

// This file tests whose a request is before it counts as a stream's first backfill.

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// tie makes a stream of this UID the owner of a request, as another operator does.
func (c *cluster) tie(request string, stream types.UID) {
	c.t.Helper()
	for _, q := range c.requests() {
		if q.Name == request {
			q.OwnerReferences = append(q.OwnerReferences, metav1.OwnerReference{
				APIVersion: v1.GroupVersion.String(), Kind: v1.KindStream, Name: "orders", UID: stream,
			})
			c.must(c.api.Update(c.t.Context(), &q))
		}
	}
}

// countFirst observes the stream, lets something happen, and then lets a request count as its first.
func (c *cluster) countFirst(meanwhile func()) error {
	c.t.Helper()
	p := c.judged("request-initial")
	meanwhile()
	return p.apply(c.t.Context())
}

func TestTheRequestThatCountsIsTheStreamsOwn(t *testing.T) {
	c := newCluster(t, orders()...)
	c.request("first")
	c.must(c.countFirst(func() {}))
	refs := c.firstRequest().OwnerReferences
	if s := c.stream(); s.Status.InitialRequestUID != "first" || len(refs) != 1 || refs[0].UID != s.UID {
		t.Errorf("counts %s, owned by %v", s.Status.InitialRequestUID, refs)
	}
}

// TestARequestOfAFormerStreamDoesNotCount: an operator that still sees a former
// stream makes that one the owner of the request, which then goes with it.
func TestARequestOfAFormerStreamDoesNotCount(t *testing.T) {
	c := newCluster(t, orders()...)
	c.request("first")
	if err := c.countFirst(func() { c.tie("first", "former") }); !apierrors.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
	if s := c.stream(); s.Status.InitialBackfill != "" {
		t.Errorf("counted %s all the same", s.Status.InitialRequestUID)
	}
	c.settle()
	if s := c.stream(); s.Status.InitialRequestUID == "" || s.Status.InitialRequestUID == "first" {
		t.Errorf("counts %q, want a request of its own", s.Status.InitialRequestUID)
	}
}

// TestAFormerStreamTakesNoRequest: an operator that sees a stream which has been
// created anew since leaves the new one's request alone.
func TestAFormerStreamTakesNoRequest(t *testing.T) {
	for name, meanwhile := range map[string]func(c *cluster){
		"created anew": func(c *cluster) {
			c.must(c.api.Delete(t.Context(), c.stream()))
			s := orders()[0]
			s.SetUID("anew")
			c.must(c.api.Create(t.Context(), s))
		},
		"gone": func(c *cluster) { c.must(c.api.Delete(t.Context(), c.stream())) },
		"on its way out": func(c *cluster) {
			c.must(c.api.Delete(t.Context(), c.stream()))
			s := orders()[0]
			s.SetFinalizers([]string{metav1.FinalizerDeleteDependents})
			c.must(c.api.Create(t.Context(), s))
			c.must(c.api.Delete(t.Context(), s))
		},
	} {
		c := newCluster(t, orders()...)
		c.request("first")
		if err := c.countFirst(func() { meanwhile(c) }); !errors.Is(err, errObserveAgain) {
			t.Errorf("%s: got %v, want to observe again", name, err)
		}
		if refs := c.firstRequest().OwnerReferences; len(refs) > 0 {
			t.Errorf("%s: owned by %v", name, refs)
		}
	}
}

// TestADeletedRequestDoesNotCount: its user took it back in the same moment.
func TestADeletedRequestDoesNotCount(t *testing.T) {
	c := newCluster(t, orders()...)
	c.request("first")
	err := c.countFirst(func() {
		q := c.firstRequest()
		c.must(c.api.Delete(t.Context(), q))
	})
	if s := c.stream(); !errors.Is(err, errObserveAgain) || s.Status.InitialBackfill != "" {
		t.Errorf("got %v, counts %q", err, s.Status.InitialRequestUID)
	}
}
