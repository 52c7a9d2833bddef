package stream

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// This file holds what other users, policies, schedulers and a second operator do to a
// stream, and what must not come of it.

// next is the pod that the Job controller makes after another of the running job.
func (c *cluster) next(after *corev1.Pod) *corev1.Pod {
	c.t.Helper()
	j := c.running()
	p := after.DeepCopy()
	p.ResourceVersion, p.Name, p.UID, p.CreationTimestamp = "", j.Name+"-next", "next", metav1.NewTime(c.clock.Now())
	controlledBy("Job", j.Name, j.UID)(p)
	p.Status = runningFrom(c.clock.Now())
	return p
}

// TestAnOlderPodProvesNothingOnceANewerOneIsGone: the newer one began the work once more,
// and the Job succeeded by it.
func TestAnOlderPodProvesNothingOnceANewerOneIsGone(t *testing.T) {
	for name, e := range map[string]struct {
		mark  *v1.Completion
		older corev1.PodStatus
	}{
		"it gave the mark and failed by another container": {&v1.Completion{Mark: v1.MarkTerminationMessage}, corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "a-proxy", State: terminated(1, time.Now(), "")}, {Name: "main", State: terminated(0, time.Now(), "completed")},
		}}},
		"the kubelet failed it": {nil, corev1.PodStatus{Phase: corev1.PodFailed, Reason: "DeadlineExceeded", ContainerStatuses: []corev1.ContainerStatus{
			{Name: "main", State: terminated(0, time.Now(), "")},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, declares(e.mark)...)
			c.settle()
			j, pod := c.running(), c.run()
			pod.Status = e.older
			c.must(c.api.Status().Update(t.Context(), pod))
			if e.mark == nil {
				c.settle()
			}
			c.clock.SetTime(c.clock.Now().Add(20 * time.Second))
			next := c.next(pod)
			next.Finalizers = []string{batchv1.JobTrackingFinalizer}
			c.must(c.api.Create(t.Context(), next))
			if e.mark == nil {
				c.settle()
			}
			c.must(c.api.Delete(t.Context(), next))
			c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(next), next))
			next.Status = corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{Name: "main", State: terminated(0, time.Now(), "")}}}
			c.must(c.api.Status().Update(t.Context(), next))
			c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(next), next))
			next.Finalizers = nil
			c.must(c.api.Update(t.Context(), next))
			j.Status.Succeeded, j.Status.Failed = 1, 1
			j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Now().Add(time.Minute))}}
			c.must(c.api.Status().Update(t.Context(), j))
			c.settle()
			if q := c.firstRequest(); q.Spec.Completed {
				t.Errorf("request %s, attempts %s", q.Status.Phase, c.attempts())
			}
		})
	}
}

// TestAPodThatIsGivenToAnotherJobIsNoSecondWriter in silence.
func TestAPodThatIsGivenToAnotherJobIsNoSecondWriter(t *testing.T) {
	for name, to := range map[string]func(c *cluster, former *batchv1.Job) *batchv1.Job{
		"to a finished one of the stream's": func(_ *cluster, former *batchv1.Job) *batchv1.Job { return former },
		"to somebody else's": func(c *cluster, _ *batchv1.Job) *batchv1.Job {
			theirs := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs", UID: "theirs", Labels: map[string]string{v1.LabelStreamID: "orders", v1.LabelStreamKind: v1.KindStream}}, Spec: batchv1.JobSpec{Suspend: ptr.To(true)}}
			c.must(c.api.Create(c.t.Context(), theirs))
			return theirs
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders()...)
			c.settle()
			former := c.running()
			c.end(0)
			c.settle()
			owner, pod := to(c, former), c.run()
			controlledBy("Job", owner.Name, owner.UID)(pod)
			c.must(c.api.Update(t.Context(), pod))
			second := c.next(pod)
			c.must(c.api.Create(t.Context(), second))
			c.hours(3)
			if stalled := c.condition(v1.ConditionStalled); c.exists(pod) && (stalled.Status != metav1.ConditionTrue || stalled.Reason != string(v1.ReasonForeignPod)) {
				t.Errorf("both pods are there: %v; Stalled %s %s", c.exists(second), stalled.Status, stalled.Reason)
			}
		})
	}
}

