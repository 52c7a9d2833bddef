package model

// This file plays Kubernetes: the Job controller, the garbage collector, the TTL
// controller and the kubelet, with the plugin that it runs.

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// cluster lists what Kubernetes may do; fair leaves out what goes wrong.
func (w *world) cluster(fair bool) []happening {
	var list []happening
	for _, j := range w.jobs() {
		list = append(list, w.jobController(j)...)
		list = append(list, w.collectJob(j)...)
		list = append(list, w.ttlController(j)...)
	}
	for _, c := range w.crons() {
		list = append(list, w.collectCron(c)...)
	}
	for _, p := range w.pods() {
		list = append(list, w.collectPod(p)...)
		list = append(list, w.kubelet(p, fair)...)
	}
	for _, q := range w.requests() {
		if len(q.OwnerReferences) > 0 && !slices.ContainsFunc(q.OwnerReferences, w.there) {
			list = append(list, happening{"gc: request of a stream that is gone:", q.Name, func() { w.put(requests, q.Name, nil) }})
		}
	}
	for _, s := range w.streams() {
		if s.DeletionTimestamp != nil {
			list = append(list, w.collectStream(s)...)
		}
	}
	return list
}

// there tells whether an owner exists.
func (w *world) there(ref metav1.OwnerReference) bool {
	switch ref.Kind {
	case v1.KindStream:
		s := get[*v1.Stream](w.store, streams, ref.Name)
		return s != nil && s.UID == ref.UID
	case "CronJob":
		c := get[*batchv1.CronJob](w.store, crons, ref.Name)
		return c != nil && c.UID == ref.UID
	case "Job":
		j := get[*batchv1.Job](w.store, jobs, ref.Name)
		return j != nil && j.UID == ref.UID
	case "ReplicaSet":
		return true // somebody's own, which lives as long as the world
	}
	return false
}

// podsOf are the pods that a Job controls, and those of them that live.
func (w *world) podsOf(j *batchv1.Job) (owned, living []*corev1.Pod) {
	for _, p := range w.pods() {
		if !metav1.IsControlledBy(p, j) {
			continue
		}
		owned = append(owned, p)
		if alive(p) {
			living = append(living, p)
		}
	}
	return owned, living
}

func tracked(p *corev1.Pod) bool { return slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) }

func (w *world) jobController(j *batchv1.Job) []happening {
	owned, living := w.podsOf(j)
	for _, p := range owned {
		if !alive(p) && tracked(p) {
			return []happening{{"job controller: counts pod", p.Name, func() { w.count(j, p) }}}
		}
	}
	if finished(j) {
		return nil
	}
	if j.DeletionTimestamp == nil {
		for _, p := range w.pods() {
			if metav1.GetControllerOf(p) == nil && p.DeletionTimestamp == nil && p.Labels[batchv1.ControllerUidLabel] == string(j.UID) {
				return []happening{{"job controller: takes back pod", p.Name, func() { w.adopt(j, p) }}}
			}
		}
	}
	target := conditionOf(j, batchv1.JobFailureTarget)
	if due, is := deadlineOf(j); is && !w.clock.now.Before(due) && target == nil && conditionOf(j, batchv1.JobSuccessCriteriaMet) == nil {
		return w.pastDeadline(j, living)
	}
	if len(living) > 0 {
		return nil
	}
	end := func(kind batchv1.JobConditionType, reason string) []happening {
		return []happening{{"job controller: " + string(kind), j.Name, func() { w.endJob(j, kind, reason) }}}
	}
	switch {
	case conditionOf(j, batchv1.JobSuccessCriteriaMet) != nil:
		return end(batchv1.JobComplete, "CompletionsReached")
	case target != nil:
		return end(batchv1.JobFailed, target.Reason)
	case held(j), j.DeletionTimestamp != nil:
		return nil
	}
	return []happening{{"job controller: starts a pod of", j.Name, func() { w.startPod(j) }}}
}

