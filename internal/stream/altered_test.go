package stream

// This file tests what comes of objects that others change: the class and the Job while a
// job runs, what the operator sends on its way into the API server, requests that were recorded.

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// TestAJobThatMayRunTwoPodsIsStopped: two pods of one job are two writers.
func TestAJobThatMayRunTwoPodsIsStopped(t *testing.T) {
	for name, change := range map[string]func(*batchv1.Job){
		"two at a time": func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](2) },
		"a pod is replaced before it has ended": func(j *batchv1.Job) {
			j.Spec.PodReplacementPolicy = ptr.To(batchv1.TerminatingOrFailed)
		},
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
	cron := c.cron()
	run := &batchv1.Job{ObjectMeta: *cron.Spec.JobTemplate.ObjectMeta.DeepCopy(), Spec: *cron.Spec.JobTemplate.Spec.DeepCopy()}
	run.Namespace, run.Name, run.UID = namespace, cron.Name+"-29384757", "run"
	run.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
	run.Spec.Template.Spec.HostNetwork = true
	c.must(c.api.Create(t.Context(), run))
	c.settle()
	last := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionLastRunFailed)
	if c.exists(run) || last == nil || last.Status != metav1.ConditionTrue || last.Reason != string(v1.ReasonRunDiscarded) ||
		!strings.Contains(last.Message, run.Name) || !strings.Contains(last.Message, "spec.template.spec") {
		t.Errorf("the run is there: %v, %+v", c.exists(run), last)
	}
	if n := c.warnings(string(v1.ReasonRunDiscarded)); n != 1 {
		t.Errorf("%d events", n)
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
			// Its user gives it up.
			c.must(c.api.Delete(t.Context(), c.firstRequest()))
			c.settle()
			if phase := c.stream().Status.Phase; phase != v1.StreamRunning {
				t.Errorf("%s once it is deleted", phase)
			}
		})
	}
}
