package stream

// This file is a small cluster for the hands' tests: a fake API server whose n-th
// write can be lost, a Job controller and a kubelet.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
	"github.com/arcane-streaming/arcane-operator/test/jsontree"
)

// fault says what happens to one write.
type fault int

const (
	// dropped: the request never arrives.
	dropped fault = iota + 1
	// replyLost: it is carried out, and nobody hears of it.
	replyLost
)

var errFault = errors.New("the connection broke")

// cluster is the world of one test.
type cluster struct {
	t      *testing.T
	api    client.WithWatch
	events *events.FakeRecorder
	clock  *clocktesting.FakePassiveClock
	// reconciler is new after every crash.
	reconciler *Reconciler
	// counters of all operators, nil where nobody counts.
	counters *telemetry.Counters

	// probes: the pods' main containers have a liveness probe.
	probes bool
	// admit is what a policy makes of what is created, admitPatch of what is patched; nil where there is none.
	admit, admitPatch func(client.Object)

	writes  []string
	faultAt int
	fault   fault
	uids    int
}

const namespace = "sales"

var scheme = sync.OnceValue(func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{batchv1.AddToScheme, corev1.AddToScheme, v1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
})

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	c := &cluster{t: t, events: events.NewFakeRecorder(1000), clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
	b := fake.NewClientBuilder().WithScheme(scheme()).WithObjects(objects...).
		WithStatusSubresource(&v1.Stream{}, &v1.BackfillRequest{}, &batchv1.Job{}, &corev1.Pod{})
	indexer := indexerFunc(func(o client.Object, field string, f client.IndexerFunc) { b = b.WithIndex(o, field, f) })
	if err := indexes(t.Context(), indexer); err != nil {
		t.Fatal(err)
	}
	// What the API server selects by itself.
	c.api = b.WithIndex(&v1.BackfillRequest{}, "spec.streamId", func(o client.Object) []string { return []string{o.(*v1.BackfillRequest).Spec.StreamID} }).Build()
	c.restart()
	return c
}

// indexerFunc hands the controller's own indexes to the fake.
type indexerFunc func(client.Object, string, client.IndexerFunc)

func (f indexerFunc) IndexField(_ context.Context, o client.Object, field string, values client.IndexerFunc) error {
	f(o, field, values)
	return nil
}

