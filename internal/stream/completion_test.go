package stream

// This file tests what proves that a job has done its work, which container decides, and
// what is a disruption.

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
)

// declares is orders with a class that declares by what its plugin marks a completion.
func declares(mark *v1.Completion, edits ...func(*v1.Stream)) []client.Object {
	all := orders(edits...)
	all[1].(*v1.StreamClass).Spec.Completion = mark
	return all
}

func says(text string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State.Terminated.Message = text }
}

// probed is a pod that the kubelet may end, leaving no trace of it.
func probed(p *corev1.Pod) {
	p.Spec.Containers = []corev1.Container{{Name: "main", LivenessProbe: &corev1.Probe{}}}
}

func (c *cluster) attempts() string {
	c.t.Helper()
	var all []string
	for _, a := range c.firstRequest().Status.Attempts {
		all = append(all, string(a.Result))
	}
	return strings.Join(all, " ")
}

// TestOnlyAMarkProvesACompletion where the kubelet may have ended the container.
func TestOnlyAMarkProvesACompletion(t *testing.T) {
	byMessage, byCode := &v1.Completion{Mark: v1.MarkTerminationMessage}, &v1.Completion{Mark: v1.MarkExitCode}
	for name, e := range map[string]struct {
		mark *v1.Completion
		pod  []func(*corev1.Pod)
		want verdict
	}{
		"nobody can have ended it":          {nil, nil, believed},
		"the kubelet may have":              {nil, []func(*corev1.Pod){probed}, ambiguous},
		"it may have, and there is a mark":  {byMessage, []func(*corev1.Pod){probed, says("completed")}, believed},
		"the mark is one of several lines":  {byMessage, []func(*corev1.Pod){says("7 rows\r\n completed \n")}, believed},
		"a word of a line is no mark":       {byMessage, []func(*corev1.Pod){says("not completed")}, unmarked},
		"there is no mark":                  {byMessage, nil, unmarked},
		"another mark":                      {&v1.Completion{Mark: v1.MarkTerminationMessage, TerminationMessage: "all done"}, []func(*corev1.Pod){says("all done")}, believed},
		"not the mark that is declared":     {&v1.Completion{Mark: v1.MarkTerminationMessage, TerminationMessage: "all done"}, []func(*corev1.Pod){says("completed")}, unmarked},
		"a code that only completion gives": {byCode, []func(*corev1.Pod){probed}, believed},
		"taken away, and there is a mark":   {byMessage, []func(*corev1.Pod){deletedAt(10, 30), says("completed")}, believed},
		"taken away":                        {byMessage, []func(*corev1.Pod){deletedAt(10, 30)}, doubted},
		"taken away, by code":               {byCode, []func(*corev1.Pod){deletedAt(10, 30)}, believed},
		"evicted, probed, without a mark":   {nil, []func(*corev1.Pod){probed, deletedAt(10, 30)}, doubted},
		"a limit that somebody injected": {nil, []func(*corev1.Pod){func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}}}}
		}}, ambiguous},
	} {
		t.Run(name, func(t *testing.T) {
			pods := succeededPod(func(p *corev1.Pod) {
				for _, f := range e.pod {
					f(p)
				}
			})
			w := &world{main: "main", stream: &v1.Stream{}, class: &v1.StreamClass{Spec: v1.StreamClassSpec{Completion: e.mark}}}
			if got, why := w.judge(completeJob(nil), pods); got != e.want || (why == "") != (got == believed || got == doubted) {
				t.Errorf("verdict %v (%s), want %v", got, why, e.want)
			}
		})
	}
}

