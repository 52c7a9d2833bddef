package installs_test

// This file installs the operator by OLM, upgrades it to a version that really differs, and removes it, while streams run. It
// is a door of its own, make olm-e2e: OLM takes minutes to build.

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/image/pack"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// The two versions in the catalog. The newer one is a program of its own: it gives each job one variable more and sets one
// field of the Job more, and its Deployment has a variable of its own.
const (
	olderVersion = "0.9.0"
	newerVersion = "0.9.1"
	newVariable  = "STREAMCONTEXT__NEXT"
	operatorEnv  = "ARCANE_NEXT"
)

// newDeadline is the value of the Job's field that only the newer version sets.
const newDeadline = 86400 * 365

// catalog is the folder of a file-based catalog that grows by a version.
type catalog struct {
	folder, bundles, channels string
	// entries of the channel so far.
	entries string
}

func newCatalog() *catalog {
	GinkgoHelper()
	home := GinkgoT().TempDir()
	// A pod reads the catalog's folder, as another user.
	for _, folder := range []string{filepath.Dir(home), home} {
		Expect(os.Chmod(folder, 0o755)).To(Succeed())
	}
	c := &catalog{folder: filepath.Join(home, "catalog"), bundles: filepath.Join(home, "bundles"), channels: filepath.Join(home, "channels")}
	Expect(os.MkdirAll(c.channels, 0o755)).To(Succeed())
	pack, err := os.ReadFile(filepath.Join(story.Root(), "catalog", "package.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(c.channels, "package.yaml"), pack, 0o600)).To(Succeed())
	return c
}

// tool runs one of tools/.
func tool(ctx context.Context, environment []string, name string, args ...string) {
	GinkgoHelper()
	cmd := exec.CommandContext(ctx, filepath.Join(story.Root(), "tools", name), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(withoutMake(os.Environ()), environment...), GinkgoWriter, GinkgoWriter
	Expect(cmd.Run()).To(Succeed(), "%s %v", name, args)
}

func (c *catalog) bundle(version string) string { return filepath.Join(c.bundles, version, "bundle") }

// add makes the bundle of a version, as a release does, and the catalog with all bundles so far.
func (c *catalog) add(ctx context.Context, version, replaces, tag string, change func(csv map[string]any)) {
	GinkgoHelper()
	environment := []string{"BUNDLE_VERSION=" + version, "BUNDLE_REPLACES="}
	if replaces != "" {
		environment[1] += "arcane-operator.v" + replaces
	}
	tool(ctx, environment, "bundle", registry+"/arcane-operator:"+tag, filepath.Join(c.bundles, version))
	file := filepath.Join(c.bundle(version), "manifests", "arcane-operator.clusterserviceversion.yaml")
	text, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	var csv map[string]any
	Expect(yaml.Unmarshal(text, &csv)).To(Succeed())
	change(csv)
	text, err = yaml.Marshal(csv)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(file, text, 0o600)).To(Succeed())

	c.entries += "  - name: arcane-operator.v" + version + "\n"
	if replaces != "" {
		c.entries += "    replaces: arcane-operator.v" + replaces + "\n"
	}
	channels := "schema: olm.channel\npackage: arcane-operator\nname: stable\nentries:\n" + c.entries
	Expect(os.WriteFile(filepath.Join(c.channels, "channels.yaml"), []byte(channels), 0o600)).To(Succeed())
	versions, err := os.ReadDir(c.bundles)
	Expect(err).NotTo(HaveOccurred())
	args := []string{c.folder}
	for _, v := range versions {
		args = append(args, c.bundle(v.Name()))
	}
	tool(ctx, []string{"CATALOG=" + c.channels}, "catalog", args...)
}

// loadNext builds the newer version and gives the node its image.
func loadNext(ctx context.Context) {
	GinkgoHelper()
	home := GinkgoT().TempDir()
	edits := map[string][2]string{
		"internal/jobspec/environment.go": {
			"variable(v1.EnvSpec, string(d.Spec)),",
			"variable(v1.EnvSpec, string(d.Spec)),\n\t\tvariable(\"" + newVariable + "\", \"true\"),",
		},
		"internal/jobspec/jobspec.go": {
			"spec.TTLSecondsAfterFinished = nil",
			"spec.TTLSecondsAfterFinished = nil\n\tspec.ActiveDeadlineSeconds = ptr.To[int64](" + jsonOf(newDeadline) + ")",
		},
	}
	replace := map[string]string{}
	for file, edit := range edits {
		source := filepath.Join(story.Root(), filepath.FromSlash(file))
		text, err := os.ReadFile(source)
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(string(text), edit[0])).To(Equal(1), "%s holds what the newer version changes: %s", file, edit[0])
		replace[source] = filepath.Join(home, filepath.Base(file))
		Expect(os.WriteFile(replace[source], []byte(strings.Replace(string(text), edit[0], edit[1], 1)), 0o600)).To(Succeed())
	}
	overlay := filepath.Join(home, "overlay.json")
	Expect(os.WriteFile(overlay, []byte(jsonOf(map[string]any{"Replace": replace})), 0o600)).To(Succeed())
	binary := filepath.Join(home, "arcane-operator")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-overlay", overlay, "-ldflags", "-s -w -X main.version=v"+newerVersion, "-o", binary, "./cmd/arcane-operator")
	build.Dir, build.Env = story.Root(), append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = GinkgoWriter, GinkgoWriter
	Expect(build.Run()).To(Succeed())
	output := filepath.Join(home, "operator.tar")
	_, err := pack.Write(pack.Image{Binary: binary, Name: registry + "/arcane-operator:next"}, output)
	Expect(err).NotTo(HaveOccurred())
	Expect(stage.Cluster.Load(ctx, output)).To(Succeed())
}

func jsonOf(value any) string {
	GinkgoHelper()
	text, err := json.Marshal(value)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// container is the operator's container in a ClusterServiceVersion.
func container(csv map[string]any) map[string]any {
	GinkgoHelper()
	deployments, _, err := unstructured.NestedSlice(csv, "spec", "install", "spec", "deployments")
	Expect(err).NotTo(HaveOccurred())
	Expect(deployments).To(HaveLen(1))
	d := csv["spec"].(map[string]any)["install"].(map[string]any)["spec"].(map[string]any)["deployments"].([]any)[0].(map[string]any)
	template := d["spec"].(map[string]any)["template"].(map[string]any)
	return template["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
}

// may asks whether the operator may do something.
func may(ctx context.Context, verb, group, resource, name, namespace string) bool {
	GinkgoHelper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + install.OperatorNamespace + ":arcane-operator",
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Name: name, Namespace: namespace,
		},
	}}
	answer, err := stage.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	return answer.Status.Allowed
}

