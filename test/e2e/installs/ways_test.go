package installs_test

// This file goes each way of an install from its beginning to its end, on one cluster.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/page"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// leftOf names what is there of the operator but its kinds and its namespace.
func leftOf(ctx context.Context) []string {
	GinkgoHelper()
	var left []string
	add := func(kind string, err error) {
		GinkgoHelper()
		if apierrors.IsNotFound(err) {
			return
		}
		Expect(err).NotTo(HaveOccurred())
		left = append(left, kind)
	}
	k := stage.Kube
	_, err := k.AppsV1().Deployments(install.OperatorNamespace).Get(ctx, install.OperatorDeployment, metav1.GetOptions{})
	add("Deployment", err)
	_, err = k.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, story.WebhookConfiguration, metav1.GetOptions{})
	add("MutatingWebhookConfiguration", err)
	_, err = k.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, story.WebhookConfiguration, metav1.GetOptions{})
	add("ValidatingWebhookConfiguration", err)
	_, err = k.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(ctx, "arcane-who-may", metav1.GetOptions{})
	add("ValidatingAdmissionPolicy", err)
	roles, err := k.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=arcane"})
	Expect(err).NotTo(HaveOccurred())
	for _, r := range roles.Items {
		left = append(left, "ClusterRole "+r.Name)
	}
	accounts, err := k.CoreV1().ServiceAccounts(install.OperatorNamespace).List(ctx, metav1.ListOptions{})
	Expect(err).NotTo(HaveOccurred())
	for _, a := range accounts.Items {
		if a.Name != "default" {
			left = append(left, "ServiceAccount "+a.Name)
		}
	}
	return left
}

// kinds are those of ours that the cluster has.
func kinds(ctx context.Context) []string {
	GinkgoHelper()
	names, err := stage.Kubectl(ctx, "get", "crds", "-o", "jsonpath={.items[*].metadata.name}")
	Expect(err).NotTo(HaveOccurred())
	return slices.DeleteFunc(strings.Fields(names), func(name string) bool { return !strings.HasSuffix(name, "."+streamingv1.GroupVersion.Group) })
}

// expectFresh asks for a cluster that has never seen Arcane, or has forgotten it.
func expectFresh(ctx context.Context) {
	GinkgoHelper()
	Expect(kinds(ctx)).To(BeEmpty())
	Expect(leftOf(ctx)).To(BeEmpty())
	Eventually(ctx, func(g Gomega) {
		_, err := stage.Kube.CoreV1().Namespaces().Get(ctx, install.OperatorNamespace, metav1.GetOptions{})
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the namespace: %v", err)
	}, "1m", "200ms").Should(Succeed())
}

// expectVersion asks which image the operator's pods run.
func expectVersion(ctx context.Context, tag string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		pods, err := stage.Kube.CoreV1().Pods(install.OperatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=operator"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pods.Items).NotTo(BeEmpty())
		for _, p := range pods.Items {
			g.Expect(p.DeletionTimestamp).To(BeNil())
			g.Expect(p.Spec.Containers[0].Image).To(HaveSuffix("/arcane-operator:" + tag))
			g.Expect(p.Status.ContainerStatuses).NotTo(BeEmpty())
			g.Expect(p.Status.ContainerStatuses[0].RestartCount).To(BeZero(), "pod %s ended by itself: %+v\n%s", p.Name,
				p.Status.ContainerStatuses[0].LastTerminationState.Terminated, lastWords(ctx, p))
		}
	}, "1m", "200ms").Should(Succeed())
}

// lastWords are the end of what a container printed before it was started again.
func lastWords(ctx context.Context, p corev1.Pod) string {
	if len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].RestartCount == 0 {
		return ""
	}
	options := &corev1.PodLogOptions{Previous: true, TailLines: ptr.To(int64(20))}
	log, err := stage.Kube.CoreV1().Pods(p.Namespace).GetLogs(p.Name, options).DoRaw(ctx)
	return fmt.Sprint(string(log), err)
}

// way is one of the documented ones. Its blocks on the page are called by its name and what they do.
type way struct {
	name string
	// prepare is what happens on a fresh cluster before the way begins, upgrading what happens before its upgrade.
	prepare, upgrading func(ctx context.Context, u user)
	// upgraded is what else happens after the upgrade; it ends as it began, installed this way.
	upgraded func(ctx context.Context, u user)
	// remove begins without an operator, and with a StreamPlugin that only an operator could remove; it ends with a cluster
	// that has none of Arcane.
	remove func(ctx context.Context, u user, l *live)
}

