package stream

// This file computes the stream's next status and patches it, once in a pass.

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

// maxHistory is the number of transitions and attempts that a status keeps.
const maxHistory = 10

// changes are what the verbs do to the stream's memory.
var changes = map[lifecycle.Verb]func(*pass, *v1.StreamStatus){
	lifecycle.Claim:             (*pass).claim,
	lifecycle.ClaimStop:         (*pass).claimStop,
	lifecycle.ClaimDiscard:      (*pass).claimDiscard,
	lifecycle.Forget:            func(_ *pass, s *v1.StreamStatus) { s.Job, s.Failure, s.Restarts = nil, nil, nil },
	lifecycle.NoteRestart:       (*pass).noteRestart,
	lifecycle.Retry:             (*pass).retry,
	lifecycle.RecordGap:         (*pass).recordGap,
	lifecycle.Heal:              func(_ *pass, s *v1.StreamStatus) { s.Restarts = nil },
	lifecycle.Waive:             func(_ *pass, s *v1.StreamStatus) { s.InitialBackfill = v1.InitialWaived },
	lifecycle.RecordInitial:     (*pass).recordInitial,
	lifecycle.RecordCron:        (*pass).recordCron,
	lifecycle.RecordSuccess:     (*pass).recordSuccess,
	lifecycle.RecordInterrupted: (*pass).letGo,
	lifecycle.RecordPodEnd:      (*pass).recordPodEnd,
	lifecycle.NotePod:           (*pass).notePod,
	lifecycle.RecordFailure:     (*pass).recordFailure,
	lifecycle.RecordEnd:         (*pass).recordEnd,
	lifecycle.ClaimRun:          (*pass).claimRun,
	lifecycle.RecordRun:         (*pass).recordRun,
	lifecycle.RecordRunFailed:   (*pass).recordRunFailed,
	lifecycle.ForgetVanished:    (*pass).forgetVanished,
	lifecycle.Close:             func(_ *pass, s *v1.StreamStatus) { s.Job = nil },
}

// remember patches the stream's memory, under the version of the stream that was judged.
func (p *pass) remember(ctx context.Context) error { return p.patchStatus(ctx, true) }

// rememberAfterRequests tells the request how its attempt ended before the stream
// forgets the job that the attempt was.
func (p *pass) rememberAfterRequests(ctx context.Context) error {
	err := p.tellRequests(ctx)
	switch {
	case err == nil:
	case !isRefusal(err):
		return err
	case p.facts.Job == lifecycle.Interrupted && p.verdict == unmarked:
		// How many attempts in a row proved nothing stands only there: the backfill would run for ever.
		return p.refused(err, v1.ReasonWriteRefused)
	}
	// What the stream remembers does not wait for a request whose status is guarded: the report tries again, and tells.
	return p.remember(ctx)
}

// patchStatus sends the difference to the status that was judged, with its
// resourceVersion as the lock. What did not change is not sent; a claim is sent
// all the same, because its lock is what it is for.
//
// +kubebuilder:rbac:groups=streaming.sneaksanddata.com,resources=streams/status,verbs=patch
func (p *pass) patchStatus(ctx context.Context, claim bool) error {
	p.remembered = true
	before := p.stream.DeepCopy()
	after := p.nextStatus(before.Status.DeepCopy())
	if equality.Semantic.DeepEqual(&before.Status, after) && !claim {
		return nil
	}
	after.LastDecision = p.lastDecision(before.Status.LastDecision)
	next := before.DeepCopy()
	next.Status = *after
	data, err := client.MergeFrom(before).Data(next)
	if err != nil {
		return fmt.Errorf("compute the status patch: %w", err)
	}
	locked, err := withLock(data, before)
	if err != nil {
		return err
	}
	target := next.DeepCopy()
	if err := p.Client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, locked)); err != nil {
		p.unpatched = true
		return fmt.Errorf("patch the status: %w", err)
	}
	p.announce(&before.Status, after)
	p.count(&before.Status, after)
	p.stream = target
	return nil
}

