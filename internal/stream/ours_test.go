package stream

// This file tests whom a stream takes for its own where labels, annotations, owners and
// numbers were written by others.

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// theirs is a live pod that somebody made, with the stream's labels.
func theirs(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID("theirs-" + name),
			Labels: map[string]string{v1.LabelManagedBy: v1.ManagedBy, v1.LabelStreamID: "orders", v1.LabelStreamKind: v1.KindStream},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func controlledBy(kind, name string, uid types.UID) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: map[string]string{"Job": "batch/v1", "ReplicaSet": "apps/v1"}[kind], Kind: kind, Name: name, UID: uid, Controller: ptr.To(true)}}
	}
}

func (c *cluster) exists(o client.Object) bool {
	c.t.Helper()
	there := copyOf(o)
	err := c.api.Get(c.t.Context(), client.ObjectKeyFromObject(o), there)
	if client.IgnoreNotFound(err) != nil {
		c.t.Fatal(err)
	}
	return err == nil
}

// stalledWith is the message of the stream's condition Stalled, where it is true for this reason.
func (c *cluster) stalledWith(reason v1.Reason) string {
	c.t.Helper()
	is := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionStalled)
	if is == nil || is.Status != metav1.ConditionTrue || is.Reason != string(reason) {
		return ""
	}
	return is.Message
}

// TestAPodThatOnlyBearsLabels may be of a former stream of the name: nothing starts beside
// it, it is never deleted, and after the class's deadline it is named.
func TestAPodThatOnlyBearsLabels(t *testing.T) {
	for name, pod := range map[string]*corev1.Pod{
		"without an owner": theirs("theirs"),
		"of a job":         theirs("theirs", controlledBy("Job", "batch", "batch")),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, append(orders(noBackfill), pod)...)
			c.settle()
			if len(c.jobs()) != 0 || c.stalledWith(v1.ReasonForeignPod) != "" {
				t.Fatalf("%d jobs, %+v", len(c.jobs()), c.stream().Status.Conditions)
			}
			c.clock.SetTime(c.clock.Now().Add(defaultStartDeadline))
			c.settle()
			message := c.stalledWith(v1.ReasonForeignPod)
			if !strings.Contains(message, "pod theirs") || !strings.Contains(message, "kubectl delete ") || !c.exists(pod) {
				t.Errorf("it says %q; the pod is there: %v", message, c.exists(pod))
			}
			c.change(func(s *v1.Stream) { s.Spec.Suspended = true })
			c.settle()
			if phase := c.stream().Status.Phase; phase == v1.StreamSuspended || c.stalledWith(v1.ReasonForeignPod) == "" {
				t.Errorf("%s beside a pod that may be writing", phase)
			}
			c.must(c.api.Delete(t.Context(), pod))
			c.settle()
			if phase := c.stream().Status.Phase; phase != v1.StreamSuspended {
				t.Errorf("%s once it is gone", phase)
			}
		})
	}
}

// TestLabelsOnAnotherControllersPod make it nobody else's.
func TestLabelsOnAnotherControllersPod(t *testing.T) {
	pod := theirs("web-1", controlledBy("ReplicaSet", "web", "web"))
	c := newCluster(t, append(orders(noBackfill), pod)...)
	c.settle()
	c.running()
	c.change(func(s *v1.Stream) { s.Spec.Suspended = true })
	c.settle()
	if phase := c.stream().Status.Phase; phase != v1.StreamSuspended || !c.exists(pod) {
		t.Errorf("%s; the pod is there: %v", phase, c.exists(pod))
	}
}

