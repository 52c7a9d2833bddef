package backfill

// This file tells what happens to requests, and tells it again with every single write lost.

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func template(name string) *v1.StreamingJobTemplate {
	t := &v1.StreamingJobTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: name}}
	t.Spec.Spec.Template.Spec.Containers = append(t.Spec.Spec.Template.Spec.Containers, container())
	return t
}

func naming(q *v1.BackfillRequest) {
	q.Spec.JobTemplateRef = &v1.TemplateReference{Name: "mine"}
}

var stories = []struct {
	name  string
	given []client.Object
	tell  func(c *cluster)
	want  string
	// writes of a fault-free run.
	writes string
	events []string
}{
	{
		"of a user, for a stream that streams",
		[]client.Object{class(0), stream(streaming), request("a", unowned)},
		(*cluster).settle,
		"a=Queued/WaitingForJob owned", "patch a, tell a", nil,
	},
	{
		"of the operator, served at once",
		[]client.Object{class(0), stream(), request("a", aged(0))},
		func(c *cluster) {
			c.settle()
			c.edit("a", in(v1.RequestRunning))
			c.editStream("orders", serving("a"))
			c.pass(time.Minute)
			c.settle()
			c.edit("a", completed, annotated(v1.AnnotationCompletedBy, "job"), endedAt(v1.RequestCompleted, -time.Minute))
			c.editStream("orders", streaming)
			c.settle()
		},
		"a=Completed/ owned", "", nil,
	},
	{
		"for a stream that is not there, and then is",
		[]client.Object{class(0), request("a", unowned)},
		func(c *cluster) {
			c.settle()
			c.must(c.api.Create(c.t.Context(), stream(suspended)))
			c.settle()
		},
		"a=Queued/StreamSuspended owned", "tell a, patch a, tell a",
		[]string{"Warning StreamNotFound There is no Stream orders in namespace sales; the request waits until there is."},
	},
	{
		"cancelled",
		[]client.Object{class(0), stream(suspended), request("a")},
		func(c *cluster) {
			c.settle()
			c.edit("a", completed)
			c.settle()
		},
		"a=Cancelled/Cancelled owned", "tell a, tell a",
		[]string{"Normal Cancelled Cancelled: spec.completed was set by its user."},
	},
	{
		"completed, and the stream is about to say so",
		[]client.Object{class(0), stream(serving("a"), recordedSuccess), request("a", completed, annotated(v1.AnnotationCompletedBy, "job"))},
		(*cluster).settle,
		"a=/ owned", "", nil,
	},
	{
		"completed by an earlier Arcane",
		[]client.Object{class(0), stream(streaming), request("a", completed, unstamped, aged(3*time.Hour))},
		(*cluster).settle,
		"a=Completed/Completed owned", "tell a", nil,
	},
	{
		"completed, and applied again by a manifest that says it has not",
		[]client.Object{class(0), stream(streaming), request("a", completed, endedAt(v1.RequestCompleted, time.Minute))},
		func(c *cluster) {
			c.settle()
			c.edit("a", func(q *v1.BackfillRequest) { q.Spec.Completed = false })
			c.settle()
		},
		"a=Completed/ owned", "tell a", nil,
	},
	{
		"two for one stream, the first ends",
		[]client.Object{class(0), stream(streaming), request("a"), request("b")},
		func(c *cluster) {
			c.settle()
			c.edit("a", completed)
			c.settle()
		},
		"a=Cancelled/Cancelled owned, b=Queued/WaitingForJob owned", "tell a, tell b, tell a, tell b",
		[]string{"Normal Cancelled Cancelled: spec.completed was set by its user."},
	},
	{
		"with a template of its own that is missing, and then is not",
		[]client.Object{class(0), template("std"), stream(streaming), request("a", naming)},
		func(c *cluster) {
			c.settle()
			c.must(c.api.Create(c.t.Context(), template("mine")))
			c.settle()
		},
		"a=Queued/WaitingForJob owned", "tell a, tell a",
		[]string{"Warning TemplateNotFound BackfillRequest a: spec.jobTemplateRef: there is no StreamingJobTemplate sales/mine; create it or name another"},
	},
	{
		"cleaned up when its time has come",
		[]client.Object{class(0), stream(streaming), request("a", completed, ttl(60))},
		func(c *cluster) {
			c.settle()
			c.pass(time.Minute)
			c.settle()
		},
		"", "tell a, delete a",
		[]string{"Normal Cancelled Cancelled: spec.completed was set by its user."},
	},
	{
		"granted one of the slots of its class",
		[]client.Object{class(1), stream(streaming), request("a"), request("b")},
		(*cluster).settle,
		"a=Granted/Granted owned, b=Queued/WaitingForTurn owned", "tell a, tell b, tell a", nil,
	},
	{
		"granted, then suspended, then resumed",
		[]client.Object{class(1), stream(streaming), request("a")},
		func(c *cluster) {
			c.settle()
			c.editStream("orders", suspended)
			c.settle()
			c.editStream("orders", func(s *v1.Stream) { s.Spec.Suspended = false })
			c.settle()
		},
		"a=Granted/Granted owned", "tell a, tell a, tell a, tell a, tell a", nil,
	},
	{
		"the first of the class names a template that is missing",
		[]client.Object{class(1), template("std"), stream(streaming), request("a", naming), request("b")},
		(*cluster).settle,
		"a=Queued/TemplateNotFound owned, b=Granted/Granted owned", "tell a, tell b, tell b",
		[]string{"Warning TemplateNotFound BackfillRequest a: spec.jobTemplateRef: there is no StreamingJobTemplate sales/mine; create it or name another"},
	},
}

