//go:build tour

// The scenarios of docs/lifecycle.md.

package tour_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

const (
	stream     = "get strm"
	streamWide = "get strm -o wide"
	requests   = "get bfr"
	why        = "get bfr -o wide"
	suspend    = `patch strm orders --type=merge -p '{"spec":{"suspended":true}}'`
	resume     = `patch strm orders --type=merge -p '{"spec":{"suspended":false}}'`
	workloads  = "get jobs,pods -l arcane/stream-id=orders"
	crons      = "get cronjobs"
	pods       = "get pods -l arcane/stream-id=orders"
)

// endless backfills end when the story ends them.
var endless = given.Script(func(s *script.Source) {
	s.Backfill.RunFor = script.Forever
	s.Backfill.OnSigterm.ExitCode = 0
})

func failing(exit int, message string) given.StreamOption {
	return given.Script(func(s *script.Source) { s.Stream = script.Run{ExitCode: exit, Message: message} })
}

// streaming is a story that begins with a running stream.
func (w *shown) streaming(ctx SpecContext) *corev1.Pod {
	w.Given(ctx, "orders", given.NoInitialBackfill, endless)
	pod := w.AwaitPod(ctx, "orders", v1.ModeStream)
	w.AwaitPhase(ctx, "orders", v1.StreamRunning)
	return pod
}

// backfilling is a story that begins with a stream in its first backfill.
func (w *shown) backfilling(ctx SpecContext, options ...given.StreamOption) (pod *corev1.Pod, request string) {
	w.Given(ctx, "orders", append([]given.StreamOption{endless}, options...)...)
	pod = w.AwaitPod(ctx, "orders", v1.ModeBackfill)
	w.AwaitPhase(ctx, "orders", v1.StreamBackfilling)
	return pod, w.Requests(ctx, "orders")[0].Name
}

func (w *shown) backoffLimit(ctx SpecContext, limit int32) {
	w.EditTemplate(ctx, story.Template, given.BackoffLimit(limit))
}

var _ = Describe("How a stream begins, stops and backfills", func() {
	scenario(1, "a new stream", func(ctx SpecContext, w *shown) {
		pod, request := w.backfilling(ctx)
		w.note("orders has been created")
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, request)
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.note("the backfill's job has succeeded")
		w.look(ctx, stream, requests)
		w.describe(ctx, "strm orders", v1.ConditionReady)
	})
	scenario(2, "a stream created suspended", func(ctx SpecContext, w *shown) {
		w.Given(ctx, "orders", given.Suspended)
		w.AwaitPhase(ctx, "orders", v1.StreamSuspended)
		w.note("orders has been created with suspended: true")
		w.look(ctx, stream, requests)
		w.kubectl(ctx, resume)
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.look(ctx, stream, requests)
	})
	scenario(3, "suspended while it runs", func(ctx SpecContext, w *shown) {
		w.streaming(ctx)
		w.kubectl(ctx, suspend)
		w.AwaitPhase(ctx, "orders", v1.StreamSuspended)
		w.look(ctx, stream, workloads)
		w.describe(ctx, "strm orders", v1.ConditionReady, v1.ConditionSuspended)
	})
	scenario(4, "a request while it runs", func(ctx SpecContext, w *shown) {
		w.streaming(ctx)
		w.Request(ctx, "again", "orders")
		w.note("the BackfillRequest again has been created")
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, "again")
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.note("its job has succeeded")
		w.look(ctx, stream, requests)
		w.describe(ctx, "strm orders")
	})
	scenario(5, "a request while it is suspended", func(ctx SpecContext, w *shown) {
		w.Given(ctx, "orders", given.Suspended, endless)
		w.AwaitPhase(ctx, "orders", v1.StreamSuspended)
		w.Request(ctx, "again", "orders")
		w.AwaitRequest(ctx, "again", v1.RequestQueued)
		w.note("orders has been created with suspended: true, then the BackfillRequest again")
		w.look(ctx, stream, why)
		w.kubectl(ctx, resume)
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitPod(ctx, "orders", v1.ModeStream)
	})
	scenario(12, "suspended while it backfills", func(ctx SpecContext, w *shown) {
		first, request := w.backfilling(ctx)
		w.kubectl(ctx, suspend)
		w.AwaitPhase(ctx, "orders", v1.StreamSuspended)
		w.AwaitRequest(ctx, request, v1.RequestPaused)
		w.look(ctx, stream, why)
		w.kubectl(ctx, resume)
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill, first)
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, request)
		w.AwaitPod(ctx, "orders", v1.ModeStream)
	})
	scenario(17, "suspended before it could start", func(ctx SpecContext, w *shown) {
		w.Delete(ctx, given.Template(w.Namespace, story.Template))
		w.Given(ctx, "orders", endless)
		w.AwaitPhase(ctx, "orders", v1.StreamPending)
		w.look(ctx, stream)
		w.kubectl(ctx, suspend)
		w.AwaitPhase(ctx, "orders", v1.StreamSuspended)
		w.look(ctx, stream)
		w.Create(ctx, given.Template(w.Namespace, story.Template))
		w.note("the template has been created")
		w.kubectl(ctx, resume)
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitPod(ctx, "orders", v1.ModeStream)
	})
	scenario(26, "a scheduled stream", func(ctx SpecContext, w *shown) {
		w.Given(ctx, "orders", given.Schedule("0 3 * * *"), endless)
		w.AwaitPhase(ctx, "orders", v1.StreamScheduled)
		w.note("orders has been created with the schedule 0 3 * * *")
		w.look(ctx, stream, requests, crons)
		list := &batchv1.CronJobList{}
		Expect(w.Client.List(ctx, list, client.InNamespace(w.Namespace))).To(Succeed())
		w.note("its time has come, or somebody does not want to wait for it")
		w.kubectl(ctx, "create job by-hand --from=cronjob/"+list.Items[0].Name)
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		w.look(ctx, stream, "get jobs -l arcane/stream-id=orders")
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCondition(ctx, "orders", v1.ConditionLastRunFailed, metav1.ConditionFalse, v1.ReasonRunSucceeded)
		w.note("the run has ended")
		w.describe(ctx, "strm orders", v1.ConditionReady, v1.ConditionLastRunFailed)
		w.Request(ctx, "again", "orders")
		pod = w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		w.note("the BackfillRequest again has been created")
		w.look(ctx, stream, requests, crons)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, "again")
		w.AwaitPhase(ctx, "orders", v1.StreamScheduled)
		w.kubectl(ctx, suspend)
		w.AwaitPhase(ctx, "orders", v1.StreamSuspended)
		w.look(ctx, stream, crons)
	})
})

