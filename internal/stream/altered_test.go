package stream

// This file tests what comes of objects that others change: the class and the Job while a
// job runs, what the operator sends on its way into the API server, requests that were recorded.

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// changeClass edits the class as its administrator.
func (c *cluster) changeClass(edit func(*v1.StreamClass)) {
	c.t.Helper()
	class := &v1.StreamClass{}
	c.must(c.api.Get(c.t.Context(), client.ObjectKey{Name: "postgres"}, class))
	edit(class)
	c.must(c.api.Update(c.t.Context(), class))
}

// TestAJobIsJudgedByWhatWasRecordedWithIt: its class says something else by its end.
func TestAJobIsJudgedByWhatWasRecordedWithIt(t *testing.T) {
	message := &v1.Completion{Mark: v1.MarkTerminationMessage}
	for _, e := range []struct {
		name          string
		before, after *v1.Completion
		probed        bool
		said          string
		want          v1.RequestPhase
	}{
		{"a mark came, and is not given", nil, message, false, "7 rows", v1.RequestCompleted},
		{"a mark came, and is given", nil, message, true, "completed", v1.RequestCompleted},
		{"a mark went, and is not given", message, nil, false, "7 rows", v1.RequestRunning},
		{"a mark went, and is given", message, nil, true, "completed", v1.RequestCompleted},
		{"an exit code in the place of a message", message, &v1.Completion{Mark: v1.MarkExitCode}, true, "7 rows", v1.RequestRunning},
	} {
		t.Run(e.name, func(t *testing.T) {
			c := newCluster(t, declares(e.before)...)
			c.settle()
			c.changeClass(func(class *v1.StreamClass) { class.Spec.Completion = e.after })
			c.probes = e.probed
			c.end(0, says(e.said))
			c.settle()
			if got := c.firstRequest().Status.Phase; got != e.want {
				t.Errorf("request %s, want %s; failure %+v", got, e.want, c.stream().Status.Failure)
			}
		})
	}
	t.Run("another main container", func(t *testing.T) {
		c := newCluster(t, orders()...)
		c.settle()
		c.changeClass(func(class *v1.StreamClass) { class.Spec.ContainerName = "proxy" })
		j := c.running()
		j.Spec.PodFailurePolicy = nil // whoever may patch it
		c.must(c.api.Update(t.Context(), j))
		c.end(20, func(p *corev1.Pod) {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "proxy", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}})
		})
		c.settle()
		if f := c.stream().Status.Failure; f == nil || f.ExitCode == nil || *f.ExitCode != 20 {
			t.Errorf("failure %+v", f)
		}
	})
}

// TestAnnotationsOfAJobDecideNothing: whoever may update it changes them.
func TestAnnotationsOfAJobDecideNothing(t *testing.T) {
	c := newCluster(t, orders(noBackfill, decided)...)
	c.settle()
	j := c.running()
	hash := j.Annotations[v1.AnnotationConfigurationHash]
	j.Annotations = nil
	c.must(c.api.Update(t.Context(), j))
	c.settle()
	if c.running().UID != j.UID {
		t.Error("it was restarted")
	}
	c.change(func(s *v1.Stream) { s.Spec.Source = raw(`{"n":1}`) })
	j = c.running()
	j.Annotations = map[string]string{v1.AnnotationConfigurationHash: hash}
	c.must(c.api.Update(t.Context(), j))
	c.settle()
	if c.running().UID == j.UID {
		t.Error("a change was hidden")
	}
	t.Run("of a CronJob", func(t *testing.T) {
		c := newCluster(t, orders(scheduled)...)
		c.settle()
		cron := c.cron()
		cron.Annotations = nil
		c.must(c.api.Update(t.Context(), cron))
		c.due("29384757")
		c.running()
	})
}

