package stream

// This file reads what Jobs and pods tell of themselves.

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// condition finds a condition of a Job that is true.
func condition(j *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// ending is the condition with which the Job controller ended a Job: by its
// promise, all pods had ended before.
func ending(j *batchv1.Job) *batchv1.JobCondition {
	if c := condition(j, batchv1.JobComplete); c != nil {
		return c
	}
	return condition(j, batchv1.JobFailed)
}

func finished(j *batchv1.Job) bool { return ending(j) != nil }

func suspended(j *batchv1.Job) bool { return j.Spec.Suspend != nil && *j.Spec.Suspend }

// deletedBeforeEnd tells whether somebody began to delete the Job before it had
// ended; times are whole seconds, and the same second counts as before.
func deletedBeforeEnd(j *batchv1.Job) bool {
	if j.DeletionTimestamp == nil {
		return false
	}
	end := ending(j)
	return end == nil || !end.LastTransitionTime.Before(j.DeletionTimestamp)
}

// ownedBy tells whether the controller of an object is the stream.
func ownedBy(o metav1.Object, stream types.UID) bool {
	ref := metav1.GetControllerOf(o)
	return ref != nil && ref.UID == stream && ref.Kind == v1.KindStream
}

// alive tells whether a pod may be writing, or may begin to.
func alive(p *corev1.Pod) bool {
	return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// targeted tells whether Kubernetes itself took the pod away: eviction, preemption, taint, node shutdown.
func targeted(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue
	})
}

// jobOf is the UID of the Job that a pod was made for, also after it was orphaned.
func jobOf(p *corev1.Pod) types.UID {
	if ref := metav1.GetControllerOf(p); ref != nil {
		return ref.UID
	}
	return types.UID(p.Labels[batchv1.ControllerUidLabel])
}

// disturbed tells whether the pod was taken away before its main container had ended
// by itself, or may have been. A grace period of zero hides when the deletion was asked
// for: once the containers have ended, the kubelet deletes again with none, and the API
// server moves the deletionTimestamp of a pod that finalizers hold, as the Job
// controller's does, to that later moment.
func (w *world) disturbed(p *corev1.Pod) bool {
	if targeted(p) {
		return true
	}
	if p.DeletionTimestamp == nil || w.record != nil && w.record.EndedPod != nil && p.UID == w.record.EndedPod.UID {
		return false
	}
	if p.DeletionGracePeriodSeconds == nil || *p.DeletionGracePeriodSeconds == 0 {
		return true
	}
	end := w.mainEnd(p)
	return end == nil || !end.FinishedAt.Time.Before(askedAt(p))
}

// askedAt is when the deletion of a pod was asked for: its deletionTimestamp is when
// the grace period is over.
func askedAt(p *corev1.Pod) time.Time {
	grace := ptr.Deref(p.DeletionGracePeriodSeconds, 0)
	return p.DeletionTimestamp.Add(-time.Duration(grace) * time.Second)
}

// mainStatus is the status of a pod's main container; nil where it has no such container.
func (w *world) mainStatus(p *corev1.Pod) *corev1.ContainerStatus {
	for i := range p.Status.ContainerStatuses {
		if c := &p.Status.ContainerStatuses[i]; c.Name == w.main {
			return c
		}
	}
	return nil
}

// mainEnd is how the main container of a pod ended; nil where it has not. Where the pod
// has no such container it is how the pod ended.
func (w *world) mainEnd(p *corev1.Pod) *corev1.ContainerStateTerminated {
	if c := w.mainStatus(p); c != nil {
		return c.State.Terminated
	}
	for i := range p.Status.ContainerStatuses {
		if p.Status.ContainerStatuses[i].State.Terminated == nil {
			return nil
		}
	}
	return firstFailed(p)
}