var _ = Describe("How pods end", func() {
	scenario(6, "failed, with a request", func(ctx SpecContext, w *shown) {
		w.backoffLimit(ctx, 0)
		w.Given(ctx, "orders", given.NoInitialBackfill, failing(1, "the table is gone"))
		w.AwaitPhase(ctx, "orders", v1.StreamFailed)
		w.Request(ctx, "again", "orders", given.Payload(script.Run{RunFor: script.Forever}))
		w.AwaitRequest(ctx, "again", v1.RequestQueued)
		w.note("the job has failed, then the BackfillRequest again has been created")
		w.look(ctx, stream, why)
		w.kubectl(ctx, suspend)
		w.AwaitPhase(ctx, "orders", v1.StreamSuspended)
		w.look(ctx, stream)
		w.EditStream(ctx, "orders", given.Source(script.Default()))
		w.note("what was wrong has been corrected")
		w.kubectl(ctx, resume)
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, "again")
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.note("the backfill's job has succeeded")
		w.look(ctx, stream, requests)
	})
	scenario(7, "a pod that is deleted", func(ctx SpecContext, w *shown) {
		pod := w.streaming(ctx)
		w.look(ctx, pods)
		w.kubectl(ctx, "delete pod "+pod.Name)
		w.AwaitPod(ctx, "orders", v1.ModeStream, pod)
		w.AwaitPhase(ctx, "orders", v1.StreamRunning)
		w.look(ctx, stream, pods)
		w.describe(ctx, "strm orders")
	})
	scenario(8, "an exit code that the policy ignores", func(ctx SpecContext, w *shown) {
		pod := w.streaming(ctx)
		Expect(w.Player.Exit(pod, 2)).To(Succeed())
		w.AwaitPod(ctx, "orders", v1.ModeStream, pod)
		w.note("the pod has exited with code 2")
		w.look(ctx, stream, workloads)
		w.describe(ctx, "strm orders")
	})
	scenario(9, "an exit code that fails it", func(ctx SpecContext, w *shown) {
		w.Given(ctx, "orders", given.NoInitialBackfill, failing(1, "the table is gone"))
		w.AwaitPhase(ctx, "orders", v1.StreamFailed)
		w.look(ctx, streamWide, pods)
		w.describe(ctx, "strm orders", v1.ConditionReady, v1.ConditionStalled)
		w.kubectl(ctx, `patch strm orders --type=merge -p '{"spec":{"restart":{"policy":"OnFailure","backoff":{"initial":"5m","max":"1h"}}}}'`)
		w.AwaitCondition(ctx, "orders", v1.ConditionReady, metav1.ConditionFalse, v1.ReasonRestartWaits)
		w.look(ctx, streamWide)
	})
	scenario(21, "a backfill that fails", func(ctx SpecContext, w *shown) {
		w.backoffLimit(ctx, 0)
		first, request := w.backfilling(ctx)
		Expect(w.Player.Exit(first, 1)).To(Succeed())
		w.AwaitPhase(ctx, "orders", v1.StreamFailed)
		w.AwaitRequest(ctx, request, v1.RequestFailed)
		w.note("the backfill's pod has exited with code 1")
		w.look(ctx, stream, why)
		w.kubectl(ctx, suspend)
		w.AwaitPhase(ctx, "orders", v1.StreamSuspended)
		w.kubectl(ctx, resume)
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill, first)
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, request)
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.note("this time its job has succeeded")
		w.look(ctx, stream, requests)
	})
	scenario(22, "a backfill whose pod is taken away", func(ctx SpecContext, w *shown) {
		first, request := w.backfilling(ctx)
		w.kubectl(ctx, "delete pod "+first.Name)
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill, first)
		w.AwaitPhase(ctx, "orders", v1.StreamBackfilling)
		w.note("it has exited with code 0")
		w.look(ctx, stream, requests)
		w.describe(ctx, "strm orders")
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, request)
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.note("the second pod has done its work")
		w.look(ctx, stream, requests)
	})
	scenario(23, "a backfill that ends while the operator is down", func(ctx SpecContext, w *shown) {
		w.EditTemplate(ctx, story.Template, given.TTL(1))
		pod, request := w.backfilling(ctx)
		w.AwaitQuiet(ctx)
		w.KillOperator(ctx)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.Await(ctx, func(g Gomega) { g.Expect(w.Jobs(ctx, "orders")[0].Status.CompletionTime).NotTo(BeNil()) })
		w.note("the operator is down, and the backfill's job has succeeded meanwhile")
		for _, line := range []string{stream, requests, "get jobs -l arcane/stream-id=orders"} {
			w.kubectl(ctx, line)
		}
		w.StartOperator(ctx)
		w.AwaitCompleted(ctx, request)
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.note("the operator is back")
		w.look(ctx, stream, requests)
	})
	scenario(24, "an operator that is killed", func(ctx SpecContext, w *shown) {
		w.streaming(ctx)
		w.look(ctx, stream, pods)
		w.RestartOperator(ctx)
		w.note("the operator has been killed and started again")
		w.look(ctx, stream, pods)
	})
})

