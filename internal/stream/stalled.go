package stream

// This file finds out why a stream is stalled although the operator has done its part.

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

const (
	// defaultStartDeadline is how long a pod may take to run where the class says nothing.
	defaultStartDeadline = 600 * time.Second
	// crashLoopAfter is how many ends in a row, none after running well, make a crash loop.
	crashLoopAfter = 3
)

// stall is why nothing gets on, in a word and in a sentence.
type stall struct {
	reason  v1.Reason
	message string
}

// stalled looks for what the operator can only wait for, in the order in which it
// has to be solved. It is no input of a decision: it changes what is told, not what is done.
func (w *world) stalled() *stall {
	for _, look := range []func() *stall{w.podThatStays, w.jobThatStays, w.podInTheWay, w.runUnseen, w.podThatDoesNotRun, w.backfillThatIsStopped, w.crashLoop} {
		if s := look(); s != nil {
			return s
		}
	}
	return nil
}

func (w *world) startDeadline() time.Duration {
	if w.class == nil || w.class.Spec.StartDeadlineSeconds == nil {
		return defaultStartDeadline
	}
	return time.Duration(*w.class.Spec.StartDeadlineSeconds) * time.Second
}

// podThatStays is a pod that should have ended long ago: a deletionTimestamp is the
// time at which the grace period is over. One that has ended matters where somebody's
// finalizer holds it: its Job cannot go before it.
func (w *world) podThatStays() *stall {
	for i := range w.pods {
		p := &w.pods[i]
		if p.DeletionTimestamp == nil || w.claimOf(p) == noClaim && !w.isAccounted(p) || !alive(p) && len(holders(p)) == 0 ||
			w.wakesAt(p.DeletionTimestamp.Add(w.startDeadline())) {
			continue
		}
		if len(holders(p)) > 0 {
			return &stall{v1.ReasonPodStays, fmt.Sprintf("Pod %s is %s", p.Name, onItsWayOut("pod", p))}
		}
		return &stall{v1.ReasonPodStays, fmt.Sprintf("Pod %s on node %q should have ended at %s and may still be writing, so nothing else starts. "+
			"Bring the node back; where it is gone for good, delete the Node, or the pod: kubectl delete pod %s -n %s --force",
			p.Name, p.Spec.NodeName, p.DeletionTimestamp.UTC().Format(time.RFC3339), p.Name, p.Namespace)}
	}
	return nil
}

// jobThatStays is a Job, or the CronJob, that should have been gone long ago.
func (w *world) jobThatStays() *stall {
	if w.facts.Job == lifecycle.Active {
		return nil // nothing waits for them
	}
	for _, c := range []*batchv1.CronJob{w.cron, w.strayCron} {
		if c != nil && c.DeletionTimestamp != nil && !w.wakesAt(c.DeletionTimestamp.Add(w.startDeadline())) {
			return &stall{v1.ReasonCronJobStays, fmt.Sprintf("CronJob %s is %s", c.Name, onItsWayOut("cronjob", c))}
		}
	}
	for i := range w.jobs {
		j := &w.jobs[i]
		if finished(j) && !w.isRecorded(j.UID) || !w.isRecorded(j.UID) && !w.mayGo(j) && !w.ofFormer(j) {
			continue
		}
		switch {
		case j.DeletionTimestamp != nil && !w.wakesAt(j.DeletionTimestamp.Add(w.startDeadline())):
			return &stall{v1.ReasonJobStays, fmt.Sprintf("Job %s is %s", j.Name, onItsWayOut("job", j))}
		case j.DeletionTimestamp == nil && w.ofFormer(j) && !w.waits(j) && !w.wakesAt(w.stream.CreationTimestamp.Add(w.startDeadline())):
			return &stall{v1.ReasonJobStays, fmt.Sprintf("Nothing starts beside job %s, which bears the stream's labels and names another owner. To end it: kubectl delete job %s -n %s", j.Name, j.Name, j.Namespace)}
		}
	}
	return nil
}

// podInTheWay is somebody else's pod that may be writing, and that nothing starts beside.
// Beside a job that runs it is told only where it has the name of a pod of the stream's:
// it was one, and somebody has given it to another Job.
func (w *world) podInTheWay() *stall {
	active, what := w.facts.Job == lifecycle.Active, "Nothing starts beside "
	if active {
		what = "It may write beside the stream: "
	}
	for i := range w.pods {
		p := &w.pods[i]
		if active && w.claimOf(p) != namedAfter {
			continue
		}
		if !alive(p) || p.DeletionTimestamp != nil || w.isAccounted(p) || !w.isForeign(p) ||
			w.wakesAt(latest(p.CreationTimestamp.Time, w.stream.CreationTimestamp.Time).Add(w.startDeadline())) {
			continue
		}
		return &stall{v1.ReasonForeignPod, what + inTheWay(p)}
	}
	return nil
}

