package stream

// This file is the only writer of children: it does a decision's verbs, in order.

import (
	"cmp"
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
)

// pass is one decision being carried out.
type pass struct {
	*Reconciler
	*world
	decision lifecycle.Decision

	// created is the job that CreateBackfill or CreateStream left behind.
	created *batchv1.Job
	// taken is the last run whose name was taken by somebody.
	taken int64
	// cronJob is the CronJob as ApplyCron left it behind.
	cronJob *v1.CronJobRecord
	// releaseTakenBack: a policy undid the release of the recorded job, so this pass deletes the job.
	releaseTakenBack bool
	// runReason and runMessage tell of a run of the schedule that never ran.
	runReason  v1.Reason
	runMessage string
	// requested is the UID of the request that CreateInitial or CreateGap left behind or found.
	requested types.UID
	// obstacle is what keeps the decision from being carried out, although the cluster answered.
	obstacle *obstacle
	// remembered: this pass has sent the stream's status patch.
	remembered bool
	// unpatched: the API server did not take it.
	unpatched bool
	// lasts: the pass has failed for so long that its obstacle says so.
	lasts bool
	// told: the requests' status has been patched where it had to be.
	told bool
	// wrote: a status has been patched in this pass.
	wrote bool
}

// obstacle is a verdict about the world outside: nothing is retried at once.
type obstacle struct {
	reason v1.Reason
	detail string
	// after is when it is tried again; zero: after obstacleRecheck.
	after time.Duration
	// stalls: nothing gets on until somebody acts.
	stalls bool
}

// recheck is when it is tried again.
func (o *obstacle) recheck() time.Duration { return cmp.Or(o.after, obstacleRecheck) }

func (o *obstacle) message() string { return o.reason.Meaning() + " " + o.detail }

// hands do the verbs. Verbs that only change the stream's memory share one hand.
var hands = map[lifecycle.Verb]func(*pass, context.Context) error{
	lifecycle.LookFormer:  (*pass).lookFormer,
	lifecycle.LookAgain:   (*pass).lookAgain,
	lifecycle.LookJob:     (*pass).lookJob,
	lifecycle.LookStopped: (*pass).lookStopped,
	lifecycle.LookEnded:   (*pass).lookEnded,
	lifecycle.LookReady:   (*pass).lookReady,

	lifecycle.CreateBackfill: func(p *pass, ctx context.Context) error { return p.createJob(ctx, &p.backfill) },
	lifecycle.CreateStream:   func(p *pass, ctx context.Context) error { return p.createJob(ctx, &p.streaming) },
	lifecycle.ReleaseJob:     (*pass).releaseJob,
	lifecycle.DeleteJob:      (*pass).deleteJob,
	lifecycle.EndPod:         (*pass).endPod,
	lifecycle.EndJob:         (*pass).endJob,
	lifecycle.DeleteStray:    (*pass).deleteStray,
	lifecycle.DeleteOrphans:  (*pass).deleteOrphans,
	lifecycle.ApplyCron:      (*pass).applyCron,
	lifecycle.PauseCron:      (*pass).pauseCron,
	lifecycle.DeleteCron:     (*pass).deleteCron,
	lifecycle.CreateInitial: func(p *pass, ctx context.Context) error {
		return p.createRequest(ctx, p.initialName(), v1.RequestInitial)
	},
	lifecycle.CreateGap:       func(p *pass, ctx context.Context) error { return p.createRequest(ctx, p.gapName(), v1.RequestGap) },
	lifecycle.DeleteLoose:     (*pass).deleteLoose,
	lifecycle.CompleteRequest: (*pass).completeRequest,

	lifecycle.Claim:             (*pass).remember,
	lifecycle.ClaimRun:          (*pass).rememberAfterRequests,
	lifecycle.ClaimStop:         (*pass).remember,
	lifecycle.ClaimDiscard:      (*pass).remember,
	lifecycle.Forget:            (*pass).remember,
	lifecycle.NoteRestart:       (*pass).remember,
	lifecycle.Retry:             (*pass).remember,
	lifecycle.RecordGap:         (*pass).remember,
	lifecycle.Heal:              (*pass).remember,
	lifecycle.RecordCron:        (*pass).remember,
	lifecycle.RecordInitial:     (*pass).remember,
	lifecycle.Waive:             (*pass).remember,
	lifecycle.RecordSuccess:     (*pass).rememberAfterRequests,
	lifecycle.RecordInterrupted: (*pass).rememberAfterRequests,
	lifecycle.RecordFailure:     (*pass).rememberAfterRequests,
	lifecycle.RecordEnd:         (*pass).remember,
	lifecycle.RecordPodEnd:      (*pass).remember,
	lifecycle.NotePod:           (*pass).remember,
	lifecycle.RecordRun:         (*pass).remember,
	lifecycle.RecordRunFailed:   (*pass).remember,
	lifecycle.ForgetVanished:    (*pass).rememberAfterRequests,
	lifecycle.Close:             (*pass).remember,
}

