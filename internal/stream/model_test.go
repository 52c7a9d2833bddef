package stream

// This file lets random events befall a stream — its user, the Job controller,
// garbage collection, the kubelet, lagging caches, crashes, a second operator, all
// between any two requests of the operator — and judges the laws after every step.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// model is the world.
type model struct {
	*store
	t     *rapid.T
	clock *clocktesting.FakePassiveClock
	ops   []*actor
	log   []string
	// Truth, which no operator can see.
	// earned are the Jobs whose backfill really did its work.
	earned map[types.UID]bool
	// made are the Jobs that an operator has created, and madeFor the pods that were
	// made for them: whatever labels and owners say.
	made    map[types.UID]bool
	madeFor map[types.UID]types.UID
	// lost are pods that no operator can know of any more: docs/admission.md says so.
	lost map[types.UID]bool
	// recorded are the requests whose success is in the stream's status.
	recorded map[types.UID]bool
	// broken is the first law that did not hold.
	broken string
	edits  int
	// without tells which of the rare events this world is without.
	without []bool
}

// actor is an operator whose requests go through one at a time.
type actor struct {
	*operator
	r *Reconciler
	// reached is sent to when the reconcile stands before a request, or has ended (false).
	reached chan bool
	proceed chan permission
	running bool
	writes  int
	// departs are the pods that its cache has yet to see leave.
	departs []*corev1.Pod
}

// permission is what becomes of the request that an actor stands before.
type permission struct {
	send  bool
	crash bool
}

var errCrash = errors.New("the operator died")

func newModel(t *rapid.T) *model {
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	m := &model{store: newStore(clock), t: t, clock: clock, earned: map[types.UID]bool{}, recorded: map[types.UID]bool{}, made: map[types.UID]bool{}, madeFor: map[types.UID]types.UID{}, lost: map[types.UID]bool{}}
	m.wrote = m.judgeWrite
	if rapid.IntRange(0, 3).Draw(t, "anything may happen") > 0 {
		m.without = rapid.SliceOfN(rapid.Bool(), len(rare), len(rare)).Draw(t, "without")
	}
	for range 2 {
		m.ops = append(m.ops, m.newActor())
	}
	s := orders()[0].(*v1.Stream)
	s.Spec.Suspended = rapid.Bool().Draw(t, "created suspended")
	if rapid.Bool().Draw(t, "template with TTL") {
		m.ttl = ptr.To(int32(1))
	}
	must(m.create(s))
	return m
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (m *model) newActor() *actor {
	a := &actor{operator: &operator{api: m.store, own: map[string]int{}}, reached: make(chan bool), proceed: make(chan permission)}
	a.gate = func(write bool) (bool, error) {
		a.reached <- true
		p := <-a.proceed
		if write && p.send {
			a.writes++
		}
		if p.crash {
			return p.send, errCrash
		}
		return true, nil
	}
	a.r = &Reconciler{Client: a.operator, Live: live{a.operator}, Events: events.NewFakeRecorder(10000), Clock: m.clock}
	return a
}

// begin starts a reconcile and lets it go up to its first request.
func (a *actor) begin() {
	a.running = true
	go func() {
		_, _ = a.r.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "orders"}})
		a.reached <- false
	}()
	a.running = <-a.reached
}

// reconcile runs a whole reconcile.
func (a *actor) reconcile() {
	for a.begin(); a.running; {
		a.step(permission{send: true})
	}
}

// step lets one request through.
func (a *actor) step(p permission) {
	a.proceed <- p
	a.running = <-a.reached
}

// die crashes an operator at the request that it stands before, and starts a fresh one.
func (m *model) die(i int, sent bool) {
	a := m.ops[i]
	for first := true; a.running; first = false {
		a.step(permission{send: sent && first, crash: true})
	}
	m.ops[i] = m.newActor()
	// What bears no label any more, only the process knew that saw it leave the cache.
	for _, p := range m.podsNow() {
		if len(p.Labels) == 0 {
			m.lost[p.UID] = true
		}
	}
}

// loseReply lets a request through and its reply get lost; the reconcile ends with that error.
func (m *model) loseReply(a *actor) {
	a.step(permission{send: true, crash: true})
	for a.running {
		a.step(permission{crash: true})
	}
}

