package stream

// This file tells trusted successes from others.

import (
	"context"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// at is a moment, in seconds of the test's own time.
func at(second int) metav1.Time {
	return metav1.NewTime(time.Date(2026, 1, 2, 3, 0, second, 0, time.UTC))
}

func completeJob(change func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{UID: "job"}}
	j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: at(30)}}
	if change != nil {
		change(j)
	}
	return j
}

func succeededPod(change func(*corev1.Pod)) []corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{UID: "job", Controller: ptr.To(true)}}},
		Status: corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: at(20)}},
		}}},
	}
	if change != nil {
		change(&p)
	}
	return []corev1.Pod{p}
}

func deletedAt(second, grace int) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = ptr.To(at(second+grace)), ptr.To(int64(grace))
	}
}

// seenAt is a Job whose success was seen before its pods were counted.
func seenAt(second int) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{
			Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: at(second),
		})
	}
}

func TestTrusted(t *testing.T) {
	for _, c := range []struct {
		name string
		job  func(*batchv1.Job)
		pods []corev1.Pod
		want bool
	}{
		{"a success that nobody disturbed", nil, succeededPod(nil), true},
		{"the pod is gone", nil, nil, false},
		{"the pod is another job's", nil, succeededPod(func(p *corev1.Pod) { p.OwnerReferences[0].UID = "other" }), false},
		{"the pod was evicted", nil, succeededPod(func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
		}), false},
		{"the pod was deleted before its end", nil, succeededPod(deletedAt(10, 30)), false},
		{"the pod was deleted in the second of its end", nil, succeededPod(deletedAt(20, 30)), false},
		{"the pod was deleted after its success was seen", nil, succeededPod(deletedAt(31, 30)), true},
		{"the pod was deleted in the second in which its success was seen", nil, succeededPod(deletedAt(30, 30)), false},
		{"by the clock of its node, the pod was deleted after its end", nil, succeededPod(deletedAt(21, 30)), false},
		{"the pod was deleted after its success was seen, and before it was counted", seenAt(22), succeededPod(deletedAt(23, 30)), true},
		{"nobody can tell when the pod was deleted", nil, succeededPod(deletedAt(25, 0)), false},
		{"the pod's end is not known", nil, succeededPod(func(p *corev1.Pod) {
			deletedAt(31, 30)(p)
			p.Status.ContainerStatuses[0].State.Terminated = nil
		}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{main: "main"}
			if got, why := w.judge(completeJob(c.job), c.pods); (got == believed) != c.want || got != believed && got != doubted {
				t.Errorf("verdict %v (%s), want to believe it: %v", got, why, c.want)
			}
		})
	}
}

func TestDelayDoublesUpToItsMaximum(t *testing.T) {
	want := []int{10, 20, 40, 80, 160, 320, 600, 600}
	for i, w := range want {
		if got := delay(int32(i+1), 10*time.Second, 10*time.Minute).Seconds(); got != float64(w) {
			t.Errorf("start %d waits %v s, want %d s", i+1, got, w)
		}
	}
	if got := delay(1<<30, 10*time.Second, 10*time.Minute); got != 10*time.Minute {
		t.Errorf("a great number waits %s", got)
	}
}

