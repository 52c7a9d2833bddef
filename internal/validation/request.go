package validation

// This file judges a BackfillRequest.

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// Request judges a BackfillRequest that is created (old is nil) or changed, by
// anybody but the operator.
func Request(old, new *v1.BackfillRequest, around RequestSurroundings) (warnings []string, errs field.ErrorList) {
	if new.DeletionTimestamp != nil {
		return nil, nil
	}
	v := &verdict{kind: v1.KindBackfillRequest, object: new}
	v.signed(old, new)
	v.stamped(old, new)
	v.completed(old, new)
	if old != nil && !RequestChanged(old, new) {
		return v.answer()
	}
	if old != nil && old.Spec.StreamID != new.Spec.StreamID {
		v.refuse("spec.streamId", fmt.Sprintf("is immutable and was %q; delete this request and create one for the other stream", old.Spec.StreamID), false)
	}
	v.requestNames(new)
	if around.Stream == nil {
		v.warn(fmt.Sprintf("spec.streamId: there is no Stream %s in namespace %s; the request waits for it", new.Spec.StreamID, new.Namespace))
		v.payload(new)
		return v.answer()
	}
	if class := around.Stream.Spec.StreamClass; new.Spec.StreamClass != "" && new.Spec.StreamClass != class {
		v.warn(fmt.Sprintf("spec.streamClass: Stream %s is of StreamClass %s, not %s; the request waits with reason %s until they agree",
			new.Spec.StreamID, class, new.Spec.StreamClass, v1.ReasonClassMismatch))
	}
	v.problems(backfillProblems(new, around)...)
	if old == nil {
		v.queued(new, around.Others)
	} else if len(v.errs) == 0 {
		v.reconfigured(old, around.Stream)
	}
	return v.answer()
}

// payload is judged also where nothing else is known.
func (v *verdict) payload(q *v1.BackfillRequest) {
	if _, p := jobspec.Payload(q); p != nil {
		v.problems(p)
	}
}

// backfillProblems are what keeps the request from becoming a Job. As with a
// Stream, nothing is said of a template that it may not name.
func backfillProblems(q *v1.BackfillRequest, around RequestSurroundings) []*definition.Problem {
	d := definition.Outline(around.Stream, around.Class)
	in := jobspec.Input{Definition: d, Class: around.Class, Template: around.Template, Mode: v1.ModeBackfill, Request: q}
	_, forbidden := definition.Template(d, around.Class, v1.ModeBackfill, q)
	if forbidden == nil && around.Class != nil {
		return jobspec.Problems(in)
	}
	var all []*definition.Problem
	if forbidden != nil && around.Class != nil {
		all = append(all, forbidden)
	}
	if _, p := jobspec.Payload(q); p != nil {
		all = append(all, p)
	}
	return all
}

// signed refuses the operator's signature from any other hand. The operator believes it
// only where the stream's status proves it; here its user hears of it. (The operator's
// own writes are not judged.)
func (v *verdict) signed(old, new *v1.BackfillRequest) {
	before := ""
	if old != nil {
		before = old.Annotations[v1.AnnotationCompletedBy]
	}
	if now := new.Annotations[v1.AnnotationCompletedBy]; now != before {
		v.refuse("metadata.annotations["+v1.AnnotationCompletedBy+"]", fmt.Sprintf(
			"is the operator's alone to write, and was %q; leave it as it was, and cancel the request by spec.completed without it", before), true)
	}
}

// stamped refuses to take away or to change the stamp that a request was created with: a
// request without it may be taken for one that an earlier Arcane has completed. Where it
// is merely left out, the default has put it back before.
func (v *verdict) stamped(old, new *v1.BackfillRequest) {
	if old == nil {
		return
	}
	before, stamped := old.Annotations[v1.AnnotationAdmitted]
	if now, kept := new.Annotations[v1.AnnotationAdmitted]; stamped && (!kept || now != before) {
		v.refuse("metadata.annotations["+v1.AnnotationAdmitted+"]", fmt.Sprintf("is written when the request is created, and was %q; leave it as it was", before), true)
	}
}

// completed warns of a flip that ends the request, or that changes nothing any
// more. The operator's own flip says which job it is for.
func (v *verdict) completed(old, new *v1.BackfillRequest) {
	_, operator := new.Annotations[v1.AnnotationCompletedBy]
	switch {
	case old == nil && new.Spec.Completed:
		v.warn("spec.completed: is true, so this request counts as cancelled and will never run; leave the field out to have it run")
	case old == nil || old.Spec.Completed == new.Spec.Completed:
	case old.Status.Phase.Final():
		v.warn(fmt.Sprintf("spec.completed: this request has ended (%s), and changing the field changes nothing; create another BackfillRequest for another backfill", old.Status.Phase))
	case new.Spec.Completed && !operator:
		v.warn("spec.completed: setting it cancels this request, which cannot be undone")
	}
}

// queued warns of a request that has to wait for others.
func (v *verdict) queued(q *v1.BackfillRequest, others []v1.BackfillRequest) {
	var active []string
	for i := range others {
		o := &others[i]
		if o.Name != q.Name && o.Spec.StreamID == q.Spec.StreamID && o.DeletionTimestamp == nil && !o.Spec.Completed && !o.Status.Phase.Final() {
			active = append(active, o.Name)
		}
	}
	if len(active) > 0 {
		v.warn(fmt.Sprintf("spec.streamId: Stream %s has unfinished requests already (%s); this one waits its turn", q.Spec.StreamID, few(active)))
	}
}

// reconfigured warns of an edit that meets a running backfill.
func (v *verdict) reconfigured(old *v1.BackfillRequest, stream *v1.Stream) {
	running := stream.Status.Job
	if running == nil || running.Mode != v1.ModeBackfill || running.RequestUID != old.UID || stream.Spec.Suspended {
		return
	}
	if b := stream.Spec.Backfill; b != nil && b.OnSpecChange == v1.OnSpecChangeRestart {
		v.warn(fmt.Sprintf("this edit stops the running backfill (Job %s) and starts it anew, as the stream's spec.backfill.onSpecChange says", running.Name))
		return
	}
	v.warn(fmt.Sprintf("this edit does not reach the running backfill (Job %s), which runs on as it was started; it matters only if the backfill has to run again", running.Name))
}

// RequestChanged tells whether an update changes anything that is judged. That
// the operator completes a request does not.
func RequestChanged(old, new *v1.BackfillRequest) bool {
	before, after := old.Spec, new.Spec
	before.Completed, before.TTLSecondsAfterFinished = after.Completed, after.TTLSecondsAfterFinished
	if before.StreamClass == "" {
		// Defaulting writes it into what was stored before its stream.
		before.StreamClass = after.StreamClass
	}
	if !same(before.Payload, after.Payload) {
		return true
	}
	before.Payload, after.Payload = nil, nil
	return !equality.Semantic.DeepEqual(before, after)
}