// attacker lists what somebody may do who may create jobs and patch pods.
func (m *model) attacker() []happening {
	var list []happening
	s := m.stream()
	name := jobspec.Name("orders", s.UID, v1.KindStream, max(s.Status.Runs, s.CreationTimestamp.Unix())+1)
	if m.byKind[jobs][name] == nil && len(m.byKind[jobs]) < 6 {
		forged := func(change func(*batchv1.Job)) func() {
			return func() {
				j := &batchv1.Job{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: namespace, Name: name,
						Labels:          map[string]string{v1.LabelStreamID: "orders", v1.LabelStreamKind: v1.KindStream, v1.LabelManagedBy: v1.ManagedBy},
						OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s, v1.GroupVersion.WithKind(v1.KindStream))},
					},
					Spec: batchv1.JobSpec{Suspend: ptr.To(true), Parallelism: ptr.To[int32](1), Completions: ptr.To[int32](1), PodReplacementPolicy: ptr.To(batchv1.Failed)},
				}
				for _, there := range m.jobsNow() {
					j.Annotations = there.Annotations // the marks of one that is there
				}
				change(j)
				must(m.create(j))
			}
		}
		list = append(
			list,
			happening{"attacker: forges " + name, forged(func(*batchv1.Job) {})},
			happening{"attacker: squats " + name, forged(func(j *batchv1.Job) { j.Labels, j.OwnerReferences = nil, nil })},
			happening{"attacker: forges an ended " + name, forged(func(j *batchv1.Job) {
				j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(m.clock.Now())}}
			})},
		)
	}
	for _, p := range m.podsNow() {
		if alive(p) && len(p.Labels) > 0 {
			list = append(
				list,
				happening{"attacker: strips pod " + p.Name + " of its job", func() { m.strip(p, batchv1.ControllerUidLabel, batchv1.JobNameLabel) }},
				happening{"attacker: strips pod " + p.Name + " of all labels", func() { m.strip(p, "") }},
			)
		}
	}
	return list
}

// strip takes labels off a pod, all where none is named. Its Job lets go of it.
func (m *model) strip(p *corev1.Pod, labels ...string) {
	m.change(p, func(o client.Object) {
		o.SetOwnerReferences(nil)
		left := o.GetLabels()
		for _, l := range labels {
			delete(left, l)
		}
		if labels[0] == "" {
			left = nil
		}
		o.SetLabels(left)
	})
	if labels[0] != "" {
		return
	}
	for _, a := range m.ops {
		if a.departs = append(a.departs, p); a.frozen[pods] != nil {
			m.lost[p.UID] = true // until that cache sees it leave, it sees it alive at most
			continue
		}
		a.tellDeparted()
	}
}

// catchUp lets a cache see what there is now.
func (a *actor) catchUp(k kind) {
	if a.frozen[k] = nil; k == pods {
		a.tellDeparted()
	}
}

// tellDeparted tells an operator which pods have left its cache alive.
func (a *actor) tellDeparted() {
	for _, p := range a.departs {
		a.r.departed.note(types.NamespacedName{Namespace: namespace, Name: "orders"}, p)
	}
	a.departs = nil
}

