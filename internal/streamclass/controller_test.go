package streamclass

// This file tests the hands: what is written, when, and that a lost write changes nothing in the end.

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// cluster is an API server in memory and the reconciler that works on it.
type cluster struct {
	t      *testing.T
	api    client.WithWatch
	r      *Reconciler
	clock  *clocktesting.FakePassiveClock
	events *events.FakeRecorder
	writes int
	// fails is asked for the fate of each write of the reconciler.
	fails func(n int) fate
}

// fate is what becomes of a write.
type fate int

const (
	arrives fate = iota
	lost
	replyLost
	conflicts
)

var errCut = errors.New("the connection was cut")

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, clock: clocktesting.NewFakePassiveClock(now), events: events.NewFakeRecorder(100), fails: func(int) fate { return arrives }}
	c.api = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1.StreamClass{}, &v1.Stream{}).WithIndex(&v1.Stream{}, byClass, classOf).Build()
	c.r = &Reconciler{Client: interceptor.NewClient(c.api, interceptor.Funcs{SubResourcePatch: c.patch}), Events: c.events, Clock: c.clock}
	c.restart()
	return c
}

// restart forgets what a process knows.
func (c *cluster) restart() { c.r.counted = map[string]time.Time{} }

func (c *cluster) patch(ctx context.Context, cl client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	c.writes++
	switch c.fails(c.writes) {
	case lost:
		return errCut
	case replyLost:
		return errors.Join(errCut, cl.SubResource(sub).Patch(ctx, o, p, opts...))
	case conflicts:
		return apierrors.NewConflict(schema.GroupResource{Resource: "streamclasses"}, o.GetName(), errors.New("changed"))
	case arrives:
	}
	return cl.SubResource(sub).Patch(ctx, o, p, opts...)
}

func (c *cluster) reconcile() (ctrl.Result, error) {
	return c.r.Reconcile(c.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "c"}})
}

// settle reconciles until nothing more is written, and returns when to look again.
func (c *cluster) settle() time.Duration {
	c.t.Helper()
	for range 10 {
		before := c.writes
		result, err := c.reconcile()
		if err == nil && c.writes == before && result.RequeueAfter != lookAgainAfter {
			return result.RequeueAfter
		}
	}
	c.t.Fatal("the class does not come to rest")
	return 0
}

func (c *cluster) class() *v1.StreamClass {
	c.t.Helper()
	class := &v1.StreamClass{}
	if err := c.api.Get(c.t.Context(), types.NamespacedName{Name: "c"}, class); err != nil {
		c.t.Fatal(err)
	}
	return class
}

func (c *cluster) told() []string {
	var list []string
	for len(c.events.Events) > 0 {
		list = append(list, <-c.events.Events)
	}
	return list
}

func streamClass(name, kind string) *v1.StreamClass {
	return &v1.StreamClass{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Generation: 1},
		Spec:       v1.StreamClassSpec{KindRef: kind, APIVersion: "v1", PluralName: strings.ToLower(kind) + "s"},
	}
}

func stream(n int, class string, phase v1.StreamPhase) *v1.Stream {
	return &v1.Stream{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: fmt.Sprintf("s%d", n), UID: types.UID(fmt.Sprint(n))},
		Spec:       v1.StreamSpec{StreamClass: class},
		Status:     v1.StreamStatus{Phase: phase},
	}
}

// brief is what a status says, in a line.
func brief(s v1.StreamClassStatus) string {
	return fmt.Sprintf("%s %d %s %s %v", s.Phase, s.ObservedGeneration, s.Conditions[0].Status, s.Conditions[0].Reason, s.Streams)
}

func TestCountsStreams(t *testing.T) {
	c := newCluster(t, streamClass("c", "Stream"), streamClass("other", "Stream"),
		stream(1, "c", v1.StreamRunning), stream(2, "c", v1.StreamRunning), stream(3, "c", ""), stream(4, "other", v1.StreamFailed))
	c.settle()
	if got, want := brief(c.class().Status), "Ready 1 True Served map[Pending:1 Running:2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := c.told(); got != nil {
		t.Errorf("a good class is no news: %v", got)
	}
	c.writes = 0
	c.restart()
	if wake := c.settle(); c.writes != 0 || wake != 0 {
		t.Errorf("%d writes and a wake in %s with nothing changing", c.writes, wake)
	}
}

// TestTellsWhatAdmissionWouldRefuse: a class may have come by another way.
func TestTellsWhatAdmissionWouldRefuse(t *testing.T) {
	for field, change := range map[string]func(*v1.StreamClassSpec){
		"spec.containerName":                func(s *v1.StreamClassSpec) { s.ContainerName = "No Name" },
		"spec.secretRefs[0]":                func(s *v1.StreamClassSpec) { s.SecretRefs = []string{"source..name"} },
		"spec.allowedTemplateNamespaces[0]": func(s *v1.StreamClassSpec) { s.AllowedTemplateNamespaces = []string{"*"} },
		"spec.podFailurePolicy.rules[0]": func(s *v1.StreamClassSpec) {
			s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{Action: batchv1.PodFailurePolicyActionFailJob}}}
		},
	} {
		class := streamClass("c", "Stream")
		change(&class.Spec)
		c := newCluster(t, class)
		c.settle()
		status := c.class().Status
		if got, want := brief(status), "Failed 1 False ClassInvalid map[]"; got != want {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
		if message := status.Conditions[0].Message; !strings.HasPrefix(message, "StreamClass c: "+field+": ") {
			t.Errorf("%s: %s", field, message)
		}
	}
}

