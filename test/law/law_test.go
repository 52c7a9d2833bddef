// Every law can fail: a history that keeps all of them, and what each change to it breaks.

package law

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// tape writes a history, one version after the other.
type tape struct {
	versions []Version
	requests []Request
}

func (t *tape) put(o client.Object) {
	clone, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		panic("not an object")
	}
	t.versions = append(t.versions, Version{RV: uint64(len(t.versions) + 1), Object: clone})
}

func (t *tape) drop(o client.Object) {
	t.put(o)
	t.versions[len(t.versions)-1].Deleted = true
}

func (t *tape) history() History { return History{Versions: t.versions, Requests: t.requests} }

func (t *tape) asked(verb, resource, subresource, name string) {
	t.requests = append(t.requests, Request{
		Verb: verb, UserAgent: "arcane-operator/v0 (linux/amd64)", Response: Response{Code: 200},
		Object: ObjectRef{Resource: resource, Subresource: subresource, Name: name, Namespace: "sales"},
	})
}

func object(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "sales", Name: name, UID: types.UID(name + "-uid")}
}

func aStream() *streamingv1.Stream {
	return &streamingv1.Stream{ObjectMeta: object("orders")}
}

func aRequest() *streamingv1.BackfillRequest {
	return &streamingv1.BackfillRequest{
		ObjectMeta: object("again"), Spec: streamingv1.BackfillRequestSpec{StreamID: "orders"},
	}
}

// aJob is held; its request is empty for a streaming job.
func aJob(name string, run int, request *streamingv1.BackfillRequest) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: object(name)}
	j.Annotations = map[string]string{streamingv1.AnnotationRun: fmt.Sprint(run)}
	if request != nil {
		j.Annotations[streamingv1.AnnotationRequestUID] = string(request.UID)
	}
	s := aStream()
	j.OwnerReferences = []metav1.OwnerReference{
		*metav1.NewControllerRef(s, streamingv1.GroupVersion.WithKind(streamingv1.KindStream)),
	}
	j.Spec.Suspend = ptr.To(true)
	return j
}

func aPod(name string, of *batchv1.Job) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: object(name)}
	p.Labels = map[string]string{batchv1.ControllerUidLabel: string(of.UID)}
	p.Status.Phase = corev1.PodPending
	return p
}

func record(s *streamingv1.Stream, phase streamingv1.StreamPhase, j *batchv1.Job) {
	s.Status.Phase, s.Status.Job = phase, nil
	if j != nil {
		s.Status.Job = &streamingv1.JobRecord{Name: j.Name, UID: j.UID}
	}
}

func runs(t *tape, p *corev1.Pod) {
	t.put(p)
	p.Spec.NodeName, p.Status.Phase = "node", corev1.PodRunning
	t.put(p)
}

func succeed(p *corev1.Pod, at time.Time) {
	p.Status.Phase = corev1.PodSucceeded
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(at)}},
	}}
}

// leave gives a pod's container a termination message.
func leave(p *corev1.Pod, message string) {
	p.Status.ContainerStatuses[0].State.Terminated.Message = message
}

var stillRunning = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(noon)}}

func ended(code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(noon)}}
}

// beside gives a running pod two containers, the second of which is the plugin's.
func beside(p *corev1.Pod, plugin, other corev1.ContainerState) {
	p.Spec.Containers = []corev1.Container{{Name: "helper"}, {Name: "plugin"}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "helper", State: other}, {Name: "plugin", State: plugin}}
}

func unproven(r *streamingv1.BackfillRequest, j *batchv1.Job) {
	r.Status.Attempts = append(r.Status.Attempts, streamingv1.Attempt{JobUID: j.UID, Result: streamingv1.AttemptUnproven})
}

func deleting(o client.Object, asked time.Time, grace int64) {
	at := metav1.NewTime(asked.Add(time.Duration(grace) * time.Second))
	o.SetDeletionTimestamp(&at)
	o.SetDeletionGracePeriodSeconds(&grace)
}

func finish(j *batchv1.Job, kind batchv1.JobConditionType) {
	j.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue}}
}