func (m *model) say(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

func (m *model) fail(law string) {
	if m.broken == "" {
		m.broken = law
	}
}

func (m *model) stream() *v1.Stream { return m.byKind[streams]["orders"].(*v1.Stream) }

// judgeWrite holds every write against the laws.
func (m *model) judgeWrite(before, after client.Object) {
	if after == nil {
		m.say("    %T %s is gone", before, before.GetName())
	} else {
		m.say("    wrote %T %s rv=%s", after, after.GetName(), after.GetResourceVersion())
		if st, ok := after.(*v1.Stream); ok && st.Status.LastDecision != nil {
			m.say("      %s job=%+v", st.Status.LastDecision.Rule, st.Status.Job)
		}
	}
	if m.byOperator {
		m.judgeOperator(before, after)
	}
	switch now := after.(type) {
	case *v1.Stream:
		m.judgeStream(before, now)
	case *v1.BackfillRequest:
		m.judgeRequest(before, now)
	case *batchv1.Job:
		m.judgeJob(before, now)
	}
}

// judgeOperator holds what an operator wrote to a Job against what it may do with it.
func (m *model) judgeOperator(before, after client.Object) {
	j, ok := before.(*batchv1.Job)
	if !ok {
		return
	}
	now, changed := after.(*batchv1.Job)
	switch {
	case m.ours(j):
	case changed && now.DeletionTimestamp == nil && !finished(j):
		m.fail("I7: the operator changed job " + j.Name + ", which it has not made")
	case !ownedBy(j, m.stream().UID):
		m.fail("I7: the operator deleted job " + j.Name + ", which is not its own")
	}
	if _, living := m.podsOfJob(j); after == nil && len(living) > 0 {
		m.fail("I1: the operator let job " + j.Name + " go before its pods had gone")
	}
}

// ours tells whether an operator made a Job, or a pod was made for one of those.
func (m *model) ours(o client.Object) bool {
	return m.made[o.GetUID()] || m.madeFor[o.GetUID()] != ""
}

func (m *model) judgeStream(before client.Object, now *v1.Stream) {
	was, _ := before.(*v1.Stream)
	if was != nil && was.Status.Failure != nil && now.Status.Failure == nil &&
		!now.Spec.Suspended && was.Status.ObservedRestartedAt == now.Status.ObservedRestartedAt {
		m.fail("scenario 9: a failure was forgotten and nobody had acknowledged it")
	}
	if j := now.Status.Job; j != nil && j.Outcome == v1.OutcomeSucceeded {
		m.recorded[j.RequestUID] = true
		if !m.earned[j.UID] {
			m.fail("I2: a success was recorded that was not earned: " + j.Name)
		}
	}
	if now.Status.Phase != v1.StreamSuspended || now.Status.Job != nil || !now.Spec.Suspended {
		return
	}
	for _, n := range m.byKind[pods].names() {
		if p := m.byKind[pods][n].(*corev1.Pod); alive(p) && m.ours(p) && !m.lost[p.UID] {
			m.fail("I8: Suspended while pod " + n + " is alive")
		}
	}
}

func (m *model) judgeRequest(before client.Object, now *v1.BackfillRequest) {
	was, _ := before.(*v1.BackfillRequest)
	job := types.UID(now.Annotations[v1.AnnotationCompletedBy])
	if job != "" && (was == nil || !was.Spec.Completed) && !m.earned[job] {
		m.fail("I2: request " + now.Name + " was completed by a job that had not done its work")
	}
}

func (m *model) judgeJob(before client.Object, now *batchv1.Job) {
	was, _ := before.(*batchv1.Job)
	if was == nil && m.byOperator {
		m.made[now.UID] = true
	}
	for _, other := range m.jobsNow() {
		if was == nil && m.ours(now) && other.UID != now.UID && other.Name == now.Name {
			m.fail("I1: run " + now.Annotations[v1.AnnotationRun] + " has two jobs")
		}
	}
	if was == nil || !suspended(was) || suspended(now) {
		return
	}
	if m.stream().Status.Failure != nil {
		m.fail("scenario 9: job " + now.Name + " was released although the stream has failed")
	}
	if m.recorded[types.UID(now.Annotations[v1.AnnotationRequestUID])] {
		m.fail("I3: job " + now.Name + " repeats a backfill whose success was recorded")
	}
}

// judgeWorld holds what is there now against the laws.
func (m *model) judgeWorld() {
	var writer types.UID
	for _, n := range m.byKind[pods].names() {
		p := m.byKind[pods][n].(*corev1.Pod)
		if !alive(p) || !m.ours(p) || m.lost[p.UID] {
			continue
		}
		if writer != "" && writer != m.madeFor[p.UID] {
			m.fail("I1: pods of two jobs are alive")
		}
		writer = m.madeFor[p.UID]
	}
}

// jobsNow lists the Jobs in their order.
func (m *model) jobsNow() []*batchv1.Job {
	var list []*batchv1.Job
	for _, n := range m.byKind[jobs].names() {
		list = append(list, m.byKind[jobs][n].(*batchv1.Job))
	}
	return list
}

func (m *model) podsNow() []*corev1.Pod {
	var list []*corev1.Pod
	for _, n := range m.byKind[pods].names() {
		list = append(list, m.byKind[pods][n].(*corev1.Pod))
	}
	return list
}

// happening is something that may happen now.
type happening struct {
	name string
	do   func()
}

// cluster lists what controllers and kubelet may do; fair leaves out what goes wrong.
func (m *model) cluster(fair bool) []happening {
	var list []happening
	for _, j := range m.jobsNow() {
		list = append(list, m.jobController(j)...)
	}
	for _, p := range m.podsNow() {
		list = append(list, m.kubelet(p, fair)...)
	}
	return list
}

func (m *model) podsOfJob(j *batchv1.Job) (all, living []*corev1.Pod) {
	for _, p := range m.podsNow() {
		if jobOf(p) != j.UID || orphaned(p) {
			continue
		}
		all = append(all, p)
		if alive(p) {
			living = append(living, p)
		}
	}
	return all, living
}

func (m *model) jobController(j *batchv1.Job) []happening {
	all, living := m.podsOfJob(j)
	if j.DeletionTimestamp != nil {
		return m.collectJob(j, all, living)
	}
	if finished(j) {
		return m.expireJob(j)
	}
	if len(living) > 0 {
		return nil
	}
	last := newest(m.podValues(), j.UID, func(p *corev1.Pod) bool { return !orphaned(p) })
	switch {
	case last != nil && last.Status.Phase == corev1.PodSucceeded:
		return []happening{{"job controller: " + j.Name + " is complete", func() { m.endJob(j, batchv1.JobComplete, "CompletionsReached") }}}
	case last != nil && last.Annotations["counted"] != "":
		return []happening{{"job controller: " + j.Name + " has failed", func() { m.endJob(j, batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded) }}}
	case suspended(j):
		return nil
	}
	return []happening{{"job controller: a pod of " + j.Name, func() { m.startPod(j) }}}
}

// expireJob is the TTL controller, which never asks whether anybody has seen how a Job ended.
func (m *model) expireJob(j *batchv1.Job) []happening {
	if j.Spec.TTLSecondsAfterFinished == nil {
		return nil
	}
	return []happening{{"ttl controller: deletes " + j.Name, func() {
		if r := m.stream().Status.Job; r != nil && r.UID == j.UID && r.Outcome == "" {
			m.fail("I3: the TTL took job " + j.Name + " before its outcome was recorded")
		}
		must(m.remove(j, &client.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}))
	}}}
}