// withLock adds to a merge patch the version that it was computed from.
func withLock(patch []byte, o client.Object) ([]byte, error) {
	tree := map[string]any{}
	// Integers stay integers: encoding/json would make them floats, and the API server takes no 1e+18 for one.
	if err := utiljson.Unmarshal(patch, &tree); err != nil {
		return nil, fmt.Errorf("lock the patch: %w", err)
	}
	tree["metadata"] = map[string]any{"uid": o.GetUID(), "resourceVersion": o.GetResourceVersion()}
	locked, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("lock the patch: %w", err)
	}
	return locked, nil
}

// nextStatus is the status that is true once the decision has been carried out.
func (p *pass) nextStatus(s *v1.StreamStatus) *v1.StreamStatus {
	if p.obstacle == nil {
		for _, verb := range p.decision.Do {
			if change, ok := changes[verb]; ok {
				change(p, s)
			}
		}
	}
	if p.cron == nil && p.stream.Spec.Schedule == nil {
		s.CronJob = nil // no schedule is wanted, and the recorded CronJob is gone
	}
	switch {
	case p.releaseTakenBack:
		p.noteStop(s, v1.ReasonJobRefused)
	case s.Job != nil && p.facts.Job == lifecycle.Active && !slices.Contains(p.decision.Do, lifecycle.ClaimStop):
		s.Job.Stop = nil // what was to end it has passed
	}
	if p.decision.Phase == "" && p.obstacle == nil {
		return s
	}
	if p.facts.Others == lifecycle.Leaving {
		// What is waited for will be gone when the next job is made: its run is noted while it can be seen.
		s.Runs = max(s.Runs, p.lastRun())
	}
	s.Runs = max(s.Runs, p.taken)
	if p.triesAgain(s) {
		return s
	}
	from := s.Phase
	s.Phase = p.phase()
	s.ObservedGeneration = p.stream.Generation
	p.conditions(s)
	if from != s.Phase {
		reason, message := p.why()
		s.History = append(s.History, v1.Transition{
			Time: metav1.NewTime(p.now), From: from, To: s.Phase, Reason: string(reason), Message: backlog.Truncate(message, 256),
		})
		s.History = slices.Clone(s.History[max(0, len(s.History)-maxHistory):])
	}
	return s
}

// triesAgain tells whether the write that follows was refused the last time. The claim
// before it then leaves phase and conditions alone; the report says afterwards whether it
// was refused again.
func (p *pass) triesAgain(s *v1.StreamStatus) bool {
	ready := meta.FindStatusCondition(s.Conditions, v1.ConditionReady)
	return p.obstacle == nil && s.Phase == p.decision.Phase && ready != nil && slices.Contains(p.decision.Do, lifecycle.ClaimStop) &&
		(ready.Reason == string(v1.ReasonWriteRefused) || ready.Reason == string(v1.ReasonJobRefused))
}

// phase is the decision's answer; an obstacle keeps the stream from getting there.
func (p *pass) phase() v1.StreamPhase {
	if p.obstacle != nil {
		return v1.StreamPending
	}
	return p.decision.Phase
}

func (p *pass) lastDecision(before *v1.Decision) *v1.Decision {
	d := &v1.Decision{Rule: p.decision.Rule, Reason: string(p.decision.Reason), Time: metav1.NewTime(p.now)}
	if before != nil && before.Rule == d.Rule && before.Reason == d.Reason {
		d.Time = before.Time
	}
	return d
}

func (p *pass) forgetVanished(s *v1.StreamStatus) {
	p.tellVanishedRun(s)
	p.countVanished(s)
	s.Job = nil
}

func (p *pass) claim(s *v1.StreamStatus) {
	p.tellVanishedRun(s)
	in := p.streaming
	if p.facts.Request == lifecycle.RequestReady {
		in = p.backfill
	}
	now := metav1.NewTime(p.now)
	p.countVanished(s)
	s.Runs = in.Run
	s.Job = &v1.JobRecord{
		Name: p.created.Name, UID: p.created.UID, Run: in.Run, Mode: in.Mode, StartTime: &now,
		ConfigurationHash: jobspec.Hash(in), MainContainer: mainOf(in), Completion: completionOf(p.class),
	}
	if in.Request != nil {
		s.Job.Request, s.Job.RequestUID = in.Request.Name, in.Request.UID
	}
	s.ConfigurationHash = s.Job.ConfigurationHash
	s.PodFailurePolicy = p.created.Spec.PodFailurePolicy
}

