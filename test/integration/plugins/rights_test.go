package plugins_test

// This file asks who may write StreamPlugins: whoever lacks the right to any object that one installs, lacks the right to it.

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// right is one that a StreamPlugin asks for beside the one on itself.
type right struct{ group, resource string }

// wanted are all of them.
var wanted = []right{
	{streamingv1.GroupVersion.Group, "streamclasses"},
	{streamingv1.GroupVersion.Group, "streamingjobtemplates"},
	{"", "serviceaccounts"},
	{"", "configmaps"},
	{"networking.k8s.io", "networkpolicies"},
}

// userWith is the client of a user who may write StreamPlugins, and may use these verbs on these kinds, in the whole cluster.
func userWith(ctx context.Context, name string, verbs []string, jobs bool, rights ...right) client.Client {
	GinkgoHelper()
	rules := []rbacv1.PolicyRule{{
		APIGroups: []string{streamingv1.GroupVersion.Group}, Resources: []string{"streamplugins"}, Verbs: []string{"get", "create", "update", "patch", "delete"},
	}}
	for _, r := range rights {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{r.resource}, Verbs: verbs})
	}
	if jobs {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}})
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	_, err := stage.Kube.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	_, err = stage.Kube.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) {
		Expect(stage.Kube.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{})).To(Succeed())
		Expect(stage.Kube.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{})).To(Succeed())
	})
	awaitGrant(ctx, name)
	return impersonate(name)
}

// awaitGrant waits until the API server's authorizer has seen a user's role and its binding. Both come to it by a watch, so
// it refuses a request that comes too early without asking the webhook.
func awaitGrant(ctx context.Context, user string) {
	GinkgoHelper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               user,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Group: streamingv1.GroupVersion.Group, Resource: "streamplugins", Verb: "create"},
	}}
	Eventually(ctx, func(g Gomega) {
		answer, err := stage.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(answer.Status.Allowed).To(BeTrue(), "%s may create streamplugins", user)
	}).Should(Succeed())
}

