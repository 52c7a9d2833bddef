package stream

// This file says whom a change in the cluster wakes, never what happened.

import (
	"context"
	"fmt"
	"maps"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// The indexes by which the cache finds what belongs together.
const (
	// byStream finds the Jobs and pods that bear a stream's labels: "kind/name".
	byStream = "stream.arcane/stream"
	// byMark finds the Jobs and pods that are named after a stream, whatever their labels say, and that stream.
	byMark = "stream.arcane/mark"
	// byClass finds the Streams of a class.
	byClass = "stream.arcane/class"
	// byTemplate finds the Streams, classes and requests that name a template: "namespace/name".
	byTemplate = "stream.arcane/template"
	// byStreamID finds the requests for a stream: its name.
	byStreamID = "stream.arcane/stream-id"
)

func indexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range []struct {
		object client.Object
		field  string
		values client.IndexerFunc
	}{
		{&batchv1.Job{}, byStream, labelsOfStream},
		{&corev1.Pod{}, byStream, labelsOfStream},
		{&batchv1.Job{}, byMark, marks},
		{&corev1.Pod{}, byMark, marks},
		{&v1.BackfillRequest{}, byStreamID, func(o client.Object) []string { return []string{o.(*v1.BackfillRequest).Spec.StreamID} }},
		{&v1.Stream{}, byMark, markOf},
		{&v1.Stream{}, byClass, func(o client.Object) []string { return []string{o.(*v1.Stream).Spec.StreamClass} }},
		{&v1.Stream{}, byTemplate, templatesOfStream},
		{&v1.StreamClass{}, byTemplate, templatesOfClass},
		{&v1.BackfillRequest{}, byTemplate, templatesOfRequest},
	} {
		if err := indexer.IndexField(ctx, i.object, i.field, i.values); err != nil {
			return fmt.Errorf("index %T by %s: %w", i.object, i.field, err)
		}
	}
	return nil
}

func labelsOfStream(o client.Object) []string {
	l := o.GetLabels()
	if l[v1.LabelStreamID] == "" {
		return nil
	}
	return []string{l[v1.LabelStreamKind] + "/" + l[v1.LabelStreamID]}
}

func marks(o client.Object) []string { return jobspec.Marks(o.GetName()) }

// markOf is what the names of a stream's children hold.
func markOf(o client.Object) []string {
	return []string{jobspec.Mark(o.GetName(), o.GetUID(), v1.KindStream)}
}

func templatesOfStream(o client.Object) []string {
	s := o.(*v1.Stream)
	return references(s.Namespace, s.Spec.JobTemplateRef, s.Spec.BackfillJobTemplateRef)
}

func templatesOfClass(o client.Object) []string {
	c := o.(*v1.StreamClass)
	return references("", c.Spec.JobTemplateRef, c.Spec.BackfillJobTemplateRef)
}

func templatesOfRequest(o client.Object) []string {
	q := o.(*v1.BackfillRequest)
	return references(q.Namespace, q.Spec.JobTemplateRef)
}

func references(namespace string, refs ...*v1.TemplateReference) []string {
	var keys []string
	for _, ref := range refs {
		if ref == nil {
			continue
		}
		key := ref.Namespace + "/" + ref.Name
		if ref.Namespace == "" {
			key = namespace + "/" + ref.Name
		}
		keys = append(keys, key)
	}
	return keys
}