// deadlineOf is when a Job's activeDeadlineSeconds are over, if it has any and is at work.
func deadlineOf(j *batchv1.Job) (time.Time, bool) {
	if j.Spec.ActiveDeadlineSeconds == nil || j.Status.StartTime == nil || held(j) || finished(j) {
		return time.Time{}, false
	}
	return j.Status.StartTime.Add(time.Duration(*j.Spec.ActiveDeadlineSeconds) * time.Second), true
}

// pastDeadline deletes the pods of a Job, and then says in the Job why.
func (w *world) pastDeadline(j *batchv1.Job, living []*corev1.Pod) []happening {
	for _, p := range living {
		if p.DeletionTimestamp == nil {
			return []happening{{"job controller: the deadline is over, deletes pod", p.Name, func() { w.removePod(p, graceOf(p)) }}}
		}
	}
	return []happening{{"job controller: the deadline is over of", j.Name, func() {
		change(w.store, j, func(next *batchv1.Job) {
			w.condition(next, batchv1.JobFailureTarget, batchv1.JobReasonDeadlineExceeded)
		})
	}}}
}

// adopt makes a Job the controller of a pod that bears its labels.
func (w *world) adopt(j *batchv1.Job, p *corev1.Pod) {
	change(w.store, p, func(next *corev1.Pod) {
		next.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("Job"))}
	})
}

func conditionOf(j *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range j.Status.Conditions {
		if j.Status.Conditions[i].Type == kind {
			return &j.Status.Conditions[i]
		}
	}
	return nil
}

// count lets a pod that has ended go into its Job's status, once.
func (w *world) count(j *batchv1.Job, p *corev1.Pod) {
	change(w.store, j, func(next *batchv1.Job) {
		switch action := verdict(j, p); {
		case finished(next), conditionOf(next, batchv1.JobFailureTarget) != nil, conditionOf(next, batchv1.JobSuccessCriteriaMet) != nil:
		case p.Status.Phase == corev1.PodSucceeded:
			next.Status.Succeeded++
			w.condition(next, batchv1.JobSuccessCriteriaMet, "CompletionsReached")
		case action == batchv1.PodFailurePolicyActionIgnore:
		case action == batchv1.PodFailurePolicyActionFailJob:
			next.Status.Failed++
			w.condition(next, batchv1.JobFailureTarget, batchv1.JobReasonPodFailurePolicy)
		default:
			if next.Status.Failed++; next.Status.Failed > ptr.Deref(next.Spec.BackoffLimit, 6) {
				w.condition(next, batchv1.JobFailureTarget, batchv1.JobReasonBackoffLimitExceeded)
			}
		}
	})
	w.letGo(p)
}

func (w *world) letGo(p *corev1.Pod) {
	change(w.store, p, func(next *corev1.Pod) { next.Finalizers = nil })
}

func (w *world) condition(j *batchv1.Job, kind batchv1.JobConditionType, reason string) {
	j.Status.Conditions = append(slices.Clone(j.Status.Conditions), batchv1.JobCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: metav1.NewTime(w.clock.Now()),
	})
}

// verdict is what a Job's podFailurePolicy says of a failed pod.
func verdict(j *batchv1.Job, p *corev1.Pod) batchv1.PodFailurePolicyAction {
	if j.Spec.PodFailurePolicy == nil {
		return batchv1.PodFailurePolicyActionCount
	}
	for _, r := range j.Spec.PodFailurePolicy.Rules {
		if r.OnExitCodes != nil && slices.Contains(r.OnExitCodes.Values, exitOf(p, ptr.Deref(r.OnExitCodes.ContainerName, mainContainer))) {
			return r.Action
		}
		for _, c := range r.OnPodConditions {
			if slices.ContainsFunc(p.Status.Conditions, func(is corev1.PodCondition) bool { return is.Type == c.Type && is.Status == c.Status }) {
				return r.Action
			}
		}
	}
	return batchv1.PodFailurePolicyActionCount
}

// The containers of a pod.
const (
	mainContainer = "main"
	// beside is what some pods have beside their main container: it ends by itself only
	// where something goes wrong.
	beside = "beside"
)

