// Every phase that an object can be in, as test/gitops needs them.

package gitops_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func streamOf(w *story.World, name string) *streamingv1.Stream {
	return &streamingv1.Stream{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
}

func requestOf(w *story.World, name string) *streamingv1.BackfillRequest {
	return &streamingv1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
}

func classOf(w *story.World) *streamingv1.StreamClass {
	return &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.Class}}
}

// endless lets backfills run until the story ends them.
func endless(s *script.Source) { s.Backfill.RunFor = script.Forever }

// stubborn lets the streaming pod ignore SIGTERM, until the story ends it.
func stubborn(s *script.Source) { s.Stream.OnSigterm.Ignore = true }

// awaitReason waits until the condition Ready of an object has a reason, for the spec that it has now.
func awaitReason(ctx context.Context, w *story.World, o client.Object, conditions func() []metav1.Condition, reason streamingv1.Reason) {
	GinkgoHelper()
	w.Await(ctx, func(g Gomega) {
		g.Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
		ready := meta.FindStatusCondition(conditions(), streamingv1.ConditionReady)
		g.Expect(ready).NotTo(BeNil())
		g.Expect(ready.Reason).To(Equal(string(reason)), ready.Message)
	})
}

func awaitRequest(ctx context.Context, w *story.World, name string, reason streamingv1.Reason) {
	GinkgoHelper()
	r := requestOf(w, name)
	awaitReason(ctx, w, r, func() []metav1.Condition { return r.Status.Conditions }, reason)
}

func awaitClass(ctx context.Context, w *story.World, c *streamingv1.StreamClass, reason streamingv1.Reason) {
	GinkgoHelper()
	awaitReason(ctx, w, c, func() []metav1.Condition { return c.Status.Conditions }, reason)
}

func awaitPlugin(ctx context.Context, w *story.World, p *streamingv1.StreamPlugin, reason streamingv1.Reason) {
	GinkgoHelper()
	awaitReason(ctx, w, p, func() []metav1.Condition { return p.Status.Conditions }, reason)
}

// templates makes a template of the world for what one of its streams needs, and returns the option that names it.
func templates(ctx context.Context, w *story.World, name string, change given.TemplateOption) given.StreamOption {
	GinkgoHelper()
	w.Create(ctx, given.Template(w.Namespace, name, change))
	option := func(s *streamingv1.Stream) {
		given.TemplateOf(name)(s)
		given.BackfillTemplateOf(name)(s)
	}
	awaitKnown(ctx, w, given.Stream(w.Namespace, "probe", w.Class, option))
	return option
}

