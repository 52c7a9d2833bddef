package model

// This file holds every write, and the world after every step, against the laws.

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/jsontree"
)

// truth is what really happened, which no operator can see: who made what, whatever
// labels, names and owners say.
type truth struct {
	// earned are the Jobs whose backfill really did its work.
	earned map[types.UID]bool
	// streamOf is the stream that an operator made a Job or a CronJob for, or that a
	// CronJob of an operator's made a Job for. Others have made what is not in it.
	streamOf map[types.UID]types.UID
	// jobOf is the Job that a pod was made for.
	jobOf map[types.UID]types.UID
	// lost are live pods of ours that some operator cannot know of any more.
	lost map[types.UID]bool
	// named are the names of all streams that there have been.
	named map[types.UID]string
	// taken are pods that others than an operator deleted or evicted, and the Jobs that they were made for.
	taken map[types.UID]bool
	// signed are the requests that an operator completed.
	signed map[types.UID]bool
	// recorded are the Jobs whose success a stream's status has held, by the request that they ran for.
	recorded map[types.UID]types.UID
	// cancelled are the requests whose user set completed.
	cancelled map[types.UID]bool
	// running are the streams that were created to backfill first.
	running map[types.UID]bool
	// released is the last run of each stream that was released.
	released map[types.UID]int64
	// ran are the Jobs that were released.
	ran map[types.UID]bool
	// made is when a request was created, and going when a stream began to go: the
	// version of the cluster.
	made, going map[types.UID]int
	// limits of the class that an operator may still believe in.
	limits []int
	// unlimited: the class was without a limit, or missing, at some time.
	unlimited bool
}

func newTruth() truth {
	return truth{
		earned: map[types.UID]bool{}, streamOf: map[types.UID]types.UID{}, jobOf: map[types.UID]types.UID{}, lost: map[types.UID]bool{},
		named: map[types.UID]string{}, taken: map[types.UID]bool{}, signed: map[types.UID]bool{}, recorded: map[types.UID]types.UID{},
		cancelled: map[types.UID]bool{}, running: map[types.UID]bool{}, released: map[types.UID]int64{},
		ran: map[types.UID]bool{}, made: map[types.UID]int{}, going: map[types.UID]int{},
	}
}

// judge holds a write against the laws.
func (w *world) judge(before, after client.Object) {
	o := before
	if after != nil {
		o = after
	}
	switch o.(type) {
	case *v1.Stream:
		w.judgeStream(as[*v1.Stream](before), as[*v1.Stream](after))
	case *v1.BackfillRequest:
		w.judgeRequest(as[*v1.BackfillRequest](before), as[*v1.BackfillRequest](after))
	case *batchv1.Job:
		w.judgeJob(as[*batchv1.Job](before), as[*batchv1.Job](after))
	case *batchv1.CronJob:
		w.judgeCron(as[*batchv1.CronJob](before), as[*batchv1.CronJob](after))
	case *corev1.Pod:
		w.judgePod(as[*corev1.Pod](before), as[*corev1.Pod](after))
	default:
		if w.by != nil {
			w.fail("I4: the operator wrote %T %s", o, o.GetName())
		}
	}
	if kindOf(o) == classes {
		w.noteLimit(as[*v1.StreamClass](after))
	}
}

func as[T client.Object](o client.Object) T {
	t, _ := o.(T)
	return t
}

