// Who may: every combination of rights, for each kind that makes the operator run something.

package admission_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
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
	return userNamed(ctx, w, fmt.Sprintf("user-%t-%t", r.jobs, r.secret), r)
}

func userNamed(ctx context.Context, w *story.World, name string, r rights) client.Client {
	GinkgoHelper()
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

// guarded is a world in which only the webhooks, or only the policy, ask for rights.
func guarded(ctx context.Context, guard string) *story.World {
	GinkgoHelper()
	w := enter(ctx)
	without := map[string]string{webhooks: policy, policy: webhooks}[guard]
	_, err := w.Kubectl(ctx, "label", "namespace", w.Namespace, exempts+"="+without)
	Expect(err).NotTo(HaveOccurred())
	nobody := userNamed(ctx, w, "nobody", rights{})
	w.Await(ctx, func(g Gomega) {
		err := nobody.Create(ctx, given.Template(w.Namespace, "probe"), client.DryRunAll)
		g.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		g.Expect(strings.Contains(err.Error(), "ValidatingAdmissionPolicy")).To(Equal(guard == policy), "%v", err)
	})
	return w
}

// expect that an answer forbids the first of the wants, and nothing where there is none.
func expect(err error, wants ...string) {
	GinkgoHelper()
	if len(wants) == 0 {
		Expect(err).NotTo(HaveOccurred())
		return
	}
	Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
	Expect(err).To(MatchError(And(ContainSubstring(wants[0]), ContainSubstring("user-"), ContainSubstring("; "))))
}

var _ = Describe("Who may", func() {
	for _, guard := range []string{webhooks, policy} {
		for _, r := range []rights{{false, false}, {false, true}, {true, false}, {true, true}} {
			It("is asked by the "+guard+" of a user with "+r.String(), func(ctx SpecContext) {
				w := guarded(ctx, guard)
				secretive := w.Class + "-secret"
				w.Create(ctx, given.Class(secretive, story.Template, given.SecretRefs("source.credentials")))
				DeferCleanup(func(ctx context.Context) {
					w.Delete(ctx, &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: secretive}})
				})
				user := userWith(ctx, w, r)
				var jobs, both []string
				if !r.jobs {
					jobs = []string{`may not create jobs.batch in namespace "` + w.Namespace + `"`}
				}
				both = jobs
				if guard == webhooks {
					if !r.secret {
						both = append(both, `may not get Secret "`+secret+`"`)
					}
					// The webhooks' caches see the class soon.
					w.Await(ctx, func(g Gomega) {
						g.Expect(w.Client.Create(ctx, given.Stream(w.Namespace, "probe", secretive, given.Suspended), client.DryRunAll)).
							To(MatchError(ContainSubstring("spec.source.credentials")))
					})
				}
				w.Create(ctx, given.Stream(w.Namespace, "theirs", w.Class, given.Suspended))
				w.Create(ctx, given.Stream(w.Namespace, "secretive", secretive, given.Suspended, withCredentials))

				dryRun := client.DryRunAll
				expect(user.Create(ctx, given.Stream(w.Namespace, "orders", w.Class, given.Suspended), dryRun), jobs...)
				expect(user.Create(ctx, given.Stream(w.Namespace, "orders", secretive, given.Suspended, withCredentials), dryRun), both...)
				expect(user.Create(ctx, given.Template(w.Namespace, "own"), dryRun), jobs...)
				expect(user.Create(ctx, given.Template(w.Namespace, "own", reading), dryRun), both...)
				expect(user.Create(ctx, given.Request(w.Namespace, "now", "theirs"), dryRun), jobs...)
				changing(ctx, w, user, jobs, both)
			})
		}
	}

	It("is a question that the API server finds no fault with in the policy", func(ctx SpecContext) {
		w := enter(ctx)
		w.Await(ctx, func(g Gomega) {
			checked, err := w.Kube.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(ctx, "arcane-who-may", metav1.GetOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(checked.Status.ObservedGeneration).To(Equal(checked.Generation))
			g.Expect(checked.Status.TypeChecking).NotTo(BeNil())
			g.Expect(checked.Status.TypeChecking.ExpressionWarnings).To(BeEmpty())
		})
	})

	It("is a question that the policy can afford about the largest spec", func(ctx SpecContext) {
		w := guarded(ctx, policy)
		user := userWith(ctx, w, rights{jobs: true})
		large := given.Stream(w.Namespace, "large", w.Class, given.Suspended)
		columns := strings.Repeat(`{"name":"a column","type":"int"},`, 2900)
		large.Spec.Source = &runtime.RawExtension{Raw: []byte(`{"columns":[` + columns + `{}]}`)}
		Expect(user.Create(ctx, large)).To(Succeed())
		changed := large.DeepCopy()
		changed.Spec.Source = &runtime.RawExtension{Raw: []byte(`{"columns":[` + columns + `{"name":"one more"}]}`)}
		Expect(user.Patch(ctx, changed, client.MergeFrom(large))).To(Succeed())
	})
})