// TestAJobThatSomebodyAlteredIsStopped: two pods of one job are two writers, and the end of
// one that vanishes is lost.
func TestAJobThatSomebodyAlteredIsStopped(t *testing.T) {
	for name, change := range map[string]func(*batchv1.Job){
		"two at a time": func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](2) },
		"a pod is replaced before it has ended": func(j *batchv1.Job) {
			j.Spec.PodReplacementPolicy = ptr.To(batchv1.TerminatingOrFailed)
		},
		"none at a time":         func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](0) },
		"it vanishes at its end": func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = ptr.To[int32](0) },
	} {
		for kind, objects := range map[string][]client.Object{"stream": orders(noBackfill, decided), "backfill": orders(), "schedule": orders(scheduled)} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				c := newCluster(t, objects...)
				c.settle()
				if kind == "schedule" {
					c.due("29384757")
				}
				j := c.running()
				change(j)
				c.must(c.api.Update(t.Context(), j))
				c.settle()
				if c.exists(j) {
					t.Errorf("job %s runs with parallelism %d", j.Name, *j.Spec.Parallelism)
				}
				if n := c.warnings(string(v1.ReasonJobAltered)); n != 1 {
					t.Errorf("%d events", n)
				}
				c.pass(obstacleRecheck) // whoever changed it may change the next one too
				if kind == "schedule" {
					c.due("29384758")
				}
				if c.running().UID == j.UID {
					t.Error("nothing started in its place")
				}
			})
		}
	}
}

// TestWhatAPolicyChangedIsNotRun, and the stream says what was changed: its Jobs, as they
// are made and as they are let run, and its CronJob.
func TestWhatAPolicyChangedIsNotRun(t *testing.T) {
	ofJobs := func(change func(*metav1.ObjectMeta, *batchv1.JobSpec)) func(client.Object) {
		return func(o client.Object) {
			switch o := o.(type) {
			case *batchv1.Job:
				change(&o.ObjectMeta, &o.Spec)
			case *batchv1.CronJob:
				change(&o.Spec.JobTemplate.ObjectMeta, &o.Spec.JobTemplate.Spec)
			}
		}
	}
	for name, e := range map[string]struct {
		change func(*metav1.ObjectMeta, *batchv1.JobSpec)
		field  string
	}{
		"three at a time": {func(_ *metav1.ObjectMeta, s *batchv1.JobSpec) { s.Parallelism = ptr.To[int32](3) }, "spec.parallelism"},
		"not held":        {func(_ *metav1.ObjectMeta, s *batchv1.JobSpec) { s.Suspend = nil }, "spec.suspend"},
		"it expires":      {func(_ *metav1.ObjectMeta, s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = ptr.To[int32](0) }, "spec.ttlSecondsAfterFinished"},
		"another manager": {func(_ *metav1.ObjectMeta, s *batchv1.JobSpec) { s.ManagedBy = ptr.To("kueue.x-k8s.io/multikueue") }, "spec.managedBy"},
		"without labels":  {func(m *metav1.ObjectMeta, _ *batchv1.JobSpec) { m.Labels = nil }, "the label " + v1.LabelStreamID},
		"restarts in place": {func(_ *metav1.ObjectMeta, s *batchv1.JobSpec) {
			s.Template.Spec.Containers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyOnFailure)
		}, "the restartPolicy of container main"},
	} {
		for kind, edit := range map[string]func(*v1.Stream){"stream": noBackfill, "schedule": scheduled} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				c := newCluster(t, orders(edit)...)
				c.admit = ofJobs(e.change)
				for range 3 {
					_, err := c.reconcile()
					c.must(err)
				}
				ready := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionReady)
				if ready.Reason != string(v1.ReasonJobRefused) || !strings.Contains(ready.Message, e.field+" of ") {
					t.Errorf("%s: %s", ready.Reason, ready.Message)
				}
				if len(c.jobs()) != 0 || c.cron() != nil || c.stream().Status.Job != nil {
					t.Errorf("%d jobs, CronJob %v, recorded %+v", len(c.jobs()), c.cron(), c.stream().Status.Job)
				}
				c.admit = nil
				c.pass(obstacleRecheck)
				if kind == "schedule" {
					c.due("29384757")
				}
				c.running()
			})
		}
	}
	t.Run("as it is let run", func(t *testing.T) {
		c := newCluster(t, orders(noBackfill)...)
		c.admitPatch = ofJobs(func(_ *metav1.ObjectMeta, s *batchv1.JobSpec) { s.Parallelism = ptr.To[int32](3) })
		for range 3 {
			_, err := c.reconcile()
			c.must(err)
		}
		ready := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionReady)
		if len(c.jobs()) != 0 || ready.Reason != string(v1.ReasonJobRefused) || !strings.Contains(ready.Message, "spec.parallelism") {
			t.Errorf("%d jobs, %s: %s", len(c.jobs()), ready.Reason, ready.Message)
		}
	})
}