// restart makes a fresh operator, which remembers nothing.
func (c *cluster) restart() {
	counted := interceptor.NewClient(c.api, interceptor.Funcs{
		Get: func(ctx context.Context, w client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if err := w.Get(ctx, key, o, opts...); err != nil || isCached(o) {
				return err
			}
			return apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, key.Name)
		},
		List: func(ctx context.Context, w client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			err := w.List(ctx, list, opts...)
			switch l := list.(type) {
			case *batchv1.JobList:
				l.Items = slices.DeleteFunc(l.Items, func(j batchv1.Job) bool { return !isCached(&j) })
			case *corev1.PodList:
				l.Items = slices.DeleteFunc(l.Items, func(p corev1.Pod) bool { return !isCached(&p) })
			}
			return err
		},
		Create: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return c.write("create", o, func() error {
				c.uids++
				o.SetUID(types.UID(fmt.Sprintf("uid-%d", c.uids)))
				o.SetCreationTimestamp(metav1.NewTime(c.clock.Now()))
				o.SetGeneration(1)
				if c.admit != nil {
					c.admit(o)
				}
				return w.Create(ctx, o, opts...)
			})
		},
		Delete: func(ctx context.Context, w client.WithWatch, o client.Object, _ ...client.DeleteOption) error {
			return c.write("delete", o, func() error { return c.delete(ctx, w, o) })
		},
		Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return c.write("patch", o, func() error {
				if err := ofAnother(ctx, w, o, p); err != nil {
					return err
				}
				if err := w.Patch(ctx, o, p, opts...); err != nil || c.admitPatch == nil {
					return err
				}
				c.admitPatch(o)
				return w.Update(ctx, o)
			})
		},
		Update: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return c.write("update", o, func() error { return w.Update(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, w client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return c.write("patch "+sub, o, func() error { return w.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
	})
	c.reconciler = &Reconciler{Client: counted, Live: c.api, Events: c.events, Clock: c.clock, Counters: c.counters}
}

// isCached tells whether the operator's cache holds an object: of Jobs, CronJobs and pods
// those that bear the label of a stream.
func isCached(o client.Object) bool {
	switch o.(type) {
	case *batchv1.Job, *batchv1.CronJob, *corev1.Pod:
		return o.GetLabels()[v1.LabelStreamID] != ""
	}
	return true
}

// ofAnother refuses a patch that names another object, as the API server does and the
// fake does not.
func ofAnother(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch) error {
	data, err := p.Data(o)
	if err != nil {
		return err
	}
	there := copyOf(o)
	if err := w.Get(ctx, client.ObjectKeyFromObject(o), there); err != nil {
		return err
	}
	return jsontree.Refused(jsontree.Decoded(data), there)
}

// judged observes the stream and decides, by the rule that is expected, and has done nothing yet.
func (c *cluster) judged(rule string) *pass {
	c.t.Helper()
	w, err := c.reconciler.observe(c.t.Context(), types.NamespacedName{Namespace: namespace, Name: "orders"})
	c.must(err)
	d := lifecycle.Decide(w.facts)
	if d.Rule != rule {
		c.t.Fatalf("rule %s, want %s", d.Rule, rule)
	}
	return &pass{Reconciler: c.reconciler, world: w, decision: d}
}

// write counts a write and breaks the one that is to break.
func (c *cluster) write(verb string, o client.Object, do func() error) error {
	c.writes = append(c.writes, fmt.Sprintf("%s %T %s", verb, o, o.GetName()))
	if len(c.writes) != c.faultAt {
		return do()
	}
	if c.fault == replyLost {
		if err := do(); err != nil {
			return err
		}
	}
	return errFault
}

// delete plays the garbage collector too: with a CronJob go its Jobs, with a Job its pods.
func (c *cluster) delete(ctx context.Context, w client.WithWatch, o client.Object) error {
	if cron, ok := o.(*batchv1.CronJob); ok {
		var jobs batchv1.JobList
		if err := w.List(ctx, &jobs); err != nil {
			return err
		}
		for _, j := range jobs.Items {
			if metav1.IsControlledBy(&j, cron) {
				if err := c.delete(ctx, w, &j); err != nil {
					return err
				}
			}
		}
	}
	if j, ok := o.(*batchv1.Job); ok {
		var pods corev1.PodList
		if err := w.List(ctx, &pods); err != nil {
			return err
		}
		for _, p := range pods.Items {
			if metav1.IsControlledBy(&p, j) {
				if err := w.Delete(ctx, &p); err != nil {
					return err
				}
			}
		}
	}
	return w.Delete(ctx, o)
}

// settle reconciles until nothing is written any more; a fault is a crash, after
// which a fresh operator goes on.
func (c *cluster) settle() {
	c.t.Helper()
	quiet := 0
	for range 50 {
		before := len(c.writes)
		result, err := c.reconciler.Reconcile(c.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "orders"}})
		switch {
		case errors.Is(err, errFault):
			c.restart()
		case err != nil:
			c.t.Fatalf("reconcile: %v", err)
		}
		if quiet++; len(c.writes) != before || err != nil || result.RequeueAfter == lookAgainAfter {
			quiet = 0
		}
		if quiet == 2 {
			return
		}
	}
	c.t.Fatalf("not at rest; last writes %v", c.writes[max(0, len(c.writes)-10):])
}

func (c *cluster) stream() *v1.Stream {
	c.t.Helper()
	s := &v1.Stream{}
	c.must(c.api.Get(c.t.Context(), types.NamespacedName{Namespace: namespace, Name: "orders"}, s))
	return s
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) jobs() []batchv1.Job {
	c.t.Helper()
	var list batchv1.JobList
	c.must(c.api.List(c.t.Context(), &list))
	return list.Items
}

// cron is the stream's CronJob, nil where there is none.
func (c *cluster) cron() *batchv1.CronJob {
	c.t.Helper()
	var list batchv1.CronJobList
	c.must(c.api.List(c.t.Context(), &list))
	if len(list.Items) == 0 {
		return nil
	}
	return &list.Items[0]
}

// due plays the CronJob controller: a run of the CronJob comes.
func (c *cluster) due(name string) {
	c.t.Helper()
	c.held(name, func(*batchv1.Job) {})
	c.settle()
}

// held is a run of the CronJob that has come, and that nobody has looked at.
func (c *cluster) held(name string, change func(*batchv1.Job)) *batchv1.Job {
	c.t.Helper()
	cron := c.cron()
	run := &batchv1.Job{ObjectMeta: *cron.Spec.JobTemplate.ObjectMeta.DeepCopy(), Spec: *cron.Spec.JobTemplate.Spec.DeepCopy()}
	run.Namespace, run.Name, run.UID = namespace, cron.Name+"-"+name, types.UID("run-"+name)
	run.CreationTimestamp = metav1.NewTime(c.clock.Now())
	run.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
	change(run)
	c.must(c.api.Create(c.t.Context(), run))
	return run
}