// awaitVersion waits until OLM has installed a version.
func awaitVersion(ctx context.Context, u user, version string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		phase, err := u.try(ctx, "kubectl -n arcane-system get csv arcane-operator.v"+version+" -o jsonpath='{.status.phase} {.status.reason} {.status.message}' 2>/dev/null")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(phase).To(ContainSubstring("Succeeded"))
	}, "4m", "1s").Should(Succeed())
}

// webhook is one that the API server asks, whoever made its configuration.
type webhook struct {
	owner, name string
	caBundle    []byte
	conditions  int
}

// webhooksOf lists all webhooks of the cluster.
func webhooksOf(ctx context.Context) (all []webhook, err error) {
	validating, err := stage.Kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, v := range validating.Items {
		for _, w := range v.Webhooks {
			all = append(all, webhook{v.Labels["olm.owner"], w.Name, w.ClientConfig.CABundle, len(w.MatchConditions)})
		}
	}
	mutating, err := stage.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, m := range mutating.Items {
		for _, w := range m.Webhooks {
			all = append(all, webhook{m.Labels["olm.owner"], w.Name, w.ClientConfig.CABundle, len(w.MatchConditions)})
		}
	}
	return all, nil
}

// awaitWebhooksOf waits until all webhooks are those of a version, as OLM makes them: those of the version before leave after it.
func awaitWebhooksOf(ctx context.Context, version string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		all, err := webhooksOf(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		for _, w := range all {
			g.Expect(w.owner).To(Equal("arcane-operator.v"+version), w.name)
			g.Expect(w.caBundle).NotTo(BeEmpty(), w.name)
			g.Expect(w.conditions).To(BeZero(), w.name)
		}
		g.Expect(all).To(HaveLen(9))
	}, "2m", "200ms").Should(Succeed())
}