var _ = Describe("Streams", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = enter(ctx) })

	It("are new, backfill, stream and are deleted", func(ctx SpecContext) {
		create(ctx, w, "stream-new", given.Stream(w.Namespace, "orders", w.Class, given.Script(endless)))
		backfill := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamBackfilling)
		initial := w.Requests(ctx, "orders")[0]
		awaitRequest(ctx, w, initial.Name, streamingv1.ReasonRequestRunning)
		w.AwaitQuiet(ctx)
		hold(ctx, w, "stream-backfilling", streamOf(w, "orders"))
		hold(ctx, w, "backfillrequest-running", &initial)

		w.EditStream(ctx, "orders", given.Source(script.Default()))
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionChangePending, metav1.ConditionTrue, streamingv1.ReasonChangeWaits)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamBackfilling)
		hold(ctx, w, "stream-backfilling-change-pending", streamOf(w, "orders"))

		w.Exit(ctx, backfill, 0)
		w.AwaitCompleted(ctx, initial.Name)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.AwaitQuiet(ctx)
		hold(ctx, w, "stream-running", streamOf(w, "orders"))
		hold(ctx, w, "backfillrequest-completed", &initial)
		change(ctx, w, "stream-running-behind", streamOf(w, "orders"), `{"spec":{"sink":{"bucket":"file:///elsewhere"}}}`)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.AwaitQuiet(ctx)
		remove(ctx, w, "stream-deleting", streamOf(w, "orders"))
	})

	It("are being suspended, and are suspended", func(ctx SpecContext) {
		slow := templates(ctx, w, "slow", func(t *streamingv1.StreamingJobTemplate) {
			t.Spec.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To(int64(600))
		})
		w.Given(ctx, "orders", given.NoInitialBackfill, slow, given.Script(stubborn))
		pod := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.Suspend(ctx, "orders")
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonSuspending)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamPending)
		hold(ctx, w, "stream-pending-suspending", streamOf(w, "orders"))
		w.Exit(ctx, pod, 0)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.AwaitQuiet(ctx)
		hold(ctx, w, "stream-suspended", streamOf(w, "orders"))

		w.Request(ctx, "again", "orders")
		awaitRequest(ctx, w, "again", streamingv1.ReasonStreamSuspended)
		hold(ctx, w, "backfillrequest-queued-stream-suspended", requestOf(w, "again"))
		change(ctx, w, "backfillrequest-queued-cancelling", requestOf(w, "again"), `{"spec":{"completed":true}}`)
		w.AwaitRequest(ctx, "again", streamingv1.RequestCancelled)
		hold(ctx, w, "backfillrequest-cancelled", requestOf(w, "again"))
	})

	It("stop for a backfill, whose request has been granted", func(ctx SpecContext) {
		w.EditClass(ctx, func(c *streamingv1.StreamClass) {
			c.Spec.Backfill = &streamingv1.ClassBackfill{MaxConcurrent: ptr.To(int32(1))}
		})
		slow := templates(ctx, w, "slow", func(t *streamingv1.StreamingJobTemplate) {
			t.Spec.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To(int64(600))
		})
		w.Given(ctx, "orders", given.NoInitialBackfill, slow, given.Script(stubborn))
		pod := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		create(ctx, w, "backfillrequest-new", given.Request(w.Namespace, "again", "orders"))
		w.AwaitRequest(ctx, "again", streamingv1.RequestGranted)
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonWaitingForJob)
		hold(ctx, w, "backfillrequest-granted", requestOf(w, "again"))
		hold(ctx, w, "stream-pending-waiting-for-job", streamOf(w, "orders"))

		w.Request(ctx, "later", "orders")
		awaitRequest(ctx, w, "later", streamingv1.ReasonWaitingForTurn)
		hold(ctx, w, "backfillrequest-queued-turn", requestOf(w, "later"))
		w.Given(ctx, "invoices")
		w.Await(ctx, func(g Gomega) { g.Expect(w.Requests(ctx, "invoices")).To(HaveLen(1)) })
		awaitRequest(ctx, w, w.Requests(ctx, "invoices")[0].Name, streamingv1.ReasonWaitingForSlot)
		w.AwaitCondition(ctx, "invoices", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonInitialWaits)
		hold(ctx, w, "backfillrequest-queued-slot", &w.Requests(ctx, "invoices")[0])
		hold(ctx, w, "stream-pending-initial-backfill-waits", streamOf(w, "invoices"))
		w.Exit(ctx, pod, 0)
		w.AwaitCompleted(ctx, "again")
		w.AwaitCompleted(ctx, "later")
	})

	It("fail, and pause the backfill that failed when they are suspended", func(ctx SpecContext) {
		once := templates(ctx, w, "once", given.BackoffLimit(0))
		w.Given(ctx, "orders", once, given.Script(func(s *script.Source) { s.Backfill = script.Run{ExitCode: 1, Message: "no such table"} }))
		w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
		initial := w.Requests(ctx, "orders")[0]
		awaitRequest(ctx, w, initial.Name, streamingv1.ReasonRequestFailed)
		w.AwaitQuiet(ctx)
		hold(ctx, w, "stream-failed", streamOf(w, "orders"))
		hold(ctx, w, "backfillrequest-failed", &initial)
		w.Request(ctx, "again", "orders")
		awaitRequest(ctx, w, "again", streamingv1.ReasonStreamFailed)
		hold(ctx, w, "backfillrequest-queued-stream-failed", requestOf(w, "again"))
		w.Suspend(ctx, "orders")
		w.AwaitRequest(ctx, initial.Name, streamingv1.RequestPaused)
		hold(ctx, w, "backfillrequest-paused", &initial)
	})

	It("wait before they start again by themselves", func(ctx SpecContext) {
		once := templates(ctx, w, "once", given.BackoffLimit(0))
		w.Given(ctx, "orders", given.NoInitialBackfill, once, given.Restarts(5), given.Backoff(time.Hour, time.Hour),
			given.Script(func(s *script.Source) { s.Stream = script.Run{ExitCode: 1, Message: "no such table"} }))
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonRestartWaits)
		hold(ctx, w, "stream-pending-restart-back-off", streamOf(w, "orders"))
	})

	It("are stalled", func(ctx SpecContext) {
		w.EditClass(ctx, func(c *streamingv1.StreamClass) { c.Spec.StartDeadlineSeconds = ptr.To(int32(2)) })
		nowhere := templates(ctx, w, "nowhere", func(t *streamingv1.StreamingJobTemplate) {
			t.Spec.Spec.Template.Spec.NodeSelector = map[string]string{"story.example.com/disk": "none-has-it"}
		})
		w.Given(ctx, "orders", given.NoInitialBackfill, nowhere)
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionStalled, metav1.ConditionTrue, "Unschedulable")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		hold(ctx, w, "stream-running-stalled", streamOf(w, "orders"))
		w.Delete(ctx, streamOf(w, "orders"))
		w.Await(ctx, func(g Gomega) {
			g.Expect(client.IgnoreNotFound(w.Client.Get(ctx, w.Key("orders"), streamOf(w, "orders")))).To(Succeed())
			g.Expect(w.Jobs(ctx, "orders")).To(BeEmpty())
		})
		w.Given(ctx, "orders", nowhere)
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionStalled, metav1.ConditionTrue, "Unschedulable")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamBackfilling)
		hold(ctx, w, "stream-backfilling-stalled", streamOf(w, "orders"))
	})

	It("are not accepted, before they run and while they run", func(ctx SpecContext) {
		w.Given(ctx, "invoices", func(s *streamingv1.Stream) { s.Spec.StreamClass = "nowhere" })
		w.AwaitCondition(ctx, "invoices", streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonClassNotFound)
		hold(ctx, w, "stream-pending-class-missing", streamOf(w, "invoices"))
		w.Given(ctx, "orders", given.NoInitialBackfill)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.EditStream(ctx, "orders", given.TemplateOf("nowhere"))
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonTemplateNotFound)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		hold(ctx, w, "stream-running-template-missing", streamOf(w, "orders"))
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		hold(ctx, w, "stream-suspended-template-missing", streamOf(w, "orders"))
		w.Resume(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamPending)
		hold(ctx, w, "stream-pending-template-missing", streamOf(w, "orders"))
		w.Request(ctx, "again", "orders")
		awaitRequest(ctx, w, "again", streamingv1.ReasonStreamNotReady)
		hold(ctx, w, "backfillrequest-queued-stream-not-accepted", requestOf(w, "again"))
	})

	It("run by a schedule, and a run fails", func(ctx SpecContext) {
		once := templates(ctx, w, "once", given.BackoffLimit(0))
		w.Given(ctx, "orders", once, given.Schedule("0 0 1 1 *"), given.Script(func(s *script.Source) { s.Backfill = script.Run{ExitCode: 1, Message: "no such bucket"} }))
		w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
		w.AwaitQuiet(ctx)
		hold(ctx, w, "stream-scheduled", streamOf(w, "orders"))
		w.RunNow(ctx, "orders", "by-hand")
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionLastRunFailed, metav1.ConditionTrue, streamingv1.ReasonRunFailed)
		w.AwaitQuiet(ctx)
		hold(ctx, w, "stream-scheduled-last-run-failed", streamOf(w, "orders"))
	})
})