// apply does the verbs and stops at the first that cannot be done.
func (p *pass) apply(ctx context.Context) (err error) {
	ctx, span := tracing.Step(ctx, "apply")
	defer func() { span.End(err) }()
	span.Decided(p.decision.Rule, string(p.decision.Reason), string(p.decision.Phase))
	for _, verb := range p.decision.Do {
		err := hands[verb](p, ctx)
		if verb.Kind() == lifecycle.Write {
			err = p.refused(err, v1.ReasonWriteRefused)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", verb, err)
		}
		if p.obstacle != nil {
			return nil
		}
	}
	return nil
}

// namesTried is how many names a pass tries for a job before it pauses: a few lost
// replies cost nobody a pause, and a squatter costs the API server few requests.
const namesTried = 10

// createJob leaves a held job behind, and takes for ours only what its own create
// returned. Whatever is there under the name already, be it somebody else's, a forgery or
// what a lost reply of ours left behind, costs the name: the next run is taken.
//
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=create
func (p *pass) createJob(ctx context.Context, in *jobspec.Input) error {
	if p.obstacle = p.paused.now(p.key(), p.now); p.obstacle != nil {
		return nil
	}
	if p.obstacle = p.tooSoon(in.Request); p.obstacle != nil {
		return nil
	}
	for range namesTried {
		job, problem := jobspec.Build(*in)
		if problem != nil {
			return notAsJudged("%s", problem.Message)
		}
		wanted := job.DeepCopy()
		err := p.Client.Create(ctx, job)
		if apierrors.IsAlreadyExists(err) {
			p.taken, in.Run = in.Run, in.Run+1
			p.obstacle = &obstacle{
				reason: v1.ReasonNameConflict, after: namesRecheck,
				detail: fmt.Sprintf("The next %d names, up to job %s, are taken; further names are tried in %s. To free one: kubectl delete job %s -n %s", namesTried, job.Name, namesRecheck, job.Name, job.Namespace),
			}
			continue
		}
		p.obstacle = nil
		if err = p.refused(err, v1.ReasonJobRefused); err != nil {
			return fmt.Errorf("create job %s: %w", job.Name, err)
		}
		if p.obstacle != nil {
			return nil
		}
		p.created = job
		return p.checkCreated(ctx, wanted)
	}
	p.paused.pause(p.key(), p.now.Add(namesRecheck), *p.obstacle)
	return nil
}

// checkCreated makes sure that what the API server stored is the job that was sent, in
// what the lifecycle rests on: a policy may have changed it on its way. One that it
// changed is never recorded, and goes.
func (p *pass) checkCreated(ctx context.Context, wanted *batchv1.Job) error {
	field := jobspec.Altered(p.created, wanted)
	if field == "" {
		return nil
	}
	p.obstacle = p.altered("job", p.created.Name, field)
	p.paused.pause(p.key(), p.now.Add(obstacleRecheck), *p.obstacle)
	return p.delete(ctx, p.created)
}