func (m *model) podValues() []corev1.Pod {
	var list []corev1.Pod
	for _, p := range m.podsNow() {
		list = append(list, *p)
	}
	return list
}

// collectJob is the garbage collector's foreground deletion.
func (m *model) collectJob(j *batchv1.Job, all, living []*corev1.Pod) []happening {
	for _, p := range living {
		if p.DeletionTimestamp == nil {
			return []happening{{"gc: deletes pod " + p.Name, func() { m.deletePod(p) }}}
		}
	}
	if len(living) > 0 {
		return nil
	}
	return []happening{{"gc: " + j.Name + " is gone", func() {
		for _, p := range all {
			m.put(pods, p.Name, nil)
		}
		m.put(jobs, j.Name, nil)
	}}}
}

func (m *model) endJob(j *batchv1.Job, kind batchv1.JobConditionType, reason string) {
	m.change(j, func(o client.Object) {
		status := &o.(*batchv1.Job).Status
		now := metav1.NewTime(m.clock.Now())
		status.StartTime = &now
		status.Conditions = append(status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: now})
	})
}

func (m *model) startPod(j *batchv1.Job) {
	labels := map[string]string{batchv1.JobNameLabel: j.Name, batchv1.ControllerUidLabel: string(j.UID)}
	for k, v := range j.Labels {
		labels[k] = v
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("%s-%d", j.Name, m.uids), Labels: labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	must(m.create(p))
	if m.made[j.UID] {
		m.madeFor[p.UID] = j.UID
	}
}

func (m *model) deletePod(p *corev1.Pod) {
	must(m.remove(p, &client.DeleteOptions{}))
}

func (m *model) kubelet(p *corev1.Pod, fair bool) []happening {
	j, _ := m.byKind[jobs][p.Labels[batchv1.JobNameLabel]].(*batchv1.Job)
	gone := j == nil || j.UID != jobOf(p)
	var list []happening
	if gone && !orphaned(p) && p.DeletionTimestamp == nil {
		list = append(list, happening{"gc: deletes pod " + p.Name + " of a job that is gone", func() { m.deletePod(p) }})
	}
	if !alive(p) {
		if p.DeletionTimestamp != nil && (gone || finished(j)) {
			list = append(list, happening{"pod " + p.Name + " is gone", func() { m.put(pods, p.Name, nil) }})
		}
		return list
	}
	if p.DeletionTimestamp != nil {
		list = append(list, happening{"kubelet: pod " + p.Name + " ends with 143 and is gone", func() { m.put(pods, p.Name, nil) }})
		if !fair {
			list = append(list, happening{"kubelet: pod " + p.Name + " takes SIGTERM and exits 0", func() { m.endPod(p, 0, false) }})
		}
		return list
	}
	backfills := p.Labels[v1.LabelBackfilling] == "true"
	if backfills && !gone {
		list = append(list, happening{"plugin: pod " + p.Name + " has done its work", func() { m.endPod(p, 0, true) }})
	}
	if !fair && !gone {
		list = append(list, happening{"plugin: pod " + p.Name + " fails", func() { m.endPod(p, 3, false) }})
		if !backfills {
			list = append(list, happening{"plugin: pod " + p.Name + " ends by itself", func() { m.endPod(p, 0, false) }})
		}
	}
	return list
}

func (m *model) endPod(p *corev1.Pod, exitCode int32, earned bool) {
	m.change(p, func(o client.Object) {
		pod := o.(*corev1.Pod)
		pod.Status.Phase = corev1.PodSucceeded
		if exitCode != 0 {
			pod.Status.Phase = corev1.PodFailed
			pod.Annotations = map[string]string{"counted": "yes"}
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode, FinishedAt: metav1.NewTime(m.clock.Now())},
		}}}
	})
	if earned && m.madeFor[p.UID] != "" {
		m.earned[m.madeFor[p.UID]] = true
	}
}

