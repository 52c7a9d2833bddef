// The cluster as it was at one moment of a history.

package law

import (
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// world holds the last version of everything so far, and of each thing what its
// earlier versions have proved. Slices keep the order of appearance.
type world struct {
	streams  []*stream
	requests []*request
	jobs     []*job
	pods     []*pod
	// plugins are the StreamPlugins as they were last, and installed what any of them has ever recorded.
	plugins   map[types.UID]*streamingv1.StreamPlugin
	installed map[installation]bool
	// origins say who created what.
	origins origins
}

// installation is an object that a StreamPlugin has installed.
type installation struct{ resource, name string }

type stream struct {
	object *streamingv1.Stream
	gone   bool
}

type request struct {
	object *streamingv1.BackfillRequest
	gone   bool
	// wasLive: it was seen before it was completed, so its end must be accounted for.
	wasLive bool
	// ours: the operator created it. Annotations and owners prove nothing: its user may write them.
	ours bool
}

type job struct {
	object *batchv1.Job
	gone   bool
	// owner is the stream that the job belongs to; zero for a foreign job.
	owner types.NamespacedName
	// ownerUID of that stream.
	ownerUID types.UID
	// claims is the UID of the controller that it was created with, true or not.
	claims types.UID
	// released: it was unfinished and not suspended at some time.
	released bool
	// complete: it was Complete and had no deletionTimestamp before.
	complete bool
	// recorded: the stream's status has held its success.
	recorded bool
	// unproven: the operator has said that nothing proves its success.
	unproven bool
}

type pod struct {
	object *corev1.Pod
	gone   bool
	job    types.UID
	// born is its first version, and stripped tells that it has lost a part of what that said.
	born     *corev1.Pod
	stripped bool
	// succeeded: its plugin has done its work, and nobody was ending the pod.
	succeeded bool
	// marked: its plugin has done its work and said so, whoever was ending the pod.
	marked bool
	// lingered: its plugin had ended and another container ran on, while nobody was ending the pod or its job. Such a job
	// never ends by itself.
	lingered bool
}

// change is a version and what was there before it.
type change struct {
	Version
	// before is the version before; nil where the object is new.
	before client.Object
}

func newWorld(from origins) *world {
	return &world{plugins: map[types.UID]*streamingv1.StreamPlugin{}, installed: map[installation]bool{}, origins: from}
}

// apply moves the world on by one version.
func (w *world) apply(v Version) change {
	c := change{Version: v}
	switch o := v.Object.(type) {
	case *streamingv1.Stream:
		c.before = w.applyStream(o, v.Deleted)
	case *streamingv1.BackfillRequest:
		c.before = w.applyRequest(o, v.Deleted)
	case *streamingv1.StreamPlugin:
		c.before = w.applyPlugin(o)
	case *batchv1.Job:
		c.before = w.applyJob(o, v.Deleted)
	case *corev1.Pod:
		c.before = w.applyPod(o, v.Deleted)
	}
	return c
}

func (w *world) applyPlugin(o *streamingv1.StreamPlugin) client.Object {
	var before client.Object
	if last := w.plugins[o.UID]; last != nil {
		before = last
	}
	w.plugins[o.UID] = o
	for _, i := range o.Status.Objects {
		resource, _ := meta.UnsafeGuessKindToResource(schema.FromAPIVersionAndKind(i.APIVersion, i.Kind))
		w.installed[installation{resource.Resource, i.Name}] = true
	}
	return before
}

func (w *world) applyStream(o *streamingv1.Stream, gone bool) client.Object {
	s := w.streamByUID(o.UID)
	if s == nil {
		w.streams = append(w.streams, &stream{object: o, gone: gone})
		return nil
	}
	before := s.object
	s.object, s.gone = o, gone
	if f := o.Status.Failure; f != nil && f.Reason == string(streamingv1.ReasonCompletionUnproven) {
		w.callUnproven(f.JobUID)
	}
	return before
}

func (w *world) applyRequest(o *streamingv1.BackfillRequest, gone bool) client.Object {
	r := w.request(o.UID)
	if r == nil {
		r = &request{}
		w.requests = append(w.requests, r)
	}
	var before client.Object
	if r.object != nil {
		before = r.object
	}
	r.object, r.gone = o, gone
	ours := before == nil && operatorWrote(o, "f:spec", "f:streamId")
	if w.origins.known {
		_, ours = w.origins.operator[o.UID]
	}
	r.ours = r.ours || ours
	r.wasLive = r.wasLive || !o.Spec.Completed
	for _, attempt := range o.Status.Attempts {
		if attempt.Result == streamingv1.AttemptUnproven {
			w.callUnproven(attempt.JobUID)
		}
	}
	return before
}

func (w *world) callUnproven(uid types.UID) {
	if j := w.job(uid); j != nil {
		j.unproven = true
	}
}

func (w *world) applyJob(o *batchv1.Job, gone bool) client.Object {
	j := w.job(o.UID)
	if j == nil {
		j = &job{}
		w.jobs = append(w.jobs, j)
	}
	var before client.Object
	if j.object != nil {
		before = j.object
	}
	j.object, j.gone = o, gone
	owner := metav1.GetControllerOf(o)
	if before == nil && owner != nil {
		j.claims = owner.UID
	}
	// Of a creation that nobody answered the log holds no UID: where nobody else created it, it is the operator's.
	asked := w.origins.unanswered[types.NamespacedName{Namespace: o.Namespace, Name: o.Name}] && !w.origins.others[o.UID]
	if w.origins.known && !asked {
		owner = w.origins.ownerOf(o.UID)
	}
	if owner != nil && ofStream(owner) {
		// Kept when an orphaning delete of the stream takes the reference away.
		j.owner, j.ownerUID = types.NamespacedName{Namespace: o.Namespace, Name: owner.Name}, owner.UID
	} else if owner != nil && owner.Kind == "CronJob" {
		w.ownRun(j)
	}
	if !gone {
		j.released = j.released || running(o)
		j.complete = j.complete || hasCondition(o, batchv1.JobComplete) && o.DeletionTimestamp == nil
	}
	return before
}

// ownRun finds the stream of a run that a CronJob has made: the labels say its name.
func (w *world) ownRun(j *job) {
	for _, s := range w.streams {
		if !s.gone && j.ownerUID == "" && s.object.Name == j.object.Labels[streamingv1.LabelStreamID] {
			j.owner, j.ownerUID = types.NamespacedName{Namespace: s.object.Namespace, Name: s.object.Name}, s.object.UID
		}
	}
}

func ofStream(owner *metav1.OwnerReference) bool {
	return owner.Kind == streamingv1.KindStream && owner.APIVersion == streamingv1.GroupVersion.String()
}

func (w *world) applyPod(o *corev1.Pod, gone bool) client.Object {
	p := w.pod(o.UID)
	if p == nil {
		p = &pod{}
		w.pods = append(w.pods, p)
	}
	var before client.Object
	if p.object != nil {
		before = p.object
	}
	p.object, p.gone = o, gone
	p.strip(o)
	owner := metav1.GetControllerOf(p.born)
	switch uid := o.Labels[batchv1.ControllerUidLabel]; {
	case w.origins.known:
		// The Job controller creates a pod with its owner. What is patched later proves nothing.
		if owner != nil && owner.Kind == "Job" {
			p.job = owner.UID
		}
	case uid != "": // The label outlives an orphaning delete of the Job, the owner reference does not.
		p.job = types.UID(uid)
	case owner != nil && owner.Kind == "Job":
		p.job = owner.UID
	}
	if gone {
		return before
	}
	end := pluginEnd(o)
	done := end != nil && end.ExitCode == 0 && !says(end, script.CutShort)
	p.succeeded = p.succeeded || done && undisturbed(o, end)
	p.marked = p.marked || done && says(end, streamingv1.DefaultTerminationMessage)
	p.lingered = p.lingered || end != nil && runsOn(o) && w.isLeftAlone(p)
	return before
}

// pluginEnd is how a pod's plugin has ended; nil while it runs.
func pluginEnd(p *corev1.Pod) *corev1.ContainerStateTerminated {
	var plugin string
	if len(p.Spec.Containers) > 0 {
		plugin = p.Spec.Containers[given.MainContainer(p.Spec.Containers)].Name
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == plugin {
			return c.State.Terminated
		}
	}
	return nil
}

// runsOn tells whether a container of a pod runs. A kubelet reports the end of the last one before it reports that of the pod.
func runsOn(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Running != nil })
}