// follow goes the way.
func (w way) follow(ctx context.Context) {
	GinkgoHelper()
	u := newUser()
	expectFresh(ctx)
	w.prepare(ctx, u)

	u.follow(ctx, w.name+" install", older)
	u.verify(ctx)
	expectVersion(ctx, older)
	l := goLive(ctx)

	By("the same again, as after an install that failed half-way")
	u.follow(ctx, w.name+" install", older)
	u.verify(ctx)

	w.upgrading(ctx, u)
	u.follow(ctx, w.name+" upgrade", newer)
	u.verify(ctx)
	expectVersion(ctx, newer)
	w.upgraded(ctx, u)
	l.expectServed(ctx, "upgraded")
	l.expectUntouched(ctx)

	before := kinds(ctx)
	Expect(before).NotTo(BeEmpty())
	u.follow(ctx, w.name+" uninstall", newer)
	Eventually(ctx, func() []string { return leftOf(ctx) }, "1m", "200ms").Should(BeEmpty())
	Expect(kinds(ctx)).To(Equal(before), "the kinds stay")
	l.expectIntact(ctx)

	u.follow(ctx, w.name+" install", newer)
	u.verify(ctx)
	l.expectServed(ctx, "again")
	l.expectUntouched(ctx)

	u.follow(ctx, w.name+" downgrade", older)
	u.verify(ctx)
	expectVersion(ctx, older)
	l.expectServed(ctx, "downgraded")
	l.expectIntact(ctx)
	Expect(law.Check(l.world.History(ctx))).To(BeEmpty(), "the laws hold over all of it")

	u.follow(ctx, w.name+" uninstall", older)
	Eventually(ctx, func() []string { return leftOf(ctx) }, "1m", "200ms").Should(BeEmpty())
	l.expectUntouched(ctx)
	w.remove(ctx, u, l)
	Expect(kinds(ctx)).To(BeEmpty())
	Eventually(ctx, func(g Gomega) { g.Expect(l.world.Pods(ctx, l.stream.Name)).To(BeEmpty()) }, "1m", "200ms").Should(Succeed())
	l.leave(ctx)
}