// TestAPodOfOursIsKnownByItsName: whatever of its labels and owners was taken away, it is
// a writer that no job accounts for, and goes.
func TestAPodOfOursIsKnownByItsName(t *testing.T) {
	for name, strip := range map[string]func(*corev1.Pod){
		"the labels that Kubernetes set, and the owner": func(p *corev1.Pod) {
			p.OwnerReferences = nil
			delete(p.Labels, batchv1.JobNameLabel)
			delete(p.Labels, batchv1.ControllerUidLabel)
		},
		"the kind": func(p *corev1.Pod) {
			p.OwnerReferences = nil
			delete(p.Labels, v1.LabelStreamKind)
			delete(p.Labels, batchv1.ControllerUidLabel)
		},
		"another stream's name": func(p *corev1.Pod) {
			p.OwnerReferences, p.Labels[v1.LabelStreamID] = nil, "customers"
			delete(p.Labels, batchv1.ControllerUidLabel)
		},
		"another controller": func(p *corev1.Pod) { controlledBy("ReplicaSet", "web", "web")(p) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill)...)
			c.settle()
			pod := c.run()
			strip(pod)
			c.must(c.api.Update(t.Context(), pod))
			c.settle()
			if c.exists(pod) {
				t.Error("the pod is there")
			}
			c.running()
		})
	}
}

// TestAPodThatLeavesTheCacheAlive is looked for: without the label by which the cache
// selects, it would seem gone.
func TestAPodThatLeavesTheCacheAlive(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	pod := c.run()
	pod.Labels, pod.OwnerReferences = nil, nil
	c.must(c.api.Update(t.Context(), pod))
	c.reconciler.departed.note(types.NamespacedName{Namespace: namespace, Name: "orders"}, pod)
	c.change(func(s *v1.Stream) { s.Spec.Suspended = true })
	c.settle()
	if c.exists(pod) || c.stream().Status.Phase != v1.StreamSuspended {
		t.Errorf("the pod is there: %v, %s", c.exists(pod), c.stream().Status.Phase)
	}
	if left := c.reconciler.departed.of(types.NamespacedName{Namespace: namespace, Name: "orders"}); len(left) != 0 {
		t.Errorf("%v is remembered", left)
	}
}

// TestNumbersOfRunsAreBounded: whoever may create pods and jobs chooses their names.
func TestNumbersOfRunsAreBounded(t *testing.T) {
	for _, number := range []string{"9223372036854775807", "9007199254740991", "99999999999999999999", "18446744073709551615", "-1", "0x7fffffffffffffff", "1e18"} {
		name := strings.TrimSuffix(jobspec.Name("orders", "0a1b2c3d-stream", v1.KindStream, 7), "7") + number
		ended := theirs(name+"-abcde", func(p *corev1.Pod) {
			p.Labels[batchv1.JobNameLabel], p.Status.Phase = name, corev1.PodSucceeded
		})
		done := completeJob(nil)
		done.ObjectMeta = metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: "done", Labels: ended.Labels, Annotations: map[string]string{v1.AnnotationRun: number},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: v1.KindStream, Name: "orders", UID: "0a1b2c3d-stream", Controller: ptr.To(true)}},
		}
		c := newCluster(t, append(orders(noBackfill), ended, done)...)
		c.settle()
		first := c.stream().CreationTimestamp.Unix() + 1
		if runs := c.stream().Status.Runs; runs != first {
			t.Errorf("%s: the first run is %d, want %d", number, runs, first)
		}
		c.change(func(s *v1.Stream) { s.Spec.Source = raw(`{"n":1}`) })
		c.settle()
		if runs := c.stream().Status.Runs; runs != first+1 {
			t.Errorf("%s: the second run is %d, want %d", number, runs, first+1)
		}
	}
}