// TestARunThatAPolicyChangedIsNamed: it is discarded, and the stream says in which field
// it is not what its CronJob makes.
func TestARunThatAPolicyChangedIsNamed(t *testing.T) {
	c := newCluster(t, orders(scheduled)...)
	c.settle()
	run := c.held("29384757", func(j *batchv1.Job) { j.Spec.Template.Spec.HostNetwork = true })
	c.settle()
	last := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionLastRunFailed)
	if c.exists(run) || last == nil || last.Status != metav1.ConditionTrue || last.Reason != string(v1.ReasonRunDiscarded) ||
		!strings.Contains(last.Message, run.Name) || !strings.Contains(last.Message, "spec.template.spec") {
		t.Errorf("the run is there: %v, %+v", c.exists(run), last)
	}
	if n := c.warnings(string(v1.ReasonRunDiscarded)); n != 1 {
		t.Errorf("%d events", n)
	}
	c.hours(1)
	if n := c.warnings(string(v1.ReasonRunDiscarded)); n != 0 {
		t.Errorf("%d events later", n)
	}
	c.due("29384758")
	c.end(0)
	c.settle()
	if last := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionLastRunFailed); last.Status != metav1.ConditionFalse {
		t.Errorf("%+v after a good one", last)
	}
}

// TestTheBackfillThatComesFirstIsNotTalkedAway: nothing streams before it, whatever others
// write into its request.
func TestTheBackfillThatComesFirstIsNotTalkedAway(t *testing.T) {
	for name, e := range map[string]struct {
		edit func(*v1.BackfillRequest)
		// runs: the backfill goes on.
		runs bool
	}{
		"a CronJob owns it too": {func(q *v1.BackfillRequest) {
			q.OwnerReferences = append(q.OwnerReferences, metav1.OwnerReference{APIVersion: "batch/v1", Kind: "CronJob", Name: "nightly", UID: "nightly"})
		}, true},
		"a former stream owns it too": {func(q *v1.BackfillRequest) {
			q.OwnerReferences = append(q.OwnerReferences, metav1.OwnerReference{APIVersion: v1.GroupVersion.String(), Kind: v1.KindStream, Name: "orders", UID: "former"})
		}, true},
		"only a former stream owns it": {func(q *v1.BackfillRequest) {
			q.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1.GroupVersion.String(), Kind: v1.KindStream, Name: "orders", UID: "former"}}
		}, false},
		"it names another class": {func(q *v1.BackfillRequest) { q.Spec.StreamClass = "others" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders()...)
			c.settle()
			q := c.firstRequest()
			e.edit(q)
			c.must(c.api.Update(t.Context(), q))
			// The backfill's job is gone, and it has to run again.
			c.must(c.api.Delete(t.Context(), c.running()))
			c.settle()
			s := c.stream()
			if e.runs != (s.Status.Phase == v1.StreamBackfilling) || s.Status.Phase == v1.StreamRunning {
				t.Fatalf("%s, %+v", s.Status.Phase, s.Status.Conditions)
			}
			if e.runs {
				return
			}
			if ready := c.condition(v1.ConditionReady); !strings.Contains(ready.Message, "kubectl delete backfillrequest "+q.Name) {
				t.Errorf("it says %q", ready.Message)
			}
			// Its user gives it up.
			c.must(c.api.Delete(t.Context(), c.firstRequest()))
			c.settle()
			if phase := c.stream().Status.Phase; phase != v1.StreamRunning {
				t.Errorf("%s once it is deleted", phase)
			}
		})
	}
}