var _ = Describe("BackfillRequests", func() {
	It("wait for what is not there, and are deleted", func(ctx SpecContext) {
		w := enter(ctx)
		w.Request(ctx, "early", "orders")
		awaitRequest(ctx, w, "early", streamingv1.ReasonStreamNotFound)
		hold(ctx, w, "backfillrequest-queued-stream-missing", requestOf(w, "early"))
		remove(ctx, w, "backfillrequest-deleting", requestOf(w, "early"))
		w.Given(ctx, "orders", given.NoInitialBackfill)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.Request(ctx, "other", "orders", given.ClassOf("other"))
		awaitRequest(ctx, w, "other", streamingv1.ReasonClassMismatch)
		hold(ctx, w, "backfillrequest-queued-class-mismatch", requestOf(w, "other"))
		w.Request(ctx, "big", "orders", func(r *streamingv1.BackfillRequest) {
			r.Spec.JobTemplateRef = &streamingv1.TemplateReference{Name: "nowhere"}
		})
		awaitRequest(ctx, w, "big", streamingv1.ReasonTemplateNotFound)
		hold(ctx, w, "backfillrequest-queued-template-missing", requestOf(w, "big"))
	})
})

var _ = Describe("StreamClasses and StreamingJobTemplates", func() {
	It("are new, served or not, and are deleted", func(ctx SpecContext) {
		w := enter(ctx)
		awaitClass(ctx, w, classOf(w), streamingv1.ReasonServed)
		hold(ctx, w, "streamclass-ready", classOf(w))
		change(ctx, w, "streamclass-ready-behind", classOf(w), `{"spec":{"startDeadlineSeconds":60}}`)
		wrong := &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: "contradictory"}}
		awaitClass(ctx, w, wrong, streamingv1.ReasonFailureClasses)
		hold(ctx, w, "streamclass-failed", wrong)
		foreign := given.Class(w.Namespace+"-own-kind", story.Template, func(c *streamingv1.StreamClass) {
			c.Spec.APIGroupRef, c.Spec.KindRef, c.Spec.PluralName = "plugin.example.com", "TableStream", "tablestreams"
		})
		create(ctx, w, "streamclass-new", foreign)
		DeferCleanup(func(ctx context.Context) {
			Expect(client.IgnoreNotFound(stage.Client.Delete(ctx, foreign))).To(Succeed())
		})
		awaitClass(ctx, w, foreign, streamingv1.ReasonKindUnsupported)
		hold(ctx, w, "streamclass-pending", foreign)
		remove(ctx, w, "streamclass-deleting", foreign)

		template := given.Template(w.Namespace, "another")
		create(ctx, w, "streamingjobtemplate", template)
		remove(ctx, w, "streamingjobtemplate-deleting", template)
	})
})