// TestAnUnprovenBackfillRunsAgainSoOften: exit code 0 without the declared mark is no
// success; the third in a row has failed, and nothing retries it but its user.
func TestAnUnprovenBackfillRunsAgainSoOften(t *testing.T) {
	c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage}, func(s *v1.Stream) {
		s.Spec.Restart = &v1.RestartSpec{Policy: v1.RestartOnFailure, MaxRestarts: ptr.To[int32](5)}
	})...)
	c.settle()
	for _, want := range []string{"Unproven", "Unproven Unproven"} {
		c.end(0)
		c.settle()
		if got := c.attempts(); got != want || c.stream().Status.Failure != nil {
			t.Fatalf("attempts %q, want %q; failure %+v", got, want, c.stream().Status.Failure)
		}
	}
	c.end(0)
	c.settle()
	failure, request := c.stream().Status.Failure, c.firstRequest()
	if failure == nil || failure.Reason != string(v1.ReasonCompletionUnproven) || request.Status.Phase != v1.RequestFailed || request.Spec.Completed || c.attempts() != "Unproven Unproven Failed" {
		t.Fatalf("failure %+v, request %s, attempts %q", failure, request.Status.Phase, c.attempts())
	}
	c.clock.SetTime(c.clock.Now().Add(24 * time.Hour))
	c.settle()
	if c.stream().Status.Phase != v1.StreamFailed {
		t.Errorf("%s: it was retried, and would end as before", c.stream().Status.Phase)
	}
	for _, suspended := range []bool{true, false} {
		c.change(func(s *v1.Stream) { s.Spec.Suspended = suspended })
		c.settle()
	}
	c.end(0, says("completed"))
	c.settle()
	if request := c.firstRequest(); request.Status.Phase != v1.RequestCompleted {
		t.Errorf("request %s", request.Status.Phase)
	}
}

// TestAnAmbiguousBackfillFailsAtOnce, and says what to declare: the next would be as ambiguous.
func TestAnAmbiguousBackfillFailsAtOnce(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	c.probes = true
	c.end(0)
	c.settle()
	f := c.stream().Status.Failure
	ready := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionReady)
	if f == nil || f.Reason != string(v1.ReasonCompletionUnproven) || f.ExitCode == nil || *f.ExitCode != 0 ||
		!strings.Contains(ready.Message, "spec.completion") || !strings.Contains(ready.Message, "livenessProbe of container main") {
		t.Errorf("failure %+v, %s", f, ready.Message)
	}
}

// TestAnUnprovenRunFails: the next one comes in its time.
func TestAnUnprovenRunFails(t *testing.T) {
	c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage}, scheduled)...)
	c.settle()
	c.due("29384756")
	c.end(0)
	c.settle()
	last := meta.FindStatusCondition(c.stream().Status.Conditions, v1.ConditionLastRunFailed)
	if last == nil || last.Status != metav1.ConditionTrue || !strings.Contains(last.Message, string(v1.ReasonCompletionUnproven)) || c.stream().Status.Phase != v1.StreamScheduled {
		t.Errorf("%+v, %s", last, c.stream().Status.Phase)
	}
}

// beside lets the running job's main container end in a pod whose other container runs on.
func (c *cluster) beside(exitCode int32, change ...func(*corev1.Pod)) *corev1.Pod {
	c.t.Helper()
	pod := c.run()
	began := metav1.NewTime(c.clock.Now())
	c.clock.SetTime(c.clock.Now().Add(time.Minute))
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{
		{Name: "a-proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}}},
		{Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: exitCode, StartedAt: began, FinishedAt: metav1.NewTime(c.clock.Now()), Message: "because",
		}}},
	}
	for _, f := range change {
		f(pod)
	}
	c.must(c.api.Status().Update(c.t.Context(), pod))
	c.settle()
	return pod
}