// TestAPodOfAFinishedJobKeepsNothingWaiting.
func TestAPodOfAFinishedJobKeepsNothingWaiting(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	ended := c.running()
	c.end(0)
	c.settle()
	pod := theirs(ended.Name+"-zzzzz", controlledBy("Job", ended.Name, ended.UID))
	pod.Status.Phase, pod.CreationTimestamp = corev1.PodPending, metav1.NewTime(c.clock.Now())
	c.must(c.api.Create(t.Context(), pod))
	c.change(suspend)
	c.hours(3)
	if s := c.stream(); s.Status.Phase != v1.StreamSuspended || c.exists(pod) {
		t.Errorf("%s, the pod is there: %v", s.Status.Phase, c.exists(pod))
	}
}

// TestALabelThatLeavesInTwoStepsIsNoted: the watch shows a pod as it was before the second.
func TestALabelThatLeavesInTwoStepsIsNoted(t *testing.T) {
	for name, step := range map[string]func(*corev1.Pod){
		"the kind first":         func(p *corev1.Pod) { delete(p.Labels, v1.LabelStreamKind) },
		"another stream's first": func(p *corev1.Pod) { p.Labels[v1.LabelStreamID] = "nosuch" },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill)...)
			c.settle()
			pod := c.run()
			q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			on := c.reconciler.onPod()
			step(pod)
			c.must(c.api.Update(t.Context(), pod))
			c.settle()
			left := pod.DeepCopy()
			c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
			pod.Labels, pod.OwnerReferences = nil, nil
			c.must(c.api.Update(t.Context(), pod))
			on.Delete(t.Context(), event.DeleteEvent{Object: left}, q)
			for q.Len() > 0 {
				k, _ := q.Get()
				_, err := c.reconciler.Reconcile(t.Context(), k)
				c.must(err)
				q.Done(k)
			}
			c.change(suspend)
			c.settle()
			if phase := c.stream().Status.Phase; c.exists(pod) && phase == v1.StreamSuspended {
				t.Error("it is suspended, and the pod is there")
			}
		})
	}
}

// TestPodsOfNobodyAreForgotten: they bore the label once.
func TestPodsOfNobodyAreForgotten(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	c.run()
	key := types.NamespacedName{Namespace: namespace, Name: "orders"}
	p := theirs("web-1")
	c.reconciler.departed.note(key, p)
	p.Labels = nil
	c.must(c.api.Create(t.Context(), p))
	c.settle()
	if left := c.reconciler.departed.of(key); len(left) != 0 {
		t.Errorf("%v is remembered", left)
	}
}

// TestAConflictIsNoAttempt: the third end without the mark is a failure, and no other, also
// where the stream's patch is in vain once.
func TestAConflictIsNoAttempt(t *testing.T) {
	for _, at := range []int{2, 3} {
		c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage})...)
		c.settle()
		n := 0
		for n < 3 && c.stream().Status.Failure == nil {
			n++
			c.end(0)
			if n == at {
				once := true
				c.intercept(interceptor.Funcs{SubResourcePatch: func(ctx context.Context, w client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
					if _, ok := o.(*v1.Stream); ok && once {
						once = false
						return apierrors.NewConflict(schema.GroupResource{Resource: "streams"}, o.GetName(), errors.New("somebody labelled it"))
					}
					return w.SubResource(sub).Patch(ctx, o, p, opts...)
				}})
			}
			c.settle()
		}
		if n != 3 || c.stream().Status.Failure == nil {
			t.Errorf("a conflict at end %d: %s after %d ends, attempts %s", at, c.stream().Status.Phase, n, c.attempts())
		}
	}
}

