package stream

// This file breaks every single write of the stories that users tell, in both
// ways, and expects the same end.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

func suspend(s *v1.Stream)   { s.Spec.Suspended = true }
func resume(s *v1.Stream)    { s.Spec.Suspended = false }
func scheduled(s *v1.Stream) { s.Spec.Schedule = ptr.To("*/15 * * * *") }
func onFailure(s *v1.Stream) {
	s.Spec.Restart = &v1.RestartSpec{Policy: v1.RestartOnFailure}
}
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
	}, "Running [Stream]"},
	{"a backfill is requested while it streams", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.request("again")
		c.settle()
		c.end(0)
		c.settle()
	}, "Running [Stream] again=Completed orders-initial-0a1b2c3d=Completed"},
	{"a backfill is requested before the stream's first", nil, func(c *cluster) {
		c.request("early")
		c.settle()
		c.end(0)
		c.settle()
	}, "Running [Stream] early=Completed"},
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
		q := c.firstRequest()
		c.must(c.api.Delete(c.t.Context(), q))
		c.settle()
	}, "Running [Stream]"},
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
	{"the streaming job fails, and starts again by itself", onFailure, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(3)
		c.settle()
		c.pass(time.Hour)
	}, "Running [Stream] orders-initial-0a1b2c3d=Completed"},
	{"the streaming job fails, and waits to start again", onFailure, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(3)
		c.settle()
	}, "Pending [] orders-initial-0a1b2c3d=Completed"},
	{"the streaming job fails with a code for which retrying is useless", onFailure, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(20)
		c.settle()
		c.pass(time.Hour)
	}, "Failed [] orders-initial-0a1b2c3d=Completed"},
	{"the backfill fails, and starts again by itself", onFailure, func(c *cluster) {
		c.settle()
		c.end(3)
		c.settle()
		c.pass(time.Hour)
		c.end(0)
		c.settle()
	}, "Running [Stream] orders-initial-0a1b2c3d=Completed"},
	{"the source has a gap", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(30)
		c.settle()
	}, "Backfilling [Backfill] gap=Running orders-initial-0a1b2c3d=Completed"},
	{"the source has a gap, and streams on after its backfill", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(30)
		c.settle()
		c.end(0)
		c.settle()
	}, "Running [Stream] gap=Completed orders-initial-0a1b2c3d=Completed"},
	{"the source has a second gap soon after the first", nil, func(c *cluster) {
		c.settle()
		c.end(0)
		c.settle()
		c.end(30)
		c.settle()
		c.end(0)
		c.settle()
		c.end(30)
		c.settle()
	}, "Pending [] gap=Completed orders-initial-0a1b2c3d=Completed"},
	{"scheduled", scheduled, func(c *cluster) {
		c.settle()
	}, "Scheduled [] cron"},
	{"a scheduled run comes and succeeds", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.end(0)
		c.settle()
	}, "Scheduled [] cron"},
	{"a scheduled run comes, and another waits for it", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.due("two")
		c.end(0)
		c.settle()
	}, "Scheduled [Scheduled] cron"},
	{"a scheduled run fails", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.end(3)
		c.settle()
	}, "Scheduled [] cron, last run failed"},
	{"the pod of a scheduled run is evicted", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.end(0, func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
		})
		c.settle()
	}, "Scheduled [] cron, last run failed"},
	{"a scheduled stream is suspended while a run is active", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.change(suspend)
		c.settle()
	}, "Suspended [] cron paused"},
	{"a scheduled stream is suspended, and resumed", scheduled, func(c *cluster) {
		c.settle()
		c.change(suspend)
		c.settle()
		c.change(resume)
		c.settle()
		c.due("one")
	}, "Scheduled [Scheduled] cron"},
	{"a scheduled stream is born suspended", func(s *v1.Stream) { scheduled(s); suspend(s) }, func(c *cluster) {
		c.settle()
	}, "Suspended []"},
	{"a backfill is requested of a scheduled stream", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.request("again")
		c.settle()
	}, "Backfilling [Backfill] again=Running cron paused"},
	{"a backfill is requested of a scheduled stream, and completed", scheduled, func(c *cluster) {
		c.settle()
		c.request("again")
		c.settle()
		c.end(0)
		c.settle()
	}, "Scheduled [] again=Completed cron"},
	{"the schedule is removed while a run is active", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.change(func(s *v1.Stream) { s.Spec.Schedule = nil })
		c.settle()
	}, "Running [Stream]"},
	{"the schedule is removed while the stream is suspended, which is then resumed", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.change(func(s *v1.Stream) { s.Spec.Schedule = nil; suspend(s) })
		c.settle()
		c.change(resume)
		c.settle()
	}, "Running [Stream]"},
	{"a schedule is set while it streams", noBackfill, func(c *cluster) {
		c.settle()
		c.change(scheduled)
		c.settle()
	}, "Scheduled [] cron"},
	{"a schedule is set while it streams, and it is suspended in the same moment", noBackfill, func(c *cluster) {
		c.settle()
		c.change(func(s *v1.Stream) { scheduled(s); suspend(s) })
		c.settle()
	}, "Suspended []"},
	{"a schedule is changed while a run is active", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.change(func(s *v1.Stream) { s.Spec.Schedule = ptr.To("0 3 * * *") })
		c.settle()
	}, "Scheduled [Scheduled] cron"},
	{"a scheduled run is deleted by hand", scheduled, func(c *cluster) {
		c.settle()
		c.due("one")
		c.must(c.api.Delete(c.t.Context(), c.running()))
		c.settle()
	}, "Scheduled [] cron, last run failed"},
	{"the CronJob is deleted by hand", scheduled, func(c *cluster) {
		c.settle()
		c.must(c.api.Delete(c.t.Context(), c.cron()))
		c.settle()
	}, "Scheduled [] cron"},
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
		c.pass(time.Hour)
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
	t.Parallel()
	told := 0
	for _, story := range stories {
		free := newCluster(t, orders(edits(story.given)...)...)
		story.tell(free)
		for n := range len(free.writes) {
			for _, f := range []fault{dropped, replyLost} {
				told++
				t.Run(fmt.Sprintf("%s/%d %s/%d", story.name, n+1, free.writes[n], f), func(t *testing.T) {
					t.Parallel()
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

// TestARequestThatWasNeverToldRunningHasAStart: its job ended before the write that says so was made.
func TestARequestThatWasNeverToldRunningHasAStart(t *testing.T) {
	for exitCode, want := range map[int32]v1.RequestPhase{0: v1.RequestCompleted, 3: v1.RequestFailed} {
		c := newCluster(t, orders()...)
		c.settle()
		q, record := c.firstRequest(), c.stream().Status.Job
		q.Status = v1.BackfillRequestStatus{}
		c.must(c.api.Status().Update(t.Context(), q))
		c.end(exitCode)
		c.settle()
		got := c.firstRequest().Status
		if got.Phase != want || got.Job != record.Name || !got.StartTime.Equal(record.StartTime) {
			t.Errorf("exit code %d: %s, job %q since %v; want %s, job %q since %v", exitCode, got.Phase, got.Job, got.StartTime, want, record.Name, record.StartTime)
		}
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

// TestAJobOfAUserUnderTheNameOfOursStopsNothing: its pods are none of our business.
func TestAJobOfAUserUnderTheNameOfOursStopsNothing(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	former := c.running()
	c.must(c.api.Delete(t.Context(), former))
	theirs := metav1.ObjectMeta{Namespace: namespace, Name: former.Name, UID: "theirs"}
	c.must(c.api.Create(t.Context(), &batchv1.Job{ObjectMeta: theirs, Spec: batchv1.JobSpec{Suspend: ptr.To(true)}}))
	c.must(c.api.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs", Labels: map[string]string{
			batchv1.JobNameLabel: former.Name, batchv1.ControllerUidLabel: "theirs",
		}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}))
	c.settle()
	if again := c.running(); again.Annotations[v1.AnnotationRequest] != "orders-initial-0a1b2c3d" {
		t.Errorf("the job that runs serves %q", again.Annotations[v1.AnnotationRequest])
	}
}

// TestRunsGrowPastAFormerStreams: also when what it left behind is gone by the time
// that the first job of the new one is made.
func TestRunsGrowPastAFormerStreams(t *testing.T) {
	c := newCluster(t, orders()...)
	last := c.stream().CreationTimestamp.Unix() + 7
	job := jobspec.Name("orders", "former", v1.KindStream, last)
	left := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: job + "-left1", Labels: map[string]string{
			v1.LabelManagedBy: v1.ManagedBy, v1.LabelStreamID: "orders", v1.LabelStreamKind: v1.KindStream,
			batchv1.JobNameLabel: job, batchv1.ControllerUidLabel: "former-job",
		}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	c.must(c.api.Create(t.Context(), left))
	c.settle()
	if len(c.jobs()) != 0 {
		t.Fatal("a job was made beside a pod of a former stream")
	}
	c.must(c.api.Delete(t.Context(), left))
	c.settle()
	if got := jobspec.RunOf(c.running().Name); got != last+1 {
		t.Errorf("the first run is %d, that of the former stream was %d", got, last)
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
	if err := limited(v1.RequestQueued).lookAlive(t.Context(), judged); movedOn(err) == "" {
		t.Errorf("taken back: %v", err)
	}
	if err := limited(v1.RequestGranted).lookAlive(t.Context(), judged); err != nil {
		t.Errorf("granted: %v", err)
	}
}

// TestNothingStreamsBeforeABackfillThatTheCacheDoesNotKnow: a new leader's cache may
// know of the decision before it knows of the request.
func TestNothingStreamsBeforeABackfillThatTheCacheDoesNotKnow(t *testing.T) {
	first := &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "first", UID: "first"}, Spec: v1.BackfillRequestSpec{StreamID: "orders"},
	}
	for name, status := range map[string]v1.StreamStatus{
		"initial": {InitialBackfill: v1.InitialRequested, InitialRequestUID: "first"},
		"gap":     {InitialBackfill: v1.InitialWaived, GapRequestUID: "first"},
	} {
		c := newCluster(t, append(orders(), first.DeepCopy())...)
		p := &pass{Reconciler: c.reconciler, world: &world{stream: orders()[0].(*v1.Stream)}}
		p.stream.Status = status
		if err := p.lookFormer(t.Context()); movedOn(err) == "" {
			t.Errorf("%s, alive: %v", name, err)
		}
		c.must(c.api.Delete(t.Context(), first.DeepCopy()))
		if err := p.lookFormer(t.Context()); err != nil {
			t.Errorf("%s, deleted by its user: %v", name, err)
		}
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

// pass lets time pass, and what is due happen.
func (c *cluster) pass(d time.Duration) {
	c.t.Helper()
	c.clock.SetTime(c.clock.Now().Add(d))
	c.settle()
}

// TestRestartsSpendABudget: after the last one the stream waits for its user.
func TestRestartsSpendABudget(t *testing.T) {
	c := newCluster(t, orders(onFailure, func(s *v1.Stream) {
		s.Spec.Restart.MaxRestarts = ptr.To(int32(2))
		s.Spec.Backfill = &v1.BackfillSpec{Initial: v1.InitialDisabled}
	})...)
	c.settle()
	var pauses []time.Duration
	for range 2 {
		c.end(3)
		c.settle()
		pauses = append(pauses, c.stream().Status.Restarts.NextTime.Sub(c.clock.Now()))
		c.pass(time.Hour)
		if got := c.stream().Status.Phase; got != v1.StreamRunning {
			t.Fatalf("after a failure within the budget the stream is %s", got)
		}
	}
	if pauses[0] != 10*time.Second || pauses[1] != 20*time.Second {
		t.Errorf("the pauses were %v", pauses)
	}
	c.end(3)
	c.settle()
	c.pass(time.Hour)
	s := c.stream()
	if s.Status.Phase != v1.StreamFailed || s.Status.Restarts.Retries != 2 {
		t.Errorf("with the budget spent: %s, %+v", s.Status.Phase, s.Status.Restarts)
	}
	ready := meta.FindStatusCondition(s.Status.Conditions, v1.ConditionReady)
	if !strings.Contains(ready.Message, "All 2 automatic restarts are used up") {
		t.Errorf("it says: %s", ready.Message)
	}
	c.change(suspend)
	c.settle()
	c.change(resume)
	c.settle()
	if s := c.stream(); s.Status.Phase != v1.StreamRunning || s.Status.Restarts != nil {
		t.Errorf("suspended and resumed: %s, %+v", s.Status.Phase, s.Status.Restarts)
	}
}

// TestAFailureIsToldInOneLine: kubectl cuts a table's cell at the end of its first line,
// and programs end what they say with one.
func TestAFailureIsToldInOneLine(t *testing.T) {
	c := newCluster(t, orders(func(s *v1.Stream) { s.Spec.Backfill = &v1.BackfillSpec{Initial: v1.InitialDisabled} })...)
	c.settle()
	c.end(3, func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses[0].State.Terminated.Message = "the table\n\tis gone\n"
	})
	c.settle()
	s := c.stream()
	if got := s.Status.Failure.Message; got != "the table is gone" {
		t.Errorf("the failure says %q", got)
	}
	ready := meta.FindStatusCondition(s.Status.Conditions, v1.ConditionReady)
	if !strings.HasSuffix(ready.Message, ": the table is gone. Suspend the stream to acknowledge it, then resume it.") {
		t.Errorf("the condition says %q", ready.Message)
	}
}

// TestAFailureThatIsRetriedAsksNobodyToAct: its transition, and so its event, says that
// it starts again by itself.
func TestAFailureThatIsRetriedAsksNobodyToAct(t *testing.T) {
	c := newCluster(t, orders(onFailure, func(s *v1.Stream) { s.Spec.Backfill = &v1.BackfillSpec{Initial: v1.InitialDisabled} })...)
	c.settle()
	c.end(3)
	c.settle()
	told := 0
	for _, transition := range c.stream().Status.History {
		if transition.Reason != string(v1.ReasonJobFailed) {
			continue
		}
		told++
		if !strings.HasSuffix(transition.Message, ": because. It starts again by itself.") {
			t.Errorf("the transition says %q", transition.Message)
		}
	}
	if told != 1 {
		t.Errorf("the failure was told %d times", told)
	}
}

// TestRestartsAreForgotten: once the stream has run well, a failure begins a new count.
func TestRestartsAreForgotten(t *testing.T) {
	c := newCluster(t, orders(onFailure, func(s *v1.Stream) { s.Spec.Backfill = &v1.BackfillSpec{Initial: v1.InitialDisabled} })...)
	c.settle()
	c.end(3)
	c.settle()
	c.pass(time.Hour)
	pod := c.run()
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
		Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.clock.Now())},
	}}}
	c.must(c.api.Status().Update(t.Context(), pod))
	c.pass(9 * time.Minute)
	if c.stream().Status.Restarts == nil {
		t.Error("forgotten too early")
	}
	result, err := c.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "orders"}})
	if err != nil || result.RequeueAfter != time.Minute {
		t.Errorf("it looks again after %s, %v", result.RequeueAfter, err)
	}
	c.pass(time.Minute)
	if got := c.stream().Status; got.Restarts != nil || got.Phase != v1.StreamRunning {
		t.Errorf("after healthyAfter: %s, %+v", got.Phase, got.Restarts)
	}
}