func complete(r *streamingv1.BackfillRequest, by *batchv1.Job) {
	r.Spec.Completed = true
	if by != nil {
		r.Annotations = map[string]string{streamingv1.AnnotationCompletedBy: string(by.UID)}
		wrote(r, "", `{"f:spec":{"f:completed":{}},"f:metadata":{"f:annotations":{"f:`+streamingv1.AnnotationCompletedBy+`":{}}}}`)
	}
}

func wrote(o client.Object, subresource, fields string) {
	entry := metav1.ManagedFieldsEntry{Manager: "arcane-operator", Subresource: subresource, FieldsV1: &metav1.FieldsV1{}}
	entry.FieldsV1.SetRawString(fields)
	o.SetManagedFields(append(o.GetManagedFields(), entry))
}

// life tells a whole one, from a backfill to streaming to suspension. Each step has
// a name, before which a test may let something else happen.
func life(t *tape, interfere map[string]func(*cast)) {
	c := &cast{tape: t, stream: aStream(), request: aRequest()}
	c.backfill = aJob("orders-b", 1, c.request)
	c.streaming = aJob("orders-s", 2, nil)
	c.worker, c.streamer = aPod("orders-b-1", c.backfill), aPod("orders-s-1", c.streaming)
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"create", func() { t.put(c.stream); t.put(c.request); t.put(c.backfill) }},
		{"claim", func() { record(c.stream, streamingv1.StreamBackfilling, c.backfill); t.put(c.stream) }},
		{"release", func() { c.backfill.Spec.Suspend = ptr.To(false); t.put(c.backfill) }},
		{"run", func() { c.request.Status.Phase = streamingv1.RequestRunning; t.put(c.request); runs(t, c.worker) }},
		{"succeed", func() { succeed(c.worker, noon); t.put(c.worker) }},
		{"finish", func() { finish(c.backfill, batchv1.JobComplete); t.put(c.backfill) }},
		{"record", func() { c.stream.Status.Job.Outcome = streamingv1.OutcomeSucceeded; t.put(c.stream) }},
		{"complete", func() { complete(c.request, c.backfill); t.put(c.request) }},
		{"tell", func() { c.request.Status.Phase = streamingv1.RequestCompleted; t.put(c.request) }},
		{"stream", func() {
			t.put(c.streaming)
			record(c.stream, streamingv1.StreamRunning, c.streaming)
			t.put(c.stream)
			c.streaming.Spec.Suspend = ptr.To(false)
			t.put(c.streaming)
			runs(t, c.streamer)
		}},
		{"stop", func() {
			deleting(c.streaming, noon, 30)
			t.put(c.streaming)
			deleting(c.streamer, noon, 30)
			t.put(c.streamer)
			succeed(c.streamer, noon.Add(time.Second))
			t.put(c.streamer)
			t.drop(c.streamer)
			t.drop(c.streaming)
		}},
		{"suspend", func() { record(c.stream, streamingv1.StreamSuspended, nil); t.put(c.stream) }},
	} {
		if act := interfere[step.name]; act != nil {
			act(c)
		}
		if !c.skip[step.name] {
			step.do()
		}
	}
}

// cast is who plays in a life.
type cast struct {
	tape                *tape
	stream              *streamingv1.Stream
	request             *streamingv1.BackfillRequest
	backfill, streaming *batchv1.Job
	worker, streamer    *corev1.Pod
	skip                map[string]bool
}

func (c *cast) without(steps ...string) {
	if c.skip == nil {
		c.skip = map[string]bool{}
	}
	for _, s := range steps {
		c.skip[s] = true
	}
}

