package stream

// This file tests which job the hands take for theirs, while others are at work.

import (
	"errors"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

// beginTwice decides to start the streaming job, lets another process that decided
// the same create its job first, and carries the decision out.
func (c *cluster) beginTwice(change func(*batchv1.Job)) (other *batchv1.Job, err error) {
	c.t.Helper()
	p := c.judged("start-stream")
	other, problem := jobspec.Build(p.streaming)
	if problem != nil {
		c.t.Fatal(problem.Message)
	}
	other.UID = "other"
	change(other)
	c.must(c.api.Create(c.t.Context(), other))
	if len(other.Finalizers) > 0 {
		c.must(c.api.Delete(c.t.Context(), other))
	}
	return other, p.apply(c.t.Context())
}

// TestTheSameJobIsTaken: its creation was answered to nobody, or to another operator;
// to discard it and to begin with another run would help nobody.
func TestTheSameJobIsTaken(t *testing.T) {
	c := newCluster(t, orders(noBackfill, decided)...)
	other, err := c.beginTwice(func(*batchv1.Job) {})
	c.must(err)
	if job := c.stream().Status.Job; job == nil || job.UID != other.UID || job.Name != other.Name {
		t.Errorf("recorded %+v, want job %s", job, other.Name)
	}
}

// TestAnotherJobOfTheNameIsNotTaken: it is not the job that was decided on, so it is
// recorded by nobody, and goes as a stray.
func TestAnotherJobOfTheNameIsNotTaken(t *testing.T) {
	annotated := func(key string) func(*batchv1.Job) {
		return func(j *batchv1.Job) { j.Annotations[key] = "another" }
	}
	for name, change := range map[string]func(*batchv1.Job){
		"another configuration":  annotated(v1.AnnotationConfigurationHash),
		"another request":        annotated(v1.AnnotationRequestUID),
		"another run":            annotated(v1.AnnotationRun),
		"another mode":           func(j *batchv1.Job) { j.Labels[v1.LabelBackfilling] = "true" },
		"it runs already":        func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(false) },
		"it has ended":           func(j *batchv1.Job) { j.Status = completeJob(nil).Status },
		"it is on its way out":   func(j *batchv1.Job) { j.Finalizers = []string{metav1.FinalizerDeleteDependents} },
		"somebody else's family": func(j *batchv1.Job) { j.OwnerReferences[0].UID = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill, decided)...)
			_, err := c.beginTwice(change)
			if err != nil && !errors.Is(err, errObserveAgain) {
				t.Errorf("got %v, want to observe again", err)
			}
			if job := c.stream().Status.Job; job != nil {
				t.Errorf("recorded %s", job.Name)
			}
		})
	}
}

// release judges the held job, lets something happen, and then lets the job run.
func (c *cluster) release(meanwhile func(*batchv1.Job)) (judged *batchv1.Job, err error) {
	c.t.Helper()
	var w *world
	for range 3 {
		w, err = c.reconciler.observe(c.t.Context(), types.NamespacedName{Namespace: namespace, Name: "orders"})
		c.must(err)
		d := lifecycle.Decide(w.facts)
		if d.Rule == "release-stream" {
			meanwhile(w.job.DeepCopy())
		}
		err = (&pass{Reconciler: c.reconciler, world: w, decision: d}).apply(c.t.Context())
		if d.Rule == "release-stream" {
			return w.job, err
		}
	}
	c.t.Fatal("no job is held")
	return nil, nil
}

// TestAReleaseMeetsTheJobController: it marks the held job in the same moment.
func TestAReleaseMeetsTheJobController(t *testing.T) {
	c := newCluster(t, orders(noBackfill, decided)...)
	judged, err := c.release(func(j *batchv1.Job) {
		j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobSuspended, Status: corev1.ConditionTrue}}
		c.must(c.api.Status().Update(t.Context(), j))
	})
	c.must(err)
	if running := c.running(); running.UID != judged.UID || running.ResourceVersion == judged.ResourceVersion {
		t.Errorf("%s runs, in version %s", running.UID, running.ResourceVersion)
	}
}

// TestOnlyTheJudgedJobIsReleased: another one has its name since, or it is gone.
func TestOnlyTheJudgedJobIsReleased(t *testing.T) {
	for name, again := range map[string]bool{"another of its name": true, "gone": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill, decided)...)
			_, err := c.release(func(j *batchv1.Job) {
				c.must(c.api.Delete(t.Context(), j))
				if again {
					j.UID, j.ResourceVersion = "another", ""
					c.must(c.api.Create(t.Context(), j))
				}
			})
			if !errors.Is(err, errObserveAgain) && !apierrors.IsConflict(err) {
				t.Errorf("got %v, want to observe again", err)
			}
			for _, j := range c.jobs() {
				if !suspended(&j) {
					t.Errorf("job %s of UID %s was let run", j.Name, j.UID)
				}
			}
		})
	}
}

// decided: the stream's first backfill is none of the test's business.
func decided(s *v1.Stream) { s.Status.InitialBackfill = v1.InitialWaived }

// TestAScheduleKeepsWhatOthersCountOn: it is changed in place, and a finalizer, a label
// or an annotation of somebody else's is none of the operator's.
func TestAScheduleKeepsWhatOthersCountOn(t *testing.T) {
	c := newCluster(t, orders(scheduled)...)
	c.settle()
	cron := c.cron()
	cron.Finalizers, cron.Labels["team"] = []string{"example.com/backup"}, "sales"
	c.must(c.api.Update(t.Context(), cron))
	c.change(func(s *v1.Stream) { s.Spec.Schedule = ptr.To("0 * * * *") })
	c.settle()
	cron = c.cron()
	if cron.Spec.Schedule != "0 * * * *" || len(cron.Finalizers) != 1 || cron.Labels["team"] != "sales" {
		t.Errorf("schedule %s, finalizers %v, labels %v", cron.Spec.Schedule, cron.Finalizers, cron.Labels)
	}
}