// says tells whether a container's termination message has a line. The scripted plugin's says what it alone knows: that
// it has done its work, or that SIGTERM came before. A kubelet that sends SIGTERM for a failed probe or an exceeded limit
// leaves no other trace in the pod.
func says(end *corev1.ContainerStateTerminated, line string) bool {
	return slices.Contains(strings.Split(end.Message, "\n"), line)
}

// undisturbed tells whether a plugin's end is its own: nobody was ending its pod.
func undisturbed(p *corev1.Pod, end *corev1.ContainerStateTerminated) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return false
		}
	}
	if p.DeletionTimestamp == nil {
		return true
	}
	if p.DeletionGracePeriodSeconds == nil || *p.DeletionGracePeriodSeconds == 0 {
		// The kubelet deletes a pod that has ended once more, without grace, and the
		// API server then moves the timestamp of one that finalizers hold to that moment.
		return false
	}
	asked := p.DeletionTimestamp.Add(-time.Duration(*p.DeletionGracePeriodSeconds) * time.Second)
	// Times are whole seconds; within the same one the order is unknown, and what
	// is unknown is not trusted.
	return end.FinishedAt.Time.Before(asked)
}

// isLeftAlone tells whether nobody is ending a pod or its job.
func (w *world) isLeftAlone(p *pod) bool {
	j := w.job(p.job)
	return p.object.DeletionTimestamp == nil && j != nil && !j.gone && j.object.DeletionTimestamp == nil
}

