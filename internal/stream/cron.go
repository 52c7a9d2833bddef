package stream

// This file keeps the CronJob of a stream that has a schedule, and finds the runs that it has made.

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

func (w *world) cronName() string {
	return jobspec.CronName(w.stream.Name, w.stream.UID, v1.KindStream)
}

// readCron reads the stream's CronJob, which is the one that the status records. Another
// one of its name is deleted where it says that the stream owns it: it is what a lost
// reply left behind, or a forgery. One that does not is left alone, and stands in the way
// only where ours is to be made.
func (r *Reconciler) readCron(ctx context.Context, w *world) error {
	cron := &batchv1.CronJob{}
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: w.stream.Namespace, Name: w.cronName()}, cron)
	if apierrors.IsNotFound(err) && w.stream.Status.CronJob != nil {
		// It may have lost the label by which the cache holds it.
		err = r.Live.Get(ctx, types.NamespacedName{Namespace: w.stream.Namespace, Name: w.cronName()}, cron)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("read the CronJob: %w", err)
	}
	switch record := w.stream.Status.CronJob; {
	case record != nil && cron.UID == record.UID:
		w.cron = cron
	case ownedBy(cron, w.stream.UID):
		w.strayCron = cron
	}
	return r.readActive(ctx, w)
}

// readActive adds the runs that the CronJob says are at work and that bear no label, by
// which the cache would hold them.
func (r *Reconciler) readActive(ctx context.Context, w *world) error {
	if w.cron == nil {
		return nil
	}
	for _, ref := range w.cron.Status.Active {
		if slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool { return j.UID == ref.UID }) {
			continue
		}
		run := &batchv1.Job{}
		err := r.Live.Get(ctx, types.NamespacedName{Namespace: w.cron.Namespace, Name: ref.Name}, run)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("look at run %s of the CronJob: %w", ref.Name, err)
		}
		if err == nil && run.UID == ref.UID {
			w.jobs = append(w.jobs, *run)
		}
	}
	return nil
}

// waits tells whether a Job is a run of the schedule that may still be let run: held, of
// the very content that the stream's CronJob makes, of the present configuration, and
// nobody has stopped the stream. Nothing proves that the CronJob controller made it: that
// controller adopts a Job under the name of a run, and others may have written it. With
// other content it is never let run.
func (w *world) waits(j *batchv1.Job) bool {
	if !w.isRun(j) || !w.bearsLabels(j) || !suspended(j) || j.DeletionTimestamp != nil || w.stream.Spec.Suspended || w.definition.Schedule == "" ||
		jobspec.Differs(j, w.cron) != "" {
		return false
	}
	if w.problem != nil {
		return true
	}
	wanted, problem := jobspec.BuildCron(w.streaming)
	return problem != nil || w.stream.Status.CronJob.Applied == jobspec.DigestOfCron(wanted)
}

// whyDiscarded is why a held run of the schedule goes that its CronJob has made; empty where
// its user has stopped the schedule, or where it is not that.
func (w *world) whyDiscarded(j *batchv1.Job) string {
	if !w.isRun(j) || !suspended(j) || w.stream.Spec.Suspended || w.definition.Schedule == "" {
		return ""
	}
	if field := jobspec.Differs(j, w.cron); field != "" && w.isAsApplied() {
		return fmt.Sprintf("differs in %s from what its CronJob makes. Where a policy or webhook has changed it, exclude what bears the label %s from it.", field, v1.LabelStreamID)
	}
	return "was made before the stream or its CronJob changed."
}

