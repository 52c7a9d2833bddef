package model

// This file tells a fixed story in the world, while one kind's cache lags or misses an event.

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// fault is what befalls one kind's watch.
type fault string

const (
	none fault = "none"
	// delayed: nothing arrives for a few steps.
	delayed fault = "delayed"
	// frozen: nothing arrives until the world stands still.
	frozen fault = "frozen"
	// dropped: one event does not arrive, until the kind is listed anew.
	dropped fault = "dropped"

	// delay is how many steps an event is delayed.
	delay = 8
	// patience is how many steps a user waits before something is wrong with the watches.
	patience = 60
)

// tale is a world in which a story is told.
type tale struct {
	*world
	// hold lets backfills run on without an end.
	hold bool
	// codes are the exit codes with which the next streaming pods end.
	codes []int32
	// failing are those of the backfills.
	failing []int32

	kind  kind
	fault fault
	at    int
	step  int
	hit   bool
}

// scene is what somebody does, and what they wait for then.
type scene struct {
	do    func(*tale)
	until func(*tale) bool
}

func newTale(s *stage, k kind, f fault, at int) *tale {
	t := &tale{world: newWorld(s), kind: k, fault: f, at: at}
	t.admission = true
	must(t.create(newClass()))
	must(t.create(newTemplate("std")))
	must(t.create(newTemplate("big")))
	t.ops = []*operator{t.hire(0, false)}
	return t
}

// tell tells a story to its end.
func (t *tale) tell(scenes []scene) {
	for i, s := range scenes {
		t.happen(happening{"scene", fmt.Sprint(i + 1), func() { s.do(t) }})
		for tries := 0; !t.goOn(patience, s.until); tries++ {
			if tries == 20 {
				t.fail("scene %d does not come to its end", i+1)
			}
			t.recover()
		}
	}
	untilNothingHappens := func(*tale) bool { return false }
	t.goOn(patience, untilNothingHappens)
	t.fault = none
	t.recover()
	t.goOn(2000, untilNothingHappens)
}

// goOn lets everybody work until somebody has seen what they wait for, or nothing happens any more.
func (t *tale) goOn(steps int, until func(*tale) bool) bool {
	for range steps {
		if t.broken != "" || until(t) {
			return true
		}
		t.injure()
		may := slices.Concat(going(t.ops[0]), t.scripted(), t.calmCluster())
		if len(may) > 0 {
			t.clock.advance(time.Second)
			t.happen(may[0])
			continue
		}
		next, ok := t.next()
		if !ok {
			return until(t)
		}
		t.clock.now = next
	}
	return false
}

// calmCluster is the cluster, but for the ends of pods: those are scripted.
func (t *tale) calmCluster() []happening {
	return slices.DeleteFunc(t.cluster(true), func(h happening) bool { return strings.HasPrefix(h.what, "plugin: ") })
}

// scripted are the ends of pods.
func (t *tale) scripted() []happening {
	for _, p := range t.pods() {
		if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
			continue
		}
		codes := &t.codes
		if p.Labels[v1.LabelBackfilling] == "true" {
			codes = &t.failing
		}
		switch {
		case len(*codes) > 0:
			code := (*codes)[0]
			return []happening{{"plugin: exit of pod", p.Name, func() {
				*codes = (*codes)[1:]
				t.endPod(p, code, false)
			}}}
		case codes == &t.failing && !t.hold:
			return []happening{{"plugin: has done its work, pod", p.Name, func() { t.endPod(p, 0, true) }}}
		}
	}
	return nil
}

// injure lets the fault begin, and a delay end, at their steps.
func (t *tale) injure() {
	t.step++
	c := &t.ops[0].caches[t.kind]
	switch {
	case t.fault == delayed && t.step == t.at+delay:
		t.recover()
	case t.step != t.at:
	case t.fault == dropped:
		t.hit, c.missing = true, true
	case t.fault != none:
		t.hit, c.lags = true, true
	}
}

// recover lists the kind anew.
func (t *tale) recover() {
	t.happen(happening{"the caches catch up", "", func() {
		for k := range t.ops[0].caches {
			t.ops[0].caches[k].missing = false
			t.through(t.ops[0], func() { t.ops[0].catchUp(kind(k)) })
		}
	}})
}

