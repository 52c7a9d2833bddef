package model

// This file plays somebody who may create Jobs, CronJobs, pods and requests in the
// namespace, and patch pods. What they write is no proof of anything.

import (
	"fmt"
	"maps"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// attackers list what may be forged, and what may be taken off a pod.
func (w *world) attackers() []happening {
	var list []happening
	for _, s := range w.streams() {
		if s.DeletionTimestamp == nil && len(w.byKind[jobs]) < 8 {
			list = append(list, w.forgeries(s)...)
			list = append(list, w.forgedRuns(s)...)
		}
		if len(w.byKind[pods]) < 8 {
			list = append(list, w.barePods(s)...)
		}
		list = append(list, w.forgedRequest(s)...)
	}
	for _, p := range w.pods() {
		if alive(p) && w.truth.jobOf[p.UID] != "" {
			list = append(list, w.strips(p)...)
		}
	}
	return list
}

// evil is what somebody would have run in a stream's name.
func evil(s *v1.Stream) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(s)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: mainContainer, Image: "evil"}}},
	}
}

// labelsOf are the labels that a stream's children bear.
func labelsOf(s *v1.Stream) map[string]string {
	return map[string]string{v1.LabelStreamID: s.Name, v1.LabelStreamKind: v1.KindStream, v1.LabelManagedBy: v1.ManagedBy, v1.LabelBackfilling: "true"}
}

func ownerOfStream(s *v1.Stream) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(s, v1.GroupVersion.WithKind(v1.KindStream))}
}

// forgeries are Jobs and CronJobs under the names that come next.
func (w *world) forgeries(s *v1.Stream) []happening {
	next := max(s.Status.Runs, s.CreationTimestamp.Unix()) + 1
	var list []happening
	forge := func(what string, run int64, edits ...func(*batchv1.Job)) {
		name := jobspec.Name(s.Name, s.UID, v1.KindStream, run)
		if w.byKind[jobs][name] != nil {
			return
		}
		list = append(list, happening{"attacker: forges " + what, name, func() {
			j := &batchv1.Job{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labelsOf(s), OwnerReferences: ownerOfStream(s), Annotations: w.copied(s)},
				Spec: batchv1.JobSpec{
					Suspend: ptr.To(true), Parallelism: ptr.To[int32](1), Completions: ptr.To[int32](1),
					PodReplacementPolicy: ptr.To(batchv1.Failed), Template: evil(s),
				},
			}
			for _, edit := range edits {
				edit(j)
			}
			must(w.create(j))
		}})
	}
	plain := func(j *batchv1.Job) {
		j.Labels, j.OwnerReferences, j.Annotations, j.Spec.Template.Labels = nil, nil, nil, nil
	}
	unowned := func(j *batchv1.Job) { j.OwnerReferences = nil }
	runs := func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(false) }
	forge("a twin of the next job", next)
	forge("a job that squats", next, plain)
	forge("a job that squats and runs", next, plain, runs)
	forge("a job without an owner that runs", next, unowned, runs)
	forge("a job that runs", next, runs)
	forge("a job that has ended", next, func(j *batchv1.Job) {
		now := metav1.NewTime(w.clock.Now())
		j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now}}
	})
	forge("the job after the next", next+1)
	forge("a job of a run far ahead", jobspec.MaxRun)
	return append(list, w.forgedCron(s)...)
}

// copied are the annotations of a Job of the stream's own that is there, with a success of their own.
func (w *world) copied(s *v1.Stream) map[string]string {
	for _, j := range w.jobs() {
		if w.truth.streamOf[j.UID] == s.UID {
			return j.Annotations
		}
	}
	return nil
}

// forgedCron is a CronJob under the name of the stream's.
func (w *world) forgedCron(s *v1.Stream) []happening {
	name := jobspec.CronName(s.Name, s.UID, v1.KindStream)
	if w.byKind[crons][name] != nil {
		return nil
	}
	forge := func(what string, owners []metav1.OwnerReference) happening {
		return happening{"attacker: forges a cronjob " + what, name, func() {
			c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labelsOf(s), OwnerReferences: owners}}
			c.Spec = batchv1.CronJobSpec{
				Schedule: "* * * * *", SuccessfulJobsHistoryLimit: ptr.To[int32](1), FailedJobsHistoryLimit: ptr.To[int32](1),
				JobTemplate: batchv1.JobTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(s)}, Spec: batchv1.JobSpec{Suspend: ptr.To(true), Template: evil(s)}},
			}
			must(w.create(c))
		}}
	}
	return []happening{forge("with an owner", ownerOfStream(s)), forge("without an owner", nil)}
}