// TestTheMainContainerDecides, whatever runs on beside it; a moment is left to that.
func TestTheMainContainerDecides(t *testing.T) {
	t.Run("a backfill that has succeeded", func(t *testing.T) {
		c := newCluster(t, orders()...)
		c.settle()
		job := c.running()
		pod := c.beside(0)
		if c.firstRequest().Spec.Completed {
			t.Fatal("nothing was left to the other container")
		}
		c.clock.SetTime(c.clock.Now().Add(lingerAtMost))
		c.settle()
		if q := c.firstRequest(); q.Status.Phase != v1.RequestCompleted || c.exists(job) || c.exists(pod) {
			t.Errorf("request %s; job there: %v, pod there: %v", q.Status.Phase, c.exists(job), c.exists(pod))
		}
		if c.running().UID == job.UID || c.stream().Status.Phase != v1.StreamRunning {
			t.Error("the stream does not stream on")
		}
	})
	t.Run("a failure that ends the stream", func(t *testing.T) {
		c := newCluster(t, orders(noBackfill, decided)...)
		c.settle()
		pod := c.beside(20)
		c.clock.SetTime(c.clock.Now().Add(lingerAtMost))
		c.settle()
		if c.exists(pod) || c.running() == nil || c.stream().Status.Failure != nil {
			t.Fatalf("the pod is there: %v", c.exists(pod))
		}
		// The pod is gone before the Job controller has said anything.
		j := c.running()
		now := metav1.NewTime(c.clock.Now())
		j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonPodFailurePolicy, LastTransitionTime: now}}
		c.must(c.api.Status().Update(t.Context(), j))
		c.settle()
		f := c.stream().Status.Failure
		if f == nil || f.ExitCode == nil || *f.ExitCode != 20 || f.FailureClass != "config" || f.Pod != pod.Name || f.Message != "because" {
			t.Errorf("failure %+v", f)
		}
	})
	t.Run("a stream that has ended", func(t *testing.T) {
		c := newCluster(t, orders(noBackfill, decided)...)
		c.settle()
		job := c.running()
		c.beside(0)
		c.clock.SetTime(c.clock.Now().Add(lingerAtMost))
		c.settle()
		if r := c.stream().Status.Restarts; c.exists(job) || r == nil || r.Count != 1 || c.stream().Status.Job != nil && c.stream().Status.Job.UID == job.UID {
			t.Errorf("the job is there: %v, %+v", c.exists(job), r)
		}
	})
	t.Run("a container beside it failed", func(t *testing.T) {
		c := newCluster(t, orders()...)
		c.settle()
		job := c.running()
		c.beside(0, func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, FinishedAt: metav1.NewTime(c.clock.Now())}}
		})
		if q := c.firstRequest(); q.Status.Phase != v1.RequestCompleted || c.exists(job) {
			t.Errorf("request %s, the job is there: %v", q.Status.Phase, c.exists(job))
		}
	})
	t.Run("the kubelet has yet to say that the pod has ended", func(t *testing.T) {
		c := newCluster(t, orders(noBackfill, decided)...)
		c.settle()
		pod := c.beside(20, func(p *corev1.Pod) { p.Status.ContainerStatuses = p.Status.ContainerStatuses[1:] })
		c.clock.SetTime(c.clock.Now().Add(time.Hour))
		c.settle()
		if !c.exists(pod) {
			t.Error("a pod that ends by itself was deleted")
		}
	})
}