// stateOf is the state of a pod's container; empty for one that never ran.
func stateOf(p *corev1.Pod, container string) corev1.ContainerState {
	for i := range p.Status.ContainerStatuses {
		if c := &p.Status.ContainerStatuses[i]; c.Name == container {
			return c.State
		}
	}
	return corev1.ContainerState{}
}

// exitOf is the exit code of a pod's container; 0 for one that never ran.
func exitOf(p *corev1.Pod, container string) int32 {
	if end := stateOf(p, container).Terminated; end != nil {
		return end.ExitCode
	}
	return 0
}

func (w *world) endJob(j *batchv1.Job, kind batchv1.JobConditionType, reason string) {
	change(w.store, j, func(next *batchv1.Job) { w.condition(next, kind, reason) })
}

func (w *world) startPod(j *batchv1.Job) {
	if j.Status.StartTime == nil {
		change(w.store, j, func(next *batchv1.Job) { next.Status.StartTime = ptr.To(metav1.NewTime(w.clock.Now())) })
	}
	labels := map[string]string{batchv1.JobNameLabel: j.Name, batchv1.ControllerUidLabel: string(j.UID)}
	for k, v := range j.Spec.Template.Labels {
		labels[k] = v
	}
	w.maker = j
	must(w.create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("%s-%d", j.Name, w.uids), Labels: labels, Finalizers: []string{batchv1.JobTrackingFinalizer},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec:   *j.Spec.Template.Spec.DeepCopy(),
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}))
	w.maker = nil
}

// collectJob is the garbage collector's work on a Job: what its owner leaves
// behind, and foreground deletion.
func (w *world) collectJob(j *batchv1.Job) []happening {
	if ref := metav1.GetControllerOf(j); ref != nil && !w.there(*ref) {
		return []happening{{"gc: job whose owner is gone:", j.Name, func() { w.put(jobs, j.Name, nil) }}}
	}
	if j.DeletionTimestamp == nil {
		return nil
	}
	owned, _ := w.podsOf(j)
	for _, p := range owned {
		if p.DeletionTimestamp == nil {
			return []happening{{"gc: deletes pod", p.Name, func() { w.removePod(p, graceOf(p)) }}}
		}
	}
	if len(owned) > 0 {
		return nil
	}
	return []happening{{"gc: is done with job", j.Name, func() { w.put(jobs, j.Name, nil) }}}
}

// collectStream is foreground deletion of a stream: its children go first.
func (w *world) collectStream(s *v1.Stream) []happening {
	for _, j := range w.jobs() {
		if ownerOf(j) == s.UID && j.DeletionTimestamp == nil {
			return []happening{{"gc: deletes job", j.Name, func() { w.foreground(j) }}}
		}
		if ownerOf(j) == s.UID {
			return nil
		}
	}
	for _, c := range w.crons() {
		if ownerOf(c) == s.UID && c.DeletionTimestamp == nil {
			return []happening{{"gc: deletes cronjob", c.Name, func() { w.foreground(c) }}}
		}
		if ownerOf(c) == s.UID {
			return nil
		}
	}
	for _, q := range w.requests() {
		if ownerOf(q) == s.UID {
			return []happening{{"gc: deletes request", q.Name, func() { w.put(requests, q.Name, nil) }}}
		}
	}
	return []happening{{"gc: is done with stream", s.Name, func() { w.put(streams, s.Name, nil) }}}
}

func (w *world) foreground(o client.Object) {
	must(w.remove(o, &client.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}))
}

func (w *world) ttlController(j *batchv1.Job) []happening {
	end, ttl := endOf(j), j.Spec.TTLSecondsAfterFinished
	if end == nil || ttl == nil || j.DeletionTimestamp != nil || w.clock.Since(end.LastTransitionTime.Time) < time.Duration(*ttl)*time.Second {
		return nil
	}
	return []happening{{"ttl controller: deletes job", j.Name, func() { w.foreground(j) }}}
}

