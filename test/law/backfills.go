// I2 and I3: a backfill ends by its own job's success, and only once.

package law

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// completion: the operator completes a request by a job that was started for it and whose
// success can be trusted, once. Its user may set the same fields to anything, at any
// time; what the operator makes of that, its status says.
func completion(w *world, c change) []Violation {
	o, ok := c.Object.(*streamingv1.BackfillRequest)
	if !ok || c.Deleted {
		return nil
	}
	found := claimedPhase(w, c, o)
	before, ok := c.before.(*streamingv1.BackfillRequest)
	if !ok {
		return found
	}
	by := signatureOf(o)
	signed := by != "" && signatureOf(before) != by
	ended := o.Spec.Completed && !before.Spec.Completed
	if signed && !ended && operatorSigned(o) {
		found = append(found, broken(NoneFaked, c.RV, "request %s got its completed-by annotation apart from spec.completed", o.Name)...)
	}
	if o.Spec.Completed == before.Spec.Completed || !operatorWrote(o, "f:spec", "f:completed") {
		return found
	}
	switch {
	case !ended:
		return append(found, broken(NoneFaked, c.RV, "request %s is no longer completed", o.Name)...)
	case before.Status.Phase.Final():
		return append(found, broken(NoneFaked, c.RV, "request %s was completed by the operator after its end", o.Name)...)
	case by == "":
		return append(found, broken(NoneFaked, c.RV, "request %s was completed by the operator, which names no job", o.Name)...)
	}
	return append(found, completedBy(w, c, o, by)...)
}

// signatureOf is the UID of the job that is said to have completed a request.
func signatureOf(o *streamingv1.BackfillRequest) types.UID {
	return types.UID(o.Annotations[streamingv1.AnnotationCompletedBy])
}

// operatorSigned tells whether the operator, and not a user, has written who completed a request.
func operatorSigned(o *streamingv1.BackfillRequest) bool {
	return operatorWrote(o, "f:metadata", "f:annotations", "f:"+streamingv1.AnnotationCompletedBy)
}

// completedBy holds the job that a request names to what makes a success its own.
func completedBy(w *world, c change, o *streamingv1.BackfillRequest, by types.UID) []Violation {
	j := w.job(by)
	if j == nil {
		return broken(NoneFaked, c.RV, "request %s was completed by job %s, which nobody has seen", o.Name, by)
	}
	if !serves(j, o.UID) {
		return broken(NoneFaked, c.RV, "request %s was completed by job %s, which was started for request %q",
			o.Name, j.object.Name, j.object.Annotations[streamingv1.AnnotationRequestUID])
	}
	if j.owner != (types.NamespacedName{Namespace: o.Namespace, Name: o.Spec.StreamID}) {
		return broken(NoneFaked, c.RV, "request %s of stream %s was completed by job %s of stream %s",
			o.Name, o.Spec.StreamID, j.object.Name, j.owner)
	}
	if !w.trusted(j) {
		return broken(NoneFaked, c.RV, "request %s was completed by job %s, whose success cannot be trusted (%s)",
			o.Name, j.object.Name, w.distrust(j))
	}
	return nil
}

func serves(j *job, uid types.UID) bool {
	return j.object.Annotations[streamingv1.AnnotationRequestUID] == string(uid)
}

func (w *world) distrust(j *job) string {
	if !j.complete {
		return "it was never Complete before it was deleted"
	}
	return "no pod of it has done its work undisturbed"
}

// claimedPhase: the status of a request may not say more than its spec proves.
func claimedPhase(w *world, c change, o *streamingv1.BackfillRequest) []Violation {
	if before, ok := c.before.(*streamingv1.BackfillRequest); ok && before.Status.Phase == o.Status.Phase {
		return nil
	}
	signed := signatureOf(o) != ""
	var doubts []Violation
	if signed {
		doubts = completedBy(w, c, o, signatureOf(o))
	}
	switch {
	case o.Status.Phase.Final() && !o.Spec.Completed:
		return broken(NoneFaked, c.RV, "request %s has the phase %s and is not completed", o.Name, o.Status.Phase)
	case o.Status.Phase == streamingv1.RequestCompleted && !signed && w.request(o.UID).wasLive:
		return broken(NoneFaked, c.RV, "request %s was cancelled and has the phase Completed", o.Name)
	case o.Status.Phase == streamingv1.RequestCompleted && !operatorSigned(o):
		return doubts // the operator's own signature has been judged when it was written
	case o.Status.Phase == streamingv1.RequestCancelled && operatorSigned(o) && len(doubts) == 0:
		return broken(NoneFaked, c.RV, "request %s was completed and has the phase Cancelled", o.Name)
	}
	return nil
}