// TestOnlyWhatWasTakenAwayIsADisruption: what failed is left to the Job controller, what
// ended in an ignored way after running well makes way and keeps its log.
func TestOnlyWhatWasTakenAwayIsADisruption(t *testing.T) {
	ended := func(c *cluster, exitCode int32, ran time.Duration, change ...func(*corev1.Pod)) *batchv1.Job {
		pod, j := c.run(), c.running()
		pod.Status.Phase = corev1.PodFailed
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: exitCode, StartedAt: metav1.NewTime(c.clock.Now().Add(-ran)), FinishedAt: metav1.NewTime(c.clock.Now()), Message: "lost the source",
		}}}}
		for _, f := range change {
			f(pod)
		}
		c.must(c.api.Status().Update(c.t.Context(), pod))
		c.settle()
		return j
	}
	for _, e := range []struct {
		name string
		code int32
		ran  time.Duration
		want v1.Reason
	}{
		{"it failed after running well", 1, time.Hour, v1.ReasonStreaming},
		{"it failed soon", 1, time.Second, v1.ReasonStreaming},
		{"it ended in an ignored way soon", 2, time.Second, v1.ReasonStreaming},
		{"it ended in an ignored way after running well", 2, time.Hour, v1.ReasonPodEnded},
	} {
		t.Run(e.name, func(t *testing.T) {
			objects := orders(noBackfill, decided)
			objects[1].(*v1.StreamClass).Spec.FailureClasses = nil // 2 is transient, and ignored
			c := newCluster(t, objects...)
			c.settle()
			j := ended(c, e.code, e.ran)
			history := c.stream().Status.History
			told := history[len(history)-1]
			if told.Reason != string(e.want) || !c.exists(j) {
				t.Fatalf("%+v; the job is there: %v", told, c.exists(j))
			}
			if e.want == v1.ReasonStreaming {
				return
			}
			for _, part := range []string{"exit code 2 (transient)", "1h0m0s", "lost the source"} {
				if !strings.Contains(told.Message, part) {
					t.Errorf("it says %q", told.Message)
				}
			}
			c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(j), j))
			if deadline := j.Spec.ActiveDeadlineSeconds; deadline == nil || *deadline != endsAfter || len(c.jobs()) != 1 {
				t.Fatalf("deadline %v, %d jobs", deadline, len(c.jobs()))
			}
			// The Job controller ends it, and keeps its pod.
			j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonDeadlineExceeded, LastTransitionTime: metav1.NewTime(c.clock.Now())}}
			c.must(c.api.Status().Update(t.Context(), j))
			c.settle()
			if s := c.stream().Status; s.Failure != nil || s.Phase != v1.StreamRunning || s.Job.UID == j.UID || !c.exists(j) || s.Restarts != nil {
				t.Errorf("%s, failure %+v, job %+v, restarts %+v; the former is there: %v", s.Phase, s.Failure, s.Job, s.Restarts, c.exists(j))
			}
		})
	}
	t.Run("its deadline took it away", func(t *testing.T) {
		for asked, want := range map[time.Duration]lifecycle.Pod{time.Minute: lifecycle.PodServes, 30 * time.Second: lifecycle.PodTakenAway} {
			w := &world{main: "main", record: &v1.JobRecord{}, job: &batchv1.Job{ObjectMeta: metav1.ObjectMeta{UID: "job"}}}
			w.facts.Mode = v1.ModeStream
			w.job.Spec.ActiveDeadlineSeconds, w.job.Status.StartTime = ptr.To[int64](60), ptr.To(at(0))
			w.pods = succeededPod(func(p *corev1.Pod) {
				p.Status = corev1.PodStatus{Phase: corev1.PodRunning}
				deletedAt(int(asked.Seconds()), 30)(p)
			})
			if got := w.podState(); got != want {
				t.Errorf("deleted after %s of 60: %v, want %v", asked, got, want)
			}
		}
	})
}

// TestHealthyIsTheMainContainer: one beside it that ends early does not stop the count.
func TestHealthyIsTheMainContainer(t *testing.T) {
	w := &world{main: "main"}
	p := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "a-helper", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: at(1)}}},
		{Name: "main", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(7)}}},
	}}}
	if since := w.runningSince(p); !since.Equal(at(7).Time) {
		t.Errorf("running since %s", since)
	}
	p.Status.ContainerStatuses[1].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
	if since := w.runningSince(p); !since.IsZero() {
		t.Errorf("running since %s, and the main container waits", since)
	}
}

// TestAMarkCountsWhoeverEndsTheJob: the work was done before the stream was suspended, the
// job failed or somebody deleted it.
func TestAMarkCountsWhoeverEndsTheJob(t *testing.T) {
	mark := &v1.Completion{Mark: v1.MarkTerminationMessage}
	leaves := func(c *cluster, message string) *corev1.Pod {
		pod := c.run()
		pod.Finalizers = []string{batchv1.JobTrackingFinalizer}
		c.must(c.api.Update(c.t.Context(), pod))
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(c.clock.Now()), Message: message},
		}}}
		c.must(c.api.Status().Update(c.t.Context(), pod))
		return pod
	}
	for name, stop := range map[string]func(*cluster, *corev1.Pod){
		"the job is gone": func(c *cluster, _ *corev1.Pod) { c.must(c.api.Delete(c.t.Context(), c.running())) },
		"the job is being deleted": func(c *cluster, _ *corev1.Pod) {
			j := c.running()
			j.Finalizers = []string{metav1.FinalizerDeleteDependents}
			c.must(c.api.Update(c.t.Context(), j))
			c.must(c.api.Delete(c.t.Context(), j))
		},
		"the job has failed": func(c *cluster, _ *corev1.Pod) {
			j := c.running()
			j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonDeadlineExceeded, LastTransitionTime: metav1.NewTime(c.clock.Now())}}
			c.must(c.api.Status().Update(c.t.Context(), j))
		},
		"the pod is deleted": func(c *cluster, p *corev1.Pod) { c.must(c.api.Delete(c.t.Context(), p)) },
	} {
		for message, want := range map[string]bool{"completed": true, "stopped": false} {
			t.Run(name+"/"+message, func(t *testing.T) {
				c := newCluster(t, declares(mark)...)
				c.settle()
				stop(c, leaves(c, message))
				_, err := c.reconcile()
				c.must(err)
				if got := c.firstRequest().Spec.Completed; got != want {
					t.Errorf("completed: %v; %+v", got, c.stream().Status.Conditions)
				}
			})
		}
	}
	t.Run("and the cache does not know it yet", func(t *testing.T) {
		c := newCluster(t, declares(mark)...)
		c.settle()
		j := c.running()
		c.change(suspend)
		judged := c.judged("suspend")
		leaves(c, "completed")
		if err := judged.apply(t.Context()); movedOn(err) == "" || !c.exists(j) {
			t.Errorf("%v; the job is there: %v", err, c.exists(j))
		}
	})
}