// countVanished counts a streaming job that vanished early as an end.
func (p *pass) countVanished(s *v1.StreamStatus) {
	if p.vanishedEarly() {
		s.Restarts = again(s.Restarts, metav1.NewTime(p.now), p.definition.Restart)
	}
}

// claimStop notes why the recorded job is ended, before it is.
func (p *pass) claimStop(s *v1.StreamStatus) {
	p.noteStop(s, p.decision.Reason)
	if s.CronJob != nil && slices.Contains(p.decision.Do, lifecycle.PauseCron) {
		s.CronJob.Time = nil // no run is owed before it makes runs again
	}
}

func (p *pass) noteStop(s *v1.StreamStatus, why v1.Reason) {
	if s.Job == nil || s.Job.Outcome != "" || s.Job.Stop != nil && s.Job.Stop.Reason == string(why) {
		return // it has been asked for since the first attempt
	}
	s.Job.Stop = &v1.Stop{Reason: string(why), Time: metav1.NewTime(p.now)}
}

// claimDiscard gives up the run numbers of the jobs that are about to be discarded.
func (p *pass) claimDiscard(s *v1.StreamStatus) {
	var told []string
	for _, j := range p.strays() {
		s.Runs = max(s.Runs, p.believable(p.runOf(j)))
		if why := p.whyDiscarded(j); why != "" {
			told = append(told, fmt.Sprintf("Job %s, a held run, was discarded: it %s", j.Name, why))
		}
	}
	if len(told) > 0 {
		p.runReason, p.runMessage = v1.ReasonRunDiscarded, strings.Join(told, " ")+" The next run comes in its time."
	}
	p.recordNeverRan(s)
}

// noteRestart clears what a suspension would clear, but for the job's record: the
// job may still be on its way out.
func (p *pass) noteRestart(s *v1.StreamStatus) {
	s.ObservedRestartedAt, s.Failure, s.Restarts = p.definition.RestartedAt, nil, nil
}

func (p *pass) recordInitial(s *v1.StreamStatus) {
	s.InitialBackfill, s.InitialRequestUID = v1.InitialRequested, p.requested
}

func (p *pass) recordFailure(s *v1.StreamStatus) {
	failure := p.failure()
	p.letGo(s)
	s.Failure, s.Restarts = failure, p.afterFailure(failure, s.Restarts)
}

// letGo forgets a job whose end is carried out. One that has not ended, because other
// containers run on beside the main one, is kept in mind until it is gone: the record is
// what makes the next start look for it.
func (p *pass) letGo(s *v1.StreamStatus) {
	if p.hasFinished() {
		s.Job = nil
		return
	}
	s.Job.Outcome, s.Job.Lingers = v1.OutcomeEnded, true
}

func (p *pass) recordSuccess(s *v1.StreamStatus) {
	s.Job.Outcome, s.Job.Lingers = v1.OutcomeSucceeded, !p.hasFinished()
}

// hasFinished tells whether the Job controller has ended the recorded job: with it, its
// pods have ended. One that was deleted may have left pods behind.
func (w *world) hasFinished() bool { return w.job != nil && finished(w.job) }

// notePod keeps how the main container ended of a pod that is about to be deleted: it may
// be gone before the Job controller has said that its job failed.
func (p *pass) notePod(s *v1.StreamStatus) {
	pod := p.mainFailed()
	end := p.mainEnd(pod)
	s.Job.EndedPod = &v1.EndedPod{UID: pod.UID, Name: pod.Name, ExitCode: end.ExitCode, Message: backlog.Truncate(oneLine(end.Message), 1024)}
}

// recordPodEnd carries out the end of a pod that ran well: the back-off begins anew.
func (p *pass) recordPodEnd(s *v1.StreamStatus) {
	p.letGo(s)
	s.Restarts = nil
}

// recordEnd forgets a streaming job that ended by itself. One that ran well, or
// that was taken away, begins the back-off anew; another end soon after the start
// doubles it.
func (p *pass) recordEnd(s *v1.StreamStatus) {
	p.letGo(s)
	settings := p.definition.Restart
	if p.lastRanWell() || p.takenAway() {
		s.Restarts = nil
		return
	}
	s.Restarts = again(s.Restarts, metav1.NewTime(p.now), settings)
}

