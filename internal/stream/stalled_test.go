package stream

// This file tests what is told of streams that do not get on.

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func noBackfill(s *v1.Stream) { s.Spec.Backfill = &v1.BackfillSpec{Initial: v1.InitialDisabled} }

// stalledNow is the stream's condition Stalled in a word: its reason where it is true.
func (c *cluster) stalledNow() string {
	c.t.Helper()
	s := c.stream()
	ready, is := meta.FindStatusCondition(s.Status.Conditions, v1.ConditionReady), meta.FindStatusCondition(s.Status.Conditions, v1.ConditionStalled)
	if is.Status != metav1.ConditionTrue {
		return ""
	}
	if ready.Status != metav1.ConditionFalse || meta.IsStatusConditionTrue(s.Status.Conditions, v1.ConditionReconciling) {
		c.t.Errorf("stalled, and yet Ready or Reconciling: %+v", s.Status.Conditions)
	}
	return is.Reason
}

func (c *cluster) warnings(reason string) int {
	count := 0
	for {
		select {
		case e := <-c.events.Events:
			if strings.HasPrefix(e, "Warning "+reason+" ") {
				count++
			}
		default:
			return count
		}
	}
}

func (c *cluster) setStatus(p *corev1.Pod, status corev1.PodStatus) {
	c.t.Helper()
	p.Status = status
	c.must(c.api.Status().Update(c.t.Context(), p))
	c.settle()
}

func waitingFor(reason string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{
		{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "what the kubelet says"}}},
	}}
}

func runningFrom(t time.Time) corev1.PodStatus {
	at := metav1.NewTime(t)
	return corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &at, ContainerStatuses: []corev1.ContainerStatus{
		{Name: "main", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}},
	}}
}

func TestAPodThatDoesNotRunStallsItsStream(t *testing.T) {
	unschedulable := corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes"},
	}}
	for want, status := range map[string]corev1.PodStatus{
		"CreateContainerConfigError": waitingFor("CreateContainerConfigError"),
		"ImagePullBackOff":           waitingFor("ErrImagePull"),
		"Unschedulable":              unschedulable,
		"PodNotRunning":              {Phase: corev1.PodPending},
	} {
		t.Run(want, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill)...)
			c.settle()
			pod := c.run()
			c.setStatus(pod, status)
			c.pass(9*time.Minute + 59*time.Second)
			if got := c.stalledNow(); got != "" {
				t.Fatalf("stalled before its deadline: %s", got)
			}
			result, err := c.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "orders"}})
			if err != nil || result.RequeueAfter != time.Second {
				t.Errorf("it looks again after %s, %v", result.RequeueAfter, err)
			}
			c.pass(time.Second)
			if got := c.stalledNow(); got != want {
				t.Errorf("stalled: %q, want %q", got, want)
			}
			c.pass(time.Hour)
			if n := c.warnings(want); n != 1 {
				t.Errorf("%d warnings", n)
			}
			c.setStatus(pod, runningFrom(c.clock.Now()))
			if got := c.stalledNow(); got != "" || !meta.IsStatusConditionTrue(c.stream().Status.Conditions, v1.ConditionReady) {
				t.Errorf("running and stalled: %q", got)
			}
		})
	}
}

func TestAJobWithoutAPodStallsItsStream(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	c.pass(10 * time.Minute)
	if got := c.stalledNow(); got != string(v1.ReasonNoPod) {
		t.Errorf("stalled: %q", got)
	}
	c.setStatus(c.run(), runningFrom(c.clock.Now()))
	if got := c.stalledNow(); got != "" {
		t.Errorf("running and stalled: %q", got)
	}
}

// TestAPodOnALostNodeStallsItsStream: nothing starts while it may be writing, and that is said.
func TestAPodOnALostNodeStallsItsStream(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	pod := c.run()
	pod.Finalizers = []string{"held"}
	c.must(c.api.Update(t.Context(), pod))
	c.setStatus(pod, runningFrom(c.clock.Now()))
	c.must(c.api.Delete(t.Context(), pod))
	c.pass(time.Second)
	if phase := c.stream().Status.Phase; phase != v1.StreamPending {
		t.Errorf("phase %s while the former pod lives", phase)
	}
	// The fake API server has a clock of its own.
	c.must(c.api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: pod.Name}, pod))
	c.pass(pod.DeletionTimestamp.Sub(c.clock.Now()) + 10*time.Minute)
	if got := c.stalledNow(); got != string(v1.ReasonPodStays) {
		t.Errorf("stalled: %q", got)
	}
	c.change(suspend)
	c.settle()
	if got := c.stalledNow(); got != string(v1.ReasonPodStays) {
		t.Errorf("suspended while its pod lives, and stalled: %q", got)
	}
}

func TestACrashLoopStallsItsStream(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	for n := range crashLoopAfter {
		if got := c.stalledNow(); got != "" {
			t.Fatalf("stalled after %d ends: %s", n, got)
		}
		c.end(0)
		c.settle()
		if n < crashLoopAfter-1 {
			c.pass(time.Hour)
		}
	}
	if got := c.stalledNow(); got != string(v1.ReasonCrashLooping) {
		t.Errorf("stalled: %q", got)
	}
	c.pass(time.Hour)
	c.setStatus(c.run(), runningFrom(c.clock.Now()))
	if got := c.stalledNow(); got != string(v1.ReasonCrashLooping) {
		t.Errorf("a pod that has just begun to run proves nothing, yet stalled: %q", got)
	}
	c.pass(10 * time.Minute)
	if got := c.stalledNow(); got != "" || c.stream().Status.Restarts != nil {
		t.Errorf("having run well, stalled: %q, restarts %+v", got, c.stream().Status.Restarts)
	}
	if n := c.warnings(string(v1.ReasonCrashLooping)); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

// TestPodsThatEndInIgnoredWaysAreACrashLoop: no Job ends, so only the pods tell.
func TestPodsThatEndInIgnoredWaysAreACrashLoop(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	first := c.run()
	for n := range crashLoopAfter {
		if got := c.stalledNow(); got != "" {
			t.Fatalf("stalled after %d ends: %s", n, got)
		}
		pod := first
		if n > 0 {
			pod = first.DeepCopy()
			pod.Name, pod.UID, pod.ResourceVersion = first.Name+string(rune('a'+n)), types.UID(string(rune('a'+n))), ""
			pod.CreationTimestamp = metav1.NewTime(c.clock.Now())
			c.must(c.api.Create(t.Context(), pod))
		}
		at := metav1.NewTime(c.clock.Now())
		c.setStatus(pod, corev1.PodStatus{Phase: corev1.PodFailed, StartTime: &at, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, FinishedAt: at}}},
		}})
	}
	if got := c.stalledNow(); got != string(v1.ReasonCrashLooping) {
		t.Errorf("stalled: %q", got)
	}
	if phase := c.stream().Status.Phase; phase != v1.StreamRunning {
		t.Errorf("phase %s", phase)
	}
}