// condition is one of the stream's conditions; empty where it is not there.
func (c *cluster) condition(kind string) metav1.Condition {
	c.t.Helper()
	if found := meta.FindStatusCondition(c.stream().Status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}

// hours lets time pass, an hour at a time, and reconciles in each.
func (c *cluster) hours(n int) {
	c.t.Helper()
	for range n {
		_, err := c.reconcile()
		c.must(err)
		c.clock.SetTime(c.clock.Now().Add(time.Hour))
	}
}

// intercept puts something between the operator and the API server.
func (c *cluster) intercept(funcs interceptor.Funcs) {
	c.reconciler.Client = interceptor.NewClient(c.reconciler.Client.(client.WithWatch), funcs)
}

// TestAReleaseThatAPolicyTakesBackIsNotReady: it suspends the job again, or takes its labels.
func TestAReleaseThatAPolicyTakesBackIsNotReady(t *testing.T) {
	for field, change := range map[string]func(*batchv1.Job){
		"spec.suspend":                 func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) },
		v1.LabelStreamID:               func(j *batchv1.Job) { j.Labels = nil },
		"spec.ttlSecondsAfterFinished": func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = ptr.To[int32](0) },
	} {
		t.Run(field, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill)...)
			c.admitPatch = func(o client.Object) {
				if j, ok := o.(*batchv1.Job); ok {
					change(j)
				}
			}
			c.hours(3)
			ready := c.condition(v1.ConditionReady)
			if ready.Reason != string(v1.ReasonJobRefused) || !strings.Contains(ready.Message, field) {
				t.Errorf("%s: %s", ready.Reason, ready.Message)
			}
		})
	}
	t.Run("and its deletion meets another writer", func(t *testing.T) {
		c := newCluster(t, orders(noBackfill)...)
		c.admitPatch = func(o client.Object) {
			if j, ok := o.(*batchv1.Job); ok {
				j.Spec.TTLSecondsAfterFinished = ptr.To[int32](0)
			}
		}
		met := false
		c.intercept(interceptor.Funcs{Delete: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if !met {
				met = true
				return apierrors.NewConflict(schema.GroupResource{Resource: "jobs"}, o.GetName(), errors.New("the Job controller was there first"))
			}
			return w.Delete(ctx, o, opts...)
		}})
		for range 6 {
			_, err := c.reconcile()
			c.must(err)
		}
		for _, j := range c.jobs() {
			if !suspended(&j) {
				t.Errorf("job %s runs", j.Name)
			}
		}
	})
}

// TestAPauseThatAPolicyTakesBackIsTold: the schedule goes on making runs.
func TestAPauseThatAPolicyTakesBackIsTold(t *testing.T) {
	c := newCluster(t, orders(scheduled)...)
	c.settle()
	c.admitPatch = func(o client.Object) {
		if cron, ok := o.(*batchv1.CronJob); ok {
			cron.Spec.Suspend = ptr.To(false)
		}
	}
	c.change(suspend)
	c.hours(3)
	if message := c.stalledWith(v1.ReasonJobRefused); !strings.Contains(message, "spec.suspend of cronjob") {
		t.Errorf("%+v", c.condition(v1.ConditionReady))
	}
}

// TestAScheduleThatAPolicyChangesIsTold: it makes no runs, and the operator does not write
// in a circle. The run that is at work stays.
func TestAScheduleThatAPolicyChangesIsTold(t *testing.T) {
	for field, change := range map[string]func(*batchv1.CronJob){
		"spec.suspend":                 func(c *batchv1.CronJob) { c.Spec.Suspend = ptr.To(true) },
		"spec.ttlSecondsAfterFinished": func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.TTLSecondsAfterFinished = ptr.To[int32](60) },
	} {
		t.Run(field, func(t *testing.T) {
			c := newCluster(t, orders(scheduled)...)
			c.settle()
			c.due("29384757")
			run := c.running()
			c.intercept(interceptor.Funcs{Update: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
				if cron, ok := o.(*batchv1.CronJob); ok {
					change(cron)
				}
				return w.Update(ctx, o, opts...)
			}})
			c.change(func(s *v1.Stream) { s.Spec.Schedule = ptr.To("0 * * * *") })
			before := len(c.writes)
			for range 5 {
				_, err := c.reconcile()
				c.must(err)
			}
			n, there := len(c.writes)-before, c.exists(run)
			c.end(0) // what runs is told first
			_, err := c.reconcile()
			c.must(err)
			ready := c.condition(v1.ConditionReady)
			if n > 4 || !there || !*c.cron().Spec.Suspend || ready.Reason != string(v1.ReasonJobRefused) || !strings.Contains(ready.Message, field) {
				t.Errorf("%d writes, the run is there: %v, %s: %s", n, there, ready.Reason, ready.Message)
			}
		})
	}
}

