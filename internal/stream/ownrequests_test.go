package stream

// This file tests whose a request is before it counts as a stream's first backfill, and before it is deleted.

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

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
		if err := c.countFirst(func() { meanwhile(c) }); movedOn(err) == "" {
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
	if s := c.stream(); movedOn(err) == "" || s.Status.InitialBackfill != "" {
		t.Errorf("got %v, counts %q", err, s.Status.InitialRequestUID)
	}
}

// ownInitial is the initial request as an operator makes it, whose reply was lost.
func ownInitial(s *v1.Stream) *v1.BackfillRequest {
	return &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "orders-initial-0a1b2c3d", UID: "there", Generation: 1,
			Annotations:     map[string]string{v1.AnnotationMadeBy: v1.RequestInitial, v1.AnnotationAdmitted: "true"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s, v1.GroupVersion.WithKind(v1.KindStream))},
		},
		Spec: v1.BackfillRequestSpec{StreamClass: "postgres", StreamID: "orders"},
	}
}

// TestTheOperatorStampsItsOwnRequests: also where no webhook does.
func TestTheOperatorStampsItsOwnRequests(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	if q := c.firstRequest(); q.Annotations[v1.AnnotationAdmitted] != "true" || q.Name != "orders-initial-0a1b2c3d" {
		t.Errorf("request %s has the annotations %v", q.Name, q.Annotations)
	}
}

// TestARequestOfItsNameCountsOnlyAsMade: whoever may create requests can write all that the
// operator writes into its own, and that it has ended or asks for less besides.
func TestARequestOfItsNameCountsOnlyAsMade(t *testing.T) {
	for name, c := range map[string]struct {
		change func(q *v1.BackfillRequest)
		// why it does not count; empty where it does.
		why string
	}{
		"as it was made":        {func(*v1.BackfillRequest) {}, ""},
		"reported on meanwhile": {func(q *v1.BackfillRequest) { q.Status.Phase = v1.RequestQueued }, ""},
		"with labels":           {func(q *v1.BackfillRequest) { q.Labels = map[string]string{"team": "sales"} }, ""},
		"nobody's":              {func(q *v1.BackfillRequest) { q.OwnerReferences = nil; q.Spec.StreamClass = "another" }, "which the operator has not made"},
		"of a former stream":    {func(q *v1.BackfillRequest) { q.OwnerReferences[0].UID = "former" }, "which the operator has not made"},
		"created as ended":      {func(q *v1.BackfillRequest) { q.Spec.Completed = true }, "which was created as one that has ended"},
		"created as signed": {func(q *v1.BackfillRequest) {
			q.Spec.Completed, q.Annotations[v1.AnnotationCompletedBy] = true, "job"
		}, "which was created as one that has ended"},
		"created as ended, and told so": {func(q *v1.BackfillRequest) {
			q.Spec.Completed, q.Status.Phase = true, v1.RequestCancelled
		}, "which was created as one that has ended"},
		"cancelled meanwhile": {func(q *v1.BackfillRequest) { q.Spec.Completed, q.Generation = true, 2 }, ""},
		"cancelled meanwhile, and told so": {func(q *v1.BackfillRequest) {
			q.Spec.Completed, q.Generation, q.Status.Phase = true, 2, v1.RequestCancelled
		}, ""},
		"cancelled meanwhile, and set back":  {func(q *v1.BackfillRequest) { q.Generation, q.Status.Phase = 3, v1.RequestCancelled }, ""},
		"cancelled, but another than we ask": {func(q *v1.BackfillRequest) { q.Spec.Completed, q.Generation, q.Spec.Payload = true, 2, raw(`{}`) }, "which asks for another backfill than the operator's"},
		"completed, which nobody can tell": {func(q *v1.BackfillRequest) {
			q.Spec.Completed, q.Generation, q.Status.Phase = true, 2, v1.RequestCompleted
		}, "which is Completed before the stream recorded it"},
		"with a payload":        {func(q *v1.BackfillRequest) { q.Spec.Payload = raw(`{"rows":0}`) }, "which asks for another backfill than the operator's"},
		"with another template": {func(q *v1.BackfillRequest) { q.Spec.JobTemplateRef = &v1.TemplateReference{Name: "void"} }, "which asks for another backfill than the operator's"},
		"of another stream":     {func(q *v1.BackfillRequest) { q.Spec.StreamID = "customers" }, "which the operator has not made"},
		"that has run":          {func(q *v1.BackfillRequest) { q.Status.Phase = v1.RequestFailed }, "which is Failed before the stream recorded it"},
		"leaving":               {func(q *v1.BackfillRequest) { q.Finalizers = []string{"example.com/wait"} }, "which is being deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			there := newCluster(t, orders()...)
			q := ownInitial(there.stream())
			c.change(q)
			there.must(there.api.Create(t.Context(), q))
			if q.Status.Phase != "" {
				there.must(there.api.Status().Update(t.Context(), q))
			}
			if len(q.Finalizers) > 0 {
				there.must(there.api.Delete(t.Context(), q))
			}
			// An obstacle is tried again every minute, so there is no rest.
			for range 3 {
				_, err := there.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "orders"}})
				there.must(err)
			}
			s := there.stream()
			if c.why == "" {
				if s.Status.InitialRequestUID != "there" {
					t.Errorf("counts %q: %s", s.Status.InitialRequestUID, s.Status.Phase)
				}
				return
			}
			ready := meta.FindStatusCondition(s.Status.Conditions, v1.ConditionReady)
			want := "It is backfillrequest orders-initial-0a1b2c3d, " + c.why + ". Delete it: kubectl delete backfillrequest orders-initial-0a1b2c3d --namespace sales"
			if s.Status.InitialBackfill != "" || len(there.jobs()) > 0 || ready == nil || ready.Reason != string(v1.ReasonNameConflict) || !strings.HasSuffix(ready.Message, want) {
				t.Errorf("counts %q, conditions %+v", s.Status.InitialRequestUID, ready)
			}
		})
	}
}

// TestAUsersOwnIsServed: one that bears copies of the operator's annotation and owner, but
// not its name, is neither deleted nor held up.
func TestAUsersOwnIsServed(t *testing.T) {
	for _, reason := range []string{v1.RequestInitial, v1.RequestGap} {
		c := newCluster(t, orders()...)
		c.settle()
		c.end(0)
		c.settle()
		q := ownInitial(c.stream())
		q.Name, q.UID, q.Annotations[v1.AnnotationMadeBy] = "mine", "mine", reason
		c.must(c.api.Create(t.Context(), q))
		c.settle()
		if j := c.running(); j.Annotations[v1.AnnotationRequestUID] != "mine" {
			t.Errorf("%s: job %s runs for request %q", reason, j.Name, j.Annotations[v1.AnnotationRequest])
		}
	}
}

// TestALateRequestOfItsOwnIsDeleted: by its name it is the operator's.
func TestALateRequestOfItsOwnIsDeleted(t *testing.T) {
	c := newCluster(t, orders(suspend)...)
	c.settle()
	if got := c.stream().Status.InitialBackfill; got != v1.InitialWaived {
		t.Fatalf("the initial backfill is %s", got)
	}
	c.must(c.api.Create(t.Context(), ownInitial(c.stream())))
	c.settle()
	if got := c.requests(); len(got) > 0 {
		t.Errorf("left is %s", got[0].Name)
	}
}
