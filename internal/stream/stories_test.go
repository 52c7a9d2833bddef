package stream

// This file breaks every single write of the stories that users tell, in both
// ways, and expects the same end.

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

func suspend(s *v1.Stream) { s.Spec.Suspended = true }
func resume(s *v1.Stream)  { s.Spec.Suspended = false }
func restart(s *v1.Stream) { s.Annotations = map[string]string{v1.AnnotationRestartedAt: "now"} }

// stories are what happens to a stream, by name.
var stories = []struct {
	name string
	// given is how the stream is created.
	given func(*v1.Stream)
	tell  func(*cluster)
	// want is the end: phase, jobs that run by mode, requests by phase.
	want string
}{
	{"backfill, then streaming", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
	}, "Running [Stream] orders-initial-0a1b2c3d=Completed"},
	{"born suspended, then resumed", suspend, func(c *cluster) {
		c.settle()
		c.change(resume)
		c.settle()
	}, "Running [Stream] "},
	{"a backfill is requested while it streams", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.request("again")
		c.settle()
		c.end(0)
		c.settle()
	}, "Running [Stream] again=Completed orders-initial-0a1b2c3d=Completed"},
	{"suspended while it backfills", nil, func(c *cluster) {
		c.settle()
		c.change(suspend)
		c.settle()
	}, "Suspended [] orders-initial-0a1b2c3d=Paused"},
	{"suspended while it backfills, and resumed", nil, func(c *cluster) {
		c.settle()
		c.change(suspend)
		c.settle()
		c.change(resume)
		c.settle()
		c.end(0)
		c.settle()
	}, "Running [Stream] orders-initial-0a1b2c3d=Completed"},
	{"the backfill's pod is evicted", nil, func(c *cluster) {
		c.settle()
		c.end(0, func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
		})
		c.settle()
	}, "Backfilling [Backfill] orders-initial-0a1b2c3d=Running"},
	{"the streaming job fails", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(3)
		c.settle()
	}, "Failed [] orders-initial-0a1b2c3d=Completed"},
	{"failed, suspended, requested, resumed", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(3)
		c.settle()
		c.change(suspend)
		c.settle()
		c.request("again")
		c.change(resume)
		c.settle()
	}, "Backfilling [Backfill] again=Running orders-initial-0a1b2c3d=Completed"},
	{"the backfill fails, and is retried", nil, func(c *cluster) {
		c.settle()
		c.end(3)
		c.settle()
		c.change(suspend)
		c.settle()
		c.change(resume)
		c.settle()
	}, "Backfilling [Backfill] orders-initial-0a1b2c3d=Running"},
	{"the source changes while it streams", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.change(func(s *v1.Stream) {
			s.Spec.PodFailurePolicy = nil
			s.Spec.JobTemplateRef = nil
			s.Spec.Sink = raw(`{"to":"b"}`)
		})
		c.settle()
	}, "Running [Stream] orders-initial-0a1b2c3d=Completed"},
	{"the request is cancelled while it runs", nil, func(c *cluster) {
		c.settle()
		q := c.requests()[0]
		c.must(c.api.Delete(c.t.Context(), &q))
		c.settle()
	}, "Running [Stream] "},
	{"a restart is asked for while it streams", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.change(restart)
		c.settle()
	}, "Running [Stream] orders-initial-0a1b2c3d=Completed"},
	{"a restart is asked for after a failure", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(3)
		c.settle()
		c.change(restart)
		c.settle()
	}, "Running [Stream] orders-initial-0a1b2c3d=Completed"},
	{"the streaming job ends by itself", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(0)
		c.settle()
	}, "Pending [] orders-initial-0a1b2c3d=Completed"},
	{"the streaming job ends by itself, and the back-off passes", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(0)
		c.settle()
		c.clock.SetTime(c.clock.Now().Add(time.Hour))
		c.settle()
	}, "Running [Stream] orders-initial-0a1b2c3d=Completed"},
}

// TestEveryStoryEndsWell tells each story without a fault.
func TestEveryStoryEndsWell(t *testing.T) {
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			c := newCluster(t, orders(edits(story.given)...)...)
			story.tell(c)
			if got := c.ending(); got != story.want {
				t.Errorf("ends in %q, want %q; writes:\n%s", got, story.want, strings.Join(c.writes, "\n"))
			}
		})
	}
}

// TestAWriteIsLost tells each story once for every write and either fault.
func TestAWriteIsLost(t *testing.T) {
	told := 0
	for _, story := range stories {
		free := newCluster(t, orders(edits(story.given)...)...)
		story.tell(free)
		for n := range len(free.writes) {
			for _, f := range []fault{dropped, replyLost} {
				told++
				t.Run(fmt.Sprintf("%s/%d %s/%d", story.name, n+1, free.writes[n], f), func(t *testing.T) {
					c := newCluster(t, orders(edits(story.given)...)...)
					c.faultAt, c.fault = n+1, f
					story.tell(c)
					if len(c.writes) < n+1 {
						t.Fatalf("write %d was never made", n+1)
					}
					if got := c.ending(); got != story.want {
						t.Errorf("ends in %q, want %q; writes:\n%s", got, story.want, strings.Join(c.writes, "\n"))
					}
				})
			}
		}
	}
	t.Logf("%d stories with a fault", told)
}

