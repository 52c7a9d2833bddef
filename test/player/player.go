// Package player plays the kubelet where there is no node: it turns the pods of
// streams to Running and ends them as the scripted plugin would, with the order of
// writes that the Job controller leans on. Above all a pod that is being deleted
// shows how its container ended before it goes.
package player

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

// Node is the name of the node that the player pretends to be.
const Node = "player"

// Player plays all pods in a cluster that carry a stream's label when it first sees them,
// or that run the scripted plugin's image.
type Player struct {
	cluster kubernetes.Interface
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	actors map[types.UID]*actor
	// failures are errors that no test asked for: they would make pods hang.
	failures error
}

// Start registers the node and plays until Stop.
func Start(ctx context.Context, cluster kubernetes.Interface) (*Player, error) {
	if err := register(ctx, cluster); err != nil {
		return nil, err
	}
	// The player outlives the call that started it.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &Player{cluster: cluster, cancel: cancel, actors: map[types.UID]*actor{}}
	// Not by a label: a process goes on when somebody takes its pod's labels away.
	factory := informers.NewSharedInformerFactory(cluster, 0)
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { p.see(ctx, o) },
		UpdateFunc: func(_, o any) { p.see(ctx, o) },
		DeleteFunc: p.forget,
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		cancel()
		return nil, errors.New("watch pods: the cache did not fill")
	}
	return p, nil
}

// Stop ends the play. What went wrong during it is the error.
func (p *Player) Stop() error {
	p.cancel()
	p.running.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failures
}

// Exit ends a pod's main container now, with an exit code.
func (p *Player) Exit(pod *corev1.Pod, code int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.actors[pod.UID]
	if a == nil {
		return fmt.Errorf("end pod %s: it is not being played", pod.Name)
	}
	select {
	case a.told <- code:
		return nil
	default:
		return fmt.Errorf("end pod %s: it has been told before", pod.Name)
	}
}

// Terminate sends SIGTERM to containers of a pod as a kubelet does when a probe has failed or a limit is exceeded: the pod
// shows nothing of it. Without names it does so to all of them.
func (p *Player) Terminate(pod *corev1.Pod, containers ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.actors[pod.UID]
	if a == nil {
		return fmt.Errorf("end pod %s: it is not being played", pod.Name)
	}
	a.end(func(c *container) bool { return len(containers) == 0 || slices.Contains(containers, c.name) })
	return nil
}

// register makes the node that the scheduler puts the pods on.
func register(ctx context.Context, cluster kubernetes.Interface) error {
	nodes := cluster.CoreV1().Nodes()
	_, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: Node}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("register the node: %w", err)
	}
	// Every new node is tainted until the node lifecycle controller, which does not
	// run here, has seen it ready.
	_, err = nodes.Patch(ctx, Node, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("remove the taint of the node: %w", err)
	}
	_, err = nodes.Patch(ctx, Node, types.MergePatchType, []byte(readyNode), metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("make the node ready: %w", err)
	}
	return nil
}

// readyNode is the status of a node with room for every pod.
const readyNode = `{"status":{
	"capacity":{"cpu":"10000","memory":"10Ti","ephemeral-storage":"10Ti","pods":"100000"},
	"allocatable":{"cpu":"10000","memory":"10Ti","ephemeral-storage":"10Ti","pods":"100000"},
	"conditions":[{"type":"Ready","status":"True","reason":"Played"}]
}}`

// see hands a version of a pod to its actor; a pod without one gets it when the
// scheduler has put it on the node, as a kubelet does.
func (p *Player) see(ctx context.Context, o any) {
	pod, ok := o.(*corev1.Pod)
	if !ok || pod.Spec.NodeName != Node {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.actors[pod.UID]
	if a == nil && !scripted(pod) {
		return
	}
	if a == nil {
		a = newActor(pod)
		p.actors[pod.UID] = a
		p.running.Go(func() { p.play(ctx, a) })
	}
	if pod.DeletionTimestamp != nil {
		a.delete(pod)
	}
}

func scripted(pod *corev1.Pod) bool {
	return pod.Labels[streamingv1.LabelStreamID] != "" || pod.Spec.Containers[0].Image == given.ScriptedImage
}

func (p *Player) forget(o any) {
	if tombstone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = tombstone.Obj
	}
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.actors[pod.UID]; a != nil {
		close(a.gone)
		delete(p.actors, pod.UID)
	}
}

func (p *Player) play(ctx context.Context, a *actor) {
	err := a.perform(ctx, p.cluster)
	// A pod may be gone by force at any time, and the play may end.
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = errors.Join(p.failures, fmt.Errorf("play pod %s/%s: %w", a.pod.Namespace, a.pod.Name, err))
}

// patchStatus writes a part of a pod's status, of that very pod.
func patchStatus(ctx context.Context, cluster kubernetes.Interface, pod *corev1.Pod, status corev1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status":   status,
	})
	if err != nil {
		return fmt.Errorf("write a status: %w", err)
	}
	_, err = cluster.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("patch the status: %w", err)
	}
	return nil
}
