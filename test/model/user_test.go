package model

// This file plays the users: of streams, requests, Jobs and pods, and the
// administrator of class and templates.

import (
	"fmt"
	"regexp"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// names are the streams that may exist.
var names = []string{"orders", "payments"}

// users lists what users may do to streams and requests.
func (w *world) users() []happening {
	var list []happening
	for _, n := range names {
		s := get[*v1.Stream](w.store, streams, n)
		switch {
		case s == nil:
			list = append(list, w.creations(n)...)
		case s.DeletionTimestamp == nil:
			list = append(list, w.onStream(s)...)
		}
	}
	if len(w.byKind[requests]) < 4 {
		list = append(list, w.newRequests()...)
	}
	for _, q := range w.requests() {
		list = append(list, w.onRequest(q)...)
	}
	return list
}

// creations are the ways to create a stream.
func (w *world) creations(name string) []happening {
	create := func(what string, edit func(*v1.Stream)) happening {
		return happening{"user: creates " + what + " stream", name, func() { must(w.create(newStream(name, edit))) }}
	}
	if name != names[0] && len(w.byKind[streams]) == 0 {
		return nil
	}
	return []happening{
		create("a running", func(*v1.Stream) {}),
		create("a suspended", func(s *v1.Stream) { s.Spec.Suspended = true }),
		create("a scheduled", func(s *v1.Stream) { s.Spec.Schedule = ptr.To("*/5 * * * *") }),
		create("a backfill-less", func(s *v1.Stream) { s.Spec.Backfill = &v1.BackfillSpec{Initial: v1.InitialDisabled} }),
	}
}

func (w *world) onStream(s *v1.Stream) []happening {
	edit := func(what string, f func(*v1.Stream)) happening {
		return happening{"user: " + what + " of", s.Name, func() {
			w.edits++
			change(w.store, s, func(next *v1.Stream) {
				annotations := fmt.Sprint(next.Annotations)
				f(next)
				if annotations == fmt.Sprint(next.Annotations) {
					next.Generation++
				}
			})
		}}
	}
	toggle := edit("toggles suspended", func(s *v1.Stream) { s.Spec.Suspended = !s.Spec.Suspended })
	return []happening{
		toggle, toggle, toggle,
		edit("edits the sink", func(s *v1.Stream) { s.Spec.Sink = raw(w.edits) }),
		edit("asks for a restart", func(s *v1.Stream) {
			s.Annotations = mapWith(s.Annotations, v1.AnnotationRestartedAt, fmt.Sprint(w.edits))
		}),
		edit("sets onSpecChange", func(s *v1.Stream) {
			was := ptr.Deref(s.Spec.Backfill, v1.BackfillSpec{})
			b := &v1.BackfillSpec{Initial: was.Initial, OnSpecChange: v1.OnSpecChangeRestart}
			if was.OnSpecChange == v1.OnSpecChangeRestart {
				b.OnSpecChange = v1.OnSpecChangeFinish
			}
			s.Spec.Backfill = b
		}),
		edit("toggles the schedule", func(s *v1.Stream) {
			if s.Spec.Schedule != nil {
				s.Spec.Schedule = nil
				return
			}
			s.Spec.Schedule = ptr.To("*/5 * * * *")
		}),
		edit("edits the schedule", func(s *v1.Stream) {
			if s.Spec.Schedule != nil {
				s.Spec.Schedule = ptr.To(fmt.Sprintf("%d * * * *", w.edits%60))
			}
		}),
		edit("toggles the restart policy", func(s *v1.Stream) {
			if s.Spec.Restart != nil {
				s.Spec.Restart = nil
				return
			}
			s.Spec.Restart = &v1.RestartSpec{Policy: v1.RestartOnFailure, MaxRestarts: ptr.To[int32](2)}
		}),
		edit("names another template", func(s *v1.Stream) {
			s.Spec.JobTemplateRef = other(s.Spec.JobTemplateRef)
		}),
		edit("names another template for backfills", func(s *v1.Stream) {
			s.Spec.BackfillJobTemplateRef = other(s.Spec.BackfillJobTemplateRef)
		}),
		{"user: deletes stream", s.Name, func() { w.put(streams, s.Name, nil) }},
		{"user: deletes in the foreground stream", s.Name, func() { w.foreground(s) }},
	}
}

// other goes round the templates: the default one, a big one.
func other(ref *v1.TemplateReference) *v1.TemplateReference {
	if ref == nil {
		return &v1.TemplateReference{Name: "big"}
	}
	return nil
}

func mapWith(m map[string]string, k, v string) map[string]string {
	next := map[string]string{k: v}
	for key, value := range m {
		if key != k {
			next[key] = value
		}
	}
	return next
}

func (w *world) newRequests() []happening {
	var list []happening
	ask := func(what, stream string, edit func(*v1.BackfillRequest)) {
		list = append(list, happening{"user: requests a backfill " + what + " of", stream, func() { must(w.create(w.newRequest(stream, edit))) }})
	}
	for _, n := range names {
		if w.byKind[streams][n] == nil && n != names[0] {
			continue
		}
		ask("", n, func(*v1.BackfillRequest) {})
		ask("with payload", n, func(q *v1.BackfillRequest) { q.Spec.Payload, q.Spec.StreamClass = raw(w.edits), className })
		ask("with a template", n, func(q *v1.BackfillRequest) { q.Spec.JobTemplateRef = &v1.TemplateReference{Name: "big"} })
		ask("with TTL", n, func(q *v1.BackfillRequest) { q.Spec.TTLSecondsAfterFinished = ptr.To[int32](5) })
		ask("of another class", n, func(q *v1.BackfillRequest) { q.Spec.StreamClass = "other" })
	}
	return list
}

func (w *world) onRequest(q *v1.BackfillRequest) []happening {
	list := []happening{{"user: deletes request", q.Name, func() { w.put(requests, q.Name, nil) }}}
	if !q.Spec.Completed {
		edit := func(what string, f func(*v1.BackfillRequest)) {
			list = append(list, happening{"user: " + what + " of", q.Name, func() {
				w.edits++
				change(w.store, q, func(next *v1.BackfillRequest) {
					f(next)
					next.Generation++
				})
			}})
		}
		edit("cancels", func(q *v1.BackfillRequest) { q.Spec.Completed = true })
		if !w.admission {
			edit("forges a completion", func(q *v1.BackfillRequest) {
				q.Spec.Completed = true
				q.Annotations = mapWith(q.Annotations, v1.AnnotationCompletedBy, w.anyJob())
			})
		}
		edit("edits the payload", func(q *v1.BackfillRequest) { q.Spec.Payload = raw(w.edits) })
	}
	return list
}

// anyJob is the UID of a Job that is there, the best that a forger of a completion can name.
func (w *world) anyJob() string {
	for _, j := range w.jobs() {
		return string(j.UID)
	}
	return "nobody"
}

// marks is by what a class may say that a completion is marked.
func (w *world) marks() *v1.Completion {
	if w.honest {
		return &v1.Completion{Mark: v1.MarkExitCode}
	}
	return &v1.Completion{Mark: v1.MarkTerminationMessage}
}

// newClass is a class as the administrator makes it in this world.
func (w *world) newClass() *v1.StreamClass {
	return newClass(func(s *v1.StreamClassSpec) { s.Completion = w.completion })
}

// administrators list what may happen to class and templates.
func (w *world) administrators() []happening {
	var list []happening
	c := get[*v1.StreamClass](w.store, classes, className)
	if c == nil {
		list = append(list, happening{"admin: creates the class", className, func() { must(w.create(w.newClass())) }})
	} else {
		edit := func(what string, f func(*v1.StreamClassSpec)) happening {
			return happening{"admin: " + what, className, func() {
				change(w.store, c, func(next *v1.StreamClass) {
					f(&next.Spec)
					next.Generation++
				})
			}}
		}
		list = append(list,
			happening{"admin: deletes the class", className, func() { w.put(classes, className, nil) }},
			edit("limits backfills to one", func(s *v1.StreamClassSpec) { s.Backfill = &v1.ClassBackfill{MaxConcurrent: ptr.To[int32](1)} }),
			edit("limits backfills to two", func(s *v1.StreamClassSpec) { s.Backfill = &v1.ClassBackfill{MaxConcurrent: ptr.To[int32](2)} }),
			edit("limits no backfills", func(s *v1.StreamClassSpec) { s.Backfill = nil }),
			edit("toggles the class's template of backfills", func(s *v1.StreamClassSpec) { s.BackfillJobTemplateRef = other(s.BackfillJobTemplateRef) }),
			edit("toggles what marks a completion", func(s *v1.StreamClassSpec) {
				if s.Completion != nil {
					s.Completion = nil
					return
				}
				s.Completion = w.marks()
			}))
	}
	for _, n := range []string{"std", "big"} {
		list = append(list, w.onTemplate(n)...)
	}
	return list
}

func (w *world) onTemplate(name string) []happening {
	t := get[*v1.StreamingJobTemplate](w.store, templates, name)
	if t == nil {
		return []happening{{"admin: creates template", name, func() { must(w.create(newTemplate(name))) }}}
	}
	edit := func(what string, f func(*batchv1.JobSpec)) happening {
		return happening{"admin: " + what + " of template", name, func() {
			w.edits++
			change(w.store, t, func(next *v1.StreamingJobTemplate) {
				f(&next.Spec.Spec)
				next.Generation++
			})
		}}
	}
	return []happening{
		{"admin: deletes template", name, func() { w.put(templates, name, nil) }},
		edit("edits the image", func(s *batchv1.JobSpec) {
			s.Template.Spec.Containers = slices.Clone(s.Template.Spec.Containers)
			s.Template.Spec.Containers[0].Image = fmt.Sprintf("plugin:%d", w.edits)
		}),
		edit("toggles a container beside the main one", toggleBeside),
		edit("toggles a probe", toggleProbe),
		edit("toggles a deadline", func(s *batchv1.JobSpec) {
			if s.ActiveDeadlineSeconds != nil {
				s.ActiveDeadlineSeconds = nil
				return
			}
			s.ActiveDeadlineSeconds = ptr.To[int64](300) // less than a job has to run to count as healthy, or a stream would be retried for ever
		}),
		edit("sets a TTL", func(s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = ptr.To[int32](1) }),
		edit("removes the TTL", func(s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = nil }),
	}
}

// toggleBeside adds a container beside the main one, or takes it away.
func toggleBeside(s *batchv1.JobSpec) {
	if len(s.Template.Spec.Containers) > 1 {
		s.Template.Spec.Containers = s.Template.Spec.Containers[:1:1]
		return
	}
	s.Template.Spec.Containers = append(slices.Clone(s.Template.Spec.Containers), corev1.Container{Name: beside, Image: "log"})
}

// toggleProbe adds something by which the kubelet kills the main container, or takes it away.
func toggleProbe(s *batchv1.JobSpec) {
	s.Template.Spec.Containers = slices.Clone(s.Template.Spec.Containers)
	c := &s.Template.Spec.Containers[0]
	if c.LivenessProbe != nil {
		c.LivenessProbe = nil
		return
	}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}}
}