// user lists what users may do.
func (m *model) user() []happening {
	list := []happening{
		{"user: toggles suspended", func() { m.edit(func(s *v1.Stream) { s.Spec.Suspended = !s.Spec.Suspended }) }},
		{"user: edits the sink", func() {
			m.edits++
			m.edit(func(s *v1.Stream) { s.Spec.Sink = raw(fmt.Sprintf(`{"n":%d}`, m.edits)) })
		}},
		{"user: asks for a restart", func() {
			m.edits++
			m.edit(func(s *v1.Stream) { s.Annotations = map[string]string{v1.AnnotationRestartedAt: fmt.Sprint(m.edits)} })
		}},
	}
	if len(m.byKind[requests]) < 3 {
		list = append(list, happening{"user: requests a backfill", func() {
			must(m.create(&v1.BackfillRequest{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("request-%d", m.uids)},
				Spec:       v1.BackfillRequestSpec{StreamID: "orders"},
			}))
		}})
	}
	for _, n := range m.byKind[requests].names() {
		q := m.byKind[requests][n].(*v1.BackfillRequest)
		list = append(list, happening{"user: deletes request " + n, func() { m.put(requests, n, nil) }})
		if !q.Spec.Completed {
			list = append(list, happening{"user: cancels request " + n, func() {
				m.change(q, func(o client.Object) { o.(*v1.BackfillRequest).Spec.Completed = true })
			}})
		}
		if q.Spec.Completed && q.Status.Phase.Final() {
			list = append(list, happening{"user: applies the ended request " + n + " again", func() {
				m.change(q, func(o client.Object) { o.(*v1.BackfillRequest).Spec.Completed = false })
			}})
		}
	}
	for _, j := range m.jobsNow() {
		list = append(list, m.userOnJob(j)...)
	}
	for _, p := range m.podsNow() {
		list = append(list, happening{"user: deletes pod " + p.Name, func() { m.userDeletesPod(p) }})
		if alive(p) {
			list = append(list, happening{"node: evicts pod " + p.Name, func() { m.evict(p) }})
		}
	}
	return list
}