// runningSince is when the main container of a pod began to run; zero where it does not.
func (w *world) runningSince(p *corev1.Pod) time.Time {
	statuses := p.Status.ContainerStatuses
	if c := w.mainStatus(p); c != nil {
		statuses = []corev1.ContainerStatus{*c}
	}
	var last time.Time
	for i := range statuses {
		r := statuses[i].State.Running
		if r == nil {
			return time.Time{}
		}
		if r.StartedAt.After(last) {
			last = r.StartedAt.Time
		}
	}
	return last
}

// lingerAtMost is how long what runs beside a main container may take to end by itself,
// to send the last of a log for instance. It delays what follows a backfill by as much.
const lingerAtMost = 10 * time.Second

// lingering is how the main container of the active job's newest pod ended while the pod
// has not: others run on beside it, for longer than they may. Nil where that is not so, or
// where somebody deletes the pod.
func (w *world) lingering() (*corev1.Pod, *corev1.ContainerStateTerminated) {
	last := newest(w.pods, w.job.UID, func(*corev1.Pod) bool { return true })
	if last == nil || !alive(last) || last.DeletionTimestamp != nil || targeted(last) || w.mainStatus(last) == nil || !runsOn(last) {
		return nil, nil
	}
	end := w.mainEnd(last)
	if end == nil || w.wakesAt(end.FinishedAt.Add(lingerAtMost)) {
		return nil, nil
	}
	return last, end
}

// mainRestarted tells whether the kubelet has ended a pod's main container before and has
// started it once more, as it does where somebody changes the container's image: an end
// of such a pod tells nothing of the work before.
func (w *world) mainRestarted(p *corev1.Pod) bool {
	c := w.mainStatus(p)
	return c != nil && c.RestartCount > 0
}

// runsOn tells whether a container of a pod runs, or is still to run. The kubelet tells of a container's end
// before it calls a pod ended that has no other.
func runsOn(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Terminated == nil })
}

// mainFailed is the pod whose main container has failed while others run on.
func (w *world) mainFailed() *corev1.Pod {
	if p, end := w.lingering(); end != nil && end.ExitCode != 0 {
		return p
	}
	return nil
}

// mainSucceeded is the pod whose main container has exited 0 while others run on, or have
// failed: the Job controller would wait for ever, or count a failure.
func (w *world) mainSucceeded() *corev1.Pod {
	if p, end := w.lingering(); end != nil && end.ExitCode == 0 {
		return p
	}
	return w.failedBeside()
}

// markedThoughStopped is the newest pod of the recorded job where its main container has
// given the mark of completion and the Job will not say so: the Job is gone, is being
// deleted or has failed, or the pod has failed or is taken away. What was done is done,
// whoever ended it then. A newer pod has begun the work once more.
func (w *world) markedThoughStopped() *corev1.Pod {
	if w.facts.Mode == v1.ModeStream {
		return nil
	}
	stopped := w.job == nil || w.job.DeletionTimestamp != nil || condition(w.job, batchv1.JobFailed) != nil || condition(w.job, batchv1.JobFailureTarget) != nil
	last := w.newestMarked(w.pods)
	if last == nil || w.job != nil && hasSucceeded(w.job) && last.Status.Phase == corev1.PodFailed {
		return nil // the pod that the Job succeeded by, a newer one, is gone
	}
	if !stopped && last.DeletionTimestamp == nil && !targeted(last) && last.Status.Phase != corev1.PodFailed {
		return nil
	}
	return last
}

// newestMarked is the recorded job's newest pod where it has given the mark of completion.
func (w *world) newestMarked(pods []corev1.Pod) *corev1.Pod {
	if last := newest(pods, w.record.UID, w.isMadeFor); last != nil && w.isMarkedPod(last) {
		return last
	}
	return nil
}

// isMadeFor tells whether a pod has the name of one that the recorded job has made. Owner and
// labels of the pod of a former job can be changed, so that it seems to be one of this job's.
func (w *world) isMadeFor(p *corev1.Pod) bool {
	return jobspec.IsPodOf(p.Name, w.record.Name)
}