// TestWhatNobodyIsWokenByIsLookedFor: the recorded job, or its pod, has lost a label.
func TestWhatNobodyIsWokenByIsLookedFor(t *testing.T) {
	for _, label := range []string{v1.LabelStreamID, v1.LabelStreamKind} {
		for _, kind := range []string{"job", "pod"} {
			t.Run(label+" of a "+kind, func(t *testing.T) {
				c := newCluster(t, orders(noBackfill)...)
				c.settle()
				var o client.Object = c.running()
				pod := c.run()
				if kind == "pod" {
					o = pod
				}
				labels := o.GetLabels()
				delete(labels, label)
				o.SetLabels(labels)
				c.must(c.api.Update(t.Context(), o))
				if kind == "pod" && label == v1.LabelStreamID {
					c.reconciler.departed.note(types.NamespacedName{Namespace: namespace, Name: "orders"}, pod)
				}
				result, err := c.reconcile()
				c.must(err)
				if result.RequeueAfter == 0 || result.RequeueAfter > lookAgainAtMost {
					t.Errorf("looked at again in %s", result.RequeueAfter)
				}
			})
		}
	}
	old := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{UID: "j"}, Spec: batchv1.JobSpec{Parallelism: ptr.To[int32](1), Completions: ptr.To[int32](1), PodReplacementPolicy: ptr.To(batchv1.Failed)}}
	altered := old.DeepCopy()
	altered.Spec.Parallelism = ptr.To[int32](2)
	if !jobChanged().Update(event.UpdateEvent{ObjectOld: old, ObjectNew: altered}) {
		t.Error("a change of parallelism wakes nobody")
	}
}

// TestAJobThatIsAlteredAgainAndAgainIsPaused, and the stream says in which field.
func TestAJobThatIsAlteredAgainAndAgainIsPaused(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	j := c.running()
	j.Spec.Parallelism = ptr.To[int32](2)
	c.must(c.api.Update(t.Context(), j))
	c.settle()
	ready := c.condition(v1.ConditionReady)
	if len(c.jobs()) != 0 || ready.Reason != string(v1.ReasonJobAltered) || !strings.Contains(ready.Message, "spec.parallelism of job "+j.Name) {
		t.Errorf("%d jobs, %s: %s", len(c.jobs()), ready.Reason, ready.Message)
	}
	c.pass(obstacleRecheck)
	c.running()
}

// TestAWriteThatIsRefusedIsTold: a webhook forbids to delete Jobs, or to complete requests.
func TestAWriteThatIsRefusedIsTold(t *testing.T) {
	forbidden := func(o client.Object) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "jobs"}, o.GetName(), errors.New("denied by the policy keep-jobs"))
	}
	for name, e := range map[string]struct {
		given []client.Object
		funcs interceptor.Funcs
		does  func(*cluster)
	}{
		"a deletion": {orders(noBackfill), interceptor.Funcs{Delete: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.DeleteOption) error {
			return forbidden(o)
		}}, func(c *cluster) { c.change(suspend) }},
		"a completion": {orders(), interceptor.Funcs{Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if _, ok := o.(*v1.BackfillRequest); ok {
				return forbidden(o)
			}
			return w.Patch(ctx, o, p, opts...)
		}}, func(c *cluster) { c.end(0) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, e.given...)
			c.settle()
			c.intercept(e.funcs)
			e.does(c)
			c.hours(1)
			if ready := c.condition(v1.ConditionReady); ready.Status == metav1.ConditionTrue || ready.Reason != string(v1.ReasonWriteRefused) || !strings.Contains(ready.Message, "keep-jobs") {
				t.Errorf("%s: %s", ready.Reason, ready.Message)
			}
			c.hours(1)
			if c.stalledWith(v1.ReasonWriteRefused) == "" {
				t.Error("it is not stalled")
			}
		})
	}
}

