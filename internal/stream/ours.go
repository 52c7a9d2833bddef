package stream

// This file says what belongs to a stream. Labels, annotations and owners can be written
// by others, so none of them proves anything by itself:
//   - a Job or a CronJob is the stream's by its UID, which only our own create returned
//     and which stands in the status; a run of the schedule is recorded where its content
//     is what the recorded CronJob makes;
//   - what is not recorded is at most what a lost reply left behind. It may be deleted
//     where its immutable name is derived from the stream's UID and its controller is the
//     stream; it is never let run;
//   - a live pod that may be the stream's is never taken for absent, whatever it bears.

import (
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// isNamedAfter tells whether an object's name is derived from this very stream.
func (w *world) isNamedAfter(o metav1.Object) bool {
	return jobspec.IsOf(o.GetName(), w.stream.Name, w.stream.UID, v1.KindStream)
}

// isRecorded tells whether a Job is the one that the status records.
func (w *world) isRecorded(job types.UID) bool {
	return w.record != nil && w.record.UID == job
}

// isRun tells whether a Job says that the stream's CronJob has made it.
func (w *world) isRun(j *batchv1.Job) bool {
	ref := metav1.GetControllerOf(j)
	return ref != nil && ref.Kind == "CronJob" && w.cron != nil && ref.UID == w.cron.UID
}

// bearsLabels tells whether an object bears the labels by which its changes wake the stream.
func (w *world) bearsLabels(o metav1.Object) bool {
	return o.GetLabels()[v1.LabelStreamKind] == v1.KindStream && o.GetLabels()[v1.LabelStreamID] == w.stream.Name
}

// mayGo tells whether an unrecorded Job may be deleted: it was made by us, or by somebody
// who has given it a name and a controller that only our own Jobs have.
func (w *world) mayGo(j *batchv1.Job) bool {
	return jobspec.IsJobOf(j.Name, w.stream.Name, w.stream.UID, v1.KindStream) && (ownedBy(j, w.stream.UID) || w.isRun(j) && (w.bearsLabels(j) || !suspended(j)))
}

// ofFormer tells whether an object belongs to a stream that had this name before:
// the garbage collector is about to take it.
func (w *world) ofFormer(o metav1.Object) bool {
	return slices.ContainsFunc(o.GetOwnerReferences(), func(ref metav1.OwnerReference) bool {
		return ref.Kind == v1.KindStream && ref.Name == w.stream.Name && ref.UID != w.stream.UID ||
			ref.Kind == "CronJob" && (w.cron == nil || ref.UID != w.cron.UID)
	}) || w.isLeftBehind(o)
}

// isLeftBehind tells whether an object that nobody owns bears the stream's labels and has
// the name of another stream's Job: its stream, which had this name before, was deleted
// without it (kubectl delete --cascade=orphan), or a restore has dropped the owner.
func (w *world) isLeftBehind(o metav1.Object) bool {
	return metav1.GetControllerOf(o) == nil && w.bearsLabels(o) && !w.isNamedAfter(o) && len(jobspec.Marks(o.GetName())) > 0 && jobspec.RunOf(o.GetName()) > 0
}

// claim is what a live pod has to do with the stream.
type claim int

const (
	// noClaim: it is somebody else's.
	noClaim claim = iota
	// labelled: it bears the stream's labels, and nothing else says whose it is. It may be
	// of a stream that had this name before, or somebody's own.
	labelled
	// namedAfter: it has a name that the Job controller gives to the pods of our Jobs.
	namedAfter
)

// isJob tells whether an owner is a Job of Kubernetes', and no other kind of that name.
func isJob(by *metav1.OwnerReference) bool {
	return by.Kind == "Job" && strings.HasPrefix(by.APIVersion, batchv1.GroupName+"/")
}

// claimOf judges a pod by what cannot be taken away from it, its name, and then by its labels.
func (w *world) claimOf(p *corev1.Pod) claim {
	by := metav1.GetControllerOf(p)
	switch {
	case w.isNamedAfter(p):
		return namedAfter
	case by != nil && !isJob(by):
		return noClaim // labels that were copied to another controller's pod
	case w.bearsLabels(p):
		return labelled
	}
	return noClaim
}

// isAccounted tells whether the recorded job accounts for a pod: its end is the job's own affair.
func (w *world) isAccounted(p *corev1.Pod) bool {
	by := metav1.GetControllerOf(p)
	return w.job != nil && !finished(w.job) && by != nil && by.UID == w.job.UID
}

// isOrphan tells whether a live pod of this very stream has no Job, as far as the cache knows.
func (w *world) isOrphan(p *corev1.Pod) bool {
	if p.DeletionTimestamp != nil || w.claimOf(p) != namedAfter || w.isOfOtherController(p) {
		return false
	}
	by := metav1.GetControllerOf(p)
	return by == nil || !slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool { return j.UID == by.UID && !w.isDone(&j) })
}