// lagging is a second operator whose caches of streams, jobs and pods are a moment behind.
func (c *cluster) lagging(stream *v1.Stream, jobs ...batchv1.Job) {
	c.restart()
	c.intercept(interceptor.Funcs{
		Get: func(ctx context.Context, w client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			switch into := o.(type) {
			case *v1.Stream:
				stream.DeepCopyInto(into)
				return nil
			case *batchv1.CronJob:
				return apierrors.NewNotFound(schema.GroupResource{Resource: "cronjobs"}, key.Name)
			case *batchv1.Job:
				for i := range jobs {
					if jobs[i].Name == key.Name {
						jobs[i].DeepCopyInto(into)
						return nil
					}
				}
				return apierrors.NewNotFound(schema.GroupResource{Resource: "jobs"}, key.Name)
			}
			return w.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, w client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			switch l := list.(type) {
			case *batchv1.JobList:
				l.Items = jobs
				return nil
			case *corev1.PodList:
				return nil
			}
			return w.List(ctx, list, opts...)
		},
	})
}

// TestALaggingOperatorDeletesNoRecordedRequest: its stream has not recorded it yet.
func TestALaggingOperatorDeletesNoRecordedRequest(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	c.end(0)
	c.settle()
	before, job := c.stream(), c.running()
	c.end(30) // a gap in the source: the class asks for a backfill
	c.settle()
	mine, gap := c.reconciler, c.stream().Status.GapRequestUID
	c.lagging(before, *job)
	if _, err := c.reconcile(); err != nil {
		t.Log(err)
	}
	c.reconciler = mine
	c.settle()
	for _, q := range c.requests() {
		if q.UID == gap && gap != "" {
			return
		}
	}
	t.Errorf("request %q is gone; stream %s", gap, c.stream().Status.Phase)
}

// TestALaggingOperatorDeletesNoRecordedCronJob, nor the run that is at work.
func TestALaggingOperatorDeletesNoRecordedCronJob(t *testing.T) {
	c := newCluster(t, orders(scheduled)...)
	before := c.stream()
	before.Status.InitialBackfill = v1.InitialWaived
	c.settle()
	c.due("29384757")
	cron, j, mine := c.cron(), c.running(), c.reconciler
	c.lagging(before)
	if _, err := c.reconcile(); err != nil {
		t.Log(err)
	}
	c.reconciler = mine
	if !c.exists(cron) || !c.exists(j) {
		t.Errorf("the CronJob is there: %v, its run: %v", c.exists(cron), c.exists(j))
	}
}

// TestJobsThatSomebodyDeletesAtOnceAreBackedOff: the first is followed at once, and then it
// takes longer each time.
func TestJobsThatSomebodyDeletesAtOnceAreBackedOff(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	var waits []time.Duration
	for range 4 {
		c.must(c.api.Delete(t.Context(), c.running()))
		since := c.clock.Now()
		for n := 0; len(c.unfinished()) == 0 && n < 10; n++ {
			r, err := c.reconcile()
			c.must(err)
			if len(c.unfinished()) == 0 {
				c.clock.SetTime(c.clock.Now().Add(r.RequeueAfter))
			}
		}
		waits = append(waits, c.clock.Now().Sub(since))
		c.settle()
	}
	if waits[0] != 0 || waits[1] == 0 || waits[2] <= waits[1] || waits[3] <= waits[2] {
		t.Errorf("waits %v", waits)
	}
	if stalled := c.condition(v1.ConditionStalled); stalled.Status != metav1.ConditionTrue || stalled.Reason != string(v1.ReasonCrashLooping) {
		t.Errorf("Stalled %s %s", stalled.Status, stalled.Reason)
	}
	c.clock.SetTime(c.clock.Now().Add(24 * time.Hour))
	c.must(c.api.Delete(t.Context(), c.running()))
	_, err := c.reconcile()
	c.must(err)
	c.running()
}