var _ = Describe("StreamPlugins", func() {
	var w *story.World
	var class string
	BeforeEach(func(ctx SpecContext) {
		w = enter(ctx)
		class = w.Namespace + "-postgres"
	})

	It("are new, installed, changed, and wait for their Streams when they are deleted", func(ctx SpecContext) {
		p := plugin(w.Namespace, class)
		create(ctx, w, "streamplugin-new", p)
		awaitPlugin(ctx, w, p, streamingv1.ReasonInstalled)
		hold(ctx, w, "streamplugin-installed", p)
		change(ctx, w, "streamplugin-behind", p, `{"spec":{"maxConcurrent":2}}`)
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
			g.Expect(p.Status.ObservedGeneration).To(Equal(p.Generation))
		})
		user := given.Stream(w.Namespace, "orders", class, given.Suspended, given.SourceWith(map[string]any{
			"host": "db", "database": "shop", "table": "orders", "credentials": map[string]any{"name": "pg"},
		}))
		w.Await(ctx, func(g Gomega) { g.Expect(w.Client.Create(ctx, user)).To(Succeed()) })
		w.Delete(ctx, p)
		awaitPlugin(ctx, w, p, streamingv1.ReasonWaitingForStreams)
		hold(ctx, w, "streamplugin-deleting-waiting", p)
		w.Delete(ctx, user)
	})

	It("need a name that somebody else has", func(ctx SpecContext) {
		foreign := given.Class(class, story.Template)
		w.Create(ctx, foreign)
		DeferCleanup(func(ctx context.Context) {
			Expect(client.IgnoreNotFound(stage.Client.Delete(ctx, foreign))).To(Succeed())
		})
		p := plugin(w.Namespace, class)
		w.Create(ctx, p)
		awaitPlugin(ctx, w, p, streamingv1.ReasonNameConflict)
		hold(ctx, w, "streamplugin-name-conflict", p)
		w.Delete(ctx, p)
	})

	It("cannot be rendered", func(ctx SpecContext) {
		p := plugin(formerly, "contradictory-plugin")
		awaitPlugin(ctx, w, p, streamingv1.ReasonSpecInvalid)
		hold(ctx, w, "streamplugin-spec-invalid", p)
	})

	It("are refused by the API server, when they are installed and when they are uninstalled", func(ctx SpecContext) {
		w.Unruly() // The operator tries again and again.
		allow := refuse(ctx, w, "CREATE", "create", "serviceaccount", "probe")
		p := plugin(w.Namespace, class)
		w.Create(ctx, p)
		awaitPlugin(ctx, w, p, streamingv1.ReasonReleaseFailed)
		hold(ctx, w, "streamplugin-release-failed", p)
		allow(ctx)
		awaitPlugin(ctx, w, p, streamingv1.ReasonInstalled)
		allow = refuse(ctx, w, "DELETE", "delete", "serviceaccount", "arcane-plugin-postgres")
		w.Delete(ctx, p)
		awaitPlugin(ctx, w, p, streamingv1.ReasonUninstallFailed)
		hold(ctx, w, "streamplugin-uninstall-failed", p)
		allow(ctx)
	})
})

// refuse lets the API server refuse an operation on the ServiceAccounts of a world, until the function that it returns is
// called. The arguments are the command of kubectl's that shows that it does.
func refuse(ctx context.Context, w *story.World, operation string, probe ...string) func(context.Context) {
	GinkgoHelper()
	name := "refuse-" + w.Namespace
	apply := func(ctx context.Context, verb string) {
		GinkgoHelper()
		cmd := w.KubectlCommand(ctx, verb, "-f", "-")
		cmd.Stdin = strings.NewReader(fmt.Sprintf(refusal, name, w.Namespace, operation))
		out, err := cmd.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
	}
	apply(ctx, "create")
	w.Await(ctx, func(g Gomega) {
		out, err := w.Kubectl(ctx, append(probe, "--namespace="+w.Namespace, "--dry-run=server")...)
		g.Expect(err).To(HaveOccurred())
		g.Expect(out).To(ContainSubstring("no such thing here"))
	})
	return func(ctx context.Context) { apply(ctx, "delete") }
}

// refusal is the policy, by its name, the namespace's and the operation.
const refusal = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[2]s}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [serviceaccounts], operations: [%[3]s]}]
  validations: [{expression: "false", message: no such thing here}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, validationActions: [Deny]}
`