var _ = Describe("The operator is installed, upgraded, removed, installed again and downgraded under a stream that runs on", Ordered, func() {
	nothing := func(context.Context, user) {}

	It("by kustomize", func(ctx SpecContext) {
		// The next version also runs as a user that the platform chooses.
		const uid = 1000680000
		way{
			name:    "kustomize",
			prepare: nothing,
			upgrading: func(ctx context.Context, u user) {
				u.run(ctx, "cat >>../my-arcane/kustomization.yaml <<'EOF'\n"+block("arbitrary user", "")+"EOF")
				// OpenShift's admission writes the user and the group; here a patch does.
				u.run(ctx, fmt.Sprintf(`cat >>../my-arcane/kustomization.yaml <<'EOF'
  - target: {kind: Deployment, name: arcane-operator}
    patch: |-
      - {op: add, path: /spec/template/spec/securityContext/runAsUser, value: %d}
      - {op: add, path: /spec/template/spec/securityContext/runAsGroup, value: 0}
EOF`, uid))
			},
			upgraded: func(ctx context.Context, u user) {
				pods, err := stage.Kube.CoreV1().Pods(install.OperatorNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=operator"})
				Expect(err).NotTo(HaveOccurred())
				for _, p := range pods.Items {
					Expect(*p.Spec.SecurityContext.RunAsUser).To(BeEquivalentTo(uid))
				}
				By("moves to Helm, and back")
				u.run(ctx, blockOf(chartPage(), "move from kustomize", newer))
				u.verify(ctx)
				expectVersion(ctx, newer)
				Expect(u.run(ctx, "helm list --namespace "+install.OperatorNamespace+" --short")).To(ContainSubstring("arcane"))
				u.follow(ctx, "helm uninstall", newer)
				u.follow(ctx, "kustomize upgrade", newer)
				u.verify(ctx)
			},
			remove: func(ctx context.Context, u user, l *live) {
				release(ctx, u, l)
				By("make uninstall refuses while there is a stream")
				out, err := u.try(ctx, "make uninstall")
				Expect(err).To(HaveOccurred())
				Expect(out).To(MatchRegexp(`Stream +` + l.world.Namespace + ` +orders`))
				Expect(out).To(ContainSubstring("make uninstall CONFIRM=yes"))
				Expect(kinds(ctx)).To(HaveLen(len(bases())))
				u.run(ctx, "make uninstall CONFIRM=yes")
				Expect(u.run(ctx, "make uninstall")).To(ContainSubstring("none of Arcane's kinds is installed"))
				u.run(ctx, "kubectl delete -k config/namespace")
			},
		}.follow(ctx)
	})

	It("by YAML files, the first time before their namespace is there", func(ctx SpecContext) {
		way{
			name: "yaml",
			prepare: func(ctx context.Context, u user) {
				u.run(ctx, "make install-yaml IMG="+registry+"/arcane-operator:"+older)
				By("each file alone fits what plain kubectl apply takes")
				u.run(ctx, "kubectl apply --dry-run=server -f dist/crds.yaml -f dist/namespace.yaml")
				By("an install that fails half-way: webhooks and policy are there, the operator is not")
				out, err := u.try(ctx, "kubectl apply --server-side -f dist/install.yaml")
				Expect(err).To(HaveOccurred())
				Expect(out).To(ContainSubstring(`namespaces "` + install.OperatorNamespace + `" not found`))
				Expect(leftOf(ctx)).To(ContainElements("ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy"))
				Expect(leftOf(ctx)).NotTo(ContainElement("Deployment"))
			},
			upgrading: func(ctx context.Context, u user) {
				By("plain kubectl apply takes the operator's file as well")
				u.run(ctx, "kubectl apply --dry-run=server -f dist/install.yaml")
			},
			upgraded: func(context.Context, user) {},
			remove: func(ctx context.Context, u user, l *live) {
				release(ctx, u, l)
				Expect(u.run(ctx, block("list", ""))).To(MatchRegexp(l.world.Namespace + ` +stream.*/orders`))
				u.follow(ctx, "remove the kinds", "")
				u.run(ctx, "kubectl delete -f dist/namespace.yaml")
			},
		}.follow(ctx)
	})

	It("by Helm", func(ctx SpecContext) {
		way{
			name: "helm", prepare: nothing, upgrading: nothing,
			upgraded: func(context.Context, user) {},
			remove: func(ctx context.Context, u user, l *live) {
				By("removes the plugin by hand, as docs/plugins.md has it")
				namespace := l.world.Namespace
				u.run(ctx, "kubectl delete streams --all --namespace "+namespace)
				u.run(ctx, "kubectl delete streamplugin --wait=false --namespace "+namespace+" "+install.PostgresClass)
				rescue := blockOf(filepath.Join(story.Root(), "docs", "plugins.md"), "rescue", "")
				u.run(ctx, strings.NewReplacer("streamclass postgres", "streamclass postgres-of-"+namespace, "sales", namespace).Replace(rescue))
				for _, kind := range []string{"streamplugins", "streamingjobtemplates", "networkpolicies", "serviceaccounts", "configmaps"} {
					Expect(u.run(ctx, "kubectl get --output=name --namespace "+namespace+" --selector=app.kubernetes.io/instance=postgres "+kind)).NotTo(ContainSubstring("/postgres"))
				}
				Expect(u.run(ctx, "kubectl get --output=name configmaps --selector=owner=helm --namespace "+install.OperatorNamespace)).NotTo(ContainSubstring("plugin-"))
				u.follow(ctx, "remove the kinds", "")
				u.run(ctx, "kubectl delete namespace "+install.OperatorNamespace)
			},
		}.follow(ctx)
	})
})

// release lets a StreamPlugin go without its operator, by hand, and its stream runs on. The StreamPlugin would else keep its
// kind from being removed.
func release(ctx context.Context, u user, l *live) {
	GinkgoHelper()
	u.run(ctx, strings.NewReplacer("NAMESPACE", l.world.Namespace, "NAME", install.PostgresClass).Replace(block("rescue", "")))
	l.expectUntouched(ctx)
}

// bases are the files of our kinds.
func bases() []os.DirEntry {
	GinkgoHelper()
	files, err := os.ReadDir(filepath.Join(story.Root(), "config", "crd", "bases"))
	Expect(err).NotTo(HaveOccurred())
	return files
}

var _ = Describe("Code on the pages that is marked as tested", func() {
	It("makes config/namespaced serve another namespace", func(ctx SpecContext) {
		u := newUser()
		u.follow(ctx, "served", "")
		built := u.run(ctx, "kubectl kustomize config/namespaced")
		Expect(built).To(And(ContainSubstring("--namespaces=team-a,sales"), ContainSubstring("namespace: sales"), Not(ContainSubstring("team-b"))))
	})

	It("is run here, all of it", func() {
		names, err := page.Blocks(installPage())
		Expect(err).NotTo(HaveOccurred())
		want := []string{"verify", "list", "remove the kinds", "arbitrary user", "rescue", "served", "olm install", "olm uninstall", "olm rights"}
		for _, w := range []string{"kustomize", "yaml", "helm"} {
			for _, step := range []string{"install", "upgrade", "downgrade", "uninstall"} {
				want = append(want, w+" "+step)
			}
		}
		Expect(names).To(ConsistOf(want))
		names, err = page.Blocks(chartPage())
		Expect(err).NotTo(HaveOccurred())
		Expect(names).To(ConsistOf("move from kustomize"))
	})
})