func impersonate(name string, groups ...string) client.Client {
	GinkgoHelper()
	cfg, err := stage.Cluster.RESTConfig()
	Expect(err).NotTo(HaveOccurred())
	cfg = rest.CopyConfig(cfg)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: append(groups, "system:authenticated")}
	c, err := client.New(cfg, client.Options{Scheme: stage.Client.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// expectForbidden holds an answer to a refusal that names the user, the verb and the resource.
func expectForbidden(err error, user, verb, resource string) {
	GinkgoHelper()
	Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
	Expect(err).To(MatchError(And(ContainSubstring(user), ContainSubstring(verb+" "+resource), ContainSubstring("ask for a role"))))
}

var _ = Describe("Who may write a StreamPlugin", func() {
	verbs := map[string]string{"creates": "create", "updates": "update", "deletes": "delete"}
	act := func(ctx context.Context, verb string, w world, user client.Client, there *streamingv1.StreamPlugin) error {
		switch verb {
		case "create":
			p := w.plugin()
			p.Name = "another"
			p.Spec.ClassName += "-another"
			return user.Create(ctx, p, client.DryRunAll)
		case "update":
			changed := there.DeepCopy()
			changed.Spec.MaxConcurrent = ptr.To(int32(5))
			return user.Patch(ctx, changed, client.MergeFrom(there), client.DryRunAll)
		default:
			return user.Delete(ctx, there, client.DryRunAll)
		}
	}

	It("is asked for the same verb on every object that it installs", func(ctx SpecContext) {
		w := enter(ctx)
		there := w.install(ctx)
		for does, verb := range verbs {
			for i, missing := range wanted {
				By(fmt.Sprintf("%s without %s", does, missing.resource))
				name := fmt.Sprintf("%s-without-%s-%s", verb, missing.resource, w.namespace)
				user := userWith(ctx, name, []string{verb}, true, slices.Delete(slices.Clone(wanted), i, i+1)...)
				expectForbidden(act(ctx, verb, w, user, there), name, verb, missing.resource)
			}
			By(does + " with all of them")
			name := fmt.Sprintf("%s-with-all-%s", verb, w.namespace)
			user := userWith(ctx, name, []string{verb}, true, wanted...)
			Expect(act(ctx, verb, w, user, there)).To(Succeed())
		}
	})

	It("is asked for the right to create Jobs, and to get the Secrets that it names", func(ctx SpecContext) {
		w := enter(ctx)
		noJobs := userWith(ctx, "no-jobs-"+w.namespace, []string{"create"}, false, wanted...)
		Expect(noJobs.Create(ctx, w.plugin(), client.DryRunAll)).
			To(MatchError(ContainSubstring(`may not create jobs.batch in namespace "` + w.namespace + `"`)))
		noSecrets := userWith(ctx, "no-secrets-"+w.namespace, []string{"create"}, true, wanted...)
		fromEnv := w.plugin(func(p *streamingv1.StreamPlugin) {
			p.Spec.Env = []corev1.EnvVar{{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "hidden"}, Key: "k",
			}}}}
		})
		fromVolume := w.plugin(func(p *streamingv1.StreamPlugin) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "hidden"}}}}
		})
		for _, p := range []*streamingv1.StreamPlugin{fromEnv, fromVolume} {
			Expect(noSecrets.Create(ctx, p.DeepCopy(), client.DryRunAll)).To(MatchError(ContainSubstring(`may not get Secret "hidden"`)))
		}
		Expect(noSecrets.Create(ctx, w.plugin(), client.DryRunAll)).To(Succeed())
	})

	It("is asked for the right to delete all of it by whoever lets others delete the StreamPlugin", func(ctx SpecContext) {
		w := enter(ctx)
		there := w.install(ctx)
		user := userWith(ctx, "owner-"+w.namespace, []string{"create", "update"}, true, wanted...)
		owned := there.DeepCopy()
		owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "gone"}}
		released := there.DeepCopy()
		released.Finalizers = nil
		for _, changed := range []*streamingv1.StreamPlugin{owned, released} {
			Expect(user.Patch(ctx, changed.DeepCopy(), client.MergeFrom(there), client.DryRunAll)).
				To(MatchError(ContainSubstring("may not delete streamclasses")))
		}
	})

	It("is not asked for what changes nothing that is installed", func(ctx SpecContext) {
		w := enter(ctx)
		there := w.install(ctx)
		user := userWith(ctx, "labels-"+w.namespace, nil, false)
		labelled := there.DeepCopy()
		labelled.Labels = map[string]string{"team": "sales"}
		Expect(user.Patch(ctx, labelled.DeepCopy(), client.MergeFrom(there), client.DryRunAll)).To(Succeed())
	})

	It("is all granted by the role streamplugin-editor, and not by the built-in admin", func(ctx SpecContext) {
		w := enter(ctx)
		for role, may := range map[string]bool{"arcane-streamplugin-editor": true, "admin": false, "edit": false} {
			name := role + "-of-" + w.namespace
			binding := &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
			}
			Expect(stage.Client.Create(ctx, binding)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(stage.Client.Delete(ctx, binding)).To(Succeed()) })
			user := impersonate(name)
			Eventually(ctx, func(g Gomega) {
				err := user.Create(ctx, w.plugin(), client.DryRunAll)
				g.Expect(err == nil).To(Equal(may), "%s: %v", role, err)
				g.Expect(err == nil || strings.Contains(err.Error(), name)).To(BeTrue())
			}).Should(Succeed())
		}
	})

	It("is granted in one namespace by the same role there, and the right to StreamClasses", func(ctx SpecContext) {
		w := enter(ctx)
		name := "team-of-" + w.namespace
		subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}}
		inside := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "arcane-streamplugin-editor"},
		}
		Expect(stage.Client.Create(ctx, inside)).To(Succeed())
		user := impersonate(name)
		Eventually(ctx, func() error { return user.Create(ctx, w.plugin(), client.DryRunAll) }).
			Should(MatchError(And(ContainSubstring("may not create streamclasses"), ContainSubstring("arcane-streamclass-editor"))))
		everywhere := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "arcane-streamclass-editor"},
		}
		Expect(stage.Client.Create(ctx, everywhere)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(stage.Client.Delete(ctx, everywhere)).To(Succeed()) })
		Eventually(ctx, func() error { return user.Create(ctx, w.plugin(), client.DryRunAll) }).Should(Succeed())
		elsewhere := w.plugin()
		elsewhere.Namespace = "default"
		Expect(apierrors.IsForbidden(user.Create(ctx, elsewhere, client.DryRunAll))).To(BeTrue())
	})
})