func (w *world) judgeStream(was, is *v1.Stream) {
	if w.by == nil {
		switch {
		case was == nil:
			w.truth.named[is.UID] = is.Name
			w.truth.running[is.UID] = !is.Spec.Suspended && is.Spec.Schedule == nil && (is.Spec.Backfill == nil || is.Spec.Backfill.Initial != v1.InitialDisabled)
		case (is == nil || is.DeletionTimestamp != nil) && w.truth.going[was.UID] == 0:
			w.truth.going[was.UID] = w.rv
		}
		return
	}
	if was == nil || is == nil || was.Generation != is.Generation || !maps.Equal(was.Annotations, is.Annotations) ||
		!maps.Equal(was.Labels, is.Labels) || len(was.OwnerReferences) != len(is.OwnerReferences) || len(was.Finalizers) != len(is.Finalizers) {
		w.fail("I4: the operator wrote more than the stream's status")
		return
	}
	if is.Status.Runs < was.Status.Runs {
		w.fail("run numbers went down")
	}
	if is.Status.Runs > w.clock.now.Add(48*time.Hour).Unix() {
		w.fail("a run number that others chose was believed: %d", is.Status.Runs)
	}
	w.judgeReplacement(was, is)
	if is.Status.InitialBackfill == v1.InitialWaived && was.Status.InitialBackfill == "" {
		if w.truth.running[is.UID] && is.Spec.Schedule == nil {
			w.fail("scenario 1: a stream that was created to backfill first gave it up")
		}
		w.truth.running[is.UID] = false
	}
	if was.Status.InitialBackfill != "" && (was.Status.InitialBackfill != is.Status.InitialBackfill || was.Status.InitialRequestUID != is.Status.InitialRequestUID) {
		w.fail("the decision about the initial backfill was taken twice")
	}
	if was.Status.InitialRequestUID != is.Status.InitialRequestUID || was.Status.GapRequestUID != is.Status.GapRequestUID {
		w.judgeCounted(is)
	}
	if j := is.Status.Job; j != nil && j.Outcome == v1.OutcomeSucceeded {
		w.truth.recorded[j.RequestUID] = j.UID
		if !w.truth.earned[j.UID] {
			w.fail("I2: a success was recorded that was not earned: %s", j.Name)
		}
	}
	w.judgeRetry(was, is)
	if is.Status.Phase != v1.StreamSuspended || was.Status.Phase == v1.StreamSuspended {
		return
	}
	if !is.Spec.Suspended {
		w.fail("I8: phase Suspended of a stream that is not")
	}
	for _, p := range w.pods() {
		if alive(p) && w.writes(p) == is.UID {
			w.fail("I8: Suspended while pod %s is alive", p.Name)
		}
	}
}

// writes is the stream that a pod was made for; empty for one of somebody else's, and for
// one that no operator can know of any more.
func (w *world) writes(p *corev1.Pod) types.UID {
	if w.truth.lost[p.UID] {
		return ""
	}
	return w.truth.streamOf[w.truth.jobOf[p.UID]]
}

// noteLost notes the pods that an operator cannot know of: they bear no label by which a
// cache selects, and it has never seen them with one. docs/admission.md says so.
func (w *world) noteLost(o *operator) {
	for _, p := range w.pods() {
		if alive(p) && p.Labels[v1.LabelStreamID] == "" && !o.knows[p.UID] {
			w.truth.lost[p.UID] = true
		}
	}
}

// judgeReplacement allows a job to be replaced as disrupted only where somebody took a pod of it away.
func (w *world) judgeReplacement(was, is *v1.Stream) {
	now, before := is.Status.LastDecision, was.Status.LastDecision
	if now == nil || now.Reason != string(v1.ReasonDisrupted) || before != nil && *before == *now {
		return
	}
	if j := was.Status.Job; j != nil && !w.truth.taken[j.UID] {
		w.fail("job %s was replaced as disrupted, and nobody took a pod of it away", j.Name)
	}
}

// judgeCounted expects that what a stream counts on is its own: whatever else
// becomes the owner of the request may take it away.
func (w *world) judgeCounted(s *v1.Stream) {
	for _, q := range w.requests() {
		if (q.UID == s.Status.InitialRequestUID || q.UID == s.Status.GapRequestUID) && !ownedBy(q, s.UID) {
			w.fail("scenario 1: stream %s counts on request %s, which is not its own", s.Name, q.Name)
		}
	}
}

func ownedBy(q *v1.BackfillRequest, stream types.UID) bool {
	return slices.ContainsFunc(q.OwnerReferences, func(ref metav1.OwnerReference) bool { return ref.UID == stream })
}

// judgeRetry allows the operator to forget a failure: its user suspends the stream
// or asks for a restart, or it may be retried, within the budget.
func (w *world) judgeRetry(was, is *v1.Stream) {
	f := was.Status.Failure
	if f == nil || is.Status.Failure != nil || is.Spec.Suspended || is.Status.ObservedRestartedAt != was.Status.ObservedRestartedAt {
		return
	}
	code := ptr.Deref(f.ExitCode, 0)
	gap := code == exitGap
	most := int32(5)
	onFailure := is.Spec.Restart != nil
	if onFailure {
		most = *is.Spec.Restart.MaxRestarts
	}
	switch r := is.Status.Restarts; {
	case f.Reason == string(v1.ReasonCompletionUnproven):
		w.fail("job %s exited 0 unproven, and was retried", f.Job)
	case code == exitHopeless, !gap && !onFailure:
		w.fail("scenario 9: a failure with exit code %d that waits for its user was retried", code)
	case r == nil || r.Retries > most:
		w.fail("stream %s was retried more than %d times", is.Name, most)
	case gap && is.Status.GapRequestUID == was.Status.GapRequestUID:
		w.fail("stream %s goes on after a gap, without a backfill", is.Name)
	}
}

