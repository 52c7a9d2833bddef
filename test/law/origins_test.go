// What somebody forged is nobody's but the forger's, whatever it says of itself.

package law

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// created notes in the audit log that a user created an object.
func (t *tape) created(o client.Object, user, agent string) {
	result := Result{Metadata: metav1.ObjectMeta{UID: o.GetUID(), OwnerReferences: o.GetOwnerReferences()}}
	if j, ok := o.(*batchv1.Job); ok {
		result.Spec.Suspend = j.Spec.Suspend
	}
	t.requests = append(t.requests, Request{
		Verb: "create", UserAgent: agent, Impersonated: User{Name: user}, Response: Response{Code: 201},
		Object: ObjectRef{Resource: "jobs", Name: o.GetName(), Namespace: o.GetNamespace()},
		Result: result,
	})
}

func (t *tape) byOperator(o client.Object) {
	t.created(o, "system:serviceaccount:arcane-system:arcane-operator", "arcane-operator/v0")
}

// audited is a life whose jobs the operator created. Its pods have owners, as the Job
// controller makes them, and its jobs the names that the operator gives.
func audited(at map[string]func(*cast)) []Violation {
	story := &tape{}
	acts := map[string]func(*cast){"create": func(c *cast) {
		c.backfill.Name = jobspec.Name("orders", c.stream.UID, streamingv1.KindStream, 1)
		c.streaming.Name = jobspec.Name("orders", c.stream.UID, streamingv1.KindStream, 2)
		for _, job := range []*batchv1.Job{c.backfill, c.streaming} {
			story.byOperator(job)
		}
		own(c.worker, c.backfill)
		own(c.streamer, c.streaming)
		if act := at["create"]; act != nil {
			act(c)
		}
	}}
	for step, act := range at {
		if step != "create" {
			acts[step] = act
		}
	}
	life(story, acts)
	h := story.history()
	h.Audited = true
	return Check(h)
}

func own(p *corev1.Pod, j *batchv1.Job) {
	p.Name = j.Name + "-abcde"
	p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("Job"))}
}

// twin is a copy of a job under another UID.
func twin(j *batchv1.Job, name string) *batchv1.Job {
	copied := j.DeepCopy()
	copied.Name, copied.UID = name, "forged-uid"
	return copied
}