// TestAContainerThatWasStartedOnceMoreProvesNothing: the kubelet has ended it before, as it
// does where somebody changes its image.
func TestAContainerThatWasStartedOnceMoreProvesNothing(t *testing.T) {
	for name, mark := range map[string]*v1.Completion{"no mark": nil, "an exit code": {Mark: v1.MarkExitCode}} {
		c := newCluster(t, declares(mark)...)
		c.settle()
		c.end(0, func(p *corev1.Pod) { p.Status.ContainerStatuses[0].RestartCount = 1 })
		c.settle()
		if got := c.attempts(); got != "Interrupted" {
			t.Errorf("%s: attempts %q", name, got)
		}
	}
}

// TestAPodThatFailedAsAWholeProvesNothing, though its main container exited 0.
func TestAPodThatFailedAsAWholeProvesNothing(t *testing.T) {
	beside := func(exitCode int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "a-proxy", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode}}}
	}
	for name, e := range map[string]struct {
		reason string
		beside int32
		want   bool
	}{
		"a container beside it failed":   {"", 1, true},
		"the kubelet evicted it":         {"Evicted", 1, false},
		"its deadline was over":          {"DeadlineExceeded", 0, false},
		"nothing says why it has failed": {"", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders()...)
			c.settle()
			c.beside(0, func(p *corev1.Pod) {
				p.Status.Phase, p.Status.Reason = corev1.PodFailed, e.reason
				p.Status.ContainerStatuses[0] = beside(e.beside)
			})
			if got := c.firstRequest().Spec.Completed; got != e.want {
				t.Errorf("completed: %v", got)
			}
		})
	}
}

// TestABackfillThatIsEndedAgainAndAgainSaysSo: a policy lets its Jobs expire, for instance.
func TestABackfillThatIsEndedAgainAndAgainSaysSo(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	for n := range crashLoopAfter {
		if message := c.stalledWith(v1.ReasonBackfillInterrupted); message != "" {
			t.Fatalf("after %d: %s", n, message)
		}
		c.must(c.api.Delete(t.Context(), c.running()))
		c.later(time.Minute) // the next one waits
		c.settle()
	}
	if message := c.stalledWith(v1.ReasonBackfillInterrupted); !strings.Contains(message, "3 of the last attempts") || !strings.Contains(message, "kubectl get events") {
		t.Fatalf("it says %q of %q", message, c.attempts())
	}
	c.end(0)
	c.settle()
	if c.stream().Status.Phase != v1.StreamRunning || c.stalledWith(v1.ReasonBackfillInterrupted) != "" {
		t.Errorf("%s, %+v", c.stream().Status.Phase, c.stream().Status.Conditions)
	}
}

// terminated is how a container has ended.
func terminated(exitCode int32, at time.Time, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode, FinishedAt: metav1.NewTime(at), Message: message}}
}