// TestAForgedScheduleIsNotTaken: a CronJob of our name that names the stream as its owner
// goes and is made anew; one that does not is in the way and is named.
func TestAForgedScheduleIsNotTaken(t *testing.T) {
	c := newCluster(t, orders(scheduled)...)
	c.settle()
	forged := c.cron()
	forged.UID, forged.ResourceVersion, forged.Spec.JobTemplate.Spec.Template.Spec.HostPID = "forged", "", true
	for name, labels := range map[string]map[string]string{"with labels": forged.Labels, "without": nil} {
		t.Run(name, func(t *testing.T) {
			forged := forged.DeepCopy()
			forged.Labels = labels
			c := newCluster(t, append(orders(scheduled), forged)...)
			c.settle()
			is, record := c.cron(), c.stream().Status.CronJob
			if is == nil || is.UID == forged.UID || is.Spec.JobTemplate.Spec.Template.Spec.HostPID || record == nil || record.UID != is.UID {
				t.Errorf("the CronJob is %+v, recorded %+v", is, record)
			}
		})
	}
	t.Run("of nobody", func(t *testing.T) {
		forged := forged.DeepCopy()
		forged.OwnerReferences = nil
		c := newCluster(t, append(orders(scheduled), forged)...)
		var result ctrl.Result
		for range 3 {
			again, err := c.reconcile()
			c.must(err)
			result = again
		}
		if result.RequeueAfter != obstacleRecheck {
			t.Errorf("again in %s", result.RequeueAfter)
		}
		ready := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionReady)
		if c.cron().UID != "forged" || ready.Reason != string(v1.ReasonNameConflict) || !strings.Contains(ready.Message, "kubectl delete cronjob "+forged.Name) {
			t.Errorf("%s: %s", ready.Reason, ready.Message)
		}
	})
}

// TestAForgedRunIsNotLetRun: a held job that names the schedule as its owner and bears
// copied marks, with other pods.
func TestAForgedRunIsNotLetRun(t *testing.T) {
	for name, change := range map[string]func(*batchv1.Job){
		"another template":          func(j *batchv1.Job) { j.Spec.Template.Spec.HostPID = true },
		"another image":             func(j *batchv1.Job) { j.Spec.Template.Spec.Containers[0].Image = "evil" },
		"three at a time":           func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](3) },
		"another policy":            func(j *batchv1.Job) { j.Spec.PodFailurePolicy = nil },
		"another account's token":   func(j *batchv1.Job) { j.Spec.Template.Spec.ServiceAccountName = "admin" },
		"other labels of its pods":  func(j *batchv1.Job) { delete(j.Spec.Template.Labels, v1.LabelStreamID) },
		"another schedule's family": func(j *batchv1.Job) { j.OwnerReferences[0].UID = "another" },
		"other annotations of pods": func(j *batchv1.Job) { j.Spec.Template.Annotations = map[string]string{"sidecar": "inject"} },
		"a name of somebody's own":  func(j *batchv1.Job) { j.Name, j.Spec.Template.Spec.HostPID = "mine", true },
		"a number that it picked": func(j *batchv1.Job) {
			j.Annotations[v1.AnnotationRun] = "9007199254740991"
			j.Spec.Template.Spec.HostPID = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(scheduled)...)
			c.settle()
			cron := c.cron()
			forged := &batchv1.Job{ObjectMeta: *cron.Spec.JobTemplate.ObjectMeta.DeepCopy(), Spec: *cron.Spec.JobTemplate.Spec.DeepCopy()}
			forged.Namespace, forged.Name, forged.UID = namespace, cron.Name+"-29384756", "forged"
			forged.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
			change(forged)
			c.must(c.api.Create(t.Context(), forged))
			c.settle()
			for _, j := range c.jobs() {
				if !suspended(&j) {
					t.Errorf("job %s runs", j.Name)
				}
			}
			if job := c.stream().Status.Job; job != nil {
				t.Errorf("recorded %s", job.Name)
			}
			if forged.OwnerReferences[0].UID == "another" {
				c.must(c.api.Delete(t.Context(), forged)) // the garbage collector: there is no such owner
			}
			c.due("29384757")
			if c.running().Name != cron.Name+"-29384757" {
				t.Errorf("%s runs", c.running().Name)
			}
		})
	}
}

