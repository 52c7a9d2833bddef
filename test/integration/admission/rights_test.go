// Who may: every combination of rights, for each kind that makes the operator run something.

package admission_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

const secret = "pg"

// rights of a user beside writing our kinds.
type rights struct{ jobs, secret bool }

func (r rights) String() string { return fmt.Sprintf("jobs=%t,secret=%t", r.jobs, r.secret) }

// userWith is the client of a user who has these rights in the world's namespace.
func userWith(ctx context.Context, w *story.World, r rights) client.Client {
	GinkgoHelper()
	name := fmt.Sprintf("user-%t-%t", r.jobs, r.secret)
	rules := []rbacv1.PolicyRule{{
		APIGroups: []string{streamingv1.GroupVersion.Group}, Verbs: []string{"get", "create", "update", "patch", "delete"},
		Resources: []string{"streams", "backfillrequests", "streamingjobtemplates"},
	}}
	if r.jobs {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}})
	}
	if r.secret {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{secret}, Verbs: []string{"get"}})
	}
	meta := metav1.ObjectMeta{Namespace: w.Namespace, Name: name}
	_, err := w.Kube.RbacV1().Roles(w.Namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	_, err = w.Kube.RbacV1().RoleBindings(w.Namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	cfg, err := w.Cluster.RESTConfig()
	Expect(err).NotTo(HaveOccurred())
	cfg = rest.CopyConfig(cfg)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	c, err := client.New(cfg, client.Options{Scheme: w.Client.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// withCredentials is a stream that names the Secret.
func withCredentials(s *streamingv1.Stream) {
	s.Spec.Source = &runtime.RawExtension{Raw: []byte(`{"credentials":{"name":"` + secret + `"}}`)}
}

// reading is a template whose pod reads the Secret.
func reading(t *streamingv1.StreamingJobTemplate) {
	t.Spec.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{
		SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}},
	}}
}

var _ = Describe("Who may", func() {
	for _, r := range []rights{{false, false}, {false, true}, {true, false}, {true, true}} {
		It("is asked of a user with "+r.String(), func(ctx SpecContext) {
			w := stage.Enter(ctx)
			w.Create(ctx, given.Class(w.Class+"-secret", story.Template, given.SecretRefs("source.credentials")))
			DeferCleanup(func(ctx context.Context) {
				w.Delete(ctx, &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.Class + "-secret"}})
			})
			user := userWith(ctx, w, r)
			w.Create(ctx, given.Stream(w.Namespace, "theirs", w.Class, given.Suspended))
			// The webhooks' caches see the class soon.
			w.Await(ctx, func(g Gomega) {
				g.Expect(w.Client.Create(ctx, given.Stream(w.Namespace, "probe", w.Class+"-secret", given.Suspended), client.DryRunAll)).
					To(MatchError(ContainSubstring("spec.source.credentials")))
			})
			dryRun := client.DryRunAll
			both := []string{}
			if !r.secret {
				both = append(both, `may not get Secret "`+secret+`"`)
			}
			jobs := []string{}
			if !r.jobs {
				jobs = append(jobs, `may not create jobs.batch in namespace "`+w.Namespace+`"`)
				both = jobs
			}
			expect := func(err error, wants []string) {
				GinkgoHelper()
				if len(wants) == 0 {
					Expect(err).NotTo(HaveOccurred())
					return
				}
				Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
				Expect(err).To(MatchError(And(ContainSubstring(wants[0]), ContainSubstring("user-"), ContainSubstring("; "))))
			}
			expect(user.Create(ctx, given.Stream(w.Namespace, "orders", w.Class, given.Suspended), dryRun), jobs)
			expect(user.Create(ctx, given.Stream(w.Namespace, "orders", w.Class+"-secret", given.Suspended, withCredentials), dryRun), both)
			expect(user.Create(ctx, given.Template(w.Namespace, "own"), dryRun), jobs)
			expect(user.Create(ctx, given.Template(w.Namespace, "own", reading), dryRun), both)
			expect(user.Create(ctx, given.Request(w.Namespace, "now", "theirs"), dryRun), jobs)

			By("changing what is there")
			var s streamingv1.Stream
			Expect(user.Get(ctx, w.Key("theirs"), &s)).To(Succeed())
			labelled := s.DeepCopy()
			labelled.Labels = map[string]string{"team": "sales"}
			Expect(user.Patch(ctx, labelled, client.MergeFrom(&s))).To(Succeed(), "a label runs nothing")
			resumed := labelled.DeepCopy()
			resumed.Spec.Suspended = false
			expect(user.Patch(ctx, resumed, client.MergeFrom(labelled), dryRun), jobs)
			running := given.Stream(w.Namespace, "running", w.Class, given.NoInitialBackfill)
			w.Create(ctx, running)
			stopped := running.DeepCopy()
			stopped.Spec.Suspended = true
			Expect(user.Patch(ctx, stopped, client.MergeFrom(running))).To(Succeed(), "stopping runs nothing")
			Expect(user.Delete(ctx, labelled)).To(Succeed(), "deleting asks for no more than the right to")
		})
	}
})