// TestTheExitCodeIsTheMainContainers: also where class and template, which say which
// one that is, have changed since, or are gone. The kubelet sorts containers by name.
func TestTheExitCodeIsTheMainContainers(t *testing.T) {
	gone := func(c *cluster, o client.Object) { c.must(c.api.Delete(t.Context(), o)) }
	for name, meanwhile := range map[string]func(*cluster){
		"nothing changed": func(*cluster) {},
		"the class is gone": func(c *cluster) {
			gone(c, &v1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: "postgres"}})
		},
		"the template is gone": func(c *cluster) {
			gone(c, &v1.StreamingJobTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "std"}})
		},
		"the template begins with another container": func(c *cluster) {
			template := &v1.StreamingJobTemplate{}
			c.must(c.api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "std"}, template))
			template.Spec.Spec.Template.Spec.Containers[0].Name = "a-proxy"
			c.must(c.api.Update(t.Context(), template))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill, decided)...)
			c.settle()
			c.end(20, func(p *corev1.Pod) {
				proxy := corev1.ContainerStatus{Name: "a-proxy", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 143, FinishedAt: at(1)}}}
				p.Status.ContainerStatuses = append([]corev1.ContainerStatus{proxy}, p.Status.ContainerStatuses...)
			})
			meanwhile(c)
			c.settle()
			if f := c.stream().Status.Failure; f == nil || f.ExitCode == nil || *f.ExitCode != 20 {
				t.Errorf("the failure is %+v", f)
			}
		})
	}
}

// TestAnExitCodeWithoutAMainContainer: of several, the one that failed says more.
func TestAnExitCodeWithoutAMainContainer(t *testing.T) {
	ended := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
	}
	for _, c := range []struct {
		name string
		pod  []corev1.ContainerStatus
		want int32
	}{
		{"none has ended", []corev1.ContainerStatus{{Name: "a"}}, -1},
		{"one", []corev1.ContainerStatus{{Name: "a", State: ended(7)}}, 7},
		{"the second failed", []corev1.ContainerStatus{{Name: "a", State: ended(0)}, {Name: "b", State: ended(7)}}, 7},
		{"both failed", []corev1.ContainerStatus{{Name: "a", State: ended(6)}, {Name: "b", State: ended(7)}}, 6},
		{"the main one runs", []corev1.ContainerStatus{{Name: "a", State: ended(7)}, {Name: "main"}}, -1},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: c.pod}}
		got := int32(-1)
		if exit := (&world{main: "main"}).exitOf(pod); exit != nil {
			got = exit.ExitCode
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestAPolicyNamesItsContainer: only one, and in all that is about exit codes.
func TestAPolicyNamesItsContainer(t *testing.T) {
	on := func(names ...string) *batchv1.PodFailurePolicy {
		p := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{Action: batchv1.PodFailurePolicyActionIgnore}}}
		for _, name := range names {
			r := &batchv1.PodFailurePolicyOnExitCodesRequirement{}
			if name != "" {
				r.ContainerName = &name
			}
			p.Rules = append(p.Rules, batchv1.PodFailurePolicyRule{OnExitCodes: r})
		}
		return p
	}
	pod := &corev1.PodSpec{InitContainers: []corev1.Container{{Name: "init"}}, Containers: []corev1.Container{{Name: "a"}, {Name: "b"}}}
	for _, c := range []struct {
		policy *batchv1.PodFailurePolicy
		want   string
	}{{nil, ""}, {on(), ""}, {on("a"), "a"}, {on("init"), ""}, {on("a", "a"), "a"}, {on("a", "b"), ""}, {on("a", ""), ""}, {on("", "a"), ""}} {
		if got := containerOf(c.policy, pod); got != c.want {
			t.Errorf("%v: %q, want %q", c.policy, got, c.want)
		}
	}
}

// TestAnExitCodeThatTheCacheDoesNotKnow: the Job's end may be seen before its pod's.
func TestAnExitCodeThatTheCacheDoesNotKnow(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	c.end(0)
	c.settle()
	c.end(3)
	c.reconciler.Client = interceptor.NewClient(c.api, interceptor.Funcs{
		List: func(ctx context.Context, w client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			err := w.List(ctx, list, opts...)
			if pods, ok := list.(*corev1.PodList); ok {
				for i := range pods.Items {
					pods.Items[i].Status = corev1.PodStatus{Phase: corev1.PodRunning}
				}
			}
			return err
		},
	})
	c.settle()
	if f := c.stream().Status.Failure; f == nil || f.ExitCode == nil || *f.ExitCode != 3 {
		t.Errorf("the failure is %+v", f)
	}
}