// trusted tells whether a backfill's success has been proved so far.
func (w *world) trusted(j *job) bool {
	return w.podOf(j, func(p *pod) bool { return p.marked }) != nil || w.proved(j) != nil
}

// proved is the pod that proves a job's success without a mark.
func (w *world) proved(j *job) *pod {
	return w.podOf(j, func(p *pod) bool { return p.succeeded && (j.complete || p.lingered) })
}

// podOf is a job's first pod that is so.
func (w *world) podOf(j *job, so func(*pod) bool) *pod {
	return first(w.pods, func(p *pod) bool { return p.job == j.object.UID && so(p) })
}

func (w *world) streamByUID(uid types.UID) *stream {
	return first(w.streams, func(s *stream) bool { return s.object.UID == uid })
}

func (w *world) request(uid types.UID) *request {
	return first(w.requests, func(r *request) bool { return r.object.UID == uid })
}

func (w *world) job(uid types.UID) *job {
	return first(w.jobs, func(j *job) bool { return j.object.UID == uid })
}

func (w *world) pod(uid types.UID) *pod {
	return first(w.pods, func(p *pod) bool { return p.object.UID == uid })
}

// first is the first of these that is so; nil where none is.
func first[T any](all []*T, so func(*T) bool) *T {
	if i := slices.IndexFunc(all, so); i >= 0 {
		return all[i]
	}
	return nil
}

// ownerOf is the stream that a pod belongs to; zero where it is none's.
func (w *world) ownerOf(p *pod) types.NamespacedName {
	if j := w.job(p.job); j != nil {
		return j.owner
	}
	return types.NamespacedName{}
}

// alive: a process of the pod may be running.
func (p *pod) alive() bool { return !p.gone && podAlive(p.object) }

func podAlive(p *corev1.Pod) bool {
	ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	return p.Spec.NodeName != "" && !ended
}

// running: the job controller may start pods of it.
func (j *job) running() bool { return !j.gone && running(j.object) }

func running(j *batchv1.Job) bool {
	finished := hasCondition(j, batchv1.JobComplete) || hasCondition(j, batchv1.JobFailed)
	return !finished && !held(j)
}

func held(j *batchv1.Job) bool { return j.Spec.Suspend != nil && *j.Spec.Suspend }

func hasCondition(j *batchv1.Job, kind batchv1.JobConditionType) bool {
	for _, c := range j.Status.Conditions {
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
