// I1 and I8: one writer at a time, and none where the stream is suspended.

package law

import (
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// onePod: a pod that comes alive finds no living pod of another job of its stream.
func onePod(w *world, c change) []Violation {
	o, ok := c.Object.(*corev1.Pod)
	if !ok || c.Deleted || !podAlive(o) {
		return nil
	}
	if before, ok := c.before.(*corev1.Pod); ok && podAlive(before) {
		return nil
	}
	p := w.pod(o.UID)
	owner := w.ownerOf(p)
	if owner == (types.NamespacedName{}) {
		return nil
	}
	var found []Violation
	for _, other := range w.livingPods(owner, p.job) {
		found = append(found, broken(OneWriter, c.RV, "pod %s of stream %s came alive while pod %s of another job lived",
			o.Name, owner, other.object.Name)...)
	}
	return found
}

// livingPods of a stream, less those of one job.
func (w *world) livingPods(owner types.NamespacedName, except types.UID) []*pod {
	var living []*pod
	for _, p := range w.pods {
		if p.alive() && p.job != except && w.ownerOf(p) == owner {
			living = append(living, p)
		}
	}
	return living
}

// oneJob: a job that begins to run finds no other running job and no living pod
// of its stream.
func oneJob(w *world, c change) []Violation {
	j, begins := w.begins(c)
	if !begins {
		return nil
	}
	var found []Violation
	for _, other := range w.jobs {
		if other != j && other.owner == j.owner && other.running() {
			found = append(found, broken(OneWriter, c.RV, "job %s of stream %s was released while job %s ran",
				j.object.Name, j.owner, other.object.Name)...)
		}
	}
	for _, p := range w.livingPods(j.owner, j.object.UID) {
		found = append(found, broken(OneWriter, c.RV, "job %s of stream %s was released while pod %s of another job lived",
			j.object.Name, j.owner, p.object.Name)...)
	}
	return found
}

// begins tells whether a job of a stream begins to run with this change.
func (w *world) begins(c change) (*job, bool) {
	o, ok := c.Object.(*batchv1.Job)
	if !ok || c.Deleted || !running(o) {
		return nil, false
	}
	if before, ok := c.before.(*batchv1.Job); ok && running(before) {
		return nil, false
	}
	j := w.job(o.UID)
	return j, j.ownerUID != ""
}

// release: only the job that the stream's status records may be released, and its
// run number is above all earlier ones, also of a stream of that name before.
func release(w *world, c change) []Violation {
	j, begins := w.begins(c)
	if !begins {
		return nil
	}
	var found []Violation
	s := w.streamByUID(j.ownerUID)
	if s == nil || s.object.Status.Job == nil || s.object.Status.Job.UID != j.object.UID {
		found = append(found, broken(OneWriter, c.RV, "job %s of stream %s was released and is not the one in the stream's status",
			j.object.Name, j.owner)...)
	}
	number := runOf(j)
	if number == 0 {
		return append(found, broken(OneWriter, c.RV, "job %s of stream %s has no run number", j.object.Name, j.owner)...)
	}
	for _, other := range w.jobs {
		if other != j && other.owner == j.owner && other.released && runOf(other) >= number {
			found = append(found, broken(OneWriter, c.RV, "job %s of stream %s has run %d, job %s before it had %d",
				j.object.Name, j.owner, number, other.object.Name, runOf(other))...)
		}
	}
	return found
}

// claimed: a stream records no job but one that the operator created for it, or that its
// CronJob made.
func claimed(w *world, c change) []Violation {
	o, ok := c.Object.(*streamingv1.Stream)
	if !ok || c.Deleted || o.Status.Job == nil {
		return nil
	}
	if before, ok := c.before.(*streamingv1.Stream); ok && before.Status.Job != nil && before.Status.Job.UID == o.Status.Job.UID {
		return nil
	}
	if j := w.job(o.Status.Job.UID); j != nil && j.ownerUID != o.UID {
		return broken(OneWriter, c.RV, "stream %s/%s records job %s, which is not its own", o.Namespace, o.Name, j.object.Name)
	}
	return nil
}

func runOf(j *job) int64 {
	number, err := strconv.ParseInt(j.object.Annotations[streamingv1.AnnotationRun], 10, 64)
	if err != nil {
		return 0
	}
	return number
}

// suspended: whenever the phase becomes Suspended, no pod of the stream lives.
func suspended(w *world, c change) []Violation {
	o, ok := c.Object.(*streamingv1.Stream)
	if !ok || c.Deleted || o.Status.Phase != streamingv1.StreamSuspended {
		return nil
	}
	if before, ok := c.before.(*streamingv1.Stream); ok && before.Status.Phase == streamingv1.StreamSuspended {
		return nil
	}
	var found []Violation
	for _, p := range w.livingPods(types.NamespacedName{Namespace: o.Namespace, Name: o.Name}, "") {
		found = append(found, broken(Stopped, c.RV, "stream %s/%s became Suspended while pod %s lived", o.Namespace, o.Name, p.object.Name)...)
	}
	return found
}