// meddlers list what people do to Jobs and pods by hand, and nodes to pods.
func (w *world) meddlers() []happening {
	var list []happening
	for _, j := range w.jobs() {
		list = append(list, w.onJob(j)...)
	}
	for _, c := range w.crons() {
		list = append(list,
			happening{"user: deletes in the background cronjob", c.Name, func() { w.put(crons, c.Name, nil) }},
			happening{"user: pauses cronjob", c.Name, func() {
				change(w.store, c, func(next *batchv1.CronJob) {
					next.Spec.Suspend = ptr.To(true)
					next.Generation++
				})
			}})
	}
	for _, p := range w.pods() {
		list = append(list, happening{"user: deletes pod", p.Name, func() { w.removePod(p, graceOf(p)) }})
		if alive(p) {
			list = append(list, happening{"node: evicts pod", p.Name, func() { w.evict(p) }})
		}
	}
	return list
}

func (w *world) onJob(j *batchv1.Job) []happening {
	gone := func(orphan bool) {
		for _, p := range w.pods() {
			if orphan && metav1.IsControlledBy(p, j) {
				change(w.store, p, func(next *corev1.Pod) { next.OwnerReferences = nil })
			}
		}
		w.put(jobs, j.Name, nil)
	}
	list := []happening{
		{"user: deletes in the background job", j.Name, func() { gone(false) }},
		{"user: deletes, and orphans the pods of, job", j.Name, func() { gone(true) }},
	}
	if j.DeletionTimestamp == nil {
		list = append(list, happening{"user: deletes in the foreground job", j.Name, func() { w.foreground(j) }})
	}
	return list
}