func wake(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// streamOfLabels wakes the stream that a Job or pod names, whether or not its owner is still there.
func streamOfLabels(_ context.Context, o client.Object) []reconcile.Request {
	l := o.GetLabels()
	if l[v1.LabelStreamKind] != v1.KindStream || l[v1.LabelStreamID] == "" {
		return nil
	}
	return []reconcile.Request{wake(o.GetNamespace(), l[v1.LabelStreamID])}
}

func streamOfRequest(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{wake(o.GetNamespace(), o.(*v1.BackfillRequest).Spec.StreamID)}
}

func (r *Reconciler) streamsOfClass(ctx context.Context, o client.Object) []reconcile.Request {
	return r.streamsBy(ctx, client.MatchingFields{byClass: o.GetName()})
}

// streamsOfTemplate wakes the streams that name the template themselves, and those
// of the classes and of the requests that name it.
func (r *Reconciler) streamsOfTemplate(ctx context.Context, o client.Object) []reconcile.Request {
	woken := r.streamsBy(ctx, client.MatchingFields{byTemplate: o.GetNamespace() + "/" + o.GetName()})
	// A class may leave the namespace out: then it means the stream's own.
	for _, key := range []string{o.GetNamespace() + "/" + o.GetName(), "/" + o.GetName()} {
		var classes v1.StreamClassList
		if err := r.Client.List(ctx, &classes, client.MatchingFields{byTemplate: key}); err != nil {
			logf.FromContext(ctx).Error(err, "list the classes of a template", "template", key)
			continue
		}
		for i := range classes.Items {
			woken = append(woken, r.streamsOfClass(ctx, &classes.Items[i])...)
		}
	}
	var requests v1.BackfillRequestList
	if err := r.Client.List(ctx, &requests, client.MatchingFields{byTemplate: o.GetNamespace() + "/" + o.GetName()}); err != nil {
		logf.FromContext(ctx).Error(err, "list the requests of a template")
	}
	for i := range requests.Items {
		woken = append(woken, streamOfRequest(ctx, &requests.Items[i])...)
	}
	return woken
}

func (r *Reconciler) streamsBy(ctx context.Context, by client.MatchingFields) []reconcile.Request {
	var streams v1.StreamList
	if err := r.Client.List(ctx, &streams, by, client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "list the streams to wake", "by", by)
		return nil
	}
	woken := make([]reconcile.Request, 0, len(streams.Items))
	for i := range streams.Items {
		woken = append(woken, wake(streams.Items[i].Namespace, streams.Items[i].Name))
	}
	return woken
}

// onUpdate lets creations and deletions pass, and those updates that matter.
func onUpdate[T client.Object](matters func(old, new T) bool) predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		old, okOld := e.ObjectOld.(T)
		new, okNew := e.ObjectNew.(T)
		return okOld && okNew && (old.GetUID() != new.GetUID() || matters(old, new))
	}}
}

func deletionBegan(old, new client.Object) bool {
	return (old.GetDeletionTimestamp() == nil) != (new.GetDeletionTimestamp() == nil)
}

// streamChanged keeps our own status writes from waking us.
func streamChanged() predicate.Predicate {
	return onUpdate(func(old, new *v1.Stream) bool {
		return old.Generation != new.Generation || deletionBegan(old, new) || !maps.Equal(old.Annotations, new.Annotations)
	})
}

func specChanged() predicate.Predicate {
	return onUpdate(func(old, new client.Object) bool { return old.GetGeneration() != new.GetGeneration() })
}

// cronJobChanged lets a run that the CronJob has made wake its stream too: the run itself
// may bear no label.
func cronJobChanged() predicate.Predicate {
	return onUpdate(func(old, new *batchv1.CronJob) bool {
		return old.Generation != new.Generation || deletionBegan(old, new) || len(old.Status.Active) < len(new.Status.Active)
	})
}

// jobChanged leaves out the counters that a running Job keeps changing.
func jobChanged() predicate.Predicate {
	return onUpdate(func(old, new *batchv1.Job) bool {
		return deletionBegan(old, new) || finished(old) != finished(new) || suspended(old) != suspended(new) ||
			!finished(new) && jobspec.NotOneWriter(&old.Spec) != jobspec.NotOneWriter(&new.Spec)
	})
}

func podChanged() predicate.Predicate {
	return onUpdate(func(old, new *corev1.Pod) bool {
		return deletionBegan(old, new) || old.Status.Phase != new.Status.Phase || targeted(old) != targeted(new) ||
			orphaned(old) != orphaned(new) || troubled(old) != troubled(new) || endedIn(old) != endedIn(new)
	})
}

// endedIn counts the containers of a pod that have ended.
func endedIn(p *corev1.Pod) int {
	n := 0
	for i := range p.Status.ContainerStatuses {
		if p.Status.ContainerStatuses[i].State.Terminated != nil {
			n++
		}
	}
	return n
}

func troubled(p *corev1.Pod) v1.Reason {
	reason, _ := trouble(p)
	return reason
}

func orphaned(p *corev1.Pod) bool { return len(p.OwnerReferences) == 0 }

func requestChanged() predicate.Predicate {
	return onUpdate(func(old, new *v1.BackfillRequest) bool {
		granted := old.Status.Phase != v1.RequestGranted && new.Status.Phase == v1.RequestGranted
		return old.Generation != new.Generation || deletionBegan(old, new) || granted || old.Status.Phase.Final() != new.Status.Phase.Final()
	})
}