func TestALifeThatKeepsTheLaws(t *testing.T) {
	for name, at := range map[string]map[string]func(*cast){
		"as it should be": {},
		"the user cancels": {"succeed": func(c *cast) {
			complete(c.request, nil)
			c.tape.put(c.request)
			c.request.Status.Phase = streamingv1.RequestCancelled
			c.tape.put(c.request)
			c.without("record", "complete", "tell")
		}},
		"the user forges a completion": {"succeed": func(c *cast) {
			complete(c.request, c.backfill)
			c.request.ManagedFields = nil
			c.tape.put(c.request)
			c.request.Status.Phase = streamingv1.RequestCancelled
			c.tape.put(c.request)
			c.without("record", "complete", "tell")
		}},
		"a manifest that says completed: false is applied again": {"stream": func(c *cast) {
			c.request.ManagedFields, c.request.Spec.Completed = nil, false
			c.tape.put(c.request)
		}},
		"an earlier Arcane's request": {"create": func(c *cast) {
			old := aRequest()
			old.Name, old.UID = "old", "old-uid"
			old.Spec.Completed = true
			c.tape.put(old)
			old.Status.Phase = streamingv1.RequestCompleted
			c.tape.put(old)
		}},
		"the pod is cleaned up after its success": {"finish": func(c *cast) {
			deleting(c.worker, noon.Add(time.Second), 30)
			c.tape.put(c.worker)
		}},
		"the operator's own fields": {"tell": func(c *cast) {
			wrote(c.stream, "status", `{"f:status":{"f:phase":{}}}`)
			wrote(c.request, "", `{"f:spec":{"f:completed":{}},"f:metadata":{"f:annotations":{".":{},"f:`+
				streamingv1.AnnotationCompletedBy+`":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"orders-uid\"}":{}}}}`)
		}},
		"the operator's own request": {"create": func(c *cast) {
			c.request.Annotations = map[string]string{streamingv1.AnnotationMadeBy: streamingv1.RequestInitial}
			wrote(c.request, "", `{"f:spec":{"f:streamId":{}}}`)
			c.tape.asked("create", "backfillrequests", "", "again")
		}},
		"an interrupted attempt is run again": {"succeed": func(c *cast) {
			deleting(c.worker, noon.Add(-time.Second), 30)
			c.without("record", "complete", "tell")
		}, "stream": again},
		"a success that vanished before it was recorded is run again": {"record": func(c *cast) {
			c.tape.drop(c.worker)
			c.tape.drop(c.backfill)
			c.without("record", "complete", "tell")
		}, "stream": again},
		"a completion beside a container that never ends": {"succeed": func(c *cast) {
			beside(c.worker, ended(0), stillRunning)
			c.tape.put(c.worker)
			c.tape.asked("delete", "pods", "", c.worker.Name)
			c.without("succeed", "finish")
		}, "stream": func(c *cast) {
			c.tape.drop(c.worker)
			c.tape.drop(c.backfill)
		}},
		"a marked completion of a pod that is deleted": {"succeed": func(c *cast) {
			deleting(c.worker, noon.Add(-time.Second), 30)
			succeed(c.worker, noon)
			leave(c.worker, "bye\n"+streamingv1.DefaultTerminationMessage)
			c.tape.put(c.worker)
			c.without("succeed")
		}},
		"an unproven attempt is run again": {"record": func(c *cast) {
			unproven(c.request, c.backfill)
			c.tape.put(c.request)
			c.without("record", "complete", "tell")
		}, "stream": again},
		"an unproven completion fails the stream and is run again": {"record": func(c *cast) {
			c.stream.Status.Failure = &streamingv1.Failure{JobUID: c.backfill.UID, Reason: string(streamingv1.ReasonCompletionUnproven)}
			c.tape.put(c.stream)
			c.stream.Status.Failure = nil
			c.without("record", "complete", "tell")
		}, "stream": again},
		"a pod whose plugin failed beside a container that never ends is deleted": {"succeed": func(c *cast) {
			beside(c.worker, ended(20), stillRunning)
			c.tape.put(c.worker)
			c.tape.asked("delete", "pods", "", c.worker.Name)
			c.worker.Status.Phase = corev1.PodFailed
			c.tape.put(c.worker)
			c.without("succeed", "finish", "record", "complete", "tell", "stream", "stop", "suspend")
		}},
		"a foreign job": {"create": func(c *cast) {
			foreign := &batchv1.Job{ObjectMeta: object("foreign")}
			c.tape.put(foreign)
			c.tape.drop(foreign)
		}},
		"the TTL after the record": {"complete": func(c *cast) {
			c.backfill.Spec.TTLSecondsAfterFinished = ptr.To(int32(1))
			c.tape.put(c.backfill)
		}},
		"a request that its user lets expire": {"suspend": func(c *cast) {
			c.request.Spec.TTLSecondsAfterFinished = ptr.To(int32(1))
			c.tape.put(c.request)
			c.tape.asked("delete", "backfillrequests", "", "again")
		}},
		"all that the operator may ask for": {"suspend": func(c *cast) {
			c.tape.asked("patch", "streams", "status", "orders")
			c.tape.asked("patch", "backfillrequests", "", "again")
			c.tape.asked("patch", "backfillrequests", "status", "again")
			c.tape.asked("create", "jobs", "", "orders-s")
			c.tape.asked("patch", "jobs", "", "orders-s")
			c.tape.asked("delete", "jobs", "", "orders-s")
			c.tape.asked("delete", "pods", "", "orders-s-1")
			c.tape.asked("create", "events", "", "")
			c.tape.asked("list", "secrets", "", "")
			c.tape.asked("patch", "streams", "", "orders")
			c.tape.requests[len(c.tape.requests)-1].Response.Code = 409
			c.tape.asked("patch", "streams", "", "orders")
			c.tape.requests[len(c.tape.requests)-1].UserAgent = "kubectl/v1"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			story := &tape{}
			life(story, at)
			for _, v := range Check(story.history()) {
				t.Error(v)
			}
		})
	}
}