// TestAChangedScheduleMakesNoRun: whoever may update CronJobs changes what it makes, and leaves our marks.
func TestAChangedScheduleMakesNoRun(t *testing.T) {
	c := newCluster(t, orders(scheduled)...)
	c.settle()
	cron := c.cron()
	cron.Spec.JobTemplate.Spec.Template.Spec.HostPID = true
	cron.Generation++
	c.must(c.api.Update(t.Context(), cron))
	c.due("29384757")
	for _, j := range c.jobs() {
		if !suspended(&j) || j.Spec.Template.Spec.HostPID && j.DeletionTimestamp == nil {
			t.Errorf("job %s is held: %v", j.Name, suspended(&j))
		}
	}
	if c.cron().Spec.JobTemplate.Spec.Template.Spec.HostPID {
		t.Error("the CronJob was not written anew")
	}
}

// TestFinalizersAreNamed: who holds what has to go, and how to end that.
func TestFinalizersAreNamed(t *testing.T) {
	const finalizer = "example.com/audit"
	for reason, hold := range map[v1.Reason]func(*cluster) client.Object{
		v1.ReasonJobStays: func(c *cluster) client.Object { return c.running() },
		v1.ReasonPodStays: func(c *cluster) client.Object { return c.run() },
	} {
		t.Run(string(reason), func(t *testing.T) {
			c := newCluster(t, orders(noBackfill)...)
			c.settle()
			held := hold(c)
			held.SetFinalizers([]string{batchv1.JobTrackingFinalizer, finalizer})
			c.must(c.api.Update(t.Context(), held))
			c.change(func(s *v1.Stream) { s.Spec.Suspended = true })
			c.settle()
			if reason == v1.ReasonPodStays {
				c.must(client.IgnoreNotFound(c.api.Delete(t.Context(), held)))
			}
			c.clock.SetTime(time.Now().Add(2 * defaultStartDeadline)) // the fake API server has a clock of its own
			c.settle()
			message := c.stalledWith(reason)
			for _, part := range []string{held.GetName(), finalizer, "kubectl patch ", "/metadata/finalizers/1"} {
				if !strings.Contains(message, part) {
					t.Errorf("it says %q, not %s", message, part)
				}
			}
			c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(held), held))
			held.SetFinalizers(nil)
			c.must(client.IgnoreNotFound(c.api.Update(t.Context(), held)))
			c.settle()
			if phase := c.stream().Status.Phase; phase != v1.StreamSuspended {
				t.Errorf("%s once nobody holds it", phase)
			}
		})
	}
}

// TestWhatDoesNotSettleIsTold: the pauses grow, and after the class's deadline the stream says what is waited for.
func TestWhatDoesNotSettleIsTold(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	pod := c.run()
	// The Job is there, and has lost the pod: it takes it back by its labels, if its controller is at work.
	pod.OwnerReferences = nil
	c.must(c.api.Update(t.Context(), pod))
	var pauses []time.Duration
	for range 8 {
		result, err := c.reconcile()
		c.must(err)
		pauses = append(pauses, result.RequeueAfter)
	}
	if pauses[0] != lookAgainAfter || pauses[1] != 2*lookAgainAfter || pauses[7] != lookAgainAtMost || c.stalledWith(v1.ReasonUnsettled) != "" {
		t.Errorf("pauses %v", pauses)
	}
	c.clock.SetTime(c.clock.Now().Add(defaultStartDeadline))
	result, err := c.reconcile()
	c.must(err)
	if message := c.stalledWith(v1.ReasonUnsettled); !strings.Contains(message, pod.Name) || result != (ctrl.Result{RequeueAfter: lookAgainAtMost}) {
		t.Errorf("it says %q, again %v", message, result)
	}
	if n := c.warnings(string(v1.ReasonUnsettled)); n != 1 {
		t.Errorf("%d events", n)
	}
	controlledBy("Job", c.running().Name, c.running().UID)(pod)
	c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
	controlledBy("Job", c.running().Name, c.running().UID)(pod)
	c.must(c.api.Update(t.Context(), pod))
	c.settle()
	if c.stalledWith(v1.ReasonUnsettled) != "" || c.stream().Status.Phase != v1.StreamRunning {
		t.Errorf("%+v", c.stream().Status.Conditions)
	}
}
