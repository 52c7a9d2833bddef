package model

// This file lets the faults end, and expects that wake-ups alone bring every
// stream to what its user declared, and that everybody is quiet then.

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// rest lets everybody do their work until nothing is left to do.
func (w *world) rest(operatorsFirst bool) {
	w.rests = len(w.log)
	w.calm()
	w.restore()
	w.endSchedules()
	w.settle(operatorsFirst)
	if w.broken == "" {
		w.judgeEnd()
	}
	if w.broken == "" {
		w.judgeQuiet(operatorsFirst)
	}
}

// replace ends the operator that is left, and starts a fresh one.
func (w *world) replace() {
	w.happen(happening{"a fresh operator starts", "", func() {
		w.ops[0].die(func(*work) bool { return false })
		w.ops[0] = w.hire(0, false)
	}})
}

// calm ends the faults: one operator is left, and its caches catch up.
func (w *world) calm() {
	for _, o := range w.ops[1:] {
		o.die(func(*work) bool { return false })
	}
	w.ops = w.ops[:1]
	w.happen(happening{"the faults end", "", func() {
		for k := range w.ops[0].caches {
			w.ops[0].caches[k].missing = false
			w.through(w.ops[0], func() { w.ops[0].catchUp(kind(k)) })
		}
	}})
}

// looks is how often in a row somebody may wake and find nothing to do before the world
// is at rest: a stream looks again and again after what has lost its labels, and wakes nobody.
const looks = 200

// settle goes on until nothing is due, and nothing will be, or nothing comes of it.
func (w *world) settle(operatorsFirst bool) {
	before, idle := w.rv, 0
	for range 5000 {
		if w.broken != "" {
			return
		}
		if w.rv != before {
			before, idle = w.rv, 0
		}
		may := append(w.cluster(true), going(w.ops[0])...)
		if operatorsFirst {
			may = append(going(w.ops[0]), w.cluster(true)...)
		}
		if len(may) > 0 {
			w.clock.advance(time.Second)
			w.rested++
			w.happen(may[0])
			continue
		}
		if w.obey() {
			continue
		}
		if next, ok := w.next(); ok && idle < looks {
			idle++
			w.happen(happening{"time passes until", next.String(), func() { w.clock.now = next }})
			continue
		}
		return
	}
	w.fail("the world does not come to rest")
}

// next is when something becomes due.
func (w *world) next() (time.Time, bool) {
	var first time.Time
	note := func(t time.Time) {
		if t.After(w.clock.now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, k := range w.ops[0].works {
		for _, at := range k.due {
			note(at)
		}
	}
	for _, j := range w.jobs() {
		if due, is := deadlineOf(j); is {
			note(due)
		}
		if end, ttl := endOf(j), j.Spec.TTLSecondsAfterFinished; end != nil && ttl != nil {
			note(end.LastTransitionTime.Add(time.Duration(*ttl) * time.Second))
		}
	}
	return first, !first.IsZero()
}

// judgeEnd expects what the users declared.
func (w *world) judgeEnd() {
	for _, s := range w.streams() {
		w.judgeStreamsEnd(s)
	}
	for _, q := range w.requests() {
		w.judgeRequestsEnd(q)
	}
}

func (w *world) judgeStreamsEnd(s *v1.Stream) {
	var running []string
	for _, j := range w.jobs() {
		// A run that has come waits while a failure does, held.
		if ref := metav1.GetControllerOf(j); held(j) && s.Spec.Schedule != nil && s.Status.Failure != nil && ref != nil && ref.Kind == "CronJob" {
			continue
		}
		if !finished(j) && w.truth.streamOf[j.UID] == s.UID {
			running = append(running, fmt.Sprintf("backfilling=%s held=%v", j.Labels[v1.LabelBackfilling], held(j)))
		}
	}
	want, phase := []string{"backfilling=false held=false"}, v1.StreamRunning
	switch {
	case s.Spec.Suspended:
		want, phase = nil, v1.StreamSuspended
	case s.Status.Failure != nil:
		want, phase = nil, v1.StreamFailed
	case s.Spec.Schedule != nil:
		want, phase = nil, v1.StreamScheduled
	}
	for _, p := range w.pods() {
		if w.writes(p) == s.UID && p.Status.Phase == corev1.PodRunning && stateOf(p, mainContainer).Terminated != nil {
			w.fail("at rest: the main container of pod %s has ended, and others run on beside it", p.Name)
		}
	}
	if !slices.Equal(running, want) || s.Status.Phase != phase || s.Status.ObservedGeneration != s.Generation {
		w.fail("at rest: stream %s of generation %d (seen: %d) is %s with jobs %v; want %s with %v",
			s.Name, s.Generation, s.Status.ObservedGeneration, s.Status.Phase, running, phase, want)
	}
	if stalled := meta.IsStatusConditionTrue(s.Status.Conditions, v1.ConditionStalled); stalled != (phase == v1.StreamFailed) {
		w.fail("at rest: stream %s is %s, and stalled: %v", s.Name, s.Status.Phase, stalled)
	}
	w.judgeSchedule(s)
	w.judgeBackfilled(s)
}

// judgeBackfilled expects of a stream that was created to backfill first that a job of it has done so.
func (w *world) judgeBackfilled(s *v1.Stream) {
	if !w.truth.running[s.UID] || s.Status.Phase != v1.StreamRunning {
		return
	}
	if s.Status.InitialBackfill == "" {
		w.fail("scenario 1: stream %s never backfilled", s.Name)
	}
	for _, q := range w.requests() {
		if q.UID == s.Status.InitialRequestUID && !over(q) {
			w.fail("scenario 1: stream %s streams before its initial backfill", s.Name)
		}
	}
}

func (w *world) judgeRequestsEnd(q *v1.BackfillRequest) {
	s, _ := w.byKind[streams][q.Spec.StreamID].(*v1.Stream)
	phase := q.Status.Phase
	switch {
	case q.Spec.Completed && !phase.Final():
		w.fail("at rest: request %s was completed or cancelled and is %q", q.Name, phase)
	case phase.Final():
		if by := types.UID(q.Annotations[v1.AnnotationCompletedBy]); by == "" && !w.truth.cancelled[q.UID] {
			w.fail("I2: request %s is %s, and nobody completed or cancelled it", q.Name, phase)
		}
	case s == nil, q.Spec.StreamClass != "" && q.Spec.StreamClass != className:
		if phase != v1.RequestQueued && phase != v1.RequestPaused {
			w.fail("at rest: request %s for nobody is %q", q.Name, phase)
		}
	case s.Status.Phase == v1.StreamRunning, s.Status.Phase == v1.StreamScheduled:
		w.fail("at rest: request %s is still %q", q.Name, phase)
	case s.Status.Phase == v1.StreamSuspended && (phase == v1.RequestRunning || phase == ""):
		w.fail("at rest: request %s of a suspended stream is %q", q.Name, phase)
	}
}

// judgeQuiet starts a fresh operator, which looks at everything: what was not woken
// before would be done now. It must find nothing to do.
func (w *world) judgeQuiet(operatorsFirst bool) {
	before := w.rv
	w.rests = len(w.log)
	w.replace()
	w.settle(operatorsFirst)
	if w.rv != before && w.broken == "" {
		w.fail("not woken: a fresh operator found something to do")
	}
}