// TestAJobThatItsStreamLeftBehindIsWaitedFor: it makes its next pod when its back-off is over.
func TestAJobThatItsStreamLeftBehindIsWaitedFor(t *testing.T) {
	former := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: jobspec.Name("orders", "former", v1.KindStream, 1767322000), UID: "former-job",
		Labels: map[string]string{v1.LabelStreamID: "orders", v1.LabelStreamKind: v1.KindStream, v1.LabelManagedBy: v1.ManagedBy},
	}}
	c := newCluster(t, append(orders(noBackfill), former)...)
	c.settle()
	for _, j := range c.jobs() {
		if j.UID != former.UID {
			t.Errorf("%s has been made beside it", j.Name)
		}
	}
	c.hours(3)
	if stalled := c.condition(v1.ConditionStalled); stalled.Status != metav1.ConditionTrue || stalled.Reason != string(v1.ReasonJobStays) {
		t.Errorf("Stalled %s %s", stalled.Status, stalled.Reason)
	}
	c.must(c.api.Delete(t.Context(), former))
	c.settle()
	c.running()
}

// TestAPodsOwnReasonIsFitForACondition: whoever may patch a pod's status chooses it.
func TestAPodsOwnReasonIsFitForACondition(t *testing.T) {
	pattern := regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`) // metav1.Condition's
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	pod := c.run()
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "queue is full", Message: "wait"}}}
	c.must(c.api.Status().Update(t.Context(), pod))
	c.settle()
	c.clock.SetTime(c.clock.Now().Add(2 * defaultStartDeadline))
	c.settle()
	stalled := c.condition(v1.ConditionStalled)
	if stalled.Status != metav1.ConditionTrue || !pattern.MatchString(stalled.Reason) || !regexp.MustCompile("queue is full: wait").MatchString(stalled.Message) {
		t.Errorf("Stalled %s %q: %s", stalled.Status, stalled.Reason, stalled.Message)
	}
}

// TestWhatIsRefusedForLongIsTold, whatever the refusal is called.
func TestWhatIsRefusedForLongIsTold(t *testing.T) {
	deletion := func(refusal error) func(*cluster) {
		return func(c *cluster) {
			c.setStatus(c.run(), runningFrom(c.clock.Now()))
			c.settle()
			c.intercept(interceptor.Funcs{Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error { return refusal }})
			c.change(suspend)
		}
	}
	for name, refuse := range map[string]func(*cluster){
		"a webhook's backend is down":    deletion(apierrors.NewInternalError(errors.New(`failed calling webhook "x": connection refused`))),
		"a policy calls it unauthorized": deletion(apierrors.NewUnauthorized("denied by policy")),
		"a policy calls it too large":    deletion(apierrors.NewRequestEntityTooLargeError("denied by policy")),
		"a policy guards a request's status": func(c *cluster) {
			c.intercept(interceptor.Funcs{SubResourcePatch: func(ctx context.Context, w client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				if _, ok := o.(*v1.BackfillRequest); ok {
					return apierrors.NewForbidden(schema.GroupResource{Resource: "backfillrequests"}, o.GetName(), errors.New("denied by policy"))
				}
				return w.SubResource(sub).Patch(ctx, o, p, opts...)
			}})
			c.end(20)
		},
		"a policy takes a completion back": func(c *cluster) {
			c.admitPatch = func(o client.Object) {
				if q, ok := o.(*v1.BackfillRequest); ok {
					q.Spec.Completed = false
				}
			}
			c.end(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders()...)
			c.settle()
			refuse(c)
			writes := len(c.writes)
			for range 10 {
				if _, err := c.reconcile(); err != nil {
					t.Log(err)
				}
				c.clock.SetTime(c.clock.Now().Add(time.Hour))
			}
			if stalled := c.condition(v1.ConditionStalled); stalled.Status != metav1.ConditionTrue {
				t.Errorf("%s; Ready %+v, Stalled %+v", c.stream().Status.Phase, c.condition(v1.ConditionReady), stalled)
			}
			if n := len(c.writes) - writes; n > 60 {
				t.Errorf("%d writes in 10 passes", n)
			}
		})
	}
}

// unfinished are the Jobs that have not ended.
func (c *cluster) unfinished() []batchv1.Job {
	return slices.DeleteFunc(c.jobs(), func(j batchv1.Job) bool { return finished(&j) })
}

// TestARunWhoseNameIsTakenIsTold: the CronJob controller makes no Job under that name, says
// nothing, and does not come back before somebody writes to the CronJob.
func TestARunWhoseNameIsTakenIsTold(t *testing.T) {
	for _, zone := range []*string{ptr.To("Etc/UTC"), nil} {
		t.Run(ptr.Deref(zone, "no zone"), func(t *testing.T) { aRunWhoseNameIsTakenIsTold(t, zone) })
	}
}

func aRunWhoseNameIsTakenIsTold(t *testing.T, zone *string) {
	t.Helper()
	c := newCluster(t, orders(scheduled, func(s *v1.Stream) { s.Spec.TimeZone = zone })...)
	c.settle()
	cron, due := c.cron(), c.clock.Now().Truncate(15*time.Minute).Add(15*time.Minute)
	squatter := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: jobspec.NameOfRun(cron, due), UID: "squatter"}}
	c.must(c.api.Create(t.Context(), squatter))

	c.clock.SetTime(due.Add(defaultStartDeadline - time.Second))
	r, err := c.reconcile()
	c.must(err)
	if before := c.cron(); before.ResourceVersion != cron.ResourceVersion {
		t.Error("the CronJob was written before the run was overdue")
	}
	c.clock.SetTime(c.clock.Now().Add(r.RequeueAfter))
	if c.clock.Now().Before(due.Add(defaultStartDeadline)) {
		t.Fatalf("it looks again at %s", c.clock.Now())
	}
	c.settle()
	last, after := c.condition(v1.ConditionLastRunFailed), c.cron()
	if last.Reason != string(v1.ReasonRunMissed) || !strings.Contains(last.Message, "kubectl delete job "+squatter.Name) ||
		strings.Contains(last.Message, "if the controller manager") != (zone == nil) {
		t.Errorf("LastRunFailed %+v", last)
	}
	if after.ResourceVersion == cron.ResourceVersion {
		t.Error("the CronJob controller was not woken")
	}
	if n := c.warnings(string(v1.ReasonRunMissed)); n != 1 {
		t.Errorf("told %d times", n)
	}
	if s := c.stream(); s.Status.Phase != v1.StreamScheduled || !c.exists(squatter) {
		t.Errorf("phase %s", s.Status.Phase)
	}
	c.settle()
	if again := c.cron(); again.ResourceVersion != after.ResourceVersion {
		t.Error("the CronJob is written again and again")
	}

	c.must(c.api.Delete(t.Context(), squatter))
	c.due("29384900")
	c.end(0)
	c.settle()
	if last := c.condition(v1.ConditionLastRunFailed); last.Status != metav1.ConditionFalse {
		t.Errorf("LastRunFailed %+v", last)
	}
}

// TestNoRunIsMissedWhileTheScheduleIsHeldBack, nor shortly after that.
func TestNoRunIsMissedWhileTheScheduleIsHeldBack(t *testing.T) {
	for name, x := range map[string]struct {
		tell  func(*cluster)
		later time.Duration
	}{
		"a run is at work":      {func(c *cluster) { c.due("29384757") }, 48 * time.Hour},
		"a backfill is at work": {func(c *cluster) { c.request("again") }, 48 * time.Hour},
		"suspended":             {func(c *cluster) { c.change(suspend) }, 48 * time.Hour},
		"a run has just ended": {func(c *cluster) {
			c.due("29384757")
			c.hours(5)
			c.end(0)
		}, time.Minute},
		"a backfill has just ended": {func(c *cluster) {
			c.request("again")
			c.settle()
			c.hours(5)
			c.end(0)
		}, time.Minute},
		"just resumed": {func(c *cluster) {
			c.change(suspend)
			c.settle()
			c.later(5 * time.Hour)
			c.change(func(s *v1.Stream) { s.Spec.Suspended = false })
		}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(scheduled)...)
			c.settle()
			x.tell(c)
			c.settle()
			c.later(x.later)
			c.settle()
			if n := c.warnings(string(v1.ReasonRunMissed)); n > 0 || c.cron().Annotations[v1.AnnotationRunMissed] != "" {
				t.Errorf("a run is said to be missed: %+v", c.condition(v1.ConditionLastRunFailed))
			}
		})
	}
}