// outcome: a success that the stream's status holds must be one that can be trusted.
func outcome(w *world, c change) []Violation {
	o, ok := c.Object.(*streamingv1.Stream)
	if !ok || c.Deleted || o.Status.Job == nil || o.Status.Job.Outcome != streamingv1.OutcomeSucceeded {
		return nil
	}
	j := w.job(o.Status.Job.UID)
	if j == nil {
		return broken(NoneFaked, c.RV, "stream %s holds the success of job %s, which nobody has seen", o.Name, o.Status.Job.Name)
	}
	if j.recorded {
		return nil
	}
	j.recorded = true
	if !w.trusted(j) {
		return broken(NoneFaked, c.RV, "stream %s holds the success of job %s, which cannot be trusted (%s)",
			o.Name, j.object.Name, w.distrust(j))
	}
	return nil
}

// repeated: no job is released for a request that is completed, or for which
// a former job's success is on record or still there to be seen.
func repeated(w *world, c change) []Violation {
	j, begins := w.begins(c)
	if !begins || j.object.Annotations[streamingv1.AnnotationRequestUID] == "" {
		return nil
	}
	uid := types.UID(j.object.Annotations[streamingv1.AnnotationRequestUID])
	if r := w.request(uid); r != nil && r.completed() {
		return broken(NoneRepeated, c.RV, "job %s was released for request %s, which was completed", j.object.Name, r.object.Name)
	}
	for _, former := range w.jobs {
		// Where nothing proved the success to the operator, the user has set that right since.
		if former != j && former.ownerUID != "" && serves(former, uid) && w.proved(former) != nil && !former.unproven && (former.recorded || w.evident(former)) {
			return broken(NoneRepeated, c.RV, "job %s was released for a request that job %s had served with success",
				j.object.Name, former.object.Name)
		}
	}
	return nil
}

// completed tells whether a request has been completed by a job. Its user may have set the
// field back since: a manifest that is applied again does so.
func (r *request) completed() bool {
	return r.object.Status.Phase == streamingv1.RequestCompleted || r.object.Spec.Completed && operatorSigned(r.object)
}

// evident: what proves the success can still be read off the cluster.
func (w *world) evident(j *job) bool {
	p := w.proved(j)
	return !j.gone && p != nil && !p.gone
}

// doubted: a completion that is marked may not be called unproven.
func doubted(w *world, c change) []Violation {
	o, ok := c.Object.(*streamingv1.BackfillRequest)
	if !ok || c.Deleted {
		return nil
	}
	before, _ := c.before.(*streamingv1.BackfillRequest)
	var found []Violation
	for _, attempt := range o.Status.Attempts {
		if attempt.Result != streamingv1.AttemptUnproven || before != nil && slices.Contains(before.Status.Attempts, attempt) {
			continue
		}
		j := w.job(attempt.JobUID)
		if j == nil {
			continue
		}
		if p := w.podOf(j, func(p *pod) bool { return p.marked }); p != nil {
			found = append(found, broken(NoneRepeated, c.RV, "request %s calls job %s unproven, whose pod %s is marked as complete",
				o.Name, j.object.Name, p.object.Name)...)
		}
	}
	return found
}

// heldTTL: nothing deletes a job before its outcome is on record.
func heldTTL(w *world, c change) []Violation {
	o, ok := c.Object.(*batchv1.Job)
	if !ok || c.Deleted || o.Spec.TTLSecondsAfterFinished == nil {
		return nil
	}
	if before, ok := c.before.(*batchv1.Job); ok && before.Spec.TTLSecondsAfterFinished != nil {
		return nil
	}
	j := w.job(o.UID)
	if j.ownerUID == "" {
		return nil
	}
	s := w.streamByUID(j.ownerUID)
	if s == nil {
		return nil
	}
	status := s.object.Status
	awaited := status.Job != nil && status.Job.UID == o.UID && status.Job.Outcome == ""
	failed := status.Failure != nil && status.Failure.JobUID == o.UID
	if awaited && !failed || !j.released {
		return broken(NoneRepeated, c.RV, "job %s got its ttlSecondsAfterFinished before its outcome was recorded", o.Name)
	}
	return nil
}