// runUnseen is a run that the CronJob has made and that does not bear the stream's labels:
// a policy has taken them away, or has written over them. What happens to it would wake nobody.
func (w *world) runUnseen() *stall {
	if w.cron == nil {
		return nil
	}
	made := w.cron.CreationTimestamp.Time
	if w.cron.Status.LastScheduleTime != nil {
		made = w.cron.Status.LastScheduleTime.Time
	}
	for _, ref := range w.cron.Status.Active {
		if slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool { return j.UID == ref.UID && w.bearsLabels(&j) }) || w.wakesAt(made.Add(w.startDeadline())) {
			continue
		}
		return &stall{v1.ReasonRunUnseen, fmt.Sprintf("CronJob %s has made job %s, which does not bear the labels %s and %s and is not let run. Exclude what bears it from admission policies and webhooks, then delete the job: kubectl delete job %s -n %s",
			w.cron.Name, ref.Name, v1.LabelStreamID, v1.LabelStreamKind, ref.Name, w.cron.Namespace)}
	}
	return nil
}

// inTheWay names a pod that is not ours, whose it is, and what ends it.
func inTheWay(p *corev1.Pod) string {
	kind, name, owner := "pod", p.Name, "without a controller"
	if by := metav1.GetControllerOf(p); by != nil {
		kind, name, owner = strings.ToLower(by.Kind), by.Name, "controlled by "+by.Kind+" "+by.Name
	}
	return fmt.Sprintf("pod %s, %s, which bears the stream's labels or name and may be writing. To end it: kubectl delete %s %s -n %s",
		p.Name, owner, kind, name, p.Namespace)
}

// onItsWayOut says since when an object is being deleted, and what keeps it.
func onItsWayOut(kind string, o metav1.Object) string {
	since := o.GetDeletionTimestamp().Time
	if p, ok := o.(*corev1.Pod); ok {
		since = askedAt(p)
	}
	text := "being deleted since " + since.UTC().Format(time.RFC3339)
	held := holders(o)
	if len(held) == 0 {
		return text + "; what it owns has to go first: kubectl describe " + kind + " " + o.GetName() + " -n " + o.GetNamespace()
	}
	at := fmt.Sprintf("/metadata/finalizers/%d", slices.Index(o.GetFinalizers(), held[0]))
	return fmt.Sprintf("%s, and held by the finalizer %s. Have it removed by whoever set it; where nobody will: kubectl patch %s %s -n %s --type=json -p '[{\"op\":\"test\",\"path\":\"%s\",\"value\":%q},{\"op\":\"remove\",\"path\":\"%s\"}]'",
		text, strings.Join(held, ", "), kind, o.GetName(), o.GetNamespace(), at, held[0], at)
}

// holders are the finalizers that Kubernetes does not take away by itself. The Job
// controller's goes from a pod that has ended as soon as it is counted: one that is there
// for long is of a pod that has lost the labels by which its Job counts it.
func holders(o metav1.Object) []string {
	p, isPod := o.(*corev1.Pod)
	return slices.DeleteFunc(slices.Clone(o.GetFinalizers()), func(f string) bool {
		return f == metav1.FinalizerDeleteDependents || f == metav1.FinalizerOrphanDependents ||
			f == batchv1.JobTrackingFinalizer && (!isPod || alive(p))
	})
}

// podThatDoesNotRun is the released job's pod that has not got to run in time.
func (w *world) podThatDoesNotRun() *stall {
	if w.facts.Job != lifecycle.Active {
		return nil
	}
	since := w.record.StartTime
	if w.job.Status.StartTime != nil {
		since = w.job.Status.StartTime
	}
	if since == nil {
		return nil
	}
	last := newest(w.pods, w.job.UID, func(*corev1.Pod) bool { return true })
	if last == nil {
		if w.wakesAt(since.Add(w.startDeadline())) {
			return nil
		}
		return &stall{v1.ReasonNoPod, fmt.Sprintf("Job %s has had no pod that the operator sees since %s. Its events say why, often a quota: kubectl describe job %s -n %s. "+
			"Where it has one, a policy has taken the pod's label %s away: kubectl get pods -l %s=%s -n %s",
			w.job.Name, since.UTC().Format(time.RFC3339), w.job.Name, w.job.Namespace, v1.LabelStreamID, batchv1.JobNameLabel, w.job.Name, w.job.Namespace)}
	}
	if !alive(last) || last.DeletionTimestamp != nil || last.Status.Phase != corev1.PodPending || w.wakesAt(last.CreationTimestamp.Add(w.startDeadline())) {
		return nil
	}
	reason, message := trouble(last)
	text := fmt.Sprintf("Pod %s has not got to run since %s: %s", last.Name, last.CreationTimestamp.UTC().Format(time.RFC3339), reason)
	if message != "" {
		text += ": " + message
	}
	return &stall{reason, text}
}