func unstamped(q *v1.BackfillRequest) { q.Annotations = nil }

// copies of the objects a story begins with: a cluster changes what it is given.
func copies(list []client.Object) []client.Object {
	fresh := make([]client.Object, len(list))
	for i, o := range list {
		fresh[i], _ = o.DeepCopyObject().(client.Object)
	}
	return fresh
}

func TestStories(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			c := newCluster(t, copies(s.given)...)
			s.tell(c)
			if got := c.ending(); got != s.want {
				t.Errorf("ends in %q, want %q", got, s.want)
			}
			if got := strings.Join(c.writes, ", "); got != s.writes {
				t.Errorf("writes %q, want %q", got, s.writes)
			}
			if got := c.told(); !reflect.DeepEqual(got, s.events) {
				t.Errorf("told %q, want %q", got, s.events)
			}
		})
	}
}

// TestAWriteIsLost: whatever becomes of any single write, the world ends the same.
func TestAWriteIsLost(t *testing.T) {
	for _, s := range stories {
		free := newCluster(t, copies(s.given)...)
		s.tell(free)
		for n := range free.writes {
			for _, f := range []fate{lost, replyLost, conflicts} {
				t.Run(fmt.Sprintf("%s/%s %d %s", s.name, free.writes[n], n+1, f), func(t *testing.T) {
					c := newCluster(t, copies(s.given)...)
					c.fails = func(at int) fate {
						if at == n+1 {
							c.slots.caughtUp = nil // the process has died as well
							return f
						}
						return arrives
					}
					s.tell(c)
					if len(c.writes) < n+1 {
						t.Fatal("the write was never made")
					}
					if got := c.ending(); got != s.want {
						t.Errorf("ends in %q, want %q; writes %v", got, s.want, c.writes)
					}
				})
			}
		}
	}
}

// TestErrorsAreReturned: a cluster that does not answer is an error, a conflict is a look again.
func TestErrorsAreReturned(t *testing.T) {
	for f, want := range map[fate]error{lost: errCut, replyLost: errCut, conflicts: nil} {
		c := newCluster(t, class(0), stream(suspended), request("a"))
		c.fails = func(int) fate { return f }
		result, err := c.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: keyOf(request("a"))})
		if !errors.Is(err, want) || (f == conflicts) != (result.RequeueAfter == lookAgainAfter) {
			t.Errorf("%s: %v, %v", f, result, err)
		}
		if told := c.told(); told != nil {
			t.Errorf("%s: told before it was written: %q", f, told)
		}
	}
}

// TestWakes: a request that is about to be served is looked at again, not written.
func TestWakes(t *testing.T) {
	c := newCluster(t, class(0), stream(streaming), request("a", aged(time.Second)))
	result, err := c.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: keyOf(request("a"))})
	if err != nil || result.RequeueAfter != time.Second || len(c.writes) > 0 {
		t.Errorf("%v, %v, writes %v", result, err, c.writes)
	}
}

