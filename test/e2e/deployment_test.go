// The operator as it runs in production: a Deployment of config/default.

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/install"
)

// lease is what the acting replica holds.
const lease = "arcane-operator"

// deployment starts and ends the operator's pod.
type deployment struct {
	cluster kubernetes.Interface
	testbed *testbed.Cluster
	// eyes read what the pods print.
	eyes *eyes
}

// Start returns when one pod is ready and acts: it holds the Lease, and the API server reaches its webhooks.
func (d deployment) Start(ctx context.Context) error {
	if err := d.scale(ctx, 1); err != nil {
		return err
	}
	err := d.await(ctx, func() error {
		pods, err := d.pods(ctx)
		if err != nil {
			return err
		}
		if len(pods) != 1 || !ready(&pods[0]) {
			return fmt.Errorf("the operator is not ready: %d pods", len(pods))
		}
		held, err := d.cluster.CoordinationV1().Leases(install.OperatorNamespace).Get(ctx, lease, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("read the Lease: %w", err)
		}
		if holder := ptr.Deref(held.Spec.HolderIdentity, ""); !strings.HasPrefix(holder, pods[0].Name+"_") {
			return fmt.Errorf("the Lease is held by %q, not by pod %s", holder, pods[0].Name)
		}
		return d.eyes.follow(ctx, &pods[0])
	})
	if err != nil {
		return err
	}
	return install.AwaitAdmission(ctx, d.testbed)
}

// Stop takes the pod away as an administrator does.
func (d deployment) Stop(ctx context.Context) error {
	if err := d.scale(ctx, 0); err != nil {
		return err
	}
	return d.awaitGone(ctx)
}

// Kill sends SIGKILL to the program, which has no chance to say a word or to give
// its Lease back, and takes the pod away before the kubelet starts the program again.
func (d deployment) Kill(ctx context.Context) error {
	pods, err := d.pods(ctx)
	if err != nil {
		return err
	}
	for i := range pods {
		if err := d.killProgram(ctx, &pods[i]); err != nil {
			return err
		}
	}
	if err := d.scale(ctx, 0); err != nil {
		return err
	}
	for _, p := range pods {
		options := metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0)), Preconditions: &metav1.Preconditions{UID: &p.UID}}
		if err := d.cluster.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, options); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("take the operator's pod away: %w", err)
		}
	}
	if err := d.awaitGone(ctx); err != nil {
		return err
	}
	// That the next one waits until the Lease has run out is told in test/integration;
	// here each story would be those seconds longer.
	err = d.cluster.CoordinationV1().Leases(install.OperatorNamespace).Delete(ctx, lease, metav1.DeleteOptions{})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove the Lease of an operator that is dead: %w", err)
	}
	return nil
}

// killProgram returns when no process of the program is left in the pod.
func (d deployment) killProgram(ctx context.Context, p *corev1.Pod) error {
	killed := false
	return d.await(ctx, func() error {
		running, err := processes(p)
		if err != nil {
			return err
		}
		for _, pid := range running {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill the operator: %w", err)
			}
			killed = true
		}
		if !killed {
			return fmt.Errorf("pod %s runs no operator that could be killed", p.Name)
		}
		if len(running) > 0 {
			return fmt.Errorf("the operator's processes %v have not ended", running)
		}
		return nil
	})
}

// processes lists the operator's processes of a pod: a node of the testbed runs them
// on this machine, in control groups that bear the pod's UID.
func processes(p *corev1.Pod) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("read the process table: %w", err)
	}
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process that has ended meanwhile has no files; a zombie has no program.
		groups, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cgroup"))
		program, _ := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if strings.Contains(string(groups), "pod"+string(p.UID)) && filepath.Base(program) == install.OperatorDeployment {
			found = append(found, pid)
		}
	}
	return found, nil
}

// Sound is an error where the program has ended by itself: the kubelet then starts
// it again in the same pod.
func (d deployment) Sound(ctx context.Context) error {
	pods, err := d.pods(ctx)
	if err != nil {
		return err
	}
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			if c.RestartCount > 0 {
				return fmt.Errorf("the operator in pod %s has ended by itself: %v", p.Name, c.LastTerminationState.Terminated)
			}
		}
	}
	return nil
}

// Log is the end of what the pods have printed about a namespace.
func (d deployment) Log(ctx context.Context, namespace string) string {
	pods, err := d.pods(ctx)
	if err != nil {
		return err.Error()
	}
	var kept []string
	for _, p := range pods {
		stream, err := d.cluster.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{}).Stream(ctx)
		if err != nil {
			return err.Error()
		}
		text, err := io.ReadAll(stream)
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, namespace) || !strings.HasPrefix(line, "{") {
				kept = append(kept, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(kept[max(0, len(kept)-60):], "\n")
}

func (d deployment) scale(ctx context.Context, replicas int32) error {
	_, err := d.cluster.AppsV1().Deployments(install.OperatorNamespace).UpdateScale(ctx, install.OperatorDeployment, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: install.OperatorNamespace, Name: install.OperatorDeployment},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("scale the operator to %d: %w", replicas, err)
	}
	return nil
}

func (d deployment) pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := d.cluster.CoreV1().Pods(install.OperatorNamespace).List(ctx, metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/component=operator",
	})
	if err != nil {
		return nil, fmt.Errorf("list the operator's pods: %w", err)
	}
	return list.Items, nil
}

// awaitGone waits until no pod is left.
func (d deployment) awaitGone(ctx context.Context) error {
	return d.await(ctx, func() error {
		left, err := d.pods(ctx)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("%d pods of the operator are still there", len(left))
		}
		return nil
	})
}

func (d deployment) await(ctx context.Context, fact func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := fact()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}