// made tells whether a request is the operator's own.
func made(q *v1.BackfillRequest) bool { return q.Annotations[v1.AnnotationMadeBy] != "" }

func (w *world) judgeRequest(was, is *v1.BackfillRequest) {
	if was == nil {
		w.truth.made[is.UID] = w.rv
	}
	if w.by == nil {
		if was != nil && is != nil && !was.Spec.Completed && is.Spec.Completed {
			w.truth.cancelled[is.UID] = true
		}
		return
	}
	switch {
	case was == nil:
		if !made(is) {
			w.fail("the operator made request %s and does not say so", is.Name)
		}
		return
	case is == nil:
		if !made(was) && (was.Spec.TTLSecondsAfterFinished == nil || !was.Status.Phase.Final()) {
			w.fail("I4: the operator deleted its user's request %s", was.Name)
		}
		return
	}
	w.judgeEdit(was, is)
	w.judgeGrant(was, is)
	job := types.UID(is.Annotations[v1.AnnotationCompletedBy])
	if is.Status.Phase.Final() && !was.Status.Phase.Final() {
		switch {
		case !is.Spec.Completed:
			w.fail("I2: request %s ended as %s without being completed or cancelled", is.Name, is.Status.Phase)
		case is.Status.Phase == v1.RequestCompleted && (job == "" || w.truth.recorded[is.UID] != job):
			w.fail("I2: request %s ended as Completed, signed by %q, whose success no stream has recorded for it", is.Name, job)
		case is.Status.Phase == v1.RequestCancelled && w.truth.signed[is.UID] && w.isRecorded(is):
			w.fail("I2: request %s ended as Cancelled, and the success of its job is recorded", is.Name)
		}
	}
	if was.Status.Phase.Final() && is.Status.Phase != was.Status.Phase {
		w.fail("request %s came back from its end", is.Name)
	}
}

// isRecorded tells whether a stream's status holds the success of a request's job.
func (w *world) isRecorded(q *v1.BackfillRequest) bool {
	return slices.ContainsFunc(w.streams(), func(s *v1.Stream) bool {
		return s.Status.Job != nil && s.Status.Job.RequestUID == q.UID && s.Status.Job.Outcome == v1.OutcomeSucceeded
	})
}

// judgeEdit allows the operator to complete a request, and to become its owner.
func (w *world) judgeEdit(was, is *v1.BackfillRequest) {
	job := types.UID(is.Annotations[v1.AnnotationCompletedBy])
	if is.Spec.Completed && !was.Spec.Completed {
		w.truth.signed[is.UID] = true
		if job == "" || !w.truth.earned[job] {
			w.fail("I2: request %s was completed by a job that had not done its work", is.Name)
		}
		if was.Status.Phase.Final() {
			w.fail("request %s was completed after its end", is.Name)
		}
	}
	spec := *was.Spec.DeepCopy()
	spec.Completed = is.Spec.Completed
	if !bytes.Equal(jsontree.Encoded(spec), jsontree.Encoded(is.Spec)) || was.Spec.Completed && !is.Spec.Completed {
		w.fail("I4: the operator changed the spec of request %s", is.Name)
	}
	a := maps.Clone(is.Annotations)
	if was.Annotations[v1.AnnotationCompletedBy] == "" {
		delete(a, v1.AnnotationCompletedBy)
	}
	if !maps.Equal(a, was.Annotations) || len(is.OwnerReferences) < len(was.OwnerReferences) {
		w.fail("I4: the operator changed the metadata of request %s", is.Name)
	}
	for _, ref := range is.OwnerReferences {
		if at := w.truth.going[ref.UID]; at > 0 && at < w.truth.made[is.UID] && !ownedBy(was, ref.UID) {
			w.fail("I2: request %s was tied to a stream that was gone before it was made, and goes with it", is.Name)
		}
	}
}

// noteLimit remembers a limit that somebody may believe in.
func (w *world) noteLimit(c *v1.StreamClass) {
	if c == nil || c.Spec.Backfill == nil {
		w.truth.unlimited = true
		return
	}
	w.truth.limits = append(w.truth.limits, int(*c.Spec.Backfill.MaxConcurrent))
}

