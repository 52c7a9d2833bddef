package stream

// This file tests which job the hands take for theirs, while others are at work.

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// TestNothingThatIsThereIsTaken: whatever has the name of the job that was decided on, it
// costs that name and nothing else. Not even the very job that would have been made is
// taken: annotations, labels and owners can be written by others.
func TestNothingThatIsThereIsTaken(t *testing.T) {
	for name, change := range map[string]func(*batchv1.Job){
		"the very job":           func(*batchv1.Job) {},
		"another template":       func(j *batchv1.Job) { j.Spec.Template.Spec.HostPID = true },
		"two at a time":          func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](2) },
		"another request":        func(j *batchv1.Job) { j.Annotations[v1.AnnotationRequestUID] = "another" },
		"another mode":           func(j *batchv1.Job) { j.Labels[v1.LabelBackfilling] = "true" },
		"it runs already":        func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(false) },
		"it has ended":           func(j *batchv1.Job) { j.Status = completeJob(nil).Status },
		"it is on its way out":   func(j *batchv1.Job) { j.Finalizers = []string{metav1.FinalizerDeleteDependents} },
		"somebody else's family": func(j *batchv1.Job) { j.OwnerReferences[0].UID = "another" },
		"of nobody":              func(j *batchv1.Job) { j.OwnerReferences = nil },
		"without labels":         func(j *batchv1.Job) { j.Labels = nil },
		"bare":                   func(j *batchv1.Job) { j.Labels, j.Annotations, j.OwnerReferences = nil, nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill, decided)...)
			other, err := c.beginTwice(change)
			c.must(err)
			job := c.stream().Status.Job
			if job == nil || job.UID == other.UID || job.Run != jobspec.RunOf(other.Name)+1 || c.stream().Status.Runs != job.Run {
				t.Errorf("recorded %+v beside %s", job, other.Name)
			}
			for _, w := range c.writes {
				if strings.HasPrefix(w, "patch *v1.Job "+other.Name) {
					t.Errorf("somebody else's job was written to: %s", w)
				}
			}
		})
	}
}

// TestAPassTriesSoManyNames: then it pauses and says whose job is in the way, and the next goes on behind it.
func TestAPassTriesSoManyNames(t *testing.T) {
	c := newCluster(t, orders(noBackfill, decided)...)
	first := c.stream().CreationTimestamp.Unix() + 1
	const taken = 2*namesTried + 3
	for run := first; run < first+taken; run++ {
		c.must(c.api.Create(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: jobspec.Name("orders", c.stream().UID, v1.KindStream, run), UID: types.UID(strconv.FormatInt(run, 10)),
		}}))
	}
	for pass := int64(1); pass <= 2; pass++ {
		result, err := c.reconcile()
		c.must(err)
		ready := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionReady)
		last := jobspec.Name("orders", c.stream().UID, v1.KindStream, first+pass*namesTried-1)
		if result.RequeueAfter != namesRecheck || ready.Reason != string(v1.ReasonNameConflict) || !strings.Contains(ready.Message, "kubectl delete job "+last) {
			t.Errorf("pass %d: again in %s, %s: %s", pass, result.RequeueAfter, ready.Reason, ready.Message)
		}
		before := len(c.writes)
		if _, err = c.reconcile(); err != nil || len(c.writes) != before {
			t.Errorf("pass %d: something woke the stream, and it tried more names: %v, %v", pass, c.writes[before:], err)
		}
		c.clock.SetTime(c.clock.Now().Add(namesRecheck))
	}
	c.settle()
	if run := c.stream().Status.Job.Run; run != first+taken {
		t.Errorf("run %d, want %d: so many names were taken", run, first+taken)
	}
	if created := len(slices.DeleteFunc(slices.Clone(c.writes), func(w string) bool { return !strings.HasPrefix(w, "create *v1.Job") })); created != taken+1 {
		t.Errorf("%d creations for %d names that were taken", created, taken)
	}
	if n := c.warnings(string(v1.ReasonNameConflict)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// TestAJobThatAPolicyChangedIsNotRecorded: what the lifecycle rests on is as it was sent, or the job goes.
func TestAJobThatAPolicyChangedIsNotRecorded(t *testing.T) {
	for field, change := range map[string]func(*batchv1.Job){
		"the label arcane/stream-id":                 func(j *batchv1.Job) { delete(j.Labels, v1.LabelStreamID) },
		"the label arcane/stream-kind":               func(j *batchv1.Job) { j.Spec.Template.Labels[v1.LabelStreamKind] = "Other" },
		"the controller in metadata.ownerReferences": func(j *batchv1.Job) { j.OwnerReferences = nil },
		"spec.suspend":                               func(j *batchv1.Job) { j.Spec.Suspend = nil },
		"spec.parallelism":                           func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](3) },
		"spec.completions":                           func(j *batchv1.Job) { j.Spec.Completions = nil },
		"spec.podReplacementPolicy":                  func(j *batchv1.Job) { j.Spec.PodReplacementPolicy = nil },
	} {
		t.Run(field, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill, decided)...)
			c.admit = func(o client.Object) {
				if j, ok := o.(*batchv1.Job); ok {
					change(j)
				}
			}
			c.settle()
			ready := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionReady)
			if len(c.jobs()) != 0 || c.stream().Status.Job != nil || ready.Reason != string(v1.ReasonJobRefused) || !strings.Contains(ready.Message, "changed "+field+" of job") {
				t.Errorf("%d jobs, %s: %s", len(c.jobs()), ready.Reason, ready.Message)
			}
			c.admit = nil
			c.clock.SetTime(c.clock.Now().Add(obstacleRecheck))
			c.settle()
			c.running()
		})
	}
	// What others may overwrite, and do.
	c := newCluster(t, orders(noBackfill, decided)...)
	c.admit = func(o client.Object) { o.GetLabels()[v1.LabelManagedBy] = "policy" }
	c.settle()
	c.running()
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
			if movedOn(err) == "" {
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
