package model

// This file is the world: who lives in it, what is true in it, and what has happened.

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// stage is what one world after the other uses: it takes long to set up.
type stage struct {
	clock   *passiveClock
	wirings [2]*wiring
}

func newStage() *stage {
	s := &stage{clock: &passiveClock{}}
	for i := range s.wirings {
		s.wirings[i] = wire(s.clock)
	}
	return s
}

// world is a cluster with all who act in it.
type world struct {
	*store
	stage *stage
	clock *passiveClock
	ops   []*operator
	truth truth
	// maker is the controller of Kubernetes' that creates something at this moment, as the object that it does so for.
	maker client.Object
	// honest: the plugin exits 143, and never 0, where a signal cut it short.
	honest bool
	// completion is by what the class says that a plugin marks its completion.
	completion *v1.Completion
	// past is the cluster some time ago: what a fresh operator may still be shown.
	past   [kinds]objects
	pastRV int
	// broken is the first law that did not hold.
	broken string
	log    []entry
	// rests is where the faults ended in the log.
	rests int
	// rested counts the steps at rest.
	rested int
	// edits numbers what users write, so that everything they write is new.
	edits int
}

// entry is a line of the log, put into words only when somebody reads it.
type entry struct {
	what, on      string
	before, after client.Object
}

// begin is when every world begins.
var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newWorld(s *stage) *world {
	s.clock.now = begin
	w := &world{store: newStore(s.clock), stage: s, clock: s.clock, truth: newTruth()}
	w.wrote = w.written
	return w
}

// written lets everybody see a write.
func (w *world) written(k kind, name string, before, after client.Object) {
	w.log = append(w.log, entry{before: before, after: after})
	w.judge(before, after)
	by := w.by
	w.by = nil
	for _, o := range w.ops {
		if !o.dead {
			w.through(o, func() { o.follow(k, name) })
		}
	}
	w.by = by
}

// through lets an operator's informers work, in the middle of whatever is going on.
func (w *world) through(o *operator, do func()) {
	was := o.current
	o.current, o.wiring.now = nil, o
	do()
	o.current = was
}

// remember notes the present as what a fresh operator may be shown later.
func (w *world) remember() { w.past, w.pastRV = w.cached, w.rv }

// hire starts an operator.
func (w *world) hire(i int, stale bool) *operator {
	seen, rv := w.cached, w.rv
	if stale && w.pastRV > 0 {
		seen, rv = w.past, w.pastRV
	}
	o := newOperator(w.stage.wirings[i], string(rune('A'+i)), w.store, w.clock, seen, rv)
	w.noteLost(o)
	return o
}

// happening is something that may happen now.
type happening struct {
	what, on string
	do       func()
}

// happen lets it happen, and judges the world after it.
func (w *world) happen(h happening) {
	w.log = append(w.log, entry{what: h.what, on: h.on})
	h.do()
	w.judgeWorld()
}

func (w *world) fail(law string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(law, args...)
	}
}

// story puts the log into words, but for what repeats itself at rest.
func (w *world) story() string {
	const most = 150
	to := len(w.log)
	if w.rests > 0 {
		to = min(to, w.rests+most)
	}
	var b strings.Builder
	for _, e := range w.log[max(0, to-2*most):to] {
		switch {
		case e.what != "":
			fmt.Fprintf(&b, "%s %s\n", e.what, e.on)
		case e.after == nil:
			fmt.Fprintf(&b, "    %s %s is gone\n", kindOf(e.before), e.before.GetName())
		default:
			fmt.Fprintf(&b, "    %s %s: %s\n", kindOf(e.after), e.after.GetName(), brief(e.after))
		}
	}
	return b.String()
}

// brief says of a version what matters.
func brief(o client.Object) string {
	text := "rv=" + o.GetResourceVersion()
	if o.GetDeletionTimestamp() != nil {
		text += " deleting"
	}
	switch o := o.(type) {
	case *v1.Stream:
		text += fmt.Sprintf(" gen=%d suspended=%v phase=%s initial=%s runs=%d", o.Generation, o.Spec.Suspended, o.Status.Phase, o.Status.InitialBackfill, o.Status.Runs)
		if j := o.Status.Job; j != nil {
			text += fmt.Sprintf(" job=%s/%s/%s", j.UID, j.Mode, j.Outcome)
		}
		if o.Status.LastDecision != nil {
			text += " rule=" + o.Status.LastDecision.Rule
		}
		if o.Status.Failure != nil {
			text += " failure"
		}
	case *v1.BackfillRequest:
		text += fmt.Sprintf(" uid=%s completed=%v phase=%s", o.UID, o.Spec.Completed, o.Status.Phase)
		for _, c := range o.Status.Conditions {
			text += " " + c.Reason
		}
	case *batchv1.Job:
		text += fmt.Sprintf(" uid=%s held=%v backfilling=%s", o.UID, held(o), o.Labels[v1.LabelBackfilling])
		if end := endOf(o); end != nil {
			text += " " + string(end.Type)
		}
	case *corev1.Pod:
		text += fmt.Sprintf(" phase=%s finalizers=%d owners=%d", o.Status.Phase, len(o.Finalizers), len(o.OwnerReferences))
	}
	return text
}

// The objects that users begin with.

func newStream(name string, edits ...func(*v1.Stream)) *v1.Stream {
	s := &v1.Stream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1.StreamSpec{StreamClass: className}}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

const className = "postgres"

func newClass(edits ...func(*v1.StreamClassSpec)) *v1.StreamClass {
	c := &v1.StreamClass{
		ObjectMeta: metav1.ObjectMeta{Name: className},
		Spec: v1.StreamClassSpec{
			APIGroupRef: v1.GroupVersion.Group, APIVersion: "v1", KindRef: v1.KindStream, PluralName: "streams",
			JobTemplateRef: &v1.TemplateReference{Name: "std"},
			FailureClasses: []v1.FailureClass{
				{Name: "graceful", ExitCodes: []int32{143}, Action: v1.ActionIgnore},
				{Name: "transient", ExitCodes: []int32{2}, Action: v1.ActionIgnore},
				{Name: "gap", ExitCodes: []int32{exitGap}, Action: v1.ActionBackfill},
				{Name: "hopeless", ExitCodes: []int32{exitHopeless}, Action: v1.ActionFail},
			},
		},
	}
	for _, edit := range edits {
		edit(&c.Spec)
	}
	return c
}

// Exit codes of the class's failure classes.
const (
	exitGap      = 30
	exitHopeless = 31
)

func newTemplate(name string) *v1.StreamingJobTemplate {
	return &v1.StreamingJobTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1.JobTemplate{Spec: batchv1.JobSpec{
			BackoffLimit: ptr.To[int32](1),
			Template:     corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "plugin"}}}},
		}},
	}
}

func (w *world) newRequest(stream string, edits ...func(*v1.BackfillRequest)) *v1.BackfillRequest {
	w.edits++
	q := &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("request-%d", w.edits)},
		Spec:       v1.BackfillRequestSpec{StreamID: stream},
	}
	for _, edit := range edits {
		edit(q)
	}
	return q
}

func raw(n int) *runtime.RawExtension {
	return &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"n":%d}`, n)}
}