var _ = Describe("What is wrong, changes or goes", func() {
	scenario(10, "a template that is refused", func(ctx SpecContext, w *shown) {
		w.EditTemplate(ctx, story.Template, func(t *v1.StreamingJobTemplate) {
			two := int32(2)
			t.Spec.Spec.Parallelism = &two
		})
		w.Given(ctx, "orders")
		w.AwaitPhase(ctx, "orders", v1.StreamPending)
		w.note("its template has parallelism: 2")
		w.look(ctx, streamWide)
		w.describe(ctx, "strm orders", v1.ConditionAccepted)
	})
	scenario(11, "a request that is deleted while it runs", func(ctx SpecContext, w *shown) {
		_, request := w.backfilling(ctx)
		w.look(ctx, stream)
		w.kubectl(ctx, "delete bfr "+request)
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.look(ctx, stream)
		w.describe(ctx, "strm orders")
	})
	scenario(13, "two requests", func(ctx SpecContext, w *shown) {
		w.streaming(ctx)
		for _, name := range []string{"first", "second"} {
			w.Request(ctx, name, "orders")
			w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		}
		w.AwaitRequest(ctx, "second", v1.RequestQueued)
		w.look(ctx, stream, why)
		pod := w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		next := w.AwaitPod(ctx, "orders", v1.ModeBackfill, pod)
		w.note("the first one's job has succeeded")
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(next, 0)).To(Succeed())
		w.AwaitCompleted(ctx, "second")
		w.AwaitPod(ctx, "orders", v1.ModeStream)
	})
	scenario(14, "requests that cannot be served", func(ctx SpecContext, w *shown) {
		w.streaming(ctx)
		w.Request(ctx, "early", "customers")
		w.Request(ctx, "wrong", "orders", given.ClassOf("other"))
		w.AwaitRequest(ctx, "early", v1.RequestQueued)
		w.AwaitRequest(ctx, "wrong", v1.RequestQueued)
		w.look(ctx, stream, why)
		w.Given(ctx, "customers", endless)
		pod := w.AwaitPod(ctx, "customers", v1.ModeBackfill)
		w.note("customers has been created")
		w.look(ctx, stream, requests)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, "early")
		w.AwaitPod(ctx, "customers", v1.ModeStream)
	})
	scenario(15, "a change while it backfills", func(ctx SpecContext, w *shown) {
		pod, request := w.backfilling(ctx)
		w.kubectl(ctx, `patch strm orders --type=merge -p '{"spec":{"sink":{"bucket":"file:///elsewhere"}}}'`)
		w.AwaitCondition(ctx, "orders", v1.ConditionChangePending, metav1.ConditionTrue, v1.ReasonChangeWaits)
		w.look(ctx, stream)
		w.describe(ctx, "strm orders", v1.ConditionChangePending)
		Expect(w.Player.Exit(pod, 0)).To(Succeed())
		w.AwaitCompleted(ctx, request)
		w.AwaitPod(ctx, "orders", v1.ModeStream)
	})
	scenario(16, "a change while it runs", func(ctx SpecContext, w *shown) {
		pod := w.streaming(ctx)
		w.look(ctx, pods)
		w.kubectl(ctx, `patch strm orders --type=merge -p '{"spec":{"sink":{"bucket":"file:///elsewhere"}}}'`)
		w.AwaitPod(ctx, "orders", v1.ModeStream, pod)
		w.AwaitPhase(ctx, "orders", v1.StreamRunning)
		w.look(ctx, stream, pods)
		w.describe(ctx, "strm orders")
	})
	scenario(18, "a job that is deleted by hand", func(ctx SpecContext, w *shown) {
		pod := w.streaming(ctx)
		w.look(ctx, "get jobs -l arcane/stream-id=orders")
		w.kubectl(ctx, "delete job "+w.Jobs(ctx, "orders")[0].Name)
		w.AwaitPod(ctx, "orders", v1.ModeStream, pod)
		w.AwaitPhase(ctx, "orders", v1.StreamRunning)
		w.look(ctx, stream, "get jobs -l arcane/stream-id=orders")
		w.describe(ctx, "strm orders")
	})
	scenario(19, "a template that is missing", func(ctx SpecContext, w *shown) {
		w.Given(ctx, "orders", given.NoInitialBackfill, given.TemplateOf("later"))
		w.AwaitPhase(ctx, "orders", v1.StreamPending)
		w.look(ctx, streamWide)
		w.describe(ctx, "strm orders", v1.ConditionAccepted)
		w.Create(ctx, given.Template(w.Namespace, "later"))
		w.AwaitPod(ctx, "orders", v1.ModeStream)
		w.note("the template later has been created")
		w.look(ctx, stream)
	})
	scenario(20, "a stream that is deleted, and a name that is taken", func(ctx SpecContext, w *shown) {
		w.streaming(ctx)
		w.Request(ctx, "again", "orders")
		w.AwaitPod(ctx, "orders", v1.ModeBackfill)
		w.kubectl(ctx, "delete strm orders")
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Pods(ctx, "orders")).To(BeEmpty())
			g.Expect(w.Requests(ctx, "orders")).To(BeEmpty())
		})
		w.look(ctx, "get strm,bfr,jobs,pods")
		w.Delete(ctx, given.Template(w.Namespace, story.Template))
		s := w.Given(ctx, "customers", given.NoInitialBackfill)
		w.AwaitPhase(ctx, "customers", v1.StreamPending)
		foreign := given.Job(w.Namespace, jobspec.Name(s.Name, s.UID, v1.KindStream, s.CreationTimestamp.Unix()+1))
		w.Create(ctx, foreign)
		w.Create(ctx, given.Template(w.Namespace, story.Template))
		w.AwaitPhase(ctx, "customers", v1.StreamRunning)
		w.note("somebody else has a job of the name that the stream customers needed: it takes the next")
		w.look(ctx, streamWide, "get jobs")
	})
	scenario(25, "a class that is deleted", func(ctx SpecContext, w *shown) {
		w.streaming(ctx)
		w.kubectl(ctx, "delete strc "+w.Class)
		w.AwaitCondition(ctx, "orders", v1.ConditionAccepted, metav1.ConditionFalse, v1.ReasonClassNotFound)
		w.look(ctx, streamWide, pods)
		w.describe(ctx, "strm orders", v1.ConditionAccepted)
		w.Create(ctx, given.Class(w.Class, story.Template))
		w.AwaitCondition(ctx, "orders", v1.ConditionAccepted, metav1.ConditionTrue, v1.ReasonAccepted)
		w.note("the class has been created again")
		w.look(ctx, streamWide, pods)
	})
})