// trouble is why a pod does not run, in its own words; empty for one that runs.
func trouble(p *corev1.Pod) (reason v1.Reason, message string) {
	if p.Status.Phase != corev1.PodPending {
		return "", ""
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason != "" {
			return asReason(c.Reason, c.Message)
		}
	}
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			waiting := list[i].State.Waiting
			if waiting == nil || waiting.Reason == "" {
				continue
			}
			if waiting.Reason == "ErrImagePull" {
				// The kubelet shows the two by turns, every few seconds.
				return asReason("ImagePullBackOff", waiting.Message)
			}
			return asReason(waiting.Reason, waiting.Message)
		}
	}
	return v1.ReasonPodNotRunning, fmt.Sprintf("its status says no reason: kubectl describe pod %s -n %s", p.Name, p.Namespace)
}

// isReason matches what the API server takes for a condition's reason; an event's may have
// 128 characters.
var isReason = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]{0,126}[A-Za-z0-9_])?$`)

// asReason makes a pod's own words fit for a condition: whoever may patch a pod's status, or
// schedules it, chooses them, and the API server would refuse the stream's status for them.
func asReason(reason, message string) (v1.Reason, string) {
	message = backlog.Truncate(message, 1024)
	if isReason.MatchString(reason) {
		return v1.Reason(reason), message
	}
	return v1.ReasonPodNotRunning, backlog.Truncate(reason, 256) + ": " + message
}

// backfillThatIsStopped is a backfill that is ended from outside again and again: a policy
// that lets Jobs expire, or nodes that do not last as long as it takes. It is told while
// the next attempt runs.
func (w *world) backfillThatIsStopped() *stall {
	q := w.served
	if q == nil {
		q = w.next
	}
	n := 0
	for _, a := range lastAttempts(q, v1.AttemptInterrupted, v1.AttemptUnproven) {
		if a.Result == v1.AttemptInterrupted {
			n++
		}
	}
	if n < crashLoopAfter {
		return nil
	}
	last := q.Status.Attempts[len(q.Status.Attempts)-1]
	return &stall{v1.ReasonBackfillInterrupted, fmt.Sprintf("%d of the last attempts of backfill %s were ended from outside before they were surely done; job %s: %s "+
		"Find out what deletes its Job or its pods: kubectl get events -n %s", n, q.Name, last.Job, last.Message, q.Namespace)}
}

// crashLoop tells whether the stream's jobs or pods keep ending without having run well.
func (w *world) crashLoop() *stall {
	ends := int(counted(&w.stream.Status).Count) + w.badEnds()
	if ends < crashLoopAfter {
		return nil
	}
	if w.facts.Job == lifecycle.Active && w.healed() {
		return nil
	}
	return &stall{v1.ReasonCrashLooping, fmt.Sprintf("It has ended %d times in a row without having run for %s. The log of the last pod says why: kubectl logs -l %s=%s -n %s", ends, w.definition.Restart.HealthyAfter, v1.LabelStreamID, w.stream.Name, w.stream.Namespace)}
}

// badEnds counts the active job's pods, from the newest back, that failed by
// themselves and had not run well. One that succeeds ends its job, which is counted then.
func (w *world) badEnds() int {
	if w.facts.Job != lifecycle.Active {
		return 0
	}
	var ended []*corev1.Pod
	for i := range w.pods {
		if p := &w.pods[i]; jobOf(p) == w.job.UID && p.Status.Phase == corev1.PodFailed {
			ended = append(ended, p)
		}
	}
	slices.SortFunc(ended, func(a, b *corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for n, p := range ended {
		if w.disturbed(p) || w.ranWell(p) {
			return n
		}
	}
	return len(ended)
}

// ranWell tells whether the main container of a pod ran for long enough before it ended.
func (w *world) ranWell(p *corev1.Pod) bool {
	end := w.mainEnd(p)
	return end != nil && !end.StartedAt.IsZero() && end.FinishedAt.Sub(end.StartedAt.Time) >= w.definition.Restart.HealthyAfter
}

// isIgnored tells whether the failure policy ignores how a pod's main container ended.
func (w *world) isIgnored(p *corev1.Pod) bool {
	end := w.mainEnd(p)
	return end != nil && w.job.Spec.PodFailurePolicy != nil && jobspec.Ignores(w.job.Spec.PodFailurePolicy, w.main, end.ExitCode)
}