// slotsCount tells whether slots can be counted: only one operator grants, and there was always a limit.
func (w *world) slotsCount() bool { return len(w.ops) == 1 && !w.truth.unlimited }

// most is the highest limit that somebody may believe in.
func (w *world) most() int { return slices.Max(append([]int{0}, w.truth.limits...)) }

// judgeGrant counts slots.
func (w *world) judgeGrant(was, is *v1.BackfillRequest) {
	if is.Status.Phase != v1.RequestGranted || was.Status.Phase == v1.RequestGranted || !w.slotsCount() {
		return
	}
	holding := map[string]bool{}
	for _, s := range w.streams() {
		if j := s.Status.Job; j != nil && j.Mode == v1.ModeBackfill && j.Outcome == "" && w.mayRun(j) {
			holding[s.Name] = true
		}
	}
	for _, q := range w.requests() {
		if q.UID != is.UID && !over(q) && (q.Status.Phase == v1.RequestGranted || q.Status.Phase == v1.RequestRunning) && get[*v1.Stream](w.store, streams, q.Spec.StreamID) != nil {
			holding[q.Spec.StreamID] = true
		}
	}
	if !holding[is.Spec.StreamID] && len(holding) >= w.most() {
		w.fail("slots: request %s was granted while %v hold theirs", is.Name, slices.Sorted(maps.Keys(holding)))
	}
}

// mayRun tells whether a recorded backfill runs or may come to run. A stream may
// claim a job in the very moment in which the slot is given away because the request
// was seen to have ended. Such a job was never let run, and never will be: the look
// before its release finds the request ended, unless that look was before the end
// and the release is under way.
func (w *world) mayRun(j *v1.JobRecord) bool {
	if w.truth.ran[j.UID] {
		return true
	}
	for _, q := range w.requests() {
		if q.UID == j.RequestUID && !over(q) {
			return true
		}
	}
	return slices.ContainsFunc(w.ops, func(o *operator) bool {
		return slices.ContainsFunc(o.works, func(k *work) bool { return k.running && k.next == request{"patch", j.Name} })
	})
}

// judgeSlots counts the streams whose backfills run, where one is let run.
func (w *world) judgeSlots(released *batchv1.Job) {
	if !w.slotsCount() || released.Annotations[v1.AnnotationRequestUID] == "" {
		return
	}
	running := map[string]bool{}
	for _, s := range w.streams() {
		if j := s.Status.Job; j != nil && j.Mode == v1.ModeBackfill && j.Outcome == "" && w.truth.ran[j.UID] {
			running[s.Name] = true
		}
	}
	if len(running) > w.most() {
		w.fail("slots: job %s was released, and now backfills of %v run", released.Name, slices.Sorted(maps.Keys(running)))
	}
}

func runOf(j *batchv1.Job) int64 {
	run, err := strconv.ParseInt(j.Annotations[v1.AnnotationRun], 10, 64)
	if err != nil {
		return 0
	}
	return run
}

func (w *world) judgeJob(was, is *batchv1.Job) {
	switch {
	case was == nil:
		w.judgeNewJob(is)
	case w.by == nil:
	case w.truth.streamOf[was.UID] == "":
		w.judgeForeign(was, is)
	case is == nil, was.DeletionTimestamp == nil && is.DeletionTimestamp != nil:
		w.judgeEvidence(was, "deleted")
	case held(was) && !held(is):
		w.judgeRelease(is)
	case is.Spec.TTLSecondsAfterFinished != nil && was.Spec.TTLSecondsAfterFinished == nil:
		w.judgeEvidence(was, "given its TTL")
	}
}

// judgeNewJob notes who made a Job.
func (w *world) judgeNewJob(j *batchv1.Job) {
	switch {
	case w.by != nil:
		w.truth.streamOf[j.UID] = ownerOf(j)
	case w.maker != nil:
		w.truth.streamOf[j.UID] = w.truth.streamOf[w.maker.GetUID()]
	}
	if w.truth.streamOf[j.UID] != "" && !held(j) {
		w.fail("job %s was created running", j.Name)
	}
}

// judgeForeign allows the operator to take a Job away that others made where only a Job
// of ours could be: it has a name and a controller of the stream's. It never lets one run.
func (w *world) judgeForeign(was, is *batchv1.Job) {
	ref := metav1.GetControllerOf(was)
	ours := ref != nil && w.isNamedAfter(was, ref.UID)
	switch {
	case !ours:
		w.fail("I7: the operator touched job %s, which is not ours", was.Name)
	case is != nil && is.DeletionTimestamp == nil && !finished(was):
		w.fail("I7: the operator changed job %s, which others have made", was.Name)
	}
}