// TestARunThatVanishesIsTold: somebody deleted it, or it was altered.
func TestARunThatVanishesIsTold(t *testing.T) {
	for name, does := range map[string]func(*cluster, *batchv1.Job){
		"deleted": func(c *cluster, j *batchv1.Job) { c.must(c.api.Delete(c.t.Context(), j)) },
		"altered": func(c *cluster, j *batchv1.Job) {
			j.Spec.Parallelism = ptr.To[int32](2)
			c.must(c.api.Update(c.t.Context(), j))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(scheduled)...)
			c.settle()
			c.due("29384757")
			j := c.running()
			does(c, j)
			c.settle()
			if last := c.condition(v1.ConditionLastRunFailed); last.Status != metav1.ConditionTrue || last.Reason != string(v1.ReasonRunFailed) || !strings.Contains(last.Message, j.Name) {
				t.Errorf("%+v", last)
			}
		})
	}
	t.Run("not where its user stopped it", func(t *testing.T) {
		c := newCluster(t, orders(scheduled)...)
		c.settle()
		c.due("29384757")
		c.request("again")
		c.settle()
		if last := c.condition(v1.ConditionLastRunFailed); last.Status == metav1.ConditionTrue {
			t.Errorf("%+v", last)
		}
	})
}

// TestADiscardedRunHidesNoFailure: whoever may create Jobs can have one discarded.
func TestADiscardedRunHidesNoFailure(t *testing.T) {
	c := newCluster(t, orders(scheduled)...)
	c.settle()
	c.due("29384757")
	c.end(20)
	c.settle()
	c.held("29384758", func(j *batchv1.Job) { j.Spec.Template.Spec.HostNetwork = true })
	c.settle()
	if last := c.condition(v1.ConditionLastRunFailed); last.Reason != string(v1.ReasonRunFailed) {
		t.Errorf("%+v", last)
	}
	if n := c.warnings(string(v1.ReasonRunDiscarded)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// TestARunOfAFormerConfigurationIsTold: it was held when its stream changed.
func TestARunOfAFormerConfigurationIsTold(t *testing.T) {
	c := newCluster(t, orders(scheduled)...)
	c.settle()
	run := c.held("29384757", func(*batchv1.Job) {})
	c.change(func(s *v1.Stream) { s.Spec.Source = raw(`{"n":1}`) })
	c.settle()
	if last := c.condition(v1.ConditionLastRunFailed); c.exists(run) || last.Reason != string(v1.ReasonRunDiscarded) || !strings.Contains(last.Message, "before the stream") {
		t.Errorf("the run is there: %v, %+v", c.exists(run), last)
	}
}

// TestARunThatIsNotHeldGoes, with labels and without: whoever may patch CronJobs can have one made.
func TestARunThatIsNotHeldGoes(t *testing.T) {
	for name, labelled := range map[string]bool{"with labels": true, "without labels": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(scheduled)...)
			c.settle()
			run := c.held("29384757", func(j *batchv1.Job) {
				j.Spec.Suspend, j.Spec.Template.Spec.Containers[0].Image = ptr.To(false), "theirs"
				if !labelled {
					j.Labels, j.Spec.Template.Labels = nil, nil
				}
			})
			cron := c.cron()
			cron.Status.Active = []corev1.ObjectReference{{Kind: "Job", Name: run.Name, UID: run.UID}}
			c.must(c.api.Status().Update(t.Context(), cron))
			c.request("again")
			c.settle()
			if c.exists(run) {
				t.Error("it is there")
			}
			c.running() // and no other
		})
	}
}
