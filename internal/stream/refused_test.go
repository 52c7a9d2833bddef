package stream

// This file tests that what the API server refuses is told to the user, and tried again in its time.

import (
	"context"
	"errors"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// refuse makes the API server refuse the operator's writes that are meant, as a
// quota, a policy or a namespace that is on its way out does.
func (c *cluster) refuse(meant func(verb string, o client.Object) bool) {
	check := func(verb string, o client.Object) error {
		if meant(verb, o) {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, o.GetName(), errors.New("exceeded quota: one"))
		}
		return nil
	}
	c.reconciler.Client = interceptor.NewClient(c.api, interceptor.Funcs{
		Create: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := check("create", o); err != nil {
				return err
			}
			return w.Create(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if err := check("patch", o); err != nil {
				return err
			}
			return w.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := check("delete", o); err != nil {
				return err
			}
			return w.Delete(ctx, o, opts...)
		},
	})
}

func (c *cluster) reconcile() (ctrl.Result, error) {
	return c.reconciler.Reconcile(c.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "orders"}})
}

func TestARefusalIsTold(t *testing.T) {
	isJob := func(o client.Object) bool { _, ok := o.(*batchv1.Job); return ok }
	for name, x := range map[string]struct {
		given  []client.Object
		meant  func(verb string, o client.Object) bool
		reason v1.Reason
	}{
		"the first backfill's request": {orders(), func(_ string, o client.Object) bool { return !isJob(o) }, v1.ReasonRequestRefused},
		"a job":                        {orders(noBackfill), func(verb string, o client.Object) bool { return isJob(o) && verb == "create" }, v1.ReasonJobRefused},
		"a job's release":              {orders(noBackfill), func(verb string, o client.Object) bool { return isJob(o) && verb == "patch" }, v1.ReasonJobRefused},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, x.given...)
			c.refuse(x.meant)
			for range 2 {
				result, err := c.reconcile()
				if err != nil || result.RequeueAfter != obstacleRecheck {
					t.Fatalf("got %+v, %v", result, err)
				}
			}
			s := c.stream()
			ready := meta.FindStatusCondition(s.Status.Conditions, v1.ConditionReady)
			if s.Status.Phase != v1.StreamPending || ready == nil || ready.Reason != string(x.reason) || !strings.Contains(ready.Message, "exceeded quota: one") {
				t.Errorf("%s, Ready is %+v", s.Status.Phase, ready)
			}
			if n := c.warnings(string(x.reason)); n != 1 {
				t.Errorf("%d events", n)
			}
			c.clock.SetTime(c.clock.Now().Add(defaultStartDeadline))
			_, err := c.reconcile()
			c.must(err)
			if message := c.stalledWith(x.reason); !strings.Contains(message, "exceeded quota: one") {
				t.Errorf("it says %q once it has lasted for long", message)
			}
			c.restart()
			c.settle()
			if s := c.stream(); s.Status.Phase != v1.StreamRunning && s.Status.Phase != v1.StreamBackfilling {
				t.Errorf("%s, once it is not refused any more", s.Status.Phase)
			}
		})
	}
}

// TestWhatCannotBeClearedAwayIsNoSecret: a policy that keeps finished jobs, or keeps
// them as they are, keeps nothing else from being told.
func TestWhatCannotBeClearedAwayIsNoSecret(t *testing.T) {
	given := orders()
	for _, o := range given {
		if template, ok := o.(*v1.StreamingJobTemplate); ok {
			template.Spec.Spec.TTLSecondsAfterFinished = ptr.To[int32](60)
		}
	}
	c := newCluster(t, given...)
	c.settle()
	ended := c.running().Name
	c.end(0)
	c.refuse(func(verb string, o client.Object) bool { return verb == "patch" && o.GetName() == ended })
	for _, meanwhile := range []func(){func() {}, func() {
		c.must(c.api.Delete(t.Context(), &v1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: "postgres"}}))
	}} {
		meanwhile()
		if r, err := c.reconcile(); err != nil || r.RequeueAfter == 0 || r.RequeueAfter > obstacleRecheck {
			t.Errorf("got %v, %v: it must be tried again", r, err)
		}
	}
	if n := c.warnings(string(v1.ReasonWriteRefused)); n == 0 {
		t.Error("nobody is told")
	}
	if s := c.stream(); s.Status.Phase != v1.StreamRunning || refusedBy(&s.Status) != v1.ReasonClassNotFound {
		t.Errorf("%s, refused by %q", s.Status.Phase, refusedBy(&s.Status))
	}
}