// again runs another backfill for the same request, with success.
func again(c *cast) {
	second := aJob("orders-b2", 2, c.request)
	c.streaming.Annotations[streamingv1.AnnotationRun] = "3"
	c.tape.put(second)
	record(c.stream, streamingv1.StreamBackfilling, second)
	c.tape.put(c.stream)
	second.Spec.Suspend = ptr.To(false)
	c.tape.put(second)
	p := aPod("orders-b2-1", second)
	runs(c.tape, p)
	succeed(p, noon)
	c.tape.put(p)
	finish(second, batchv1.JobComplete)
	c.tape.put(second)
	c.stream.Status.Job.Outcome = streamingv1.OutcomeSucceeded
	c.tape.put(c.stream)
	complete(c.request, second)
	c.tape.put(c.request)
}

func TestEveryLawCanBeBroken(t *testing.T) {
	for name, b := range breaches {
		t.Run(name, func(t *testing.T) {
			story := &tape{}
			life(story, b.at)
			var got []string
			for _, v := range Check(story.history()) {
				got = append(got, v.String())
			}
			if len(got) != len(b.want) {
				t.Fatalf("violations:\n%s\nwant %d", strings.Join(got, "\n"), len(b.want))
			}
			for i, want := range b.want {
				if !strings.HasPrefix(got[i], string(want.law)) || !strings.Contains(got[i], want.text) {
					t.Errorf("got %q, want %s and %q", got[i], want.law, want.text)
				}
			}
		})
	}
}

type want struct {
	law  Law
	text string
}

type breach struct {
	at   map[string]func(*cast)
	want []want
}