// isNamedAfter tells whether an object's name is derived from a stream that there has
// been, of which it may say that it is the owner.
func (w *world) isNamedAfter(o client.Object, owner types.UID) bool {
	for uid, name := range w.truth.named {
		if strings.Contains(o.GetName(), "-"+jobspec.Mark(name, uid, v1.KindStream)+"-") &&
			(owner == "" || owner == uid || w.truth.streamOf[owner] == uid) {
			return true
		}
	}
	return false
}

// recordOf finds the stream that a Job is of, if it still exists.
func (w *world) recordOf(j *batchv1.Job) *v1.Stream {
	for _, s := range w.streams() {
		if s.UID == w.truth.streamOf[j.UID] {
			return s
		}
	}
	return nil
}

// judgeEvidence keeps a Job that has ended until its outcome is recorded.
func (w *world) judgeEvidence(j *batchv1.Job, what string) {
	s := w.recordOf(j)
	if !finished(j) || s == nil {
		return
	}
	if r := s.Status.Job; r != nil && r.UID == j.UID && r.Outcome == "" || runOf(j) > s.Status.Runs {
		w.fail("I3: job %s was %s before its outcome was recorded", j.Name, what)
	}
}

func (w *world) judgeRelease(j *batchv1.Job) {
	if w.truth.recorded[types.UID(j.Annotations[v1.AnnotationRequestUID])] != "" {
		w.fail("I3: job %s repeats a backfill whose success was recorded", j.Name)
	}
	w.truth.ran[j.UID] = true
	s := w.recordOf(j)
	if s == nil {
		return
	}
	if s.Status.Job == nil || s.Status.Job.UID != j.UID {
		w.fail("job %s was released and is not recorded", j.Name)
	}
	run := int64(0)
	if s.Status.Job != nil {
		run = s.Status.Job.Run
	}
	if run <= w.truth.released[s.UID] || run > s.Status.Runs {
		w.fail("job %s of run %d was released after run %d", j.Name, run, w.truth.released[s.UID])
	}
	w.truth.released[s.UID] = run
	w.judgeSlots(j)
	if j.Labels[v1.LabelBackfilling] == "true" {
		return
	}
	for _, q := range w.requests() {
		if (q.UID == s.Status.InitialRequestUID || q.UID == s.Status.GapRequestUID) && !over(q) {
			w.fail("scenario 1: streaming job %s was released before backfill %s", j.Name, q.Name)
		}
	}
}

// judgePod allows the operator to delete the pods of its own Jobs that no longer exist,
// and one whose main container has failed while others run on.
func (w *world) judgePod(was, is *corev1.Pod) {
	if was == nil && w.maker != nil {
		w.truth.jobOf[is.UID] = w.maker.GetUID()
	}
	if w.by == nil {
		if is != nil && (is.DeletionTimestamp != nil || w.truth.taken[is.UID]) {
			w.truth.taken[is.UID], w.truth.taken[w.truth.jobOf[is.UID]] = true, true
		}
		return
	}
	if was == nil || is != nil && is.DeletionTimestamp == nil {
		w.fail("I4: the operator wrote a pod")
		return
	}
	ref := metav1.GetControllerOf(was)
	switch {
	case !w.isNamedAfter(was, ""):
		w.fail("I7: the operator deleted pod %s, which is not ours", was.Name)
	case ref == nil || !w.there(*ref):
	case exitOf(was, mainContainer) == 0 || stateOf(was, beside) == (corev1.ContainerState{}):
		w.fail("I4: the operator deleted pod %s, whose job exists, and whose main container has not failed", was.Name)
	}
}

// judgeWorld holds what is there now against the laws.
func (w *world) judgeWorld() {
	writers := map[types.UID]types.UID{}
	for _, p := range w.byKind[pods] {
		p := p.(*corev1.Pod)
		if !alive(p) {
			continue
		}
		of, job := w.writes(p), w.truth.jobOf[p.UID]
		if other, ok := writers[of]; ok && of != "" && other != job {
			w.fail("I1: pods of two jobs of one stream are alive")
		}
		writers[of] = job
	}
	for _, o := range w.ops {
		for _, k := range o.works {
			if k.patched > 1 {
				w.fail("a pass patched the stream's memory twice")
			}
		}
	}
}
