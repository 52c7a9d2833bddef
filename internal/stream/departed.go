package stream

// This file remembers the pods that left the cache alive. The cache holds what bears a
// label, and whoever may patch a pod may take the label away: the pod runs on. So one
// that leaves alive is unknown, not gone, until the API server has said so. A process
// that starts anew does not know of those that left before; docs/admission.md says so.

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// departed are the pods that left the cache alive, by stream and UID, with their names.
type departed struct {
	mu   sync.Mutex
	pods map[types.NamespacedName]map[types.UID]string
}

func (d *departed) note(stream types.NamespacedName, p *corev1.Pod) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pods == nil {
		d.pods = map[types.NamespacedName]map[types.UID]string{}
	}
	if d.pods[stream] == nil {
		d.pods[stream] = map[types.UID]string{}
	}
	d.pods[stream][p.UID] = p.Name
}

func (d *departed) of(stream types.NamespacedName) map[types.UID]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.pods[stream])
}

func (d *departed) forget(stream types.NamespacedName, pods ...types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, uid := range pods {
		delete(d.pods[stream], uid)
	}
	if len(pods) == 0 || len(d.pods[stream]) == 0 {
		delete(d.pods, stream)
	}
}

// streamsOfPod are the stream that a pod's labels name, and the one that its own name is
// derived from: the labels may have been changed before they went.
func (r *Reconciler) streamsOfPod(ctx context.Context, o client.Object) []reconcile.Request {
	found := streamOfLabels(ctx, o)
	for _, mark := range jobspec.Marks(o.GetName()) {
		for _, named := range r.streamsBy(ctx, client.MatchingFields{byMark: mark}) {
			if named.Namespace == o.GetNamespace() && !slices.Contains(found, named) {
				found = append(found, named)
			}
		}
	}
	return found
}

// onPod wakes a pod's stream, and notes a pod that leaves the cache alive.
func (r *Reconciler) onPod() handler.EventHandler {
	wakes := handler.EnqueueRequestsFromMapFunc(r.streamsOfPod)
	return handler.Funcs{
		CreateFunc: wakes.Create, UpdateFunc: wakes.Update, GenericFunc: wakes.Generic,
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if p, ok := e.Object.(*corev1.Pod); ok && alive(p) {
				for _, stream := range r.streamsOfPod(ctx, p) {
					r.departed.note(stream.NamespacedName, p)
				}
			}
			wakes.Delete(ctx, e, q)
		},
	}
}

// readDeparted adds the pods that left the cache and are alive.
func (r *Reconciler) readDeparted(ctx context.Context, w *world) error {
	stream := client.ObjectKeyFromObject(w.stream)
	for uid, name := range r.departed.of(stream) {
		p := &corev1.Pod{}
		err := r.Live.Get(ctx, types.NamespacedName{Namespace: stream.Namespace, Name: name}, p)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("look at pod %s, which left the cache: %w", name, err)
		}
		back := slices.ContainsFunc(w.pods, func(o corev1.Pod) bool { return o.UID == uid })
		if apierrors.IsNotFound(err) || p.UID != uid || !alive(p) || back || w.claimOf(p) == noClaim {
			r.departed.forget(stream, uid)
			continue
		}
		w.pods = append(w.pods, *p)
		w.wakesAt(w.now.Add(lookAgainAtMost)) // no watch tells of its end
	}
	return nil
}