// ending describes the world.
func (t *tale) ending() string {
	var parts []string
	for _, s := range t.streams() {
		text := fmt.Sprintf("%s=%s", s.Name, s.Status.Phase)
		for _, j := range t.jobs() {
			if ownerOf(j) == s.UID && !finished(j) {
				text += fmt.Sprintf("(backfilling=%s held=%v)", j.Labels[v1.LabelBackfilling], held(j))
			}
		}
		parts = append(parts, text)
	}
	for _, q := range t.requests() {
		parts = append(parts, fmt.Sprintf("%s=%s", strings.SplitN(q.Name, "-0", 2)[0], q.Status.Phase))
	}
	return strings.Join(parts, " ")
}

// Words of the stories.

func is(phase v1.StreamPhase) func(*tale) bool { return isStream(names[0], phase) }

// isStream waits for a phase that is about the present spec.
func isStream(name string, phase v1.StreamPhase) func(*tale) bool {
	return func(t *tale) bool {
		s := get[*v1.Stream](t.store, streams, name)
		return s != nil && s.Status.Phase == phase && s.Status.ObservedGeneration == s.Generation
	}
}

// streaming waits for a streaming pod that runs and is not the one before.
func (t *tale) streaming() *corev1.Pod {
	for _, p := range t.pods() {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil && p.Labels[v1.LabelBackfilling] == "false" {
			return p
		}
	}
	return nil
}

func isStreaming(t *tale) bool { return is(v1.StreamRunning)(t) && t.streaming() != nil }

// backfills waits for a backfill's pod that runs.
func backfills(t *tale) bool {
	return slices.ContainsFunc(t.pods(), func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodRunning && p.Labels[v1.LabelBackfilling] == "true"
	})
}

// ended waits until no request is open.
func ended(t *tale) bool {
	return !slices.ContainsFunc(t.requests(), func(q *v1.BackfillRequest) bool { return !q.Status.Phase.Final() }) && isStreaming(t)
}

func born(edits ...func(*v1.Stream)) func(*tale) {
	return func(t *tale) { must(t.create(newStream(names[0], edits...))) }
}

func edit(f func(*v1.Stream)) func(*tale) {
	return func(t *tale) {
		change(t.store, get[*v1.Stream](t.store, streams, names[0]), func(s *v1.Stream) {
			f(s)
			s.Generation++
		})
	}
}

func suspend(s *v1.Stream) { s.Spec.Suspended = true }
func resume(s *v1.Stream)  { s.Spec.Suspended = false }

func asks(edits ...func(*v1.BackfillRequest)) func(*tale) {
	return func(t *tale) { must(t.create(t.newRequest(names[0], edits...))) }
}

// job is the unfinished Job.
func (t *tale) job() *batchv1.Job {
	for _, j := range t.jobs() {
		if !finished(j) {
			return j
		}
	}
	return nil
}

// delete_ deletes an object in the background.
func (t *tale) deletes(o client.Object) { must(t.remove(o, &client.DeleteOptions{})) }

// TestStoriesWithAWatchThatFails tells each story once for every kind, step and fault.
func TestStoriesWithAWatchThatFails(t *testing.T) {
	s := newStage()
	told, hit := 0, 0
	// A normal run tells a fixed sample.
	stride := 37
	if *stepsFlag > normalSteps {
		stride = 1
	}
	for _, story := range stories {
		free := newTale(s, streams, none, 0)
		free.tell(story.scenes)
		want, steps := free.ending(), free.step
		free.end(t, story.name, story.want)
		for k := range kinds {
			for _, f := range []fault{delayed, frozen, dropped} {
				for at := 1 + (told % stride); at <= steps; at += stride {
					told++
					x := newTale(s, k, f, at)
					x.tell(story.scenes)
					x.end(t, fmt.Sprintf("%s, %s %s at step %d", story.name, k, f, at), want)
					if x.hit {
						hit++
					}
				}
			}
		}
	}
	t.Logf("%d stories with a fault, %d of them hit", told, hit)
}

// end expects an end, and that a fresh operator finds nothing left to do.
func (t *tale) end(test *testing.T, name, want string) {
	test.Helper()
	got := t.ending()
	if t.broken == "" && got == want {
		t.judgeQuiet(true)
	}
	t.close()
	switch {
	case t.broken != "":
		test.Fatalf("%s: %s\n%s", name, t.broken, t.story())
	case got != want:
		test.Fatalf("%s: ends in %q, want %q\n%s", name, got, want, t.story())
	}
}