// TestLedger counts the writes of a lifecycle, by name: the 12 that the design allows.
func TestLedger(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	c.end(0)
	c.settle()
	run := c.stream().Status.Runs
	first := fmt.Sprintf("orders-%s-%d", strings.Split(c.running().Name, "-")[1], run-1)
	second := c.running().Name
	want := []string{
		"create *v1.BackfillRequest orders-initial-0a1b2c3d", "patch status *v1.Stream orders",
		"create *v1.Job " + first, "patch status *v1.Stream orders", "patch *v1.Job " + first,
		"patch status *v1.BackfillRequest orders-initial-0a1b2c3d",
		"patch status *v1.Stream orders",
		"patch *v1.BackfillRequest orders-initial-0a1b2c3d", "patch status *v1.BackfillRequest orders-initial-0a1b2c3d",
		"create *v1.Job " + second, "patch status *v1.Stream orders", "patch *v1.Job " + second,
	}
	if got := strings.Join(c.writes, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("writes:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

// TestARestartIsCarriedOutOnce: a value that was seen is not carried out again.
func TestARestartIsCarriedOutOnce(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	c.end(0)
	c.settle()
	before := c.running().UID
	c.change(restart)
	c.settle()
	after := c.running().UID
	if after == before {
		t.Error("nothing was restarted")
	}
	c.change(func(s *v1.Stream) { s.Labels = map[string]string{"a": "b"} })
	c.settle()
	if c.running().UID != after {
		t.Error("it was restarted twice")
	}
}

// TestARequestOfAFormerStreamIsNotServed: the garbage collector is about to take it.
func TestARequestOfAFormerStreamIsNotServed(t *testing.T) {
	c := newCluster(t, orders()...)
	c.must(c.api.Create(t.Context(), &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "old", UID: "old", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: v1.GroupVersion.String(), Kind: v1.KindStream, Name: "orders", UID: "former"},
		}},
		Spec: v1.BackfillRequestSpec{StreamID: "orders"},
	}))
	c.settle()
	if got := c.running().Annotations[v1.AnnotationRequest]; got != "orders-initial-0a1b2c3d" {
		t.Errorf("the job serves %s", got)
	}
}

// TestASlotThatIsTakenBackStartsNothing: the cache still shows the grant, the API server no longer does.
func TestASlotThatIsTakenBackStartsNothing(t *testing.T) {
	limited := func(phase v1.RequestPhase) *pass {
		w := &world{
			stream: &v1.Stream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}},
			class:  &v1.StreamClass{Spec: v1.StreamClassSpec{Backfill: &v1.ClassBackfill{MaxConcurrent: ptr.To(int32(1))}}},
		}
		q := &v1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "q", UID: "q"}, Status: v1.BackfillRequestStatus{Phase: phase}}
		return &pass{Reconciler: newCluster(t, q).reconciler, world: w}
	}
	judged := &v1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Name: "q", UID: "q"}, Status: v1.BackfillRequestStatus{Phase: v1.RequestGranted}}
	if err := limited(v1.RequestQueued).lookAlive(t.Context(), judged); !errors.Is(err, errObserveAgain) {
		t.Errorf("taken back: %v", err)
	}
	if err := limited(v1.RequestGranted).lookAlive(t.Context(), judged); err != nil {
		t.Errorf("granted: %v", err)
	}
}

// TestATemplateWakesWhoNamesIt: a stream, a class or a request.
func TestATemplateWakesWhoNamesIt(t *testing.T) {
	named := &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "q"},
		Spec:       v1.BackfillRequestSpec{StreamID: "payments", JobTemplateRef: &v1.TemplateReference{Name: "big"}},
	}
	c := newCluster(t, append(orders(), named)...)
	for template, want := range map[string]string{"std": "orders", "big": "payments", "other": ""} {
		got := ""
		for _, r := range c.reconciler.streamsOfTemplate(t.Context(), &v1.StreamingJobTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: template}}) {
			got += r.Name
		}
		if got != want {
			t.Errorf("template %s wakes %q, want %q", template, got, want)
		}
	}
}

// TestEveryVerbHasHands keeps the table and the hands together.
func TestEveryVerbHasHands(t *testing.T) {
	for _, v := range lifecycle.Verbs() {
		if hands[v] == nil {
			t.Errorf("verb %s has no hands", v)
		}
		if _, changes := changes[v]; changes != (v.Kind() == lifecycle.Remember) {
			t.Errorf("verb %s: changes the memory: %v, is a memory: %v", v, changes, v.Kind() == lifecycle.Remember)
		}
	}
}

func edits(e func(*v1.Stream)) []func(*v1.Stream) {
	if e == nil {
		return nil
	}
	return []func(*v1.Stream){e}
}

// ending describes how the world ended.
func (c *cluster) ending() string {
	modes := []string{}
	for _, j := range c.jobs() {
		if finished(&j) || suspended(&j) {
			continue
		}
		mode := v1.ModeStream
		if j.Labels[v1.LabelBackfilling] == "true" {
			mode = v1.ModeBackfill
		}
		modes = append(modes, string(mode))
		if !metav1.IsControlledBy(&j, c.stream()) {
			c.t.Errorf("job %s has another owner", j.Name)
		}
	}
	requests := []string{}
	for _, q := range c.requests() {
		requests = append(requests, q.Name+"="+string(q.Status.Phase))
	}
	return fmt.Sprintf("%s %v %s", c.stream().Status.Phase, modes, strings.Join(requests, " "))
}