var _ = Describe("The operator is installed by OLM", Ordered, Label("olm"), func() {
	It("runs streams, is upgraded under them to a version that differs, and leaves them running", func(ctx SpecContext) {
		u := newUser()
		expectFresh(ctx)
		c := newCatalog()
		c.add(ctx, olderVersion, "", older, func(map[string]any) {})
		Expect(install.OLM(ctx, stage.Cluster, c.folder, GinkgoWriter)).To(Succeed())

		u.follow(ctx, "olm install", older)
		u.verify(ctx)
		expectVersion(ctx, older)
		By("OLM owns the webhooks, and the operator may touch neither them nor a Secret")
		awaitWebhooksOf(ctx, olderVersion)
		for _, verb := range []string{"patch", "update", "list", "watch"} {
			for _, resource := range []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} {
				Expect(may(ctx, verb, "admissionregistration.k8s.io", resource, "arcane-operator", "")).To(BeFalse(), "%s %s", verb, resource)
			}
			Expect(may(ctx, verb, "", "secrets", "arcane-webhook-certificate", install.OperatorNamespace)).To(BeFalse(), "%s secrets", verb)
		}
		By("rights that somebody adds reach it by aggregation, and leave with their role")
		Expect(may(ctx, "list", "example.com", "widgets", "", "")).To(BeFalse())
		u.run(ctx, "kubectl apply -f - <<'EOF'\n"+block("olm rights", "")+"EOF")
		Eventually(ctx, func() bool { return may(ctx, "list", "example.com", "widgets", "", "") }, "30s", "200ms").Should(BeTrue())
		u.run(ctx, "kubectl delete clusterrole arcane-widgets")
		Eventually(ctx, func() bool { return may(ctx, "list", "example.com", "widgets", "", "") }, "30s", "200ms").Should(BeFalse())

		By("a wrong Stream is refused through OLM's certificate")
		l := goLive(ctx)
		wrong := given.Stream(l.world.Namespace, "wrong", l.world.Class, given.Schedule("61 * * * *"))
		Expect(stage.Client.Create(ctx, wrong)).To(MatchError(And(
			ContainSubstring(`admission webhook "validate.streams.streaming.sneaksanddata.com" denied the request`), ContainSubstring("spec.schedule"))))

		By("the operator's own writes pass its webhooks, also when all its pods have just been replaced")
		w := l.world
		u.run(ctx, "kubectl -n arcane-system delete pod --wait=false --selector=app.kubernetes.io/component=operator")
		u.verify(ctx)
		w.Given(ctx, "backfilled")
		w.AwaitPod(ctx, "backfilled", streamingv1.ModeStream)
		l.expectUntouched(ctx)

		By("upgrades")
		for _, name := range []string{"suspended", "asked", "evicted"} {
			w.Given(ctx, name, given.NoInitialBackfill)
			w.AwaitPod(ctx, name, streamingv1.ModeStream)
		}
		evicted := w.AwaitPod(ctx, "evicted", streamingv1.ModeStream)
		loadNext(ctx)
		c.add(ctx, newerVersion, olderVersion, "next", func(csv map[string]any) {
			one := container(csv)
			one["env"] = append(one["env"].([]any), map[string]any{"name": operatorEnv, "value": "yes"})
		})
		Expect(install.RefreshCatalog(ctx, stage.Cluster)).To(Succeed())
		Eventually(ctx, func(g Gomega) {
			_, err := u.try(ctx, "kubectl -n arcane-system get csv arcane-operator.v"+newerVersion)
			g.Expect(err).NotTo(HaveOccurred())
		}, "2m", "200ms").Should(Succeed())
		By("what happens in the middle of it is not lost")
		// A write is refused while the API server does not trust a pod that OLM replaces, as the page says.
		w.Await(ctx, func(g Gomega) {
			s := w.Stream(ctx, "suspended")
			s.Spec.Suspended = true
			g.Expect(stage.Client.Update(ctx, s)).To(Succeed())
		})
		w.Await(ctx, func(g Gomega) {
			g.Expect(stage.Client.Create(ctx, given.Request(w.Namespace, "again", "asked", given.ClassOf(w.Class)))).To(Succeed())
		})
		w.Evict(ctx, evicted)
		awaitVersion(ctx, u, newerVersion)
		u.verify(ctx)
		expectVersion(ctx, "next")
		w.AwaitPhase(ctx, "suspended", streamingv1.StreamSuspended)
		w.AwaitCompleted(ctx, "again")
		w.AwaitPod(ctx, "asked", streamingv1.ModeStream)
		w.AwaitPod(ctx, "evicted", streamingv1.ModeStream, evicted)
		awaitWebhooksOf(ctx, newerVersion)

		By("no Job was restarted by the upgrade, and new ones are the newer version's")
		l.expectUntouched(ctx)
		l.expectIntact(ctx)
		Expect(w.Modes(ctx, "backfilled")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
		// OLM makes another certificate at an upgrade, and the API server may ask a pod that serves the former one.
		asked := time.Now()
		w.Await(ctx, func(g Gomega) {
			g.Expect(stage.Client.Create(ctx, given.Stream(w.Namespace, "newer", w.Class, given.NoInitialBackfill))).To(Succeed())
		})
		AddReportEntry("the webhooks answer again after", time.Since(asked).Round(time.Second), ReportEntryVisibilityAlways)
		pod := w.AwaitPod(ctx, "newer", streamingv1.ModeStream)
		Expect(pod.Spec.Containers[0].Env).To(ContainElement(corev1.EnvVar{Name: newVariable, Value: "true"}))
		Expect(w.Jobs(ctx, "newer")).To(HaveLen(1))
		Expect(w.Jobs(ctx, "newer")[0].Spec.ActiveDeadlineSeconds).To(Equal(ptr.To[int64](newDeadline)))
		Expect(w.Jobs(ctx, "backfilled")).To(HaveEach(HaveField("Spec.ActiveDeadlineSeconds", BeNil())))
		deployment, err := stage.Kube.AppsV1().Deployments(install.OperatorNamespace).Get(ctx, install.OperatorDeployment, metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(deployment.Spec.Template.Spec.Containers[0].Env).To(ContainElement(corev1.EnvVar{Name: operatorEnv, Value: "yes"}))

		By("is uninstalled, and the streams run on")
		before := kinds(ctx)
		u.follow(ctx, "olm uninstall", "")
		Eventually(ctx, func() []string { return leftOf(ctx) }, "1m", "200ms").Should(BeEmpty())
		Eventually(ctx, func() ([]webhook, error) { return webhooksOf(ctx) }, "1m", "200ms").Should(BeEmpty())
		Expect(u.run(ctx, "kubectl get clusterroles --output=name")).NotTo(ContainSubstring("streaming.sneaksanddata.com-v1-"), "OLM's roles for users")
		Expect(kinds(ctx)).To(Equal(before), "the kinds stay")
		l.expectIntact(ctx)
		Expect(law.Check(w.History(ctx))).To(BeEmpty(), "the laws hold over all of it")

		By("an OperatorGroup of another mode is refused, and OLM says so")
		_, err = u.try(ctx, strings.ReplaceAll(strings.Split(block("olm install", ""), "kubectl -n arcane-system wait")[0], "spec: {}", "spec: {targetNamespaces: [arcane-system]}"))
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, func() string {
			out, _ := u.try(ctx, "kubectl -n arcane-system get csv -o jsonpath='{.items[*].status.reason}'")
			return out
		}, "2m", "1s").Should(ContainSubstring("UnsupportedOperatorGroup"))
		u.run(ctx, "kubectl -n arcane-system delete subscription arcane-operator && kubectl -n arcane-system delete csv --all && kubectl -n arcane-system delete operatorgroup arcane")
		u.run(ctx, "kubectl delete --ignore-not-found clusterroles,clusterrolebindings --selector=app.kubernetes.io/name=arcane-operator")

		release(ctx, u, l)
		u.follow(ctx, "remove the kinds", "")
		u.run(ctx, "kubectl delete namespace "+install.OperatorNamespace+" "+install.OLMNamespace)
		Eventually(ctx, func(g Gomega) { g.Expect(w.Pods(ctx, l.stream.Name)).To(BeEmpty()) }, "1m", "200ms").Should(Succeed())
		l.leave(ctx)
	})
})