// collectPod is what becomes of a pod whose Job is gone, or that nobody owns.
func (w *world) collectPod(p *corev1.Pod) []happening {
	ref := metav1.GetControllerOf(p)
	if ref != nil && w.there(*ref) {
		return nil
	}
	var list []happening
	if tracked(p) {
		list = append(list, happening{"job controller: lets go of pod", p.Name, func() { w.letGo(p) }})
	}
	if ref != nil && p.DeletionTimestamp == nil {
		list = append(list, happening{"gc: pod of a job that is gone:", p.Name, func() { w.removePod(p, graceOf(p)) }})
	}
	return list
}

func (w *world) kubelet(p *corev1.Pod, fair bool) []happening {
	deleted := p.DeletionTimestamp != nil
	switch {
	case !alive(p) && deleted && *p.DeletionGracePeriodSeconds > 0:
		return []happening{{"kubelet: is done with pod", p.Name, func() { w.removePod(p, 0) }}}
	case !alive(p):
		return nil
	case p.Spec.NodeName == "" && deleted:
		return []happening{{"pod gc: was never scheduled, pod", p.Name, func() {
			change(w.store, p, func(next *corev1.Pod) { next.Status.Phase = corev1.PodFailed })
		}}}
	case p.Status.Phase == corev1.PodPending && !deleted:
		return w.pendingPod(p, fair)
	}
	list := w.besideOf(p, fair)
	if stateOf(p, mainContainer).Terminated != nil {
		return list
	}
	if !fair && p.Status.Phase == corev1.PodRunning && len(jobspec.Killers(&p.Spec, mainContainer)) > 0 {
		// The first, because what is listed first is drawn the most often.
		list = slices.Insert(list, 0, happening{"node: kills without a trace pod", p.Name, func() { w.kill(p) }})
	}
	ends := func(what string, code int32, earned bool) {
		list = append(list, happening{what, p.Name, func() { w.endPod(p, code, earned) }})
	}
	backfills := p.Labels[v1.LabelBackfilling] == "true"
	if deleted {
		ends("kubelet: SIGTERM, exit 143 of pod", 143, false)
		if !fair {
			ends("kubelet: SIGKILL of pod", 137, false)
			if !w.honest {
				ends("kubelet: SIGTERM, exit 0 of pod", 0, false)
			}
		}
	}
	if p.Status.Phase == corev1.PodPending {
		return list
	}
	if backfills && (!deleted || !fair) {
		ends("plugin: has done its work, pod", 0, true)
	}
	if fair {
		return list
	}
	ends("plugin: exit 1 of pod", 1, false)
	ends("plugin: exit 2 of pod", 2, false)
	ends("plugin: has a gap, pod", exitGap, false)
	ends("plugin: is hopeless, pod", exitHopeless, false)
	if !backfills {
		ends("plugin: exit 0 of pod", 0, false)
	}
	return list
}

// besideOf is what becomes of a container beside the main one. It ends with its pod; by
// itself only where something goes wrong.
func (w *world) besideOf(p *corev1.Pod, fair bool) []happening {
	if stateOf(p, beside).Running == nil {
		return nil
	}
	var list []happening
	ends := func(what string, code int32) {
		list = append(list, happening{what, p.Name, func() { w.endContainer(p, beside, code, "") }})
	}
	if p.DeletionTimestamp != nil && stateOf(p, mainContainer).Terminated != nil {
		ends("kubelet: SIGTERM ends what is beside in pod", 143)
	}
	if !fair {
		ends("beside: ends in pod", 0)
		ends("beside: fails in pod", 1)
	}
	return list
}