// isMarkedPod tells whether the main container of a pod has given the mark of completion.
func (w *world) isMarkedPod(p *corev1.Pod) bool {
	end := w.mainEnd(p)
	return end != nil && end.ExitCode == 0 && w.mainStatus(p) != nil && w.isMarked(p, end)
}

// failedBeside is the newest pod where it has failed only by a container beside the main
// one, which exited 0. Where the pod's status names a reason, the kubelet failed it as a whole.
func (w *world) failedBeside() *corev1.Pod {
	last := newest(w.pods, w.job.UID, func(*corev1.Pod) bool { return true })
	if last == nil || last.Status.Phase != corev1.PodFailed || last.Status.Reason != "" || w.mainStatus(last) == nil || w.disturbed(last) {
		return nil
	}
	if end := w.mainEnd(last); end == nil || end.ExitCode != 0 || !w.failedOther(last) {
		return nil
	}
	return last
}

// failedOther tells whether a container beside the main one has failed.
func (w *world) failedOther(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.Name != w.main && c.State.Terminated != nil && c.State.Terminated.ExitCode != 0
	})
}

// verdict is what the end of a job that carries all data is worth, whose main container
// exited 0: a plugin that handles SIGTERM exits 0 whoever sends it.
type verdict int

const (
	// doubted: the pod was taken away, or is gone. The backfill runs again.
	doubted verdict = iota
	// unmarked: nobody took the pod away, and the mark that the class declares is missing.
	unmarked
	// ambiguous: the class declares no mark, and the kubelet may have ended the container. It
	// leaves no trace of that where the container exits 0.
	ambiguous
	// believed: the work is done.
	believed
)

// judge is what the newest pod of a job proves, and what is wrong with that. A newer pod
// has begun the work once more, so what the one before it proved counts no longer.
func (w *world) judge(j *batchv1.Job, pods []corev1.Pod) (verdict, string) {
	p := newest(pods, j.UID, func(p *corev1.Pod) bool { return w.record == nil || w.isMadeFor(p) })
	if p == nil {
		return doubted, ""
	}
	end := w.mainEnd(p)
	if end == nil || end.ExitCode != 0 || p.Status.Phase == corev1.PodFailed && (w.mainStatus(p) == nil || hasSucceeded(j)) {
		return doubted, "" // the pod that a Job succeeded by has not failed: that one is gone
	}
	return w.judgePod(j, p, end)
}

func (w *world) judgePod(j *batchv1.Job, p *corev1.Pod, end *corev1.ContainerStateTerminated) (verdict, string) {
	mark := w.requiredMark()
	// Where the pod's status names a reason, the kubelet has failed it as a whole.
	gone := w.disturbed(p) || deletedBefore(p, succeededAt(j)) || w.mainRestarted(p) || p.Status.Phase == corev1.PodFailed && p.Status.Reason != ""
	switch {
	case w.isMarked(p, end):
		return believed, ""
	case gone:
		return doubted, ""
	case mark != nil:
		return unmarked, fmt.Sprintf("Pod %s exited 0 without the line %q in its termination message, which StreamClass %s declares as the mark of completion. Either something ended it early, or the plugin does not write the mark.",
			p.Name, cmp.Or(mark.TerminationMessage, v1.DefaultTerminationMessage), w.stream.Spec.StreamClass)
	}
	if killers := jobspec.Killers(&p.Spec, w.main); len(killers) > 0 {
		return ambiguous, fmt.Sprintf("Pod %s exited 0, and the kubelet may have ended it, for it has %s. Let StreamClass %s declare spec.completion, or remove that from the template, LimitRange or policy that sets it.",
			p.Name, strings.Join(killers, ", "), w.stream.Spec.StreamClass)
	}
	return believed, ""
}

func completionOf(class *v1.StreamClass) *v1.Completion {
	if class == nil {
		return nil
	}
	return class.Spec.Completion
}