// altered is the obstacle of an object that was changed on its way into the API server.
func (p *pass) altered(kind, name, field string) *obstacle {
	return &obstacle{
		reason: v1.ReasonJobRefused,
		detail: fmt.Sprintf("An admission policy or webhook changed %s of %s %s, which the operator needs as it was sent. Exclude what bears the label %s from it.",
			field, kind, name, v1.LabelStreamID),
	}
}

// refused makes an obstacle of the API server's verdict about what was sent to it.
func (p *pass) refused(err error, reason v1.Reason) error {
	if isRefusal(err) {
		p.obstacle = &obstacle{reason: reason, detail: "It says: " + err.Error()}
		return nil
	}
	return err
}

// isRefusal tells whether an error is the API server's verdict about what was sent to it.
func isRefusal(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)
}

// releaseJob lets the recorded job run: that very job, in whatever version. The Job
// controller marks a held Job as suspended at about this time. Whoever would not have
// it run deletes it: a Job on its way out makes no pods, and one whose deletion met
// the release is looked at again.
//
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=patch
func (p *pass) releaseJob(ctx context.Context) error {
	run := ""
	if p.record.Mode == v1.ModeScheduled {
		// A CronJob's template is the same for all runs: the number comes with the release.
		run = fmt.Sprintf(`,"annotations":{%q:"%d"}`, v1.AnnotationRun, p.record.Run)
	}
	released, err := p.patchJob(ctx, p.job, run, `"suspend":false`)
	if err != nil {
		return p.refused(err, v1.ReasonJobRefused)
	}
	field := jobspec.NotOneWriter(&released.Spec)
	switch {
	case field != "":
	case suspended(released):
		field = "spec.suspend"
	case !p.bearsLabels(released):
		field = "the labels " + v1.LabelStreamID + " and " + v1.LabelStreamKind
	default:
		return nil
	}
	p.obstacle, p.releaseTakenBack = p.altered("job", released.Name, field), true
	p.paused.pause(p.key(), p.now.Add(obstacleRecheck), *p.obstacle)
	return p.delete(ctx, released)
}

// patchJob changes the spec of the very Job that was judged, and returns it as it is then.
// A cached Job has lost its template, so it is never updated whole.
func (p *pass) patchJob(ctx context.Context, j *batchv1.Job, metadata, spec string) (*batchv1.Job, error) {
	patch := fmt.Sprintf(`{"metadata":{"uid":%q%s},"spec":{%s}}`, j.UID, metadata, spec)
	target := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: j.Namespace, Name: j.Name}}
	err := p.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, []byte(patch)))
	switch {
	case apierrors.IsNotFound(err), isAnother(err):
		// No verdict on what was sent: it was about another object.
		return nil, notAsJudged("%s", err.Error())
	case err != nil:
		return nil, fmt.Errorf("patch job %s: %w", j.Name, err)
	}
	return target, nil
}

// isAnother tells whether a patch met another object of the name: the API server calls
// its UID invalid there, as something that cannot be changed, and not a conflict.
func isAnother(err error) bool {
	cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldValueInvalid)
	return ok && cause.Field == "metadata.uid"
}

// deleteJob deletes the very version of the recorded job that was judged; in the
// foreground, because "gone" must mean that its pods are gone.
func (p *pass) deleteJob(ctx context.Context) error {
	if p.facts.Inputs == lifecycle.Altered {
		// Whoever changed it may change the next one too.
		p.paused.pause(p.key(), p.now.Add(obstacleRecheck), obstacle{reason: v1.ReasonJobAltered, detail: p.alteration()})
	}
	return p.delete(ctx, p.job)
}

// alteration says in which field the recorded job was changed.
func (p *pass) alteration() string {
	return fmt.Sprintf("It was %s of job %s.", p.alteredIn(), p.job.Name)
}

// endPod deletes the very pod whose main container has failed: once it has ended, the Job
// controller judges its exit codes.
func (p *pass) endPod(ctx context.Context) error { return p.deletePod(ctx, p.mainFailed()) }

