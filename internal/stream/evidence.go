package stream

// This file reads what Jobs and pods tell of themselves.

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
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

// madeFor tells whether a pod was made for a Job: its label says so also where
// somebody else has taken the pod over, its owner also where the label was removed.
func madeFor(p *corev1.Pod, job types.UID) bool {
	return jobOf(p) == job || p.Labels[batchv1.ControllerUidLabel] == string(job)
}

// disturbed tells whether the pod was taken away before its containers had ended
// by themselves, or may have been. A grace period of zero hides when the deletion
// was asked for: once the containers have ended, the kubelet deletes again with
// none, and the API server moves the deletionTimestamp of a pod that finalizers
// hold, as the Job controller's does, to that later moment.
func disturbed(p *corev1.Pod) bool {
	if targeted(p) {
		return true
	}
	if p.DeletionTimestamp == nil {
		return false
	}
	if p.DeletionGracePeriodSeconds == nil || *p.DeletionGracePeriodSeconds == 0 {
		return true
	}
	end := lastEnd(p)
	return end.IsZero() || !end.Before(askedAt(p))
}

// askedAt is when the deletion of a pod was asked for: its deletionTimestamp is when
// the grace period is over.
func askedAt(p *corev1.Pod) time.Time {
	grace := ptr.Deref(p.DeletionGracePeriodSeconds, 0)
	return p.DeletionTimestamp.Add(-time.Duration(grace) * time.Second)
}

// lastEnd is when the last of the pod's containers ended; zero where one has not.
func lastEnd(p *corev1.Pod) time.Time {
	var last time.Time
	for i := range p.Status.ContainerStatuses {
		t := p.Status.ContainerStatuses[i].State.Terminated
		if t == nil {
			return time.Time{}
		}
		if t.FinishedAt.After(last) {
			last = t.FinishedAt.Time
		}
	}
	return last
}

// runningSince is when the last of the pod's containers began to run; zero where one does not.
func runningSince(p *corev1.Pod) time.Time {
	var last time.Time
	for i := range p.Status.ContainerStatuses {
		r := p.Status.ContainerStatuses[i].State.Running
		if r == nil {
			return time.Time{}
		}
		if r.StartedAt.After(last) {
			last = r.StartedAt.Time
		}
	}
	return last
}

// trusted tells whether a backfill's success can be believed: the Job is complete
// and was not being deleted before, and its succeeded pod is still there and was
// not taken away. A pod that handles SIGTERM exits 0 when it is deleted, and the
// Job controller calls that complete.
func trusted(j *batchv1.Job, pods []corev1.Pod) bool {
	if condition(j, batchv1.JobComplete) == nil || deletedBeforeEnd(j) {
		return false
	}
	return slices.ContainsFunc(pods, func(p corev1.Pod) bool {
		return jobOf(&p) == j.UID && p.Status.Phase == corev1.PodSucceeded && !disturbed(&p) && !deletedBefore(&p, succeededAt(j))
	})
}

// succeededAt is when the Job controller saw the success: it notes that first, and
// the completion once it has counted the pods.
func succeededAt(j *batchv1.Job) metav1.Time {
	if c := condition(j, batchv1.JobSuccessCriteriaMet); c != nil {
		return c.LastTransitionTime
	}
	return condition(j, batchv1.JobComplete).LastTransitionTime
}

// deletedBefore tells whether a pod was deleted, or may have been, before its success
// was seen. When its containers ended is told by its node's clock, when it was deleted
// by the control plane's: where the node's is behind, an end that the deletion brought
// about seems to have come before it. When the success was seen is told by the control
// plane, and the success was there by then.
func deletedBefore(p *corev1.Pod, seen metav1.Time) bool {
	return p.DeletionTimestamp != nil && !seen.Time.Before(askedAt(p))
}

// named is the container that all rules of a policy about exit codes are about; empty
// where they are about several, or do not say.
func named(policy *batchv1.PodFailurePolicy) string {
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
	return name
}

// exitOf is how the main container of a pod ended. Where the pod has no such container
// it is how the first ended that failed: the others end with it, and are sorted by name.
func exitOf(p *corev1.Pod, main string) *corev1.ContainerStateTerminated {
	var exit *corev1.ContainerStateTerminated
	for i := range p.Status.ContainerStatuses {
		c := &p.Status.ContainerStatuses[i]
		ended := c.State.Terminated
		if c.Name == main {
			return ended
		}
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