// lastRanWell tells whether the main container of the recorded job's last pod ran for
// long enough. Where the pod is gone, how long the Job was active has to do.
func (w *world) lastRanWell() bool {
	last := newest(w.pods, w.job.UID, func(p *corev1.Pod) bool { return w.mainEnd(p) != nil })
	if last != nil {
		return w.ranWell(last)
	}
	end := ending(w.job)
	return w.job.Status.StartTime != nil && end != nil && end.LastTransitionTime.Sub(w.job.Status.StartTime.Time) >= w.definition.Restart.HealthyAfter
}

// takenAway tells whether the recorded job ended because its pod was deleted or
// evicted: a pod that ended by itself stays until its Job is deleted.
func (p *pass) takenAway() bool {
	last := newest(p.pods, p.job.UID, func(*corev1.Pod) bool { return true })
	return last == nil || p.disturbed(last)
}

// failure tells why the recorded job failed.
func (p *pass) failure() *v1.Failure {
	record := p.record
	f := &v1.Failure{JobUID: record.UID, Job: record.Name, Run: record.Run, Mode: record.Mode, Time: metav1.NewTime(p.now)}
	if end := ending(p.job); end != nil {
		f.Reason, f.Message, f.Time = end.Reason, backlog.Truncate(end.Message, 1024), end.LastTransitionTime
	}
	fits := func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodFailed }
	if p.doubt != "" {
		fits = func(pod *corev1.Pod) bool { return p.mainEnd(pod) != nil }
	}
	exit := p.noted()
	if last := newest(p.pods, record.UID, fits); last != nil {
		f.Pod, exit = last.Name, p.exitOf(last)
	} else if exit != nil {
		f.Pod = record.EndedPod.Name
	}
	if exit == nil {
		return f
	}
	f.ExitCode = &exit.ExitCode
	if class, ok := jobspec.FailureClassOf(p.class, exit.ExitCode); ok {
		f.FailureClass = class.Name
	}
	if said := oneLine(exit.Message); said != "" {
		f.Message = backlog.Truncate(said, 1024)
	}
	if p.doubt != "" {
		f.Reason, f.Message = string(v1.ReasonCompletionUnproven), backlog.Truncate(p.doubt, 1024)
	}
	return f
}

// exitOf is how the main container of a failed pod ended; nil where it has not. Of a pod
// that has no such container it is how the first ended that failed.
func (w *world) exitOf(p *corev1.Pod) *corev1.ContainerStateTerminated {
	if end := w.mainEnd(p); end != nil || w.mainStatus(p) != nil {
		return end
	}
	return firstFailed(p)
}

// noted is how the main container ended of the pod that the operator has deleted; nil
// where it has deleted none.
func (w *world) noted() *corev1.ContainerStateTerminated {
	if w.record.EndedPod == nil {
		return nil
	}
	return &corev1.ContainerStateTerminated{ExitCode: w.record.EndedPod.ExitCode, Message: w.record.EndedPod.Message}
}

// oneLine is a plugin's last words as a part of a sentence: kubectl would cut a table's
// cell at the end of the first line, and what to do about the failure comes after it.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// mainOf is the container that the exit codes of a job are about that is built from these
// inputs: its failure policy says which, else the class or the template.
func mainOf(in jobspec.Input) string {
	if main := containerOf(jobspec.FailurePolicy(in.Definition, in.Class, in.Template), &in.Template.Spec.Spec.Template.Spec); main != "" {
		return main
	}
	return jobspec.MainContainer(in.Class, in.Template)
}

// mainContainer is the one that the recorded job's exit codes are about. Class, template
// and the Job may have changed since it was recorded, or be gone; only of a record that
// does not say it do they tell.
func (w *world) mainContainer() string {
	if w.record.MainContainer != "" {
		return w.record.MainContainer
	}
	if w.job != nil {
		if main := containerOf(w.job.Spec.PodFailurePolicy, &w.job.Spec.Template.Spec); main != "" {
			return main
		}
	}
	if w.record.Mode == v1.ModeBackfill {
		return jobspec.MainContainer(w.class, w.backfill.Template)
	}
	return jobspec.MainContainer(w.class, w.streaming.Template)
}