// due is the oldest run that may be let run now; nil where none waits. Asked only of a
// CronJob whose spec is what the operator last wrote: otherwise its runs may have other content.
func (w *world) due() *batchv1.Job {
	var list []*batchv1.Job
	for i := range w.jobs {
		if j := &w.jobs[i]; !finished(j) && !w.isRecorded(j.UID) && w.waits(j) {
			list = append(list, j)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return slices.MinFunc(list, func(a, b *batchv1.Job) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

// cronState compares the CronJob with the schedule that is wanted.
func (w *world) cronState() lifecycle.Cron {
	makesRuns := w.cron != nil && (w.cron.Spec.Suspend == nil || !*w.cron.Spec.Suspend)
	switch {
	case w.cron != nil && w.cron.DeletionTimestamp != nil:
		return lifecycle.CronStopping
	case w.definition.Schedule == "" && w.cron == nil:
		return lifecycle.NoCron
	case w.definition.Schedule == "" && makesRuns:
		return lifecycle.CronUnwanted
	case w.definition.Schedule == "":
		return lifecycle.CronLeftOver
	case !makesRuns:
		return lifecycle.CronIdle
	}
	return w.cronAtWork()
}

// isAsApplied tells whether the CronJob's spec is what our own last write left there,
// whatever admission has made of it.
func (w *world) isAsApplied() bool {
	return w.cron.Generation == w.stream.Status.CronJob.Generation
}

// isIntact tells whether spec, labels and owner are as our own last write left them.
func (w *world) isIntact() bool {
	return w.isAsApplied() && w.bearsLabels(w.cron) && ownedBy(w.cron, w.stream.UID)
}

// cronAtWork looks closer at a CronJob that is wanted and makes runs.
func (w *world) cronAtWork() lifecycle.Cron {
	if w.problem != nil || w.stream.Spec.Suspended {
		return lifecycle.CronRight
	}
	wanted, problem := jobspec.BuildCron(w.streaming)
	switch {
	case problem != nil:
		return lifecycle.CronRight
	case !w.isIntact() || w.stream.Status.CronJob.Applied != jobspec.DigestOfCron(wanted):
		return lifecycle.CronStale
	case !w.missed().IsZero():
		return lifecycle.CronStale // a write wakes the CronJob controller
	case w.due() != nil:
		return lifecycle.CronDue
	}
	return lifecycle.CronRight
}

// missed is when a run was due that has not come for as long as a start may take, although
// nothing of the stream held it back; zero where there is none. Under a name that somebody
// has taken the CronJob controller makes no Job, says nothing, and does not come back before
// a write wakes it.
func (w *world) missed() time.Time {
	if w.record != nil || ptr.Deref(w.cron.Spec.Suspend, false) || len(w.cron.Status.Active) > 0 ||
		slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool { return w.isRun(&j) && !finished(&j) }) {
		return time.Time{}
	}
	since := w.cron.CreationTimestamp.Time
	if t := w.stream.Status.CronJob.Time; t != nil {
		since = t.Time // whoever deletes it again and again does not begin the wait anew
	}
	if t := w.cron.Status.LastScheduleTime; t != nil {
		since = latest(since, t.Time)
	}
	due, by := definition.NextRun(w.definition.Schedule, w.definition.TimeZone, since)
	if d := w.stream.Status.LastDecision; d != nil {
		by = latest(by, d.Time.Time) // until then it may have waited for the one before
	}
	if due.IsZero() || w.wakesAt(by.Add(w.startDeadline())) {
		return time.Time{}
	}
	return due
}

// tellMissed says which run of the schedule has not come, and what stands in its way.
func (p *pass) tellMissed(ctx context.Context, due time.Time) error {
	why := fmt.Sprintf("The events of the CronJob may say why: kubectl describe cronjob %s -n %s", p.cron.Name, p.cron.Namespace)
	run := &batchv1.Job{}
	err := p.Live.Get(ctx, types.NamespacedName{Namespace: p.cron.Namespace, Name: jobspec.NameOfRun(p.cron, due)}, run)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("look for the run that has not come: %w", err)
	case err == nil && !metav1.IsControlledBy(run, p.cron):
		why = fmt.Sprintf("Job %s has its name and is not a run of CronJob %s. To end it: kubectl delete job %s -n %s", run.Name, p.cron.Name, run.Name, run.Namespace)
	}
	at := due.UTC().Format(time.RFC3339)
	if p.definition.TimeZone == "" {
		at += " (if the controller manager's time zone is UTC)"
	}
	p.runReason = v1.ReasonRunMissed
	p.runMessage = fmt.Sprintf("The run that was due at %s has not come. %s. The next run comes when it is due; for one at once: kubectl create job %s-now --from=cronjob/%s -n %s",
		at, why, p.stream.Name, p.cron.Name, p.cron.Namespace)
	return nil
}

// recordCron records the CronJob as it was left behind, and the run that it has not made.
func (p *pass) recordCron(s *v1.StreamStatus) {
	s.CronJob = p.cronJob
	p.recordNeverRan(s)
}

// recordNeverRan says why a run never ran, unless the last one that did failed: a failure is
// not to be hidden.
func (p *pass) recordNeverRan(s *v1.StreamStatus) {
	last := meta.FindStatusCondition(s.Conditions, v1.ConditionLastRunFailed)
	if p.runReason != "" && (last == nil || last.Reason != string(v1.ReasonRunFailed)) {
		p.setLastRun(s, metav1.ConditionTrue, p.runReason, p.runMessage)
	}
}

// applyCron leaves the CronJob behind that is wanted. One that is there is changed in
// place, so that its runs and their logs stay.
//
// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=get;list;watch;create;update
func (p *pass) applyCron(ctx context.Context) error {
	if p.obstacle = p.paused.now(p.key(), p.now); p.obstacle != nil {
		return nil
	}
	wanted, problem := jobspec.BuildCron(p.streaming)
	if problem != nil {
		return notAsJudged("%s", problem.Message)
	}
	sent := wanted.DeepCopy()
	now := metav1.NewTime(p.now)
	record := v1.CronJobRecord{Applied: jobspec.DigestOfCron(wanted), Time: &now}
	if was := p.stream.Status.CronJob; was != nil && was.Time != nil && was.Applied == record.Applied {
		record.Time = was.Time // written anew for what somebody else has done to it
	}
	defer func() {
		record.UID, record.Generation = wanted.UID, wanted.Generation
		p.cronJob = &record
	}()
	if p.cron != nil {
		if due := p.missed(); !due.IsZero() {
			if err := p.tellMissed(ctx, due); err != nil {
				return err
			}
			record.Time = &now
			wanted.Annotations = jobspec.Merged(wanted.Annotations, map[string]string{v1.AnnotationRunMissed: due.UTC().Format(time.RFC3339)})
		}
		wanted.UID, wanted.ResourceVersion = p.cron.UID, p.cron.ResourceVersion
		wanted.Finalizers = p.cron.Finalizers // somebody else's, who counts on them
		wanted.Labels, wanted.Annotations = jobspec.Merged(p.cron.Labels, wanted.Labels), jobspec.Merged(p.cron.Annotations, wanted.Annotations)
		if err := gone(p.refused(p.Client.Update(ctx, wanted), v1.ReasonJobRefused), "update the CronJob"); err != nil || p.obstacle != nil {
			return err
		}
		return p.checkCron(ctx, wanted, sent)
	}
	err := p.refused(p.Client.Create(ctx, wanted), v1.ReasonJobRefused)
	switch {
	case err == nil && p.obstacle == nil:
		return p.checkCron(ctx, wanted, sent)
	case !apierrors.IsAlreadyExists(err):
		return gone(err, "create the CronJob")
	}
	return p.makeRoom(ctx, client.ObjectKeyFromObject(wanted))
}

// checkCron makes sure that the CronJob that the API server stored makes the Jobs that were
// meant: a policy may have changed it on its way. One that it changed makes no runs: it
// goes where it is new, and else is paused, for a run of it may be at work.
func (p *pass) checkCron(ctx context.Context, stored, sent *batchv1.CronJob) error {
	field := jobspec.AlteredCron(stored, sent)
	if field == "" {
		return nil
	}
	why := p.altered("cronjob", stored.Name, field)
	p.paused.pause(p.key(), p.now.Add(obstacleRecheck), *why)
	p.obstacle = why
	switch {
	case p.cron == nil:
		return p.removeCron(ctx, stored)
	case ptr.Deref(stored.Spec.Suspend, false):
		return nil
	}
	return p.pause(ctx, stored)
}

// makeRoom clears the CronJob's name: of what says that the stream owns it and is not
// recorded. Anything else stands in the way until somebody takes it away.
func (p *pass) makeRoom(ctx context.Context, key client.ObjectKey) error {
	there := &batchv1.CronJob{}
	if err := p.Live.Get(ctx, key, there); err != nil {
		return gone(err, "look at the CronJob that is there")
	}
	switch {
	case !ownedBy(there, p.stream.UID):
		p.obstacle = &obstacle{
			reason: v1.ReasonNameConflict,
			detail: fmt.Sprintf("It is cronjob %s. To end it: kubectl delete cronjob %s -n %s", there.Name, there.Name, there.Namespace),
		}
		return nil
	case there.DeletionTimestamp != nil:
		p.obstacle = &obstacle{reason: v1.ReasonNameConflict, after: namesRecheck, detail: "It is cronjob " + there.Name + ", " + onItsWayOut("cronjob", there)}
		return nil
	}
	stream := &v1.Stream{}
	if err := p.Live.Get(ctx, p.key(), stream); err != nil {
		return gone(err, "look at the stream")
	}
	if c := stream.Status.CronJob; c != nil && c.UID == there.UID {
		return notAsJudged("CronJob %s is recorded by now", there.Name)
	}
	if err := p.removeCron(ctx, there); err != nil {
		return err
	}
	return notAsJudged("CronJob %s was not recorded", there.Name)
}

// pauseCron lets the very version of the CronJob that was judged make no more runs.
//
// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=patch
func (p *pass) pauseCron(ctx context.Context) error { return p.pause(ctx, p.cron) }

func (p *pass) pause(ctx context.Context, c *batchv1.CronJob) error {
	target := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name}}
	patch := fmt.Sprintf(`{"metadata":{"uid":%q,"resourceVersion":%q},"spec":{"suspend":true}}`, c.UID, c.ResourceVersion)
	if err := p.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return gone(err, "pause the CronJob")
	}
	if !ptr.Deref(target.Spec.Suspend, false) {
		p.obstacle = p.altered("cronjob", target.Name, "spec.suspend")
	}
	return nil
}

