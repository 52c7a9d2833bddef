package model

// This file holds the stories: the acceptance scenarios, as far as a cluster in memory can tell them.

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

const initial = " orders-initial=Completed"

// running is how most stories begin.
var running = scene{born(), isStreaming}

// backfilling is how the others do: the initial backfill runs, and does not end.
var backfilling = scene{func(t *tale) { t.hold = true; born()(t) }, backfills}

// fails is a streaming job that uses up its backoffLimit.
var fails = scene{func(t *tale) { t.codes = []int32{3, 3} }, is(v1.StreamFailed)}

func release(t *tale) { t.hold = false }

var stories = []struct {
	name   string
	scenes []scene
	want   string
}{
	{"1 backfill, then streaming", []scene{running}, "orders=Running(backfilling=false held=false)" + initial},
	{"2 born suspended, then resumed", []scene{
		{born(suspend), is(v1.StreamSuspended)}, {edit(resume), isStreaming},
	}, "orders=Running(backfilling=false held=false)"},
	{"3 suspended while it streams", []scene{running, {edit(suspend), is(v1.StreamSuspended)}}, "orders=Suspended" + initial},
	{"4 a request while it streams", []scene{running, {asks(), ended}}, "orders=Running(backfilling=false held=false)" + initial + " request-1=Completed"},
	{"5 a request while it is suspended", []scene{
		running, {edit(suspend), is(v1.StreamSuspended)}, {asks(), func(t *tale) bool { return t.phaseOf("request-1") == v1.RequestQueued }}, {edit(resume), ended},
	}, "orders=Running(backfilling=false held=false)" + initial + " request-1=Completed"},
	{"6 failed, a request, suspended and resumed", []scene{
		running, fails, {asks(), nothingMore}, {edit(suspend), is(v1.StreamSuspended)}, {edit(resume), ended},
	}, "orders=Running(backfilling=false held=false)" + initial + " request-1=Completed"},
	{"7 its pod is deleted", []scene{
		running, {func(t *tale) { t.removePod(t.streaming(), grace) }, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"7 its pod is evicted", []scene{running, {func(t *tale) { t.evict(t.streaming()) }, isStreaming}}, "orders=Running(backfilling=false held=false)" + initial},
	{"8 an exit code that is ignored", []scene{
		running, {func(t *tale) { t.codes = []int32{2, 143, 2} }, func(t *tale) bool { return len(t.codes) == 0 && isStreaming(t) }},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"8 a pod that ran well ends in a way that is ignored", []scene{
		running,
		{func(t *tale) { t.clock.advance(time.Hour); t.codes = []int32{2} }, func(t *tale) bool { return len(t.codes) == 0 && t.streaming() == nil }},
		{func(*tale) {}, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"8 a pod that ran well fails", []scene{
		running, {func(t *tale) { t.clock.advance(time.Hour); t.codes = []int32{1, 1} }, is(v1.StreamFailed)},
	}, "orders=Failed" + initial},
	{"9 failed, and the job is deleted", []scene{
		running, {func(t *tale) { t.codes = []int32{3, 3} }, is(v1.StreamFailed)}, {func(t *tale) {
			for _, j := range t.jobs() {
				t.deletes(j)
			}
		}, is(v1.StreamFailed)},
	}, "orders=Failed" + initial},
	{"9 a code that makes retrying useless", []scene{
		running, {func(t *tale) { t.codes = []int32{exitHopeless} }, is(v1.StreamFailed)},
	}, "orders=Failed" + initial},
	{"11 the request is deleted while it runs", []scene{
		backfilling, {func(t *tale) { t.deletes(t.requests()[0]) }, isStreaming},
	}, "orders=Running(backfilling=false held=false)"},
	{"11 the request is cancelled while it runs", []scene{
		backfilling, {func(t *tale) {
			change(t.store, t.requests()[0], func(q *v1.BackfillRequest) { q.Spec.Completed = true; q.Generation++ })
		}, ended},
	}, "orders=Running(backfilling=false held=false) orders-initial=Cancelled"},
	{"12 suspended while it backfills, resumed", []scene{
		backfilling, {edit(suspend), is(v1.StreamSuspended)}, {edit(resume), backfills}, {release, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"13 two requests", []scene{
		running, {func(t *tale) { asks()(t); asks()(t) }, ended},
	}, "orders=Running(backfilling=false held=false)" + initial + " request-1=Completed request-2=Completed"},
	{"14 the request comes before the stream", []scene{
		{asks(), func(t *tale) bool { return t.phaseOf("request-1") == v1.RequestQueued }}, {born(), ended},
	}, "orders=Running(backfilling=false held=false) request-1=Completed"},
	{"15 the spec changes while it backfills: Finish", []scene{
		backfilling, {edit(func(s *v1.Stream) { s.Spec.Sink = raw(1) }), is(v1.StreamBackfilling)}, {release, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"15 the spec changes while it backfills: Restart", []scene{
		backfilling, {edit(func(s *v1.Stream) {
			s.Spec.Sink, s.Spec.Backfill = raw(1), &v1.BackfillSpec{OnSpecChange: v1.OnSpecChangeRestart}
		}), is(v1.StreamBackfilling)}, {release, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"16 the spec changes while it streams", []scene{
		running, {edit(func(s *v1.Stream) { s.Spec.Sink = raw(1) }), isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"16 the template changes while it streams", []scene{running, {changeImage, imageRuns}}, "orders=Running(backfilling=false held=false)" + initial},
	{"18 the job is deleted in the background", []scene{running, {func(t *tale) { t.deletes(t.job()) }, isStreaming}}, "orders=Running(backfilling=false held=false)" + initial},
	{"18 the job is deleted in the foreground", []scene{running, {func(t *tale) { t.foreground(t.job()) }, isStreaming}}, "orders=Running(backfilling=false held=false)" + initial},
	{"18 the backfill's job is deleted", []scene{backfilling, {func(t *tale) { t.hold = false; t.deletes(t.job()) }, isStreaming}}, "orders=Running(backfilling=false held=false)" + initial},
	{"19 the template is missing", []scene{
		{func(t *tale) { t.deletes(get[*v1.StreamingJobTemplate](t.store, templates, "std")); born()(t) }, is(v1.StreamPending)},
		{func(t *tale) { must(t.create(newTemplate("std"))) }, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"19 the class is missing", []scene{
		{func(t *tale) { t.deletes(get[*v1.StreamClass](t.store, classes, className)); born()(t) }, is(v1.StreamPending)},
		{func(t *tale) { must(t.create(newClass())) }, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"20 the stream is deleted and created anew", []scene{
		running, {func(t *tale) { t.deletes(get[*v1.Stream](t.store, streams, names[0])) }, nothingMore}, running,
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"21 the backfill fails, and is retried", []scene{
		{func(t *tale) { t.failing = []int32{3, 3}; born()(t) }, is(v1.StreamFailed)},
		{edit(suspend), is(v1.StreamSuspended)},
		{edit(resume), isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"22 the backfill's pod is drained and exits 0", []scene{
		backfilling, {func(t *tale) {
			p := t.pods()[0]
			t.evict(p)
			t.endPod(get[*corev1.Pod](t.store, pods, p.Name), 0, false)
			t.hold = false
		}, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"22 the kubelet kills the backfill without a trace, and the mark is missing", []scene{
		{func(t *tale) { t.hold = true; probed(t); marked(t); born()(t) }, backfills},
		{func(t *tale) { t.kill(t.pods()[0]); t.hold = false }, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"22 the kubelet may have killed the backfill, and no mark is declared", []scene{
		{func(t *tale) { t.hold = true; probed(t); born()(t) }, backfills},
		{func(t *tale) { t.kill(t.pods()[0]) }, is(v1.StreamFailed)},
	}, "orders=Failed orders-initial=Failed"},
	{"23 jobs vanish a second after their end", []scene{
		{func(t *tale) {
			change(t.store, get[*v1.StreamingJobTemplate](t.store, templates, "std"), func(x *v1.StreamingJobTemplate) {
				x.Spec.Spec.TTLSecondsAfterFinished = ptr.To[int32](1)
				x.Generation++
			})
			born()(t)
		}, isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"a failure is retried", []scene{
		{born(func(s *v1.Stream) {
			s.Spec.Restart = &v1.RestartSpec{Policy: v1.RestartOnFailure, MaxRestarts: ptr.To[int32](2)}
		}), isStreaming},
		{func(t *tale) { t.codes = []int32{3, 3} }, func(t *tale) bool { return len(t.codes) == 0 && isStreaming(t) }},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"a gap is backfilled", []scene{
		running, {func(t *tale) { t.codes = []int32{exitGap} }, func(t *tale) bool { return len(t.codes) == 0 && len(t.requests()) == 2 && ended(t) }},
	}, "orders=Running(backfilling=false held=false) orders-gap-1767323047=Completed" + initial},
	{"26 a schedule, and a run of it", []scene{
		{born(scheduled), isScheduled}, {runOfSchedule, isScheduled},
	}, "orders=Scheduled"},
	{"26 a run of a schedule, suspended and resumed", []scene{
		{func(t *tale) { t.hold = true; born(scheduled)(t) }, isScheduled},
		{runOfSchedule, backfills},
		{edit(suspend), is(v1.StreamSuspended)},
		{func(t *tale) { t.hold = false; edit(resume)(t) }, isScheduled},
	}, "orders=Scheduled"},
	{"26 a request while it is scheduled", []scene{
		{born(scheduled), isScheduled}, {asks(), func(t *tale) bool { return t.phaseOf("request-1").Final() && isScheduled(t) }},
	}, "orders=Scheduled request-1=Completed"},
	{"26 the schedule is set, and removed", []scene{
		running, {edit(scheduled), isScheduled}, {edit(func(s *v1.Stream) { s.Spec.Schedule = nil }), isStreaming},
	}, "orders=Running(backfilling=false held=false)" + initial},
	{"two streams share a slot", []scene{
		{func(t *tale) {
			change(t.store, get[*v1.StreamClass](t.store, classes, className), func(c *v1.StreamClass) {
				c.Spec.Backfill = &v1.ClassBackfill{MaxConcurrent: ptr.To[int32](1)}
				c.Generation++
			})
			born()(t)
			must(t.create(newStream(names[1])))
		}, func(t *tale) bool { return ended(t) && isStream(names[1], v1.StreamRunning)(t) }},
	}, "orders=Running(backfilling=false held=false) payments=Running(backfilling=false held=false)" + initial + " payments-initial=Completed"},
}

// probed is a template by which the kubelet may kill the main container.
func probed(t *tale) {
	change(t.store, get[*v1.StreamingJobTemplate](t.store, templates, "std"), func(x *v1.StreamingJobTemplate) {
		toggleProbe(&x.Spec.Spec)
		x.Generation++
	})
}

// marked is a class that declares by what its plugin marks a completion.
func marked(t *tale) {
	change(t.store, get[*v1.StreamClass](t.store, classes, className), func(c *v1.StreamClass) {
		c.Spec.Completion = t.marks()
		c.Generation++
	})
}

func scheduled(s *v1.Stream) { s.Spec.Schedule = ptr.To(neverDue) }

func isScheduled(t *tale) bool {
	return is(v1.StreamScheduled)(t) && len(t.schedule()) == 1
}

func runOfSchedule(t *tale) { t.schedule()[0].do() }

func nothingMore(t *tale) bool {
	_, more := t.next()
	return len(going(t.ops[0])) == 0 && len(t.calmCluster()) == 0 && !more
}

func (t *tale) phaseOf(request string) v1.RequestPhase {
	if q := get[*v1.BackfillRequest](t.store, requests, request); q != nil {
		return q.Status.Phase
	}
	return ""
}

func changeImage(t *tale) {
	change(t.store, get[*v1.StreamingJobTemplate](t.store, templates, "std"), func(x *v1.StreamingJobTemplate) {
		x.Spec.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main", Image: "plugin:2"}}
		x.Generation++
	})
}

func imageRuns(t *tale) bool {
	j := t.job()
	return j != nil && j.Spec.Template.Spec.Containers[0].Image == "plugin:2" && isStreaming(t)
}