// pendingPod is a pod on its way to run: it may wait for a node, or for its image.
func (w *world) pendingPod(p *corev1.Pod, fair bool) []happening {
	list := []happening{{"kubelet: runs pod", p.Name, func() { w.runPod(p) }}}
	if fair {
		return list
	}
	waits := func(reason string) *corev1.ContainerStateWaiting {
		return &corev1.ContainerStateWaiting{Reason: reason}
	}
	return append(list,
		happening{"scheduler: cannot place pod", p.Name, func() {
			change(w.store, p, func(next *corev1.Pod) {
				next.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
			})
		}},
		happening{"kubelet: cannot pull the image of pod", p.Name, func() {
			change(w.store, p, func(next *corev1.Pod) {
				next.Spec.NodeName = "node"
				next.Status.StartTime = ptr.To(metav1.NewTime(w.clock.Now()))
				next.Status.Conditions = nil
				next.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: mainContainer, State: corev1.ContainerState{Waiting: waits("ImagePullBackOff")}}}
			})
		}})
}

func (w *world) runPod(p *corev1.Pod) {
	change(w.store, p, func(next *corev1.Pod) {
		now := metav1.NewTime(w.clock.Now())
		next.Spec.NodeName = "node"
		next.Status.Phase, next.Status.StartTime, next.Status.Conditions, next.Status.ContainerStatuses = corev1.PodRunning, &now, nil, nil
		for i := range p.Spec.Containers {
			next.Status.ContainerStatuses = append(next.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: p.Spec.Containers[i].Name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
			})
		}
	})
}

// endPod lets a pod's main container end, and with it what is beside it, where somebody deletes the pod.
func (w *world) endPod(p *corev1.Pod, exitCode int32, earned bool) {
	message := ""
	if earned {
		w.truth.earned[w.truth.jobOf[p.UID]] = true
		message = "on the last line:\n" + v1.DefaultTerminationMessage + "\n"
	}
	if p.DeletionTimestamp != nil && stateOf(p, beside).Running != nil {
		p = w.endContainer(p, beside, 143, "")
	}
	w.endContainer(p, mainContainer, exitCode, message)
}

// kill is a limit or a probe of the pod's own: the kubelet ends the containers and leaves
// no trace of it where they exit 0.
func (w *world) kill(p *corev1.Pod) {
	code := int32(0)
	if w.honest {
		code = 143
	}
	if stateOf(p, beside).Running != nil {
		p = w.endContainer(p, beside, 0, "")
	}
	w.endContainer(p, mainContainer, code, "")
}

// endContainer ends a container, and its pod where it is the last.
func (w *world) endContainer(p *corev1.Pod, container string, exitCode int32, message string) *corev1.Pod {
	change(w.store, p, func(next *corev1.Pod) {
		if len(next.Status.ContainerStatuses) == 0 || container == mainContainer && stateOf(next, mainContainer) == (corev1.ContainerState{}) {
			next.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: mainContainer}}
		}
		next.Status.ContainerStatuses = slices.Clone(next.Status.ContainerStatuses)
		runs, failed := false, false
		for i := range next.Status.ContainerStatuses {
			c := &next.Status.ContainerStatuses[i]
			if c.Name == container {
				end := &corev1.ContainerStateTerminated{ExitCode: exitCode, Message: message, FinishedAt: metav1.NewTime(w.clock.Now())}
				if c.State.Running != nil {
					end.StartedAt = c.State.Running.StartedAt
				}
				c.State = corev1.ContainerState{Terminated: end}
			}
			runs = runs || c.State.Running != nil
			failed = failed || c.State.Terminated != nil && c.State.Terminated.ExitCode != 0
		}
		switch {
		case runs:
		case failed:
			next.Status.Phase = corev1.PodFailed
		default:
			next.Status.Phase = corev1.PodSucceeded
		}
	})
	return get[*corev1.Pod](w.store, pods, p.Name)
}

// evict is a drain, a taint or a preemption: Kubernetes says so, and deletes the pod.
func (w *world) evict(p *corev1.Pod) {
	w.truth.taken[p.UID] = true
	change(w.store, p, func(next *corev1.Pod) {
		next.Status.Conditions = append(slices.Clone(next.Status.Conditions), corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue})
	})
	p = get[*corev1.Pod](w.store, pods, p.Name)
	w.removePod(p, graceOf(p))
}