// deleteCron deletes the very version of the CronJob that was judged, in the
// foreground: with it go its runs and their pods.
//
// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=delete
func (p *pass) deleteCron(ctx context.Context) error { return p.removeCron(ctx, p.cron) }

func (p *pass) removeCron(ctx context.Context, c *batchv1.CronJob) error {
	target := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name, UID: c.UID}}
	err := p.Client.Delete(ctx, target, client.PropagationPolicy(metav1.DeletePropagationForeground),
		client.Preconditions{UID: &c.UID, ResourceVersion: &c.ResourceVersion})
	return client.IgnoreNotFound(err)
}

// gone turns the absence of what was judged into the wish to observe again.
func gone(err error, doing string) error {
	switch {
	case apierrors.IsNotFound(err):
		return notAsJudged("%w", err)
	case err != nil:
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// claimRun records the held run that is due: from then on it is the job that may be released.
func (p *pass) claimRun(s *v1.StreamStatus) {
	p.tellVanishedRun(s)
	run, now := p.due(), metav1.NewTime(p.now)
	s.Runs = p.nextRun()
	s.Job = &v1.JobRecord{
		Name: run.Name, UID: run.UID, Run: s.Runs, Mode: v1.ModeScheduled, StartTime: &now,
		ConfigurationHash: jobspec.Hash(p.streaming), MainContainer: mainOf(p.streaming), Completion: completionOf(p.class),
	}
	s.ConfigurationHash = s.Job.ConfigurationHash
	s.PodFailurePolicy = jobspec.FailurePolicy(p.definition, p.class, p.streaming.Template)
}

// recordRun notes how a run of the schedule ended: its stream goes on in any case.
func (p *pass) recordRun(s *v1.StreamStatus) {
	p.letGo(s)
	p.setLastRun(s, metav1.ConditionFalse, v1.ReasonRunSucceeded, v1.ReasonRunSucceeded.Meaning())
}

func (p *pass) recordRunFailed(s *v1.StreamStatus) {
	p.letGo(s)
	p.setLastRun(s, metav1.ConditionTrue, v1.ReasonRunFailed, p.runFailure())
}

// tellVanishedRun notes that the run of the schedule that is recorded was gone before it
// had ended, unless the operator has stopped it for its user.
func (p *pass) tellVanishedRun(s *v1.StreamStatus) {
	if p.facts.Job != lifecycle.Vanished || p.record.Mode != v1.ModeScheduled || p.stoppedByUser() {
		return
	}
	p.setLastRun(s, metav1.ConditionTrue, v1.ReasonRunFailed, fmt.Sprintf("Job %s of the run was gone before it had ended. The next run comes in its time.", p.record.Name))
}

// stoppedByUser tells whether the operator has stopped the recorded job for what its user asked for.
func (p *pass) stoppedByUser() bool {
	reason, _, ok := stopOf(p.judged)
	return ok && reason != v1.ReasonJobAltered && reason != v1.ReasonDisrupted && reason != v1.ReasonJobRefused
}

// runFailure says why the run that is being recorded was no success.
func (p *pass) runFailure() string {
	if p.facts.Job == lifecycle.Interrupted {
		return fmt.Sprintf("The pod of run %s was deleted or evicted before its work was surely done. The next run comes in its time.", p.record.Name)
	}
	return p.failureMessage() + " The next run comes in its time."
}

func (p *pass) setLastRun(s *v1.StreamStatus, failed metav1.ConditionStatus, reason v1.Reason, message string) {
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: v1.ConditionLastRunFailed, Status: failed, Reason: string(reason), Message: backlog.Truncate(message, 4096),
		ObservedGeneration: p.stream.Generation, LastTransitionTime: metav1.NewTime(p.now),
	})
}