// ending describes how the world ended.
func (c *cluster) ending() string {
	modes := []string{}
	for _, j := range c.jobs() {
		if finished(&j) || suspended(&j) {
			continue
		}
		mode := v1.ModeStream
		owner := client.Object(c.stream())
		switch {
		case j.Annotations[v1.AnnotationRequestUID] != "":
			mode = v1.ModeBackfill
		case j.Labels[v1.LabelBackfilling] == "true":
			mode, owner = v1.ModeScheduled, c.cron()
		}
		modes = append(modes, string(mode))
		if owner == nil || !metav1.IsControlledBy(&j, owner) {
			c.t.Errorf("job %s has another owner", j.Name)
		}
	}
	requests := []string{}
	for _, q := range c.requests() {
		name := q.Name
		if q.Annotations[v1.AnnotationMadeBy] == v1.RequestGap {
			name = "gap" // a write that was lost may have cost a run, and its name holds the run
		}
		requests = append(requests, name+"="+string(q.Status.Phase))
	}
	if cron := c.cron(); cron != nil {
		text := "cron"
		if *cron.Spec.Suspend {
			text = "cron paused"
		}
		if meta.IsStatusConditionTrue(c.stream().Status.Conditions, v1.ConditionLastRunFailed) {
			text += ", last run failed"
		}
		requests = append(requests, text)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %v %s", c.stream().Status.Phase, modes, strings.Join(requests, " ")))
}

// TestTheRequestOfAForgottenFailureGoes: a suspension that comes between the gap's
// request and its record leaves nobody who would serve it, and nothing else wakes the stream.
func TestTheRequestOfAForgottenFailureGoes(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	c.end(0)
	c.settle()
	c.end(3)
	c.settle()
	s := c.stream()
	c.must(c.api.Create(t.Context(), &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("orders-gap-%d", s.Status.Failure.Run), UID: "gap",
			Annotations:     map[string]string{v1.AnnotationMadeBy: v1.RequestGap},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s, v1.GroupVersion.WithKind(v1.KindStream))},
		},
		Spec: v1.BackfillRequestSpec{StreamID: "orders"},
	}))
	c.change(suspend)
	if _, err := c.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "orders"}}); err != nil {
		t.Fatal(err)
	}
	for _, q := range c.requests() {
		if q.UID == "gap" {
			t.Error("the request is still there")
		}
	}
}