// forgedRuns are held runs of the stream's CronJob with other pods, and one that is just like its own.
func (w *world) forgedRuns(s *v1.Stream) []happening {
	var list []happening
	for _, c := range w.crons() {
		if w.truth.streamOf[c.UID] != s.UID || c.DeletionTimestamp != nil {
			continue
		}
		forge := func(what string, maker *batchv1.CronJob, edit func(*batchv1.Job)) {
			list = append(list, happening{"attacker: forges a run " + what + " of", c.Name, func() {
				t := c.Spec.JobTemplate.DeepCopy()
				j := &batchv1.Job{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: namespace, Name: fmt.Sprintf("%s-%d", c.Name, 28000000+w.uids), Labels: t.Labels, Annotations: t.Annotations,
						OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
					},
					Spec: t.Spec,
				}
				edit(j)
				if maker != nil {
					w.maker = maker // what it runs is the stream's own
				}
				must(w.create(j))
				w.maker = nil
			}})
		}
		forge("with other pods", nil, func(j *batchv1.Job) { j.Spec.Template.Spec.Containers[0].Image = "evil" })
		forge("with two pods", nil, func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](2) })
		forge("that runs", nil, func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(false) })
		forge("far ahead", nil, func(j *batchv1.Job) {
			j.Annotations = mapWith(j.Annotations, v1.AnnotationRun, fmt.Sprint(int64(jobspec.MaxRun)))
			j.Spec.Template.Spec.Containers[0].Image = "evil"
		})
		forge("just like its own", c, func(*batchv1.Job) {})
	}
	return list
}

// barePods only bear labels, of the stream or of its job.
func (w *world) barePods(s *v1.Stream) []happening {
	forges := func(what string, owners []metav1.OwnerReference) happening {
		return happening{"attacker: runs a pod " + what + " of", s.Name, func() {
			must(w.create(&corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("bare-%d", w.uids), Labels: labelsOf(s), OwnerReferences: owners},
				Spec:       corev1.PodSpec{NodeName: "node", Containers: evil(s).Spec.Containers},
				Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
					{Name: mainContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(w.clock.Now())}}},
				}},
			}))
		}}
	}
	set := []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "theirs", UID: types.UID("theirs-uid"), Controller: ptr.To(true)}}
	return []happening{forges("with the labels", nil), forges("in a set of their own, with the labels", set)}
}

// forgedRequest is the stream's own initial request, said to have ended.
func (w *world) forgedRequest(s *v1.Stream) []happening {
	name := backlog.InitialName(s.Name, s.UID)
	if w.byKind[requests][name] != nil {
		return nil
	}
	return []happening{{"attacker: forges the ended initial request", name, func() {
		must(w.create(&v1.BackfillRequest{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: name, OwnerReferences: ownerOfStream(s),
				Annotations: map[string]string{v1.AnnotationMadeBy: v1.RequestInitial, v1.AnnotationAdmitted: v1.Admitted},
			},
			Spec: v1.BackfillRequestSpec{StreamClass: className, StreamID: s.Name, Completed: true},
		}))
		for _, q := range w.requests() {
			if q.Name == name {
				w.truth.cancelled[q.UID] = true
			}
		}
	}}}
}

// strips take labels and the owner off a pod. Its Job lets go of a pod that lacks its labels.
func (w *world) strips(p *corev1.Pod) []happening {
	patch := func(what string, edit func(*corev1.Pod)) happening {
		return happening{"attacker: strips " + what + " of pod", p.Name, func() {
			change(w.store, p, func(next *corev1.Pod) {
				next.OwnerReferences = nil
				edit(next)
			})
			for _, o := range w.ops {
				w.noteLost(o)
			}
		}}
	}
	without := func(labels ...string) func(*corev1.Pod) {
		return func(next *corev1.Pod) {
			next.Labels = maps.Clone(next.Labels)
			for _, l := range labels {
				delete(next.Labels, l)
			}
		}
	}
	return []happening{
		patch("the owner", without()),
		patch("the labels of its job", without(batchv1.ControllerUidLabel, batchv1.JobNameLabel)),
		patch("the labels of its job, and the stream's name,", func(next *corev1.Pod) {
			without(batchv1.ControllerUidLabel, batchv1.JobNameLabel)(next)
			next.Labels = mapWith(next.Labels, v1.LabelStreamID, "nobody")
		}),
		patch("all labels", func(next *corev1.Pod) { next.Labels = nil }),
	}
}
