// Somebody who may only update requests, or only create them, has none taken for completed.

package integration_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// userWho is the client of a user who may do these things with requests, and nothing else.
func userWho(ctx context.Context, w *story.World, verbs ...string) client.Client {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Namespace: w.Namespace, Name: "forger"}
	_, err := w.Kube.RbacV1().Roles(w.Namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{streamingv1.GroupVersion.Group}, Resources: []string{"backfillrequests"}, Verbs: verbs,
	}}}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	_, err = w.Kube.RbacV1().RoleBindings(w.Namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: meta.Name}},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	cfg, err := w.Cluster.RESTConfig()
	Expect(err).NotTo(HaveOccurred())
	cfg = rest.CopyConfig(cfg)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: meta.Name, Groups: []string{"system:authenticated"}}
	c, err := client.New(cfg, client.Options{Scheme: w.Client.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	// RBAC hears of the role a moment later.
	w.Await(ctx, func(g Gomega) {
		probe := given.Request(w.Namespace, "probe", "nothing")
		err := c.Create(ctx, probe, client.DryRunAll)
		if verbs[0] != "create" {
			err = client.IgnoreNotFound(patch(ctx, c, probe, `{}`))
		}
		g.Expect(err).NotTo(HaveOccurred())
	})
	return c
}

func patch(ctx context.Context, c client.Client, q *streamingv1.BackfillRequest, change string) error {
	return c.Patch(ctx, &streamingv1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: q.Namespace, Name: q.Name}},
		client.RawPatch(types.MergePatchType, []byte(change)))
}

const (
	completes   = `{"spec":{"completed":true}}`
	unstamps    = `{"metadata":{"annotations":{"` + streamingv1.AnnotationAdmitted + `":null}},"spec":{"completed":true}}`
	signsBlind  = `{"metadata":{"annotations":{"` + streamingv1.AnnotationCompletedBy + `":"11111111-2222-3333-4444-555555555555"}},"spec":{"completed":true}}`
	signsBlinds = `{"metadata":{"annotations":{"` + streamingv1.AnnotationAdmitted + `":null,"` + streamingv1.AnnotationCompletedBy + `":"x"}},"spec":{"completed":true}}`
)