// TestAnExitCodeIsPromisedByThePluginThatCameWithIt: the class declares it while another
// version of the plugin runs, which exits 0 on SIGTERM.
func TestAnExitCodeIsPromisedByThePluginThatCameWithIt(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	c.changeClass(func(class *v1.StreamClass) { class.Spec.Completion = &v1.Completion{Mark: v1.MarkExitCode} })
	pod := c.run()
	pod.Finalizers = []string{batchv1.JobTrackingFinalizer}
	c.must(c.api.Update(t.Context(), pod))
	c.must(c.api.Delete(t.Context(), pod))
	c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(pod), pod))
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: terminated(0, c.clock.Now(), "")}}
	c.must(c.api.Status().Update(t.Context(), pod))
	_, err := c.reconcile()
	c.must(err)
	if q := c.firstRequest(); q.Spec.Completed {
		t.Errorf("the pod was deleted, and the backfill is %s", q.Status.Phase)
	}
}

// TestANewerPodBeginsTheWorkOnceMore: the mark of the one before it counts no more, and
// keeps nobody from stopping the job.
func TestANewerPodBeginsTheWorkOnceMore(t *testing.T) {
	begun := func(t *testing.T) (*cluster, *corev1.Pod) {
		t.Helper()
		c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage})...)
		c.settle()
		j, pod := c.running(), c.run()
		pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "a-proxy", State: terminated(1, c.clock.Now(), "")},
			{Name: "main", State: terminated(0, c.clock.Now(), "completed")},
		}}
		c.must(c.api.Status().Update(t.Context(), pod))
		// The operator is away; the Job controller makes the next one.
		c.clock.SetTime(c.clock.Now().Add(20 * time.Second))
		next := pod.DeepCopy()
		next.ResourceVersion, next.Name, next.UID, next.CreationTimestamp = "", j.Name+"-next", "next", metav1.NewTime(c.clock.Now())
		next.Status = runningFrom(c.clock.Now())
		c.must(c.api.Create(t.Context(), next))
		return c, next
	}
	t.Run("it is stopped", func(t *testing.T) {
		c, _ := begun(t)
		j := c.running()
		c.change(suspend)
		c.hours(2)
		if c.exists(j) || c.firstRequest().Spec.Completed {
			t.Errorf("the job is there: %v, completed: %v", c.exists(j), c.firstRequest().Spec.Completed)
		}
	})
	t.Run("it fails", func(t *testing.T) {
		c, next := begun(t)
		next.Status = corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{Name: "main", State: terminated(20, c.clock.Now(), "")}}}
		c.must(c.api.Status().Update(t.Context(), next))
		j := c.running()
		j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonPodFailurePolicy, LastTransitionTime: metav1.NewTime(c.clock.Now())}}
		c.must(c.api.Status().Update(t.Context(), j))
		c.settle()
		if f := c.stream().Status.Failure; f == nil || f.ExitCode == nil || *f.ExitCode != 20 {
			t.Errorf("failure %+v, request %s", f, c.firstRequest().Status.Phase)
		}
	})
	t.Run("it exits 0 without the mark", func(t *testing.T) {
		c, next := begun(t)
		next.Status = corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{Name: "main", State: terminated(0, c.clock.Now(), "")}}}
		c.must(c.api.Status().Update(t.Context(), next))
		j := c.running()
		now := metav1.NewTime(c.clock.Now())
		j.Status.CompletionTime, j.Status.Conditions = &now, []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now}}
		c.must(c.api.Status().Update(t.Context(), j))
		c.settle()
		if q := c.firstRequest(); q.Spec.Completed || len(q.Status.Attempts) != 1 || q.Status.Attempts[0].Result != v1.AttemptUnproven {
			t.Errorf("completed: %v, attempts %+v", q.Spec.Completed, q.Status.Attempts)
		}
	})
}