// isOfOtherController tells whether a controller other than a Job makes a pod: it would replace
// a deleted one at once. A pod under the name of a known Job's pods may be that Job's, given
// to another controller, unless its restartPolicy is Always: a Job's pods never have that,
// those of a ReplicaSet, a StatefulSet or a DaemonSet always do, and nobody can change it.
func (w *world) isOfOtherController(p *corev1.Pod) bool {
	by := metav1.GetControllerOf(p)
	if by == nil || isJob(by) {
		return false
	}
	ofAJob := w.record != nil && w.isMadeFor(p) || slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool { return jobspec.IsPodOf(p.Name, j.Name) })
	return p.Spec.RestartPolicy == corev1.RestartPolicyAlways || !ofAJob
}

// isDone tells whether a Job of the stream has finished some time ago: the Job controller
// does nothing more about it, nor about a live pod that somebody has given to it. Before
// that the cache may not have heard yet that its own pod has ended.
func (w *world) isDone(j *batchv1.Job) bool {
	end := ending(j)
	return end != nil && (w.isRecorded(j.UID) || w.mayGo(j)) && !w.wakesAt(end.LastTransitionTime.Add(lookAgainAtMost))
}

// nextRun is the number of the next run.
func (w *world) nextRun() int64 { return w.lastRun() + 1 }

// lastRun is the highest run number that is used up. Before a stream's first run that
// is its creation time in Unix seconds, so that a stream that is created anew never
// uses one again; and every run counts that can still be seen under the stream's name,
// also of a former stream that was deleted in the very second of the new one's creation.
func (w *world) lastRun() int64 {
	last := max(w.stream.Status.Runs, w.stream.CreationTimestamp.Unix())
	for i := range w.jobs {
		last = max(last, w.believable(jobspec.RunOf(w.jobs[i].Name)))
	}
	for i := range w.pods {
		last = max(last, w.believable(jobspec.RunOf(jobspec.JobOf(w.pods[i].Name))))
	}
	return last
}

// aheadOfClock is how far the number of a run that is seen may lie ahead of the clock: far
// more than clocks of one cluster differ, and too little to use up the numbers.
const aheadOfClock = 24 * time.Hour

// believable is a run's number that a stream of this name can have had, else 0: runs
// begin at a stream's creation in Unix seconds, and no stream makes more than one in a
// second for long. Whoever may create pods chooses their names, and a number that is
// believed is used up for ever.
func (w *world) believable(run int64) int64 {
	if run > w.now.Add(aheadOfClock).Unix() {
		return 0
	}
	return run
}

// runOf is the number of the run that a Job of ours was made for; 0 where there is none.
// A run of the schedule gets its number when it is let run.
func (w *world) runOf(j *batchv1.Job) int64 {
	if w.isRun(j) {
		return jobspec.RunOf(j.Annotations[v1.AnnotationRun])
	}
	return jobspec.RunOf(j.Name)
}

// isForeign tells whether a live pod that claims to be the stream's is in the way, and is
// not ours to end: only its labels say whose it is, or somebody else's Job or controller makes it.
func (w *world) isForeign(p *corev1.Pod) bool {
	switch w.claimOf(p) {
	case noClaim:
		return false
	case labelled:
		return true
	case namedAfter:
	}
	by := metav1.GetControllerOf(p)
	return w.isOfOtherController(p) || by != nil && slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool {
		return j.UID == by.UID && !w.isRecorded(j.UID) && !w.mayGo(&j)
	})
}