func signsAs(job types.UID) string {
	return fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}},"spec":{"completed":true}}`, streamingv1.AnnotationCompletedBy, job)
}

// expectCancelled waits until requests are Cancelled, and holds them to have had no success.
func expectCancelled(ctx context.Context, w *story.World, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		q := w.AwaitRequest(ctx, name, streamingv1.RequestCancelled)
		Expect(q.Status.Attempts).NotTo(ContainElement(HaveField("Result", streamingv1.AttemptSucceeded)), name)
	}
}

func stamped(q *streamingv1.BackfillRequest) {
	q.Annotations = map[string]string{streamingv1.AnnotationAdmitted: streamingv1.Admitted}
}

var _ = Describe("Somebody who may only update requests", func() {
	var w *story.World
	var forger client.Client
	BeforeEach(func(ctx SpecContext) {
		w = stage().Enter(ctx)
		forger = userWho(ctx, w, "patch")
	})

	It("completes none that the operator has not seen yet, with or without the stamp or a signature", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.Suspended)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		Expect(w.Operator.Stop(ctx)).To(Succeed())
		forged := map[string]string{"plain": completes, "unstamped": unstamps, "signed": signsBlind, "signed-unstamped": signsBlinds}
		for name, change := range forged {
			w.Create(ctx, given.Request(w.Namespace, name, "orders", stamped))
			w.Create(ctx, given.Request(w.Namespace, name+"-never-stamped", "orders"))
			for _, q := range []string{name, name + "-never-stamped"} {
				Expect(patch(ctx, forger, given.Request(w.Namespace, q, "orders"), change)).To(Succeed())
			}
		}
		w.StartOperator(ctx)
		for name := range forged {
			expectCancelled(ctx, w, name, name+"-never-stamped")
		}
		Expect(w.AwaitRequest(ctx, "signed", streamingv1.RequestCancelled).Status.Message).To(ContainSubstring("no Job of the stream is known"))
		w.Resume(ctx, "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeStream}))
	})

	It("completes none of the operator's own", func(ctx SpecContext) {
		// One that has been recorded and has no phase yet, as it is when the operator dies after it has recorded it.
		Expect(w.Operator.Stop(ctx)).To(Succeed())
		s := given.Stream(w.Namespace, "orders", w.Class)
		w.Create(ctx, s)
		own := given.Request(w.Namespace, "orders-initial-"+string(s.UID)[:8], "orders", given.ClassOf(w.Class), stamped)
		own.Annotations[streamingv1.AnnotationMadeBy] = streamingv1.RequestInitial
		own.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(s, streamingv1.GroupVersion.WithKind(streamingv1.KindStream))}
		w.Create(ctx, own)
		before := s.DeepCopy()
		s.Status.InitialBackfill, s.Status.InitialRequestUID = streamingv1.InitialRequested, own.UID
		Expect(w.Client.Status().Patch(ctx, s, client.MergeFrom(before))).To(Succeed())
		Expect(patch(ctx, forger, own, unstamps)).To(Succeed())
		w.StartOperator(ctx)
		expectCancelled(ctx, w, own.Name)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
	})

	It("completes none by the name of the job that runs for it", func(ctx SpecContext) {
		w.Given(ctx, "orders", given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
		w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		job := w.Stream(ctx, "orders").Status.Job
		Expect(patch(ctx, forger, given.Request(w.Namespace, job.Request, "orders"), signsAs(job.UID))).To(Succeed())
		expectCancelled(ctx, w, job.Request)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
	})
})

var _ = Describe("Somebody who may only create requests", func() {
	It("has none taken for completed, for one of the operator's own or for a stream's first backfill", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		forger := userWho(ctx, w, "create")
		w.Given(ctx, "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		initial := w.AwaitCompleted(ctx, w.OldestFirst(ctx, "orders")[0])

		copied := initial.DeepCopy()
		copied.ObjectMeta = metav1.ObjectMeta{
			Namespace: w.Namespace, Name: "copied", Labels: initial.Labels, Annotations: initial.Annotations, OwnerReferences: initial.OwnerReferences,
		}
		Expect(forger.Create(ctx, copied)).To(Succeed())
		for _, name := range []string{"born", "born-stamped"} {
			q := given.Request(w.Namespace, name, "orders")
			q.Spec.Completed = true
			if name == "born-stamped" {
				stamped(q)
			}
			Expect(forger.Create(ctx, q)).To(Succeed())
		}
		expectCancelled(ctx, w, "copied", "born", "born-stamped")

		By("a copy that has not ended is served like any user's, and is not deleted")
		open := copied.DeepCopy()
		open.ObjectMeta, open.Status = metav1.ObjectMeta{Namespace: w.Namespace, Name: "open", OwnerReferences: initial.OwnerReferences}, streamingv1.BackfillRequestStatus{}
		open.Annotations = map[string]string{streamingv1.AnnotationMadeBy: streamingv1.RequestInitial}
		open.Spec.Completed = false
		Expect(forger.Create(ctx, open)).To(Succeed())
		w.AwaitCompleted(ctx, "open")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitQuiet(ctx)
		Expect(w.Requests(ctx, "orders")).To(HaveLen(5))

		By("one that has the name of the operator's own, and is said to have ended, is no first backfill")
		Expect(w.Operator.Stop(ctx)).To(Succeed())
		s := given.Stream(w.Namespace, "invoices", w.Class)
		w.Create(ctx, s)
		taken := given.Request(w.Namespace, "invoices-initial-"+string(s.UID)[:8], "invoices", given.ClassOf(w.Class))
		taken.Annotations = map[string]string{streamingv1.AnnotationMadeBy: streamingv1.RequestInitial}
		taken.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(s, streamingv1.GroupVersion.WithKind(streamingv1.KindStream))}
		taken.Spec.Completed = true
		Expect(forger.Create(ctx, taken)).To(Succeed())
		w.StartOperator(ctx)
		conflict := w.AwaitCondition(ctx, "invoices", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonNameConflict)
		Expect(conflict.Message).To(ContainSubstring("kubectl delete backfillrequest " + taken.Name + " --namespace " + w.Namespace))
		Expect(w.Jobs(ctx, "invoices")).To(BeEmpty())
		w.Delete(ctx, taken)
		w.AwaitPod(ctx, "invoices", streamingv1.ModeStream)
		w.AwaitCompleted(ctx, taken.Name)
	})
})
