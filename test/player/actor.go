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

	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// What a container shows that SIGKILL ended.
const exitKilled = 137

// What the scripted plugin exits with where it cannot read what it is told.
const exitUnusable = 20

type actor struct {
	pod     *corev1.Pod
	started metav1.Time
	// told is an exit code that a test asks for, of the plugin's container.
	told chan int
	// deleting is closed when the pod is to end; grace is how long it may take.
	deleting chan struct{}
	once     sync.Once
	grace    time.Duration
	gone     chan struct{}
	// containers are those of the pod, in its order.
	containers []*container
}

// container is one of the pod's, and its process.
type container struct {
	name, image string
	run         script.Run
	// isMain: it is the plugin's.
	isMain bool
	// follows: it has no script of its own and ends with the plugin.
	follows bool
	// terminate is closed when the kubelet ends this container and leaves the pod where it is.
	terminate chan struct{}
	once      sync.Once
	// end is how it ended; nil while it runs.
	end *corev1.ContainerStateTerminated
}

func newActor(pod *corev1.Pod) *actor {
	a := &actor{pod: pod, told: make(chan int, 1), deleting: make(chan struct{}), gone: make(chan struct{})}
	main := given.MainContainer(pod.Spec.Containers)
	for i := range pod.Spec.Containers {
		spec := &pod.Spec.Containers[i]
		c := &container{name: spec.Name, image: spec.Image, isMain: i == main, terminate: make(chan struct{})}
		c.follows = !c.isMain && environment(spec, script.EnvBeside) == ""
		var err error
		if c.run, err = script.FromEnvironment(func(name string) string { return environment(spec, name) }); err != nil {
			c.run = script.Run{ExitCode: exitUnusable, Message: err.Error()}
		}
		a.containers = append(a.containers, c)
	}
	return a
}

func (a *actor) delete(pod *corev1.Pod) {
	a.once.Do(func() {
		if pod.DeletionGracePeriodSeconds != nil {
			a.grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
		}
		close(a.deleting)
	})
}

// end sends SIGTERM to containers as a kubelet does whose probe has failed or whose limit is exceeded: nothing of the pod
// shows it.
func (a *actor) end(which func(*container) bool) {
	for _, c := range a.containers {
		if which(c) {
			c.once.Do(func() { close(c.terminate) })
		}
	}
}

// perform follows the kubelet: Running, then the exit codes in the status as they come, and only then, where the pod is
// being deleted, its removal.
func (a *actor) perform(ctx context.Context, cluster kubernetes.Interface) error {
	if ended(a.pod) {
		return a.remove(ctx, cluster)
	}
	a.started = metav1.Now()
	if err := patchStatus(ctx, cluster, a.pod, a.status()); err != nil {
		return err
	}
	type end struct {
		*container
		*corev1.ContainerStateTerminated
	}
	ends := make(chan end, len(a.containers))
	for _, c := range a.containers {
		if !c.follows {
			go func() { ends <- end{c, a.live(ctx, c)} }()
		}
	}
	for !a.hasEnded() {
		e := <-ends
		if e.ContainerStateTerminated == nil {
			return nil
		}
		e.container.end = e.ContainerStateTerminated
		for _, c := range a.containers {
			if e.isMain && c.follows {
				c.end = a.terminated(0, "")
			}
		}
		if err := patchStatus(ctx, cluster, a.pod, a.status()); err != nil {
			return err
		}
	}
	return a.remove(ctx, cluster)
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func (a *actor) hasEnded() bool {
	for _, c := range a.containers {
		if c.end == nil {
			return false
		}
	}
	return true
}

// live is the life of a container's process: how it ended, or nil where the pod is gone.
func (a *actor) live(ctx context.Context, c *container) *corev1.ContainerStateTerminated {
	run := c.run
	work := after(run.RunFor)
	deleting, terminate, told := a.deleting, c.terminate, a.told
	if !c.isMain {
		told = nil
	}
	var windUp, kill <-chan time.Time
	signal := func(grace time.Duration) {
		deleting, terminate = nil, nil
		kill = time.After(grace)
		if !run.OnSigterm.Ignore {
			// A process that winds up does nothing else any more.
			work, windUp = nil, time.After(time.Duration(run.OnSigterm.After))
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.gone:
			return nil
		case code := <-told:
			return a.terminated(code, run.LastWords(code, true))
		case <-work:
			if run.Panic != "" {
				return a.terminated(2, run.LastWords(2, true))
			}
			return a.terminated(run.ExitCode, run.LastWords(run.ExitCode, true))
		case <-deleting:
			signal(a.grace)
		case <-terminate:
			signal(time.Duration(ptr.Deref(a.pod.Spec.TerminationGracePeriodSeconds, 0)) * time.Second)
		case <-windUp:
			return a.terminated(run.OnSigterm.ExitCode, run.LastWords(run.OnSigterm.ExitCode, run.OnSigterm.Finish))
		case <-kill:
			return a.terminated(exitKilled, "")
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

// environment reads a variable of a container as its process would see it: a doubled dollar sign in a pod's spec stands
// for one.
func environment(c *corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return strings.ReplaceAll(e.Value, "$$", "$")
		}
	}
	return ""
}

func (a *actor) terminated(code int, message string) *corev1.ContainerStateTerminated {
	end := &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: a.started, FinishedAt: metav1.Now(), Message: message}
	if code != 0 {
		end.Reason, end.ExitCode = "Error", int32(code)
	}
	return end
}

// status is the pod's while any container runs, and when none does: then it has succeeded where all of them have.
func (a *actor) status() corev1.PodStatus {
	status := corev1.PodStatus{
		Phase:      corev1.PodRunning,
		StartTime:  &a.started,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	succeeded := true
	for _, c := range a.containers {
		s := corev1.ContainerStatus{Name: c.name, Image: c.image}
		if c.end == nil {
			s.Ready, s.Started = true, ptr.To(true)
			s.State.Running = &corev1.ContainerStateRunning{StartedAt: a.started}
		} else {
			status.Conditions[0].Status = corev1.ConditionFalse
			s.State.Terminated = c.end
			succeeded = succeeded && c.end.ExitCode == 0
		}
		status.ContainerStatuses = append(status.ContainerStatuses, s)
	}
	switch {
	case !a.hasEnded():
	case succeeded:
		status.Phase = corev1.PodSucceeded
	default:
		status.Phase = corev1.PodFailed
	}
	return status
}