// requiredMark is the mark without which exit code 0 is not believed: what the class
// declared when the job was recorded.
func (w *world) requiredMark() *v1.Completion {
	if w.record != nil && w.record.MainContainer != "" {
		return w.record.Completion
	}
	return completionOf(w.class) // of a record that does not say it
}

// isMarked tells whether a pod's exit code 0 comes with the mark of completion: the one
// that is required, or, where none is, the message that the class declares by now. What an
// exit code means is promised by the plugin that came with the declaration, and this is
// another one, or a container that was started once more.
func (w *world) isMarked(p *corev1.Pod, end *corev1.ContainerStateTerminated) bool {
	mark := w.requiredMark()
	if mark != nil && mark.Mark == v1.MarkExitCode {
		return !w.mainRestarted(p)
	}
	if now := completionOf(w.class); mark == nil && now != nil && now.Mark == v1.MarkTerminationMessage {
		mark = now
	}
	if mark == nil {
		return false
	}
	wanted := cmp.Or(mark.TerminationMessage, v1.DefaultTerminationMessage)
	for line := range strings.Lines(end.Message) {
		if strings.TrimSpace(line) == wanted {
			return true
		}
	}
	return false
}

// succeededAt is when the Job controller saw the success: it notes that first, and
// the completion once it has counted the pods. Zero where it has seen none yet.
func succeededAt(j *batchv1.Job) metav1.Time {
	if c := condition(j, batchv1.JobSuccessCriteriaMet); c != nil {
		return c.LastTransitionTime
	}
	if c := condition(j, batchv1.JobComplete); c != nil {
		return c.LastTransitionTime
	}
	return metav1.Time{}
}

func hasSucceeded(j *batchv1.Job) bool {
	at := succeededAt(j)
	return !at.IsZero()
}

// deletedBefore tells whether a pod was deleted, or may have been, before its success
// was seen. When its containers ended is told by its node's clock, when it was deleted
// by the control plane's: where the node's is behind, an end that the deletion brought
// about seems to have come before it. When the success was seen is told by the control
// plane, and the success was there by then.
func deletedBefore(p *corev1.Pod, seen metav1.Time) bool {
	return p.DeletionTimestamp != nil && (seen.IsZero() || !seen.Time.Before(askedAt(p)))
}

// containerOf is the one of a pod's containers that all rules of a policy about exit codes
// are about; empty where they are about several, about an init container, or do not say.
func containerOf(policy *batchv1.PodFailurePolicy, pod *corev1.PodSpec) string {
	if policy == nil {
		return ""
	}
	name := ""
	for _, rule := range policy.Rules {
		if rule.OnExitCodes == nil {
			continue
		}
		is := ptr.Deref(rule.OnExitCodes.ContainerName, "")
		if is == "" || name != "" && is != name {
			return ""
		}
		name = is
	}
	if !slices.ContainsFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == name }) {
		return ""
	}
	return name
}

// firstFailed is how the first container of a pod ended that failed, else the first that
// ended: the kubelet sorts them by name.
func firstFailed(p *corev1.Pod) *corev1.ContainerStateTerminated {
	var exit *corev1.ContainerStateTerminated
	for i := range p.Status.ContainerStatuses {
		ended := p.Status.ContainerStatuses[i].State.Terminated
		if ended != nil && (exit == nil || exit.ExitCode == 0 && ended.ExitCode != 0) {
			exit = ended
		}
	}
	return exit
}

// newest is the pod of a Job that was created last among those that fit.
func newest(pods []corev1.Pod, job types.UID, fits func(*corev1.Pod) bool) *corev1.Pod {
	var last *corev1.Pod
	for i := range pods {
		p := &pods[i]
		if jobOf(p) != job || !fits(p) {
			continue
		}
		if last == nil || last.CreationTimestamp.Before(&p.CreationTimestamp) {
			last = p
		}
	}
	return last
}