// changing what is there: a user asks for rights where that runs something.
func changing(ctx context.Context, w *story.World, user client.Client, jobs, both []string) {
	GinkgoHelper()
	patch := func(name string, change func(*streamingv1.Stream)) error {
		GinkgoHelper()
		var s streamingv1.Stream
		Expect(user.Get(ctx, w.Key(name), &s)).To(Succeed())
		changed := s.DeepCopy()
		change(changed)
		return user.Patch(ctx, changed, client.MergeFrom(&s), client.DryRunAll)
	}
	resumed := func(s *streamingv1.Stream) { s.Spec.Suspended = false }
	expect(patch("theirs", resumed), jobs...)
	expect(patch("secretive", resumed), both...)
	expect(patch("theirs", func(s *streamingv1.Stream) { s.Spec.Sink = &runtime.RawExtension{Raw: []byte(`{"bucket":"b"}`)} }), jobs...)
	expect(patch("secretive", func(s *streamingv1.Stream) {
		s.Annotations = map[string]string{streamingv1.AnnotationRestartedAt: "now"}
	}), both...)

	for _, restart := range []streamingv1.RestartSpec{{Policy: streamingv1.RestartOnFailure}, {MaxRestarts: ptr.To[int32](1000)}} {
		expect(patch("theirs", func(s *streamingv1.Stream) { s.Spec.Restart = &restart }), jobs...)
	}
	expect(patch("theirs", func(s *streamingv1.Stream) {
		s.Spec.Backfill = &streamingv1.BackfillSpec{OnSpecChange: streamingv1.OnSpecChangeRestart}
	}), jobs...)

	By("what runs nothing")
	w.Create(ctx, given.Stream(w.Namespace, "running", w.Class, given.NoInitialBackfill, given.Restarts(5)))
	expect(patch("running", func(s *streamingv1.Stream) { s.Spec.Suspended = true }))
	expect(patch("running", func(s *streamingv1.Stream) { s.Labels = map[string]string{"team": "sales"} }))
	expect(patch("running", func(s *streamingv1.Stream) {
		s.Spec.Restart = &streamingv1.RestartSpec{Policy: streamingv1.RestartNever, MaxRestarts: ptr.To[int32](1)}
	}))
	w.Create(ctx, given.Request(w.Namespace, "waiting", "theirs"))
	var waiting streamingv1.BackfillRequest
	Expect(user.Get(ctx, w.Key("waiting"), &waiting)).To(Succeed())
	cancelled := waiting.DeepCopy()
	cancelled.Spec.Completed = true
	expect(user.Patch(ctx, cancelled, client.MergeFrom(&waiting), client.DryRunAll))

	By("what leaves")
	leaving := given.Stream(w.Namespace, "leaving", w.Class, given.Suspended)
	leaving.Finalizers = []string{"example.com/wait"}
	w.Create(ctx, leaving)
	expect(user.Delete(ctx, leaving))
	Expect(user.Get(ctx, w.Key("leaving"), leaving)).To(Succeed())
	let := leaving.DeepCopy()
	let.Finalizers = nil
	expect(user.Patch(ctx, let, client.MergeFrom(leaving)))
	gone(ctx, w, leaving)
	// A template serves as long as it is there.
	kept := given.Template(w.Namespace, "kept")
	kept.Finalizers = []string{"example.com/wait"}
	w.Create(ctx, kept)
	expect(user.Delete(ctx, kept))
	Expect(user.Get(ctx, w.Key("kept"), kept)).To(Succeed())
	changed := kept.DeepCopy()
	changed.Spec.Spec.Template.Spec.Containers[0].Image = "example.com/other:1"
	expect(user.Patch(ctx, changed, client.MergeFrom(kept), client.DryRunAll), jobs...)
	Expect(user.Patch(ctx, kept.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
}