func (p *pass) deletePod(ctx context.Context, pod *corev1.Pod) error {
	target := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}}
	err := p.Client.Delete(ctx, target, client.Preconditions{UID: &pod.UID}, &client.DeleteOptions{DisableReadYourWritesConsistency: true})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	return nil
}

// endJob lets the Job controller end the recorded job, by a deadline that is over. To
// delete it would delete the log of the pod that has ended.
func (p *pass) endJob(ctx context.Context) error {
	_, err := p.patchJob(ctx, p.job, "", fmt.Sprintf(`"activeDeadlineSeconds":%d`, endsAfter))
	return p.refused(err, v1.ReasonJobRefused)
}

// deleteStray deletes the jobs, and the CronJob, that are not recorded.
func (p *pass) deleteStray(ctx context.Context) error {
	if c := p.strayCron; c != nil && c.DeletionTimestamp == nil {
		if err := p.removeCron(ctx, c); err != nil {
			return err
		}
	}
	for _, j := range p.strays() {
		if err := p.delete(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) strays() []*batchv1.Job {
	var list []*batchv1.Job
	for i := range w.jobs {
		j := &w.jobs[i]
		if !finished(j) && !w.isRecorded(j.UID) && w.mayGo(j) && j.DeletionTimestamp == nil && !w.waits(j) {
			list = append(list, j)
		}
	}
	return list
}

// delete deletes the very version of a Job that was judged.
//
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=delete
func (p *pass) delete(ctx context.Context, j *batchv1.Job) error {
	target := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: j.Namespace, Name: j.Name, UID: j.UID}}
	err := p.Client.Delete(ctx, target, client.PropagationPolicy(metav1.DeletePropagationForeground),
		client.Preconditions{UID: &j.UID, ResourceVersion: &j.ResourceVersion})
	return client.IgnoreNotFound(err)
}

// deleteOrphans deletes live pods of ours that no Job accounts for, once the API server has confirmed that.
//
// +kubebuilder:rbac:groups="",resources=pods,verbs=delete
func (p *pass) deleteOrphans(ctx context.Context) error {
	for i := range p.pods {
		pod := &p.pods[i]
		if !alive(pod) || p.isAccounted(pod) || !p.isOrphan(pod) {
			continue
		}
		before := p.obstacle
		if err := p.lookUnaccounted(ctx, pod); err != nil {
			return err
		}
		if p.obstacle != before {
			continue // somebody else's; an orphan may come after it
		}
		if err := p.deletePod(ctx, pod); err != nil {
			return err
		}
	}
	return nil
}

// completeRequest completes the request that the recorded job served: one patch
// sets completed together with the Job's UID, and only on the version that was
// judged, so that a cancellation that comes first stays one.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=backfillrequests,verbs=patch
func (p *pass) completeRequest(ctx context.Context) error {
	q := p.served
	if q.Spec.Completed {
		return nil // by this very job, and only the status is missing
	}
	patch := fmt.Sprintf(`{"metadata":{"uid":%q,"resourceVersion":%q,"annotations":{%q:%q}},"spec":{"completed":true}}`,
		q.UID, q.ResourceVersion, v1.AnnotationCompletedBy, p.record.UID)
	target := q.DeepCopy()
	err := p.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, []byte(patch)))
	if apierrors.IsNotFound(err) {
		return nil // its user deleted it: nothing is left to complete
	}
	if err != nil {
		return fmt.Errorf("complete request %s: %w", q.Name, err)
	}
	*q = *target
	if !q.Spec.Completed || q.Annotations[v1.AnnotationCompletedBy] != string(p.record.UID) {
		p.obstacle = &obstacle{
			reason: v1.ReasonWriteRefused,
			detail: fmt.Sprintf("An admission policy or webhook took back spec.completed, or the annotation %s, of backfillrequest %s, by which its completion is written down. Exclude BackfillRequests from it.",
				v1.AnnotationCompletedBy, q.Name),
		}
	}
	return nil
}
