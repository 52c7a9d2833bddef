package backfill

// This file is the world of the tests: an API server in memory whose writes can be lost.

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
)

// fate is what becomes of a write.
type fate string

const (
	arrives   fate = "arrives"
	lost      fate = "lost"
	replyLost fate = "reply lost"
	conflicts fate = "conflict"
)

var errCut = errors.New("the connection was cut")

// cluster is an API server in memory, and the reconcilers that work on it.
type cluster struct {
	t      *testing.T
	api    client.WithWatch
	r      *Reconciler
	slots  *Slots
	clock  *clocktesting.FakePassiveClock
	events *events.FakeRecorder
	// writes of the reconcilers, in order.
	writes []string
	// fails is asked for the fate of the n-th write.
	fails func(n int) fate
	// stale is what the cache says of the requests; nil: what the API server says.
	stale func(*v1.BackfillRequestList)
	looks int
	// listed is told of each list from the cache, after it; looking of each look, before it.
	listed  func(client.ObjectList)
	looking func()
	// getting is told of each object that is read from the API server, before it, and may refuse it.
	getting func(client.Object) error
	// cachedStream is what the cache says of the stream; nil: what the API server says.
	cachedStream *v1.Stream
}

// kindStream is the definition of the kind Stream, which was added two hours ago.
func kindStream() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{
		Name: "streams." + v1.GroupVersion.Group, CreationTimestamp: ago(2 * time.Hour),
	}}
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &cluster{t: t, clock: clocktesting.NewFakePassiveClock(now), events: events.NewFakeRecorder(1000)}
	b := fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects, kindStream())...).WithStatusSubresource(&v1.BackfillRequest{}, &v1.Stream{})
	for _, i := range indexed {
		b = b.WithIndex(i.object, i.field, i.values)
	}
	b = b.WithIndex(&v1.Stream{}, "spec.streamClass", func(o client.Object) []string { return []string{o.(*v1.Stream).Spec.StreamClass} })
	b = b.WithIndex(&v1.BackfillRequest{}, "spec.completed", ofRequests(func(q *v1.BackfillRequest) []string {
		return []string{fmt.Sprint(q.Spec.Completed)}
	}))
	c.api = b.Build()
	cached := interceptor.NewClient(c.api, interceptor.Funcs{
		Patch: func(ctx context.Context, cl client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return c.write("patch", o, func() error { return cl.Patch(ctx, o, p, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, cl client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return c.write("tell", o, func() error { return cl.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, cl client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return c.write("delete", o, func() error {
				if err := c.precondition(ctx, o, opts); err != nil {
					return err
				}
				return cl.Delete(ctx, o, opts...)
			})
		},
		Get: func(ctx context.Context, cl client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if s, ok := o.(*v1.Stream); ok && c.cachedStream != nil {
				c.cachedStream.DeepCopyInto(s)
				return nil
			}
			return cl.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, cl client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			err := cl.List(ctx, list, opts...)
			if requests, ok := list.(*v1.BackfillRequestList); ok && c.stale != nil {
				c.stale(requests)
			}
			if c.listed != nil {
				c.listed(list)
			}
			return err
		},
	})
	live := interceptor.NewClient(c.api, interceptor.Funcs{
		Get: func(ctx context.Context, cl client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if c.getting != nil {
				if err := c.getting(o); err != nil {
					return err
				}
			}
			return cl.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, cl client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			c.looks++
			if c.looking != nil {
				c.looking()
			}
			return cl.List(ctx, list, opts...)
		},
	})
	c.r = &Reconciler{Client: cached, Live: live, Events: c.events, Clock: c.clock}
	c.slots = &Slots{Client: cached, Live: live, Clock: c.clock}
	return c
}

// precondition does what the fake API server leaves out.
func (c *cluster) precondition(ctx context.Context, o client.Object, opts []client.DeleteOption) error {
	there := &v1.BackfillRequest{}
	if err := c.api.Get(ctx, keyOf(o), there); err != nil {
		return err
	}
	want := (&client.DeleteOptions{}).ApplyOptions(opts).Preconditions
	if want == nil || want.UID == nil || *want.UID != there.UID {
		return apierrors.NewConflict(schema.GroupResource{Resource: "backfillrequests"}, o.GetName(), errors.New("another UID"))
	}
	return nil
}

// write lets a write come to its fate.
func (c *cluster) write(verb string, o client.Object, do func() error) error {
	c.writes = append(c.writes, verb+" "+o.GetName())
	f := arrives
	if c.fails != nil {
		f = c.fails(len(c.writes))
	}
	switch f {
	case lost:
		return errCut
	case replyLost:
		return errors.Join(errCut, do())
	case conflicts:
		return apierrors.NewConflict(schema.GroupResource{Resource: "backfillrequests"}, o.GetName(), errors.New("changed"))
	case arrives:
	}
	return do()
}

// reconcile lets both reconcilers look at everything once.
func (c *cluster) reconcile() error {
	var errs []error
	for _, q := range c.requests() {
		_, err := c.r.Reconcile(c.t.Context(), ctrl.Request{NamespacedName: keyOf(&q)})
		errs = append(errs, err)
	}
	var classes v1.StreamClassList
	c.must(c.api.List(c.t.Context(), &classes))
	for i := range classes.Items {
		_, err := c.slots.Reconcile(c.t.Context(), ctrl.Request{NamespacedName: keyOf(&classes.Items[i])})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// settle reconciles until nothing more is written.
func (c *cluster) settle() {
	c.t.Helper()
	for range 20 {
		before := len(c.writes)
		if err := c.reconcile(); err == nil && len(c.writes) == before {
			return
		}
	}
	c.t.Fatalf("no rest after %v", c.writes)
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) requests() []v1.BackfillRequest {
	c.t.Helper()
	var list v1.BackfillRequestList
	c.must(c.api.List(c.t.Context(), &list))
	return list.Items
}

func (c *cluster) request(name string) *v1.BackfillRequest {
	c.t.Helper()
	q := &v1.BackfillRequest{}
	c.must(c.api.Get(c.t.Context(), types.NamespacedName{Namespace: "sales", Name: name}, q))
	return q
}

// edit changes a request as its user, or the stream's reconciler, does.
func (c *cluster) edit(name string, edits ...func(*v1.BackfillRequest)) {
	c.t.Helper()
	q := c.request(name)
	before := q.Status.DeepCopy()
	for _, edit := range edits {
		edit(q)
	}
	q.Generation++
	if !reflect.DeepEqual(before, &q.Status) {
		q.Status.ObservedGeneration = q.Generation
	}
	status := q.Status
	c.must(c.api.Update(c.t.Context(), q))
	q.Status = status
	c.must(c.api.Status().Update(c.t.Context(), q))
}

func (c *cluster) editStream(name string, edits ...func(*v1.Stream)) {
	c.t.Helper()
	s := &v1.Stream{}
	c.must(c.api.Get(c.t.Context(), types.NamespacedName{Namespace: "sales", Name: name}, s))
	for _, edit := range edits {
		edit(s)
	}
	status := s.Status
	c.must(c.api.Update(c.t.Context(), s))
	s.Status = status
	c.must(c.api.Status().Update(c.t.Context(), s))
}

func (c *cluster) pass(d time.Duration) { c.clock.SetTime(c.clock.Now().Add(d)) }

// ending is what all requests say, in a line.
func (c *cluster) ending() string {
	var all []string
	for _, q := range c.requests() {
		reason := ""
		if ready := meta.FindStatusCondition(q.Status.Conditions, v1.ConditionReady); ready != nil {
			reason = ready.Reason
		}
		owned := ""
		if backlog.OwnerOf(&q) != "" {
			owned = " owned"
		}
		all = append(all, fmt.Sprintf("%s=%s/%s%s", q.Name, q.Status.Phase, reason, owned))
	}
	sort.Strings(all)
	return strings.Join(all, ", ")
}

func (c *cluster) told() []string {
	var list []string
	for len(c.events.Events) > 0 {
		list = append(list, <-c.events.Events)
	}
	return list
}