// restore puts back what an administrator takes away: there is nothing that a stream could do without it.
func (w *world) restore() {
	for _, n := range []string{"std", "big"} {
		if w.byKind[templates][n] == nil {
			must(w.create(newTemplate(n)))
		}
	}
	if w.byKind[classes][className] == nil {
		must(w.create(w.newClass()))
	}
}

// neverDue is a schedule of the thirtieth of February.
const neverDue = "0 0 30 2 *"

// endSchedules lets no further run fall due. One that does not come is told, and the CronJob
// controller woken, again and again, and the world would never rest.
func (w *world) endSchedules() {
	for _, s := range w.streams() {
		if s.Spec.Schedule == nil {
			continue
		}
		w.happen(happening{"user: ends the schedule of", s.Name, func() {
			change(w.store, s, func(next *v1.Stream) {
				next.Spec.Schedule = ptr.To(neverDue)
				next.Generation++
			})
		}})
	}
}

// way is how a stream says what would help it.
var way = regexp.MustCompile(`kubectl delete (job|cronjob|pod|backfillrequest) (\S+) (?:-n|--namespace) `)

// obey does what a stream that cannot get on says would help it, and tells whether there was anything.
func (w *world) obey() bool {
	for _, s := range w.streams() {
		for _, c := range s.Status.Conditions {
			said := way.FindStringSubmatch(c.Message)
			if said == nil || c.Type != v1.ConditionReady && c.Type != v1.ConditionStalled {
				continue
			}
			k := map[string]kind{"job": jobs, "cronjob": crons, "pod": pods, "backfillrequest": requests}[said[1]]
			o := w.byKind[k][said[2]]
			if o == nil || o.GetDeletionTimestamp() != nil {
				continue
			}
			w.happen(happening{"user: does as the stream says, deletes " + said[1], said[2], func() {
				if k == jobs || k == crons {
					w.foreground(o)
					return
				}
				must(w.remove(o, &client.DeleteOptions{}))
			}})
			return true
		}
	}
	return false
}
