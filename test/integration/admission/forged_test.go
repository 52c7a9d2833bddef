// Somebody who may only update requests, with the webhooks before them: what they are told,
// and that nothing they write has a request taken for completed.

package admission_test

import (
	"bytes"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

var _ = Describe("Somebody who may only update requests", func() {
	It("neither takes off the stamp nor signs, and what they complete is cancelled", func(ctx SpecContext) {
		w := enter(ctx)
		meta := metav1.ObjectMeta{Namespace: w.Namespace, Name: "forger"}
		_, err := w.Kube.RbacV1().Roles(w.Namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{streamingv1.GroupVersion.Group}, Resources: []string{"backfillrequests"}, Verbs: []string{"update", "patch"},
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
		forger, err := client.New(cfg, client.Options{Scheme: w.Client.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		patch := func(name, change string, options ...client.PatchOption) error {
			return forger.Patch(ctx, given.Request(w.Namespace, name, "orders"), client.RawPatch(types.MergePatchType, []byte(change)), options...)
		}

		w.Given(ctx, "orders", given.Suspended)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		born := given.Request(w.Namespace, "born", "orders")
		born.Annotations = map[string]string{streamingv1.AnnotationAdmitted: ""}
		born.Spec.Completed = true
		w.Create(ctx, born)
		Expect(born.Annotations).To(HaveKeyWithValue(streamingv1.AnnotationAdmitted, streamingv1.Admitted), "a forged stamp is written over")
		w.Request(ctx, "mine", "orders")
		w.Request(ctx, "other", "orders")
		w.Await(ctx, func(g Gomega) {
			g.Expect(patch("mine", `{}`, client.DryRunAll)).To(Succeed(), "the role is known")
		})

		for _, change := range []string{
			`{"metadata":{"annotations":{"` + streamingv1.AnnotationAdmitted + `":"no"}},"spec":{"completed":true}}`,
			`{"metadata":{"annotations":{"` + streamingv1.AnnotationCompletedBy + `":"x"}},"spec":{"completed":true}}`,
			`{"metadata":{"annotations":{"` + streamingv1.AnnotationCompletedBy + `":"x"}}}`,
		} {
			err := patch("mine", change)
			Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
			Expect(err).To(MatchError(ContainSubstring("leave it as it was")))
		}
		// Left out, as by who replaces a request by a manifest of their own, it stays.
		Expect(patch("mine", `{"metadata":{"annotations":{"`+streamingv1.AnnotationAdmitted+`":null}},"spec":{"completed":true}}`)).To(Succeed())
		replace := w.KubectlCommand(ctx, "replace", "-f", "-")
		replace.Stdin = bytes.NewReader([]byte(strings.ReplaceAll(`
apiVersion: streaming.sneaksanddata.com/v1
kind: BackfillRequest
metadata: {namespace: NS, name: other}
spec: {streamId: orders, completed: true}
`, "NS", w.Namespace)))
		out, err := replace.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		for _, name := range []string{"mine", "other", "born"} {
			q := w.AwaitRequest(ctx, name, streamingv1.RequestCancelled)
			Expect(q.Annotations).To(HaveKeyWithValue(streamingv1.AnnotationAdmitted, streamingv1.Admitted), name)
		}
		w.Resume(ctx, "orders")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeStream}))
	})
})
