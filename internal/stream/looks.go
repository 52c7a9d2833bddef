package stream

// This file looks at the API server itself before a write that depends on it.

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

// lookFormer makes sure that the former job is dead before the record of it is
// overwritten: the claim would be the last that is known of it.
func (p *pass) lookFormer(ctx context.Context) error {
	if err := p.lookGone(ctx); err != nil {
		return err
	}
	if p.facts.Request == lifecycle.RequestReady {
		return p.lookAlive(ctx, p.next)
	}
	return p.lookFirst(ctx)
}

// lookFirst makes sure that no backfill is alive that has to come before streaming:
// one that is recorded and that the cache does not know is unknown, not ended. Only
// where its user has deleted it does that cost a request.
func (p *pass) lookFirst(ctx context.Context) error {
	known := func(uid types.UID) bool {
		return uid == "" || slices.ContainsFunc(p.requests, func(q v1.BackfillRequest) bool { return q.UID == uid })
	}
	if known(p.stream.Status.InitialRequestUID) && known(p.stream.Status.GapRequestUID) {
		return nil
	}
	var live v1.BackfillRequestList
	if err := p.Live.List(ctx, &live, client.InNamespace(p.stream.Namespace), client.MatchingFields{"spec.streamId": p.stream.Name}); err != nil {
		return fmt.Errorf("look for the backfill that comes first: %w", err)
	}
	for i := range live.Items {
		if q := &live.Items[i]; backlog.ComesFirst(p.stream, q) && !backlog.Ended(q) {
			return notAsJudged("request %s comes first", q.Name)
		}
	}
	return nil
}

// lookAgain makes sure, after the claim, that the backfill is still wanted. That
// no other unfinished job and no live pod is there, this pass has observed.
func (p *pass) lookAgain(ctx context.Context) error {
	if p.facts.Mode == v1.ModeBackfill {
		return p.lookAlive(ctx, p.served)
	}
	return nil
}

// lookStopped makes sure that nothing of the recorded job is left.
func (p *pass) lookStopped(ctx context.Context) error { return p.lookGone(ctx) }

// lookGone makes sure that the recorded job and its pods are gone. One whose end
// was recorded is dead: the Job controller ends a Job after its pods.
func (p *pass) lookGone(ctx context.Context) error {
	if p.record == nil || p.record.Outcome != "" && !p.record.Lingers {
		return nil
	}
	job, err := p.recordedLive(ctx, p.world)
	if err != nil {
		return err
	}
	switch {
	case job != nil && finished(job) && p.record.Outcome != "":
		return nil // it stays for its log
	case job != nil:
		return notAsJudged("job %s is still there", job.Name)
	}
	// Selected by the stream's label, not by the Job's: a pod that loses the stream's label leaves the cache, and
	// readDeparted finds it.
	var pods corev1.PodList
	err = p.Live.List(ctx, &pods, client.InNamespace(p.stream.Namespace), client.MatchingLabels{v1.LabelStreamID: p.stream.Name})
	if err != nil {
		return fmt.Errorf("look at the pods of the stream: %w", err)
	}
	for i := range pods.Items {
		if pod := &pods.Items[i]; alive(pod) && p.claimOf(pod) == namedAfter && !p.isForeign(pod) {
			return notAsJudged("pod %s is still alive", pod.Name)
		}
	}
	return nil
}

// lookUnaccounted makes sure that no Job accounts for a pod that is named after the
// stream: its owner is gone, or does not have it any more. A Job that has lost a pod's
// owner reference takes the pod back by its labels; a Job of somebody else's that makes
// pods of such names is in the way, and is not ours to end.
func (p *pass) lookUnaccounted(ctx context.Context, pod *corev1.Pod) error {
	name, uid := jobspec.JobOf(pod.Name), types.UID(pod.Labels[batchv1.ControllerUidLabel])
	if p.record != nil && p.isMadeFor(pod) {
		name = p.record.Name // of a long one the pod's name has only the beginning
	}
	by := metav1.GetControllerOf(pod)
	if by != nil {
		name, uid = by.Name, by.UID
	}
	job := &batchv1.Job{}
	err := p.Live.Get(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name}, job)
	switch {
	case apierrors.IsNotFound(err), err == nil && job.UID != uid:
		return nil
	case err != nil:
		return fmt.Errorf("look for the job of pod %s: %w", pod.Name, err)
	case by == nil && job.DeletionTimestamp != nil:
		return nil // a Job on its way out takes nothing back
	case p.isDone(job):
		return p.lookLive(ctx, pod)
	case p.isRecorded(job.UID), p.mayGo(job):
		return notAsJudged("pod %s has a job after all", pod.Name)
	}
	p.obstacle = &obstacle{reason: v1.ReasonForeignPod, detail: "It is " + inTheWay(pod), stalls: true}
	return nil
}

// lookLive makes sure that a pod is alive.
func (p *pass) lookLive(ctx context.Context, pod *corev1.Pod) error {
	live := &corev1.Pod{}
	err := p.Live.Get(ctx, client.ObjectKeyFromObject(pod), live)
	if err == nil && (live.UID != pod.UID || !alive(live)) {
		return notAsJudged("pod %s has ended", pod.Name)
	}
	return gone(err, "look at pod "+pod.Name)
}

// lookJob makes sure that the recorded job is the very version that was judged, and that
// none of its pods has given the mark of completion since.
func (p *pass) lookJob(ctx context.Context) error {
	job, err := p.recordedLive(ctx, p.world)
	if err != nil {
		return err
	}
	if job == nil || job.ResourceVersion != p.job.ResourceVersion {
		return notAsJudged("the job has changed")
	}
	if p.facts.Mode == v1.ModeStream || p.facts.Job != lifecycle.Active {
		return nil
	}
	// With the stream's label, for only those reach the cache, which has to show it too.
	var pods corev1.PodList
	err = p.Live.List(ctx, &pods, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name, v1.LabelStreamID: p.stream.Name})
	if err != nil {
		return fmt.Errorf("look at the pods of job %s: %w", job.Name, err)
	}
	if last := p.newestMarked(pods.Items); last != nil {
		return notAsJudged("pod %s has completed", last.Name)
	}
	return nil
}

// lookEnded makes sure that the recorded job's request has ended: one that the
// cache does not know is unknown, not absent.
func (p *pass) lookEnded(ctx context.Context) error {
	request, err := p.requestLive(ctx, p.record.Request)
	if err != nil {
		return err
	}
	if request != nil && request.UID == p.record.RequestUID && !backlog.Ended(request) {
		return notAsJudged("the request is alive")
	}
	return nil
}

// lookReady makes sure that the request that waits has not ended.
func (p *pass) lookReady(ctx context.Context) error { return p.lookAlive(ctx, p.next) }

func (p *pass) lookAlive(ctx context.Context, judged *v1.BackfillRequest) error {
	request, err := p.requestLive(ctx, judged.Name)
	if err != nil {
		return err
	}
	if request == nil || request.UID != judged.UID || backlog.Ended(request) || !p.granted(request) {
		return notAsJudged("the request has ended, or has lost its slot")
	}
	return nil
}

// requestLive reads a request from the API server; nil where it is gone.
func (p *pass) requestLive(ctx context.Context, name string) (*v1.BackfillRequest, error) {
	request := &v1.BackfillRequest{}
	err := p.Live.Get(ctx, types.NamespacedName{Namespace: p.stream.Namespace, Name: name}, request)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at request %s: %w", name, err)
	}
	return request, nil
}