func (c *cluster) requests() []v1.BackfillRequest {
	c.t.Helper()
	var list v1.BackfillRequestList
	c.must(c.api.List(c.t.Context(), &list))
	return list.Items
}

// firstRequest is the first by name. Without one the story is over, and says so: a panic
// would end all that are told beside it.
func (c *cluster) firstRequest() *v1.BackfillRequest {
	c.t.Helper()
	list := c.requests()
	if len(list) == 0 {
		c.t.Fatal("there is no request")
	}
	return &list[0]
}

// running is the one unfinished, released Job; a second one is two writers.
func (c *cluster) running() *batchv1.Job {
	c.t.Helper()
	var found *batchv1.Job
	for _, j := range c.jobs() {
		if finished(&j) || suspended(&j) {
			continue
		}
		if found != nil {
			c.t.Fatalf("two writers: %s and %s", found.Name, j.Name)
		}
		found = &j
	}
	if found == nil {
		c.t.Fatal("no job runs")
	}
	return found
}

// run gives the running Job a pod.
func (c *cluster) run() *corev1.Pod {
	c.t.Helper()
	j := c.running()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: j.Name + "-pod", UID: types.UID(j.Name + "-pod"), CreationTimestamp: metav1.NewTime(c.clock.Now()),
			Labels: map[string]string{
				batchv1.JobNameLabel: j.Name, batchv1.ControllerUidLabel: string(j.UID),
				v1.LabelManagedBy: v1.ManagedBy, v1.LabelStreamID: "orders", v1.LabelStreamKind: v1.KindStream,
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if c.probes {
		probed(pod)
	}
	c.must(c.api.Create(c.t.Context(), pod))
	return pod
}

// end lets the running Job and its pod end.
func (c *cluster) end(exitCode int32, change ...func(*corev1.Pod)) {
	c.t.Helper()
	pod, j := c.run(), c.running()
	now := metav1.NewTime(c.clock.Now())
	pod.Status.Phase = corev1.PodSucceeded
	kind, reason := batchv1.JobComplete, "CompletionsReached"
	if exitCode != 0 {
		pod.Status.Phase, kind, reason = corev1.PodFailed, batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode, FinishedAt: now, Message: "because"},
	}}}
	for _, f := range change {
		f(pod)
	}
	c.must(c.api.Status().Update(c.t.Context(), pod))
	j.Status.StartTime = &now
	j.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: now}}
	c.must(c.api.Status().Update(c.t.Context(), j))
}

// change edits the stream as its user.
func (c *cluster) change(edit func(*v1.Stream)) {
	c.t.Helper()
	s := c.stream()
	edit(s)
	s.Generation++
	c.must(c.api.Update(c.t.Context(), s))
}

func (c *cluster) request(name string) {
	c.t.Helper()
	c.must(c.api.Create(c.t.Context(), &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(c.clock.Now())},
		Spec:       v1.BackfillRequestSpec{StreamClass: "postgres", StreamID: "orders"},
	}))
}

// orders is a stream with its class and template.
func orders(edits ...func(*v1.Stream)) []client.Object {
	s := &v1.Stream{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "orders", UID: "0a1b2c3d-stream", Generation: 1,
			CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)),
		},
		Spec: v1.StreamSpec{StreamClass: "postgres"},
	}
	for _, edit := range edits {
		edit(s)
	}
	return []client.Object{
		s,
		&v1.StreamClass{
			ObjectMeta: metav1.ObjectMeta{Name: "postgres"},
			Spec: v1.StreamClassSpec{
				APIGroupRef: v1.GroupVersion.Group, APIVersion: "v1", KindRef: v1.KindStream, PluralName: "streams",
				JobTemplateRef: &v1.TemplateReference{Name: "std"},
				FailureClasses: []v1.FailureClass{
					{Name: "config", ExitCodes: []int32{20}, Action: v1.ActionFail},
					{Name: "sourceGap", ExitCodes: []int32{30}, Action: v1.ActionBackfill},
				},
			},
		},
		&v1.StreamingJobTemplate{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "std"},
			Spec: v1.JobTemplate{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "plugin"}}},
			}}},
		},
	}
}

func raw(json string) *runtime.RawExtension { return &runtime.RawExtension{Raw: []byte(json)} }