// TestTheMainContainerDecidesBesideOneThatWaits: its image cannot be pulled, for instance.
func TestTheMainContainerDecidesBesideOneThatWaits(t *testing.T) {
	for name, code := range map[string]int32{"it has completed": 0, "it has failed": 20} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage})...)
			c.settle()
			pod := c.run()
			pod.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{
				{Name: "a-proxy", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}},
				{Name: "main", State: terminated(code, c.clock.Now(), "completed")},
			}}
			c.must(c.api.Status().Update(t.Context(), pod))
			c.pass(lingerAtMost)
			if c.firstRequest().Spec.Completed != (code == 0) || c.exists(pod) {
				t.Errorf("completed: %v, the pod is there: %v", c.firstRequest().Spec.Completed, c.exists(pod))
			}
		})
	}
}

// TestAMarkCountsThoughThePodFailed: what ran beside it was evicted for its storage.
func TestAMarkCountsThoughThePodFailed(t *testing.T) {
	c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage})...)
	c.settle()
	c.beside(0, func(p *corev1.Pod) {
		p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted"
		p.Status.ContainerStatuses[0].State = terminated(137, c.clock.Now(), "")
		p.Status.ContainerStatuses[1].State.Terminated.Message = "completed"
	})
	if !c.firstRequest().Spec.Completed {
		t.Error("it runs again")
	}
}

// TestThePodOfAFormerBackfillProvesNothing: whoever may patch pods gives it to the next one's Job.
func TestThePodOfAFormerBackfillProvesNothing(t *testing.T) {
	c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage})...)
	c.settle()
	c.end(0, says("completed"))
	c.settle()
	var pods corev1.PodList
	c.must(c.api.List(t.Context(), &pods))
	former := &pods.Items[0]
	c.clock.SetTime(c.clock.Now().Add(time.Minute))
	c.request("again")
	c.settle()
	j := c.running()
	former.OwnerReferences, former.Finalizers = nil, []string{"example.com/audit"}
	former.Labels[batchv1.ControllerUidLabel], former.Labels[batchv1.JobNameLabel] = string(j.UID), j.Name
	c.must(c.api.Update(t.Context(), former))
	c.must(c.api.Delete(t.Context(), former))
	c.settle()
	for _, q := range c.requests() {
		if q.Name == "again" && q.Spec.Completed {
			t.Errorf("%s: %+v, and no pod of it has run", q.Status.Phase, q.Status.Attempts)
		}
	}
}

// TestEndsOfTwoKindsByTurnsAreToldToo: neither is ever the last three times in a row.
func TestEndsOfTwoKindsByTurnsAreToldToo(t *testing.T) {
	c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage})...)
	c.settle()
	for range unprovenAtMost {
		c.must(c.api.Delete(t.Context(), c.running()))
		c.settle()
		c.end(0)
		c.settle()
	}
	if f := c.stream().Status.Failure; f == nil || f.Reason != string(v1.ReasonCompletionUnproven) {
		t.Errorf("failure %+v after %s", f, c.attempts())
	}
}

// TestWhatItsUserStoppedIsNoInterruption: a change that does not wait for the backfill's end.
func TestWhatItsUserStoppedIsNoInterruption(t *testing.T) {
	c := newCluster(t, orders(func(s *v1.Stream) { s.Spec.Backfill = &v1.BackfillSpec{OnSpecChange: v1.OnSpecChangeRestart} })...)
	c.settle()
	for _, n := range []string{"1", "2", "3"} {
		c.change(func(s *v1.Stream) { s.Spec.Source = raw(`{"n":` + n + `}`) })
		c.settle()
	}
	if c.attempts() != "Stopped Stopped Stopped" || c.stalledWith(v1.ReasonBackfillInterrupted) != "" {
		t.Errorf("%s, %q", c.attempts(), c.stalledWith(v1.ReasonBackfillInterrupted))
	}
}

// TestAnUnmarkedEndBesideAFailedSidecar is what it would be alone: the backfill runs again.
func TestAnUnmarkedEndBesideAFailedSidecar(t *testing.T) {
	c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage})...)
	c.settle()
	c.end(1, func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{
			{Name: "main", State: terminated(0, c.clock.Now(), "")}, {Name: "proxy", State: terminated(1, c.clock.Now(), "")},
		}
	})
	c.settle()
	if f := c.stream().Status.Failure; f != nil || c.attempts() != "Unproven" {
		t.Errorf("attempts %s; failure %+v", c.attempts(), f)
	}
}