var breaches = map[string]breach{
	"two pods of two jobs": {
		map[string]func(*cast){"stop": func(c *cast) {
			stray := aPod("left-over", c.backfill)
			runs(c.tape, stray)
			c.tape.drop(stray)
		}},
		[]want{{OneWriter, "pod left-over of stream sales/orders came alive while pod orders-s-1"}},
	},
	"a job is released while another runs": {
		map[string]func(*cast){"finish": func(c *cast) {
			c.without("finish", "record", "complete", "tell")
			c.request.Status.Phase = ""
		}},
		[]want{{OneWriter, "job orders-s of stream sales/orders was released while job orders-b ran"}},
	},
	"a job is released while a pod of a vanished one lives": {
		map[string]func(*cast){"succeed": func(c *cast) {
			c.without("succeed", "finish", "record", "complete", "tell")
			c.tape.drop(c.backfill)
		}},
		[]want{
			{OneWriter, "job orders-s of stream sales/orders was released while pod orders-b-1"},
			{OneWriter, "pod orders-s-1 of stream sales/orders came alive while pod orders-b-1"},
			{Stopped, "became Suspended while pod orders-b-1 lived"},
		},
	},
	"a job is released that was not recorded": {
		map[string]func(*cast){"claim": func(c *cast) {
			c.without("claim", "record", "complete", "tell")
		}},
		[]want{{OneWriter, "job orders-b of stream sales/orders was released and is not the one"}},
	},
	"a run number comes again": {
		map[string]func(*cast){"stream": func(c *cast) { c.streaming.Annotations[streamingv1.AnnotationRun] = "1" }},
		[]want{{OneWriter, "has run 1, job orders-b before it had 1"}},
	},
	"a job without a run number": {
		map[string]func(*cast){"stream": func(c *cast) { c.streaming.Annotations = nil }},
		[]want{{OneWriter, "has no run number"}},
	},
	"suspended with a living pod": {
		map[string]func(*cast){"stop": func(c *cast) { c.without("stop") }},
		[]want{{Stopped, "became Suspended while pod orders-s-1 lived"}},
	},
	"completed by an unknown job": {
		map[string]func(*cast){"complete": func(c *cast) { c.backfill.UID = "never-seen" }},
		[]want{{NoneFaked, "by job never-seen, which nobody has seen"}},
	},
	"completed by the streaming job's exit": {
		map[string]func(*cast){"succeed": func(c *cast) {
			other := aJob("other", 1, nil)
			c.tape.put(other)
			complete(c.request, other)
			c.tape.put(c.request)
			c.without("record", "complete", "tell")
		}},
		[]want{{NoneFaked, `by job other, which was started for request ""`}},
	},
	"completed by another stream's job": {
		map[string]func(*cast){"create": func(c *cast) { c.request.Spec.StreamID = "invoices" }},
		[]want{{NoneFaked, "request again of stream invoices was completed by job orders-b of stream sales/orders"}},
	},
	"completed while the job still runs": {
		map[string]func(*cast){"finish": func(c *cast) { c.without("record"); complete(c.request, c.backfill); c.tape.put(c.request) }},
		[]want{{NoneFaked, "cannot be trusted (it was never Complete"}},
	},
	"completed after the job was deleted": {
		map[string]func(*cast){"finish": func(c *cast) { deleting(c.backfill, noon, 0) }},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "cannot be trusted (it was never Complete"}},
	},
	"completed by a pod that was told to end": {
		map[string]func(*cast){"succeed": func(c *cast) { deleting(c.worker, noon.Add(-time.Second), 30) }},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "no pod of it has done its work undisturbed"}},
	},
	"completed by a pod that was told to end in the very second": {
		map[string]func(*cast){"succeed": func(c *cast) { deleting(c.worker, noon, 30) }},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "no pod of it has done its work undisturbed"}},
	},
	"completed by a pod whose deletion has no grace left": {
		map[string]func(*cast){"succeed": func(c *cast) { deleting(c.worker, noon.Add(time.Second), 0) }},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "no pod of it has done its work undisturbed"}},
	},
	"completed by a pod that was evicted": {
		map[string]func(*cast){"succeed": func(c *cast) {
			c.worker.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
		}},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "no pod of it has done its work undisturbed"}},
	},
	"completed by a pod that the kubelet ended": {
		map[string]func(*cast){"succeed": func(c *cast) {
			succeed(c.worker, noon)
			leave(c.worker, "bye\n"+script.CutShort)
			c.tape.put(c.worker)
			c.without("succeed")
		}},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "no pod of it has done its work undisturbed"}},
	},
	"completed when the plugin has ended alone and the pod not yet": {
		map[string]func(*cast){"succeed": func(c *cast) {
			succeed(c.worker, noon)
			c.worker.Status.Phase = corev1.PodRunning
			c.tape.put(c.worker)
			c.without("succeed", "finish")
		}, "stream": func(c *cast) {
			c.tape.drop(c.worker)
			c.tape.drop(c.backfill)
		}},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "cannot be trusted (it was never Complete"}},
	},
	"completed while the plugin runs beside a container that has ended": {
		map[string]func(*cast){"succeed": func(c *cast) {
			beside(c.worker, stillRunning, ended(0))
			c.tape.put(c.worker)
			c.without("succeed", "finish")
		}, "stream": func(c *cast) {
			c.tape.drop(c.worker)
			c.tape.drop(c.backfill)
		}},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "cannot be trusted"}},
	},
	"completed beside a container that runs on, when its job was being deleted": {
		map[string]func(*cast){"succeed": func(c *cast) {
			deleting(c.backfill, noon, 0)
			c.tape.put(c.backfill)
			beside(c.worker, ended(0), stillRunning)
			c.tape.put(c.worker)
			c.without("succeed", "finish")
		}, "stream": func(c *cast) {
			c.tape.drop(c.worker)
			c.tape.drop(c.backfill)
		}},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "cannot be trusted (it was never Complete"}},
	},
	"completed by a plugin that failed beside a container that succeeded": {
		map[string]func(*cast){"succeed": func(c *cast) {
			beside(c.worker, ended(1), ended(0))
			c.tape.put(c.worker)
			c.without("succeed")
		}, "stream": func(c *cast) { c.tape.drop(c.worker) }},
		[]want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "no pod of it has done its work undisturbed"}},
	},
	"a marked completion is called unproven": {
		map[string]func(*cast){"record": func(c *cast) {
			leave(c.worker, streamingv1.DefaultTerminationMessage)
			c.tape.put(c.worker)
			unproven(c.request, c.backfill)
			c.tape.put(c.request)
		}},
		[]want{{NoneRepeated, "request again calls job orders-b unproven, whose pod orders-b-1 is marked as complete"}},
	},
	"a pod is deleted whose plugin runs": {
		map[string]func(*cast){"succeed": func(c *cast) {
			c.tape.asked("delete", "pods", "", c.worker.Name)
		}},
		[]want{{NotOurs, "only pods of the operator's own jobs"}},
	},
	"a success nobody has seen": {
		map[string]func(*cast){"complete": func(c *cast) {
			c.stream.Status.Job.UID = "never-seen"
			c.tape.put(c.stream)
		}},
		[]want{{NoneFaked, "holds the success of job orders-b, which nobody has seen"}},
	},
	"completed by the operator without a name": {
		map[string]func(*cast){"complete": func(c *cast) {
			complete(c.request, nil)
			wrote(c.request, "", `{"f:spec":{"f:completed":{}}}`)
			c.tape.put(c.request)
			c.without("complete", "tell")
		}},
		[]want{{NoneFaked, "was completed by the operator, which names no job"}},
	},
	"the annotation apart from the field": {
		map[string]func(*cast){"complete": func(c *cast) {
			complete(c.request, c.backfill)
			c.request.Spec.Completed = false
			c.tape.put(c.request)
			c.without("complete", "tell")
		}},
		[]want{{NoneFaked, "apart from spec.completed"}},
	},
	"a forged completion is believed": {
		map[string]func(*cast){"succeed": func(c *cast) {
			complete(c.request, nil)
			c.request.Annotations = map[string]string{streamingv1.AnnotationCompletedBy: "forged"}
			c.tape.put(c.request)
			c.request.Status.Phase = streamingv1.RequestCompleted
			c.tape.put(c.request)
			c.without("record", "complete", "tell")
		}},
		[]want{{NoneFaked, "was completed by job forged, which nobody has seen"}},
	},
	"one that was never begun is completed": {
		map[string]func(*cast){"claim": func(c *cast) {
			complete(c.request, nil)
			c.tape.put(c.request)
			c.request.Status.Phase = streamingv1.RequestCompleted
			c.tape.put(c.request)
			c.without("run", "record", "complete", "tell")
		}},
		[]want{{NoneFaked, "was cancelled and has the phase Completed"}, {NoneRepeated, "job orders-b was released for request again, which was completed"}},
	},
	"completed again after its end": {
		map[string]func(*cast){"stream": func(c *cast) {
			c.request.ManagedFields, c.request.Spec.Completed = nil, false
			c.tape.put(c.request)
			complete(c.request, c.backfill)
			c.tape.put(c.request)
		}},
		[]want{{NoneFaked, "was completed by the operator after its end"}},
	},
	"repeated after its end was set back": {
		map[string]func(*cast){"stream": func(c *cast) {
			c.request.ManagedFields, c.request.Spec.Completed = nil, false
			c.tape.put(c.request)
			c.backfill.Annotations = nil
			again(c)
		}},
		[]want{
			{NoneRepeated, "job orders-b2 was released for request again, which was completed"},
			{NoneFaked, "was completed by the operator after its end"},
		},
	},
	"no longer completed": {
		map[string]func(*cast){"stop": func(c *cast) { c.request.Spec.Completed = false; c.tape.put(c.request) }},
		[]want{{NoneFaked, "is no longer completed"}},
	},
	"a final phase of a request that goes on": {
		map[string]func(*cast){"succeed": func(c *cast) {
			c.request.Status.Phase = streamingv1.RequestCancelled
			c.tape.put(c.request)
			c.without("tell")
			c.request.Status.Phase = streamingv1.RequestRunning
		}},
		[]want{{NoneFaked, "has the phase Cancelled and is not completed"}, {NoneFaked, "was completed by the operator after its end"}},
	},
	"a cancelled request is called Completed": {
		map[string]func(*cast){"complete": func(c *cast) { complete(c.request, nil); c.tape.put(c.request); c.without("complete") }},
		[]want{{NoneFaked, "was cancelled and has the phase Completed"}},
	},
	"a completed request is called Cancelled": {
		map[string]func(*cast){"tell": func(c *cast) {
			c.request.Status.Phase = streamingv1.RequestCancelled
			c.tape.put(c.request)
			c.without("tell")
		}},
		[]want{{NoneFaked, "was completed and has the phase Cancelled"}},
	},
	"repeated after its success was recorded": {
		map[string]func(*cast){"complete": func(c *cast) { c.without("complete", "tell") }, "stream": again},
		[]want{{NoneRepeated, "job orders-b2 was released for a request that job orders-b had served"}},
	},
	"repeated while its success was there to be seen": {
		map[string]func(*cast){"record": func(c *cast) { c.without("record", "complete", "tell") }, "stream": again},
		[]want{{NoneRepeated, "job orders-b2 was released for a request that job orders-b had served"}},
	},
	"repeated after its completion": {
		map[string]func(*cast){"stream": func(c *cast) { c.backfill.Annotations = nil; again(c) }},
		[]want{
			{NoneRepeated, "job orders-b2 was released for request again, which was completed"},
			{NoneFaked, "apart from spec.completed"},
		},
	},
	"a job that may vanish before its outcome is recorded": {
		map[string]func(*cast){"create": func(c *cast) { c.backfill.Spec.TTLSecondsAfterFinished = ptr.To(int32(1)) }},
		[]want{{NoneRepeated, "before its outcome was recorded"}},
	},
	"the user's spec": {
		map[string]func(*cast){"stream": func(c *cast) { wrote(c.stream, "", `{"f:spec":{"f:suspended":{}}}`) }},
		[]want{{UsersOwn, "wrote f:spec/f:suspended of stream orders"}},
	},
	"the user's request": {
		map[string]func(*cast){"complete": func(c *cast) {
			wrote(c.request, "", `{"f:spec":{"f:completed":{},"f:payload":{}},"f:metadata":{"f:labels":{".":{},"f:a":{}}}}`)
		}},
		[]want{{UsersOwn, "wrote f:metadata/f:labels/f:a of request again"}, {UsersOwn, "wrote f:spec/f:payload of request again"}},
	},
	"the user's stream plugin": {
		map[string]func(*cast){"suspend": func(c *cast) {
			p := &streamingv1.StreamPlugin{ObjectMeta: object("postgres")}
			wrote(p, "", `{"f:metadata":{"f:finalizers":{".":{},"v:\"x\"":{}}},"f:spec":{"f:version":{}}}`)
			p.Status.Objects = []streamingv1.PluginObject{{APIVersion: "v1", Kind: "ServiceAccount", Name: "arcane-plugin-postgres"}}
			c.tape.put(p)
			c.tape.asked("patch", "streamplugins", "", "postgres")
			c.tape.asked("delete", "streamplugins", "", "postgres")
			c.tape.asked("create", "serviceaccounts", "", "arcane-plugin-postgres")
			c.tape.asked("patch", "serviceaccounts", "", "default")
			c.tape.asked("delete", "configmaps", "", "somebody-elses")
			c.tape.asked("patch", "streamingjobtemplates", "", "somebody-elses")
		}},
		[]want{
			{UsersOwn, "wrote f:spec/f:version of stream plugin postgres"},
			{UsersOwn, "only the status and the finalizer"},
			{NotOurs, "no StreamPlugin has ever installed"},
			{NotOurs, "no StreamPlugin has ever installed"},
			{NotOurs, "no StreamPlugin has ever installed"},
		},
	},
	"unreadable ownership": {
		map[string]func(*cast){"complete": func(c *cast) { wrote(c.request, "", `[]`) }},
		[]want{{UsersOwn, "unreadable"}},
	},
	"a pod": {
		map[string]func(*cast){"succeed": func(c *cast) { wrote(c.worker, "", `{"f:metadata":{"f:finalizers":{}}}`) }},
		[]want{{UsersOwn, "wrote f:metadata/f:finalizers of pod orders-b-1"}},
	},
	"a foreign job is adopted": {
		map[string]func(*cast){"create": func(c *cast) {
			foreign := &batchv1.Job{ObjectMeta: object("foreign")}
			wrote(foreign, "", `{"f:metadata":{"f:labels":{"f:a":{}}}}`)
			c.tape.put(foreign)
		}},
		[]want{{NotOurs, "wrote f:metadata/f:labels/f:a of foreign job foreign"}},
	},
	"forbidden requests": {
		map[string]func(*cast){"suspend": func(c *cast) {
			foreign := &batchv1.Job{ObjectMeta: object("foreign")}
			c.tape.put(foreign)
			c.tape.put(aPod("foreign-1", foreign))
			c.tape.put(aPod("orders-b-2", c.backfill))
			c.tape.asked("patch", "streams", "", "orders")
			c.tape.asked("update", "streamclasses", "", "scripted")
			c.tape.asked("delete", "backfillrequests", "", "again")
			c.tape.asked("delete", "jobs", "", "foreign")
			c.tape.asked("patch", "jobs", "status", "orders-s")
			c.tape.asked("deletecollection", "jobs", "", "")
			c.tape.asked("patch", "pods", "", "orders-s-1")
			c.tape.asked("delete", "pods", "", "foreign-1")
			c.tape.asked("delete", "pods", "", "orders-b-2")
			c.tape.asked("create", "secrets", "", "x")
			c.tape.asked("deletecollection", "backfillrequests", "", "")
			c.tape.asked("patch", "jobs", "", "orders-s")
			c.tape.requests[len(c.tape.requests)-1].Response.Code = 403
		}},
		[]want{
			{UsersOwn, "only the status"},
			{UsersOwn, "only the status"},
			{UsersOwn, "a user's request was deleted"},
			{NotOurs, "no stream has ever had a job of that name"},
			{NotOurs, "a job's status"},
			{NotOurs, "a whole collection"},
			{NotOurs, "a pod may only be deleted"},
			{NotOurs, "only pods of the operator's own jobs"},
			{NotOurs, "only pods of the operator's own jobs"},
			{NotOurs, "no business with secrets"},
			{NotOurs, "a whole collection"},
			{Entitled, "forbidden"},
		},
	},
}

// The order of the record is that of the cluster, whatever the order of its arrival.
func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	story := &tape{}
	life(story, nil)
	h := story.history()
	slices.Reverse(h.Versions)
	for _, v := range Check(h) {
		t.Error(v)
	}
}

func TestARequestAfterTheEndIsNotJudged(t *testing.T) {
	late := Request{
		Verb: "delete", UserAgent: Operator, Response: Response{Code: 200}, ReceivedAt: time.Unix(20, 0),
		Object: ObjectRef{Resource: "jobs", Name: "not-seen-yet"},
	}
	if found := Check(History{Requests: []Request{late}, Until: time.Unix(30, 0)}); len(found) != 1 {
		t.Errorf("a request before the end: %v, want one violation", found)
	}
	if found := Check(History{Requests: []Request{late}, Until: time.Unix(10, 0)}); len(found) != 0 {
		t.Errorf("a request after the end: %v, want none", found)
	}
}