func TestTheAuditLogTellsWhoseAJobIs(t *testing.T) {
	derived := jobspec.Name("orders", aStream().UID, streamingv1.KindStream, 7)
	for name, c := range map[string]struct {
		at   map[string]func(*cast)
		want []want
	}{
		"nothing is forged": {},
		"a forged job is deleted that has a derived name and the stream as its controller": {at: map[string]func(*cast){"stop": func(c *cast) {
			c.tape.put(twin(c.streaming, derived))
			c.tape.asked("delete", "jobs", "", derived)
		}}},
		"a pod that has lost its labels is deleted": {at: map[string]func(*cast){"stop": func(c *cast) {
			c.streamer.Labels = nil
			c.tape.put(c.streamer)
			c.tape.asked("delete", "pods", "", c.streamer.Name)
			c.without("stop", "suspend")
		}}},
		"a pod that has lost its owner is deleted": {at: map[string]func(*cast){"stop": func(c *cast) {
			c.streamer.OwnerReferences = nil
			c.tape.put(c.streamer)
			c.tape.asked("delete", "pods", "", c.streamer.Name)
			c.without("stop", "suspend")
		}}},
		"a forged pod is deleted that has a derived name": {at: map[string]func(*cast){"stop": func(c *cast) {
			c.tape.put(aPod(derived+"-abcde", &batchv1.Job{}))
			c.tape.asked("delete", "pods", "", derived+"-abcde")
		}}},
		"a forged job's success is no reason not to run the backfill": {at: map[string]func(*cast){"create": func(c *cast) {
			forged := twin(c.backfill, "nightly")
			forged.Spec.Suspend = new(false)
			c.tape.put(forged)
			p := aPod("nightly-1", forged)
			own(p, forged)
			succeed(p, noon)
			c.tape.put(p)
			finish(forged, batchv1.JobComplete)
			c.tape.put(forged)
		}}},
		"a stream records a forged job": {at: map[string]func(*cast){"stop": func(c *cast) {
			forged := twin(c.streaming, derived)
			c.tape.put(forged)
			record(c.stream, streamingv1.StreamRunning, forged)
			c.tape.put(c.stream)
		}}, want: []want{{OneWriter, "records job " + derived + ", which is not its own"}}},
		"a request is completed by a forged job": {at: map[string]func(*cast){"complete": func(c *cast) {
			forged := twin(c.backfill, derived)
			c.tape.put(forged)
			complete(c.request, forged)
			c.tape.put(c.request)
			c.without("complete")
		}}, want: []want{{NoneFaked, "of stream orders was completed by job " + derived + " of stream "}}},
		"a forged pod proves a success": {at: map[string]func(*cast){"succeed": func(c *cast) {
			forged := aPod("forged", c.backfill)
			succeed(forged, noon)
			c.tape.put(forged)
			c.without("succeed")
			c.tape.drop(c.worker)
		}}, want: []want{{NoneFaked, "stream orders holds the success"}, {NoneFaked, "no pod of it has done its work undisturbed"}}},
		"a label moves a pod to another job": {at: map[string]func(*cast){"stop": func(c *cast) {
			c.streamer.Labels = map[string]string{batchv1.ControllerUidLabel: "another"}
			c.tape.put(c.streamer)
			c.without("stop")
		}}, want: []want{{Stopped, "became Suspended while pod"}}},
		"a forged job is changed and deleted": {at: map[string]func(*cast){"stop": func(c *cast) {
			forged := twin(c.streaming, "nightly")
			wrote(forged, "", `{"f:spec":{"f:suspend":{}}}`)
			c.tape.created(forged, "mallory", "arcane-operator/v0")
			c.tape.put(forged)
			c.tape.put(twin(c.streaming, derived))
			c.tape.asked("patch", "jobs", "", "nightly")
			c.tape.asked("delete", "jobs", "", "nightly")
			c.tape.asked("patch", "jobs", "", derived)
		}}, want: []want{
			{NotOurs, "wrote f:spec/f:suspend of foreign job nightly"},
			{NotOurs, "no stream has ever had a job of that name"},
			{NotOurs, "no stream has ever had a job of that name"},
			{NotOurs, "no stream has ever had a job of that name"},
		}},
		"a forged run is released": {at: map[string]func(*cast){"stop": func(c *cast) {
			cron := &batchv1.CronJob{ObjectMeta: object("cron")}
			cron.OwnerReferences = c.streaming.OwnerReferences
			c.tape.byOperator(cron)
			forged := twin(c.streaming, "run")
			forged.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
			c.tape.put(forged)
			c.tape.asked("patch", "jobs", "", "run")
			run := twin(forged, "true-run")
			run.UID = "run-uid"
			c.tape.created(run, CronJobController, "kube-controller-manager")
			run.Spec.Suspend = new(true)
			c.tape.put(run)
			c.tape.asked("patch", "jobs", "", "true-run")
		}}, want: []want{{NotOurs, "no stream has ever had a job of that name"}}},
		"a run that somebody made from the schedule is released": {at: map[string]func(*cast){"stop": func(c *cast) {
			cron := &batchv1.CronJob{ObjectMeta: object("cron")}
			cron.OwnerReferences = c.streaming.OwnerReferences
			c.tape.byOperator(cron)
			run := twin(c.streaming, "by-hand")
			run.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
			run.Spec.Template.Spec = corev1.PodSpec{}
			run.Spec.Suspend = new(true)
			c.tape.created(run, "somebody", "kubectl")
			c.tape.put(run)
			c.tape.asked("patch", "jobs", "", "by-hand")
		}}},
		"a run that somebody made from the schedule, and not held, is released": {at: map[string]func(*cast){"stop": func(c *cast) {
			cron := &batchv1.CronJob{ObjectMeta: object("cron")}
			cron.OwnerReferences = c.streaming.OwnerReferences
			c.tape.byOperator(cron)
			run := twin(c.streaming, "by-hand")
			run.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
			run.Spec.Template.Spec, run.Spec.Suspend = corev1.PodSpec{}, new(false)
			c.tape.created(run, "somebody", "kubectl")
			c.tape.put(run)
			c.tape.asked("patch", "jobs", "", "by-hand")
		}}, want: []want{{NotOurs, "no stream has ever had a job of that name"}}},
		"foreign pods are deleted": {at: map[string]func(*cast){"stop": func(c *cast) {
			c.tape.put(aPod("labelled", c.streaming))
			c.tape.asked("delete", "pods", "", "labelled")
			c.tape.asked("delete", "pods", "", c.streamer.Name)
			c.without("stop", "suspend")
		}}, want: []want{{NotOurs, "only pods of the operator's own"}, {NotOurs, "only pods of the operator's own"}}},
		"a user's request is deleted that looks like the operator's": {at: map[string]func(*cast){"stop": func(c *cast) {
			c.request.Annotations[streamingv1.AnnotationMadeBy] = streamingv1.RequestInitial
			c.tape.put(c.request)
			c.tape.asked("delete", "backfillrequests", "", "again")
		}}, want: []want{{UsersOwn, "a user's request was deleted"}}},
	} {
		t.Run(name, func(t *testing.T) {
			found := audited(c.at)
			var got []string
			for _, v := range found {
				got = append(got, v.String())
			}
			if len(got) != len(c.want) {
				t.Fatalf("violations:\n%s\nwant %d", strings.Join(got, "\n"), len(c.want))
			}
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], string(want.law)) || !strings.Contains(got[i], want.text) {
					t.Errorf("got %q, want %s and %q", got[i], want.law, want.text)
				}
			}
		})
	}
}
