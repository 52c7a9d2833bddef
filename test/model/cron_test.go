package model

// This file plays the CronJob controller, and what becomes of CronJobs.

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// runsOf are the Jobs that a CronJob has made.
func (w *world) runsOf(c *batchv1.CronJob) (ended, unfinished []*batchv1.Job) {
	for _, j := range w.jobs() {
		switch {
		case !metav1.IsControlledBy(j, c):
		case finished(j):
			ended = append(ended, j)
		default:
			unfinished = append(unfinished, j)
		}
	}
	return ended, unfinished
}

// schedule lists the runs that may come due: time is what it takes.
func (w *world) schedule() []happening {
	var list []happening
	for _, c := range w.crons() {
		_, unfinished := w.runsOf(c)
		if c.DeletionTimestamp == nil && !ptr.Deref(c.Spec.Suspend, false) && len(unfinished) == 0 {
			list = append(list, happening{"cronjob controller: makes a run of", c.Name, func() { w.makeRun(c) }})
		}
	}
	return list
}

func (w *world) makeRun(c *batchv1.CronJob) {
	t := c.Spec.JobTemplate
	w.maker = c
	must(w.create(&batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("%s-%d", c.Name, 29000000+w.uids), Labels: t.Labels, Annotations: t.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
		},
		Spec: *t.Spec.DeepCopy(),
	}))
	w.maker = nil
}

// collectCron is the CronJob controller's history limit, and the garbage collector's work.
func (w *world) collectCron(c *batchv1.CronJob) []happening {
	if ref := metav1.GetControllerOf(c); ref != nil && !w.there(*ref) {
		return []happening{{"gc: cronjob of a stream that is gone:", c.Name, func() { w.put(crons, c.Name, nil) }}}
	}
	ended, unfinished := w.runsOf(c)
	if c.DeletionTimestamp == nil {
		return w.oldRuns(c, ended)
	}
	for _, j := range slices.Concat(ended, unfinished) {
		if j.DeletionTimestamp == nil {
			return []happening{{"gc: deletes run", j.Name, func() { w.foreground(j) }}}
		}
	}
	if len(ended)+len(unfinished) > 0 {
		return nil
	}
	return []happening{{"gc: is done with cronjob", c.Name, func() { w.put(crons, c.Name, nil) }}}
}

// oldRuns are deleted beyond the history limits.
func (w *world) oldRuns(c *batchv1.CronJob, ended []*batchv1.Job) []happening {
	var well, badly []*batchv1.Job
	for _, j := range ended {
		if j.DeletionTimestamp != nil {
			continue
		}
		if endOf(j).Type == batchv1.JobComplete {
			well = append(well, j)
		} else {
			badly = append(badly, j)
		}
	}
	for _, x := range []struct {
		jobs []*batchv1.Job
		most *int32
	}{{well, c.Spec.SuccessfulJobsHistoryLimit}, {badly, c.Spec.FailedJobsHistoryLimit}} {
		if len(x.jobs) > int(*x.most) {
			return []happening{{"cronjob controller: deletes old run", x.jobs[0].Name, func() { w.put(jobs, x.jobs[0].Name, nil) }}}
		}
	}
	return nil
}

// judgeCron allows the operator to write the CronJobs that it has made, and to take away
// what others made under the name of one.
func (w *world) judgeCron(was, is *batchv1.CronJob) {
	if w.by == nil {
		return
	}
	switch {
	case was == nil:
		w.truth.streamOf[is.UID] = ownerOf(is)
	case w.truth.streamOf[was.UID] != "":
	case is != nil && is.DeletionTimestamp == nil:
		w.fail("I7: the operator changed cronjob %s, which it has not made", was.Name)
	case ownerOf(was) == "":
		w.fail("I7: the operator deleted cronjob %s, which is not ours", was.Name)
	}
	if is != nil && is.DeletionTimestamp == nil && !ptr.Deref(is.Spec.JobTemplate.Spec.Suspend, false) {
		w.fail("cronjob %s makes runs that nobody holds", is.Name)
	}
}

// judgeSchedule expects, at rest, a CronJob that makes runs where one is wanted, and none elsewhere.
func (w *world) judgeSchedule(s *v1.Stream) {
	atWork := 0
	for _, c := range w.crons() {
		if w.truth.streamOf[c.UID] == s.UID && !ptr.Deref(c.Spec.Suspend, false) {
			atWork++
		}
	}
	if want := s.Status.Phase == v1.StreamScheduled; want != (atWork == 1) {
		w.fail("at rest: stream %s is %s, and %d cronjobs are at work", s.Name, s.Status.Phase, atWork)
	}
}