func (m *model) edit(change func(*v1.Stream)) {
	m.change(m.stream(), func(o client.Object) {
		s := o.(*v1.Stream)
		change(s)
		s.Generation++
	})
}

func (m *model) userOnJob(j *batchv1.Job) []happening {
	gone := func(orphan bool) {
		for _, p := range m.podsNow() {
			if orphan && jobOf(p) == j.UID {
				m.change(p, func(o client.Object) { o.SetOwnerReferences(nil) })
			}
		}
		m.put(jobs, j.Name, nil)
	}
	list := []happening{
		{"user: deletes " + j.Name + " in the background", func() { gone(false) }},
		{"user: deletes " + j.Name + " and orphans its pods", func() { gone(true) }},
		{"user: puts a job of their own in the place of " + j.Name, func() {
			gone(false)
			must(m.create(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: j.Name}}))
		}},
	}
	if j.DeletionTimestamp == nil {
		list = append(list, happening{"user: deletes " + j.Name + " in the foreground", func() {
			must(m.remove(j, &client.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}))
		}})
	}
	return list
}

func (m *model) userDeletesPod(p *corev1.Pod) {
	j, _ := m.byKind[jobs][p.Labels[batchv1.JobNameLabel]].(*batchv1.Job)
	if !alive(p) && j != nil && !finished(j) && p.DeletionTimestamp == nil {
		// The Job controller's finalizer keeps it until it is counted.
		m.change(p, func(o client.Object) { o.SetDeletionTimestamp(ptr.To(metav1.NewTime(m.clock.Now()))) })
		return
	}
	m.deletePod(p)
}

func (m *model) evict(p *corev1.Pod) {
	m.change(p, func(o client.Object) {
		pod := o.(*corev1.Pod)
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
		pod.DeletionTimestamp = ptr.To(metav1.NewTime(m.clock.Now()))
	})
}

// operators lists what may happen to the operators.
func (m *model) operators() []happening {
	var list []happening
	for i, a := range m.ops {
		name := string(rune('A' + i))
		if !a.running {
			list = append(list,
				happening{"operator " + name + " reconciles", a.begin},
				happening{"operator " + name + " reconciles to the end", a.reconcile})
		} else {
			list = append(list,
				happening{"operator " + name + " goes on", func() { a.step(permission{send: true}) }},
				happening{"operator " + name + " loses the reply", func() { m.loseReply(a) }},
				happening{"operator " + name + " dies before its request", func() { m.die(i, false) }},
				happening{"operator " + name + " dies before the reply", func() { m.die(i, true) }})
		}
		for k := range kinds {
			if a.frozen[k] == nil {
				list = append(list, happening{fmt.Sprintf("cache %s.%d lags from here", name, k), func() { a.frozen[k] = m.byKind[k] }})
			} else {
				list = append(list, happening{fmt.Sprintf("cache %s.%d catches up", name, k), func() { a.catchUp(k) }})
			}
		}
	}
	return list
}

// happen lets one event happen and judges the world after it.
func (m *model) happen(e happening) {
	m.say("%s", e.name)
	m.clock.SetTime(m.clock.Now().Add(time.Second))
	e.do()
	m.judgeWorld()
	if m.broken != "" {
		m.t.Fatalf("%s\n%s", m.broken, strings.Join(m.log[max(0, len(m.log)-80):], "\n"))
	}
}

// rest lets the faults end and everybody do their work, and expects the declared state.
func (m *model) rest() {
	m.calm()
	m.judgeEnd()
}

// calm lets the faults end and everybody do their work until nothing is left to do.
func (m *model) calm() {
	for i := range m.ops {
		for m.ops[i].running {
			m.happen(happening{"operator ends its pass", func() { m.ops[i].step(permission{send: true}) }})
		}
		for k := range kinds {
			m.ops[i].catchUp(k)
		}
	}
	quiet := 0
	for range 400 {
		if quiet == 3 {
			return
		}
		before := m.rv
		m.happen(happening{"operator reconciles", m.ops[0].reconcile})
		m.makeRoom()
		if todo := m.cluster(true); len(todo) > 0 {
			m.happen(todo[0])
		}
		m.clock.SetTime(m.clock.Now().Add(time.Hour))
		if quiet++; m.rv != before {
			quiet = 0
		}
	}
	m.t.Fatalf("the world does not come to rest\n%s", strings.Join(m.log[max(0, len(m.log)-60):], "\n"))
}

