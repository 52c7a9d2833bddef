// One pod on the player's stage, from Running to its end.

package player

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// What a container shows that SIGKILL ended.
const exitKilled = 137

// What the scripted plugin exits with where it cannot read what it is told.
const exitUnusable = 20

type actor struct {
	pod     *corev1.Pod
	started metav1.Time
	// told is an exit code that a test asks for.
	told chan int
	// deleting is closed when the pod is to end; grace is how long it may take.
	deleting chan struct{}
	once     sync.Once
	grace    time.Duration
	gone     chan struct{}
}

func newActor(pod *corev1.Pod) *actor {
	return &actor{pod: pod, told: make(chan int, 1), deleting: make(chan struct{}), gone: make(chan struct{})}
}

func (a *actor) delete(pod *corev1.Pod) {
	a.once.Do(func() {
		if pod.DeletionGracePeriodSeconds != nil {
			a.grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
		}
		close(a.deleting)
	})
}

// perform follows the kubelet: Running, then the exit code in the status, and only
// then, where the pod is being deleted, its removal.
func (a *actor) perform(ctx context.Context, cluster kubernetes.Interface) error {
	if ended(a.pod) {
		return a.remove(ctx, cluster)
	}
	run, err := script.FromEnvironment(a.environment)
	if err != nil {
		run = script.Run{ExitCode: exitUnusable, Message: err.Error()}
	}
	a.started = metav1.Now()
	if err := patchStatus(ctx, cluster, a.pod, a.runningStatus()); err != nil {
		return err
	}
	code, ok := a.wait(ctx, run)
	if !ok {
		return nil
	}
	if err := patchStatus(ctx, cluster, a.pod, a.endedStatus(code, run.Message)); err != nil {
		return err
	}
	return a.remove(ctx, cluster)
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// wait is the life of the process: its exit code, or false where the pod is gone.
func (a *actor) wait(ctx context.Context, run script.Run) (int, bool) {
	work := after(run.RunFor)
	deleting := a.deleting
	var windUp, kill <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return 0, false
		case <-a.gone:
			return 0, false
		case code := <-a.told:
			return code, true
		case <-work:
			if run.Panic != "" {
				return 2, true
			}
			return run.ExitCode, true
		case <-deleting:
			deleting = nil
			kill = time.After(a.grace)
			if !run.OnSigterm.Ignore {
				// A process that winds up does nothing else any more.
				work, windUp = nil, time.After(time.Duration(run.OnSigterm.After))
			}
		case <-windUp:
			return run.OnSigterm.ExitCode, true
		case <-kill:
			return exitKilled, true
		}
	}
}

func after(d script.Duration) <-chan time.Time {
	if d == script.Forever {
		return nil
	}
	return time.After(time.Duration(d))
}

// remove waits until the pod is to be deleted and then takes it away, as the
// kubelet does when nothing of it runs any more.
func (a *actor) remove(ctx context.Context, cluster kubernetes.Interface) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.gone:
		return nil
	case <-a.deleting:
	}
	err := cluster.CoreV1().Pods(a.pod.Namespace).Delete(ctx, a.pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To(int64(0)), Preconditions: &metav1.Preconditions{UID: &a.pod.UID},
	})
	if err != nil {
		return fmt.Errorf("remove the pod: %w", err)
	}
	return nil
}

// environment reads a variable of the plugin's container as its process would see
// it: a doubled dollar sign in a pod's spec stands for one.
func (a *actor) environment(name string) string {
	for _, e := range a.pod.Spec.Containers[0].Env {
		if e.Name == name {
			return strings.ReplaceAll(e.Value, "$$", "$")
		}
	}
	return ""
}

func (a *actor) runningStatus() corev1.PodStatus {
	status := corev1.PodStatus{
		Phase:      corev1.PodRunning,
		StartTime:  &a.started,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	for _, c := range a.pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Ready: true, Started: ptr.To(true),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: a.started}},
		})
	}
	return status
}

// endedStatus ends the first container, the plugin, with the code; any other with 0.
func (a *actor) endedStatus(code int, message string) corev1.PodStatus {
	status := corev1.PodStatus{
		Phase:      corev1.PodSucceeded,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}},
	}
	if code != 0 {
		status.Phase = corev1.PodFailed
	}
	for i, c := range a.pod.Spec.Containers {
		end := corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: a.started, FinishedAt: metav1.Now()}
		if i == 0 && code != 0 {
			end.Reason, end.ExitCode = "Error", int32(code)
		}
		if i == 0 {
			end.Message = message
		}
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, State: corev1.ContainerState{Terminated: &end},
		})
	}
	return status
}