// TestOnlyTheVeryRequestIsDeleted: one that took its name meanwhile stays.
func TestOnlyTheVeryRequestIsDeleted(t *testing.T) {
	c := newCluster(t, request("a", completed, endedAt(v1.RequestCompleted, time.Hour), ttl(1)))
	w, err := c.r.observe(t.Context(), keyOf(request("a")))
	c.must(err)
	c.must(c.api.Delete(t.Context(), c.request("a")))
	another := request("a")
	another.UID = "another"
	c.must(c.api.Create(t.Context(), another))
	if err := c.r.remove(t.Context(), w); err == nil {
		t.Error("the wrong request was deleted without a word")
	}
	if got := c.request("a").UID; got != "another" {
		t.Errorf("left is %s", got)
	}
}

// TestOnlyTheJudgedVersionIsWritten: what its user wrote in the same moment is judged first.
func TestOnlyTheJudgedVersionIsWritten(t *testing.T) {
	for _, d := range []decision{{does: own}, {does: tell, status: status(v1.RequestQueued, v1.ReasonStreamSuspended, "")}} {
		c := newCluster(t, class(0), stream(suspended), request("a", unowned))
		w, err := c.r.observe(t.Context(), keyOf(request("a")))
		c.must(err)
		c.edit("a", completed)
		if err := c.r.apply(t.Context(), w, d); !apierrors.IsConflict(err) {
			t.Errorf("%s over a newer version: %v", d.does, err)
		}
	}
	c := newCluster(t, class(1), stream(), request("a"))
	q, err := c.slots.observe(t.Context(), "c")
	c.must(err)
	c.edit("a", completed)
	if err := c.slots.grant(t.Context(), q); !apierrors.IsConflict(err) {
		t.Errorf("a grant over a newer version: %v", err)
	}
}

// TestAFormerStreamTakesNoRequest: the cache may still hold a stream that was
// deleted, and maybe created anew; what that one owned would go with it.
func TestAFormerStreamTakesNoRequest(t *testing.T) {
	leaving := stream(suspended)
	leaving.Finalizers = []string{metav1.FinalizerDeleteDependents}
	for name, live := range map[string]*v1.Stream{
		"gone":           nil,
		"created anew":   stream(suspended, func(s *v1.Stream) { s.UID = "anew" }),
		"on its way out": leaving,
	} {
		c := newCluster(t, class(0), stream(suspended), request("a", unowned))
		w, err := c.r.observe(t.Context(), keyOf(request("a")))
		c.must(err)
		c.must(c.api.Delete(t.Context(), stream()))
		if live != nil {
			c.must(c.api.Create(t.Context(), live))
		}
		if live == leaving {
			c.must(c.api.Delete(t.Context(), live))
		}
		if err := c.r.apply(t.Context(), w, decision{does: own}); !errors.Is(err, errObserveAgain) || len(c.writes) > 0 {
			t.Errorf("%s: %v, writes %v", name, err, c.writes)
		}
	}
}

// TestDeletedMeanwhile: a request that is gone has nobody left to tell.
func TestDeletedMeanwhile(t *testing.T) {
	c := newCluster(t, class(0), stream(suspended), request("a", unowned))
	w, err := c.r.observe(t.Context(), keyOf(request("a")))
	c.must(err)
	c.must(c.api.Delete(t.Context(), c.request("a")))
	for _, d := range []decision{{does: own}, {does: tell, status: status(v1.RequestQueued, "X", "")}, {does: remove}, {}} {
		if err := c.r.apply(t.Context(), w, d); err != nil {
			t.Errorf("%s: %v", d.does, err)
		}
	}
	if told := c.told(); told != nil {
		t.Errorf("told of one that is gone: %q", told)
	}
}

// TestPayloadOfARequestIsKept: every write of ours is a patch of other fields.
func TestPayloadOfARequestIsKept(t *testing.T) {
	q := request("a", unowned)
	q.Spec.Payload = &runtime.RawExtension{Raw: []byte(`{"a":{"n":9007199254740991},"z":[1,"$(X)"]}`)}
	c := newCluster(t, class(1), template("std"), stream(), q)
	c.settle()
	if got, want := string(c.request("a").Spec.Payload.Raw), `{"a":{"n":9007199254740991},"z":[1,"$(X)"]}`; got != want || len(c.writes) < 3 {
		t.Errorf("payload %s, want %s; writes %v", got, want, c.writes)
	}
}