// makeRoom lets the user take their own job away where the stream says that it is in its way.
func (m *model) makeRoom() {
	ready := meta.FindStatusCondition(m.stream().Status.Conditions, v1.ConditionReady)
	if ready == nil || ready.Reason != string(v1.ReasonNameConflict) {
		return
	}
	for _, j := range m.jobsNow() {
		if !m.ours(j) {
			m.happen(happening{"user: takes their own job " + j.Name + " away", func() { m.put(jobs, j.Name, nil) }})
		}
	}
}

// judgeEnd expects what the user declared.
func (m *model) judgeEnd() {
	s := m.stream()
	var running []string
	for _, j := range m.jobsNow() {
		if !finished(j) && m.ours(j) {
			running = append(running, fmt.Sprintf("%s held=%v", j.Labels[v1.LabelBackfilling], suspended(j)))
		}
	}
	want, phase := []string{"false held=false"}, v1.StreamRunning
	switch {
	case s.Spec.Suspended:
		want, phase = nil, v1.StreamSuspended
	case s.Status.Failure != nil:
		want, phase = nil, v1.StreamFailed
	}
	if !slices.Equal(running, want) || s.Status.Phase != phase {
		m.t.Fatalf("at rest: phase %s, jobs %v; want %s, %v\n%s", s.Status.Phase, running, phase, want, strings.Join(m.log[max(0, len(m.log)-80):], "\n"))
	}
	for _, n := range m.byKind[requests].names() {
		q := m.byKind[requests][n].(*v1.BackfillRequest)
		if phase == v1.StreamRunning && !backlog.Ended(q) {
			m.t.Fatalf("at rest: request %s is still %s\n%s", n, q.Status.Phase, strings.Join(m.log[max(0, len(m.log)-80):], "\n"))
		}
	}
}

// TestTheLawsHoldWhateverHappens draws what happens next, again and again.
func TestTheLawsHoldWhateverHappens(t *testing.T) {
	steps := 0
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(20, 120).Draw(t, "steps") {
			steps++
			// Users act less often than operators and cluster, or nothing would ever get far.
			sort := rapid.SampledFrom([]func() []happening{
				m.operators, m.operators, m.operators, m.operators, m.operators, m.operators,
				m.healthy, m.healthy, m.healthy, m.healthy, m.healthy, m.healthy,
				m.faulty, m.faulty, m.attacker, m.user, m.user, m.user, m.user, m.goodTimes,
			}).Draw(t, "who")
			if may := slices.DeleteFunc(sort(), m.never); len(may) > 0 {
				m.happen(rapid.SampledFrom(may).Draw(t, "what"))
			}
		}
		m.rest()
	})
	t.Logf("%d steps", steps)
}

// goodTimes bring the world far, so that what is rare befalls it late in its life too.
func (m *model) goodTimes() []happening { return []happening{{"all goes well for a while", m.calm}} }

// rare are sorts of events, by a word of their names. Each world is without some of
// them: those that need each other then meet more often.
var rare = []string{
	"dies", "lags", "catches up", "toggles", "edits", "restart", "requests", "deletes request", "cancels", "again",
	"background", "orphans", "foreground", "in the place", "deletes pod", "evicts", "fails", "by itself", "SIGTERM", "ttl",
}

// never tells whether an event does not happen in this world, before it comes to rest.
func (m *model) never(e happening) bool {
	for i, without := range m.without {
		if without && strings.Contains(e.name, rare[i]) {
			return true
		}
	}
	return false
}

func (m *model) healthy() []happening { return append(m.cluster(true), m.going()...) }
func (m *model) faulty() []happening  { return m.cluster(false) }

// going are the operators' steps that go well.
func (m *model) going() []happening {
	return slices.DeleteFunc(m.operators(), func(e happening) bool {
		return !strings.Contains(e.name, "reconciles") && !strings.Contains(e.name, "goes on") && !strings.Contains(e.name, "catches up")
	})
}