// TestCountsAreSpaced: a change at once, the next one thirty seconds later.
func TestCountsAreSpaced(t *testing.T) {
	c := newCluster(t, streamClass("c", "Stream"), stream(1, "c", v1.StreamPending))
	c.settle()
	c.writes = 0
	for i, phase := range []v1.StreamPhase{v1.StreamBackfilling, v1.StreamRunning} {
		s := stream(1, "c", "")
		if err := c.api.Get(t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
			t.Fatal(err)
		}
		s.Status.Phase = phase
		if err := c.api.Status().Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		c.clock.SetTime(now.Add(time.Duration(i+1) * time.Second))
		if wake, want := c.settle(), time.Duration(29-i)*time.Second; wake != want || c.writes != 0 {
			t.Errorf("%s: %d writes, wake in %s, want %s", phase, c.writes, wake, want)
		}
	}
	c.clock.SetTime(now.Add(countEvery))
	if wake := c.settle(); wake != 0 || c.writes != 1 {
		t.Errorf("%d writes, wake in %s", c.writes, wake)
	}
	if got, want := c.class().Status.Streams, (counts{"Running": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTransitionsAreTold: one event for each, after the write.
func TestTransitionsAreTold(t *testing.T) {
	c := newCluster(t, streamClass("c", "Stream"))
	c.settle()
	change := func(edit func(*v1.StreamClassSpec)) {
		t.Helper()
		class := c.class()
		class.Generation++
		edit(&class.Spec)
		if err := c.api.Update(t.Context(), class); err != nil {
			t.Fatal(err)
		}
		c.settle()
	}
	change(func(s *v1.StreamClassSpec) {
		s.FailureClasses = []v1.FailureClass{{Name: "a", ExitCodes: []int32{0}, Action: v1.ActionFail}}
	})
	if got, want := brief(c.class().Status), "Failed 2 False FailureClassesInvalid map[]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	change(func(s *v1.StreamClassSpec) { s.ContainerName = "main" })
	change(func(s *v1.StreamClassSpec) { s.FailureClasses = nil })
	want := []string{
		"Warning FailureClassesInvalid StreamClass c: spec.failureClasses[0].exitCodes[0]: 0 is success and belongs to no failure class; remove it",
		"Normal Served " + served,
	}
	if got := c.told(); !reflect.DeepEqual(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestOwnKindsWait(t *testing.T) {
	c := newCluster(t, streamClass("c", "SqlServerStream"))
	c.settle()
	if got, want := brief(c.class().Status), "Pending 1 False KindNotSupported map[]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLostWrites: whatever becomes of the first write, the world ends the same.
func TestLostWrites(t *testing.T) {
	for name, f := range map[string]fate{"lost": lost, "reply lost": replyLost, "conflict": conflicts} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, streamClass("c", "Stream"), stream(1, "c", v1.StreamRunning))
			c.fails = func(n int) fate {
				if n == 1 {
					return f
				}
				return arrives
			}
			result, err := c.reconcile()
			if f == conflicts && (err != nil || result.RequeueAfter != lookAgainAfter) {
				t.Errorf("a conflict is an error: %v, %v", result, err)
			}
			if f != conflicts && !errors.Is(err, errCut) {
				t.Errorf("the cut went unnoticed: %v", err)
			}
			if told := c.told(); told != nil {
				t.Errorf("told before it was written: %v", told)
			}
			c.restart()
			c.settle()
			if got, want := brief(c.class().Status), "Ready 1 True Served map[Running:1]"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestClassThatIsGone(t *testing.T) {
	c := newCluster(t)
	if wake := c.settle(); wake != 0 || c.writes != 0 {
		t.Errorf("%d writes, wake in %s", c.writes, wake)
	}
}

// TestClassDeletedMeanwhile: there is nobody left to tell, and that is no error.
func TestClassDeletedMeanwhile(t *testing.T) {
	c := newCluster(t, streamClass("c", "Stream"))
	w, err := c.r.observe(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.api.Delete(t.Context(), c.class()); err != nil {
		t.Fatal(err)
	}
	status, _ := decide(w)
	if err := c.r.report(t.Context(), w, status); err != nil {
		t.Error(err)
	}
}

// TestOnlyTheJudgedVersionIsWritten: a spec that changed in the same moment is judged first.
func TestOnlyTheJudgedVersionIsWritten(t *testing.T) {
	c := newCluster(t, streamClass("c", "Stream"))
	w, err := c.r.observe(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	class := c.class()
	class.Spec.PluralName = "other"
	if err := c.api.Update(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	status, _ := decide(w)
	if err := c.r.report(t.Context(), w, status); !apierrors.IsConflict(err) {
		t.Errorf("a status over a newer version: %v", err)
	}
}

// TestOwnWritesWakeNobody: neither a status of ours nor one of a stream that moves no count.
func TestOwnWritesWakeNobody(t *testing.T) {
	before := streamClass("c", "Stream")
	after := before.DeepCopy()
	after.Status.Phase, after.ResourceVersion = v1.ClassReady, "2"
	if classChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}) {
		t.Error("a status of ours wakes us")
	}
	after.Generation++
	if !classChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}) {
		t.Error("a changed spec wakes nobody")
	}
	s := stream(1, "c", v1.StreamRunning)
	same := s.DeepCopy()
	same.Status.Runs, same.Generation = 7, 3
	if phaseChanged().Update(event.UpdateEvent{ObjectOld: s, ObjectNew: same}) {
		t.Error("a stream whose phase stays wakes its class")
	}
	same.Status.Phase = v1.StreamFailed
	if !phaseChanged().Update(event.UpdateEvent{ObjectOld: s, ObjectNew: same}) {
		t.Error("a stream that failed does not wake its class")
	}
}
