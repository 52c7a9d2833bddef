// Package charts_test installs helm-charts/arcane-operator with both Helms on a real API server: what each of them owns,
// what stays, and who may install what another one has installed. No node runs the pods: what the operator writes into
// the objects of a release, the test writes in its name.
package charts_test

import (
	"context"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/page"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestCharts(t *testing.T) {
	story.Prepare(t, "config", "docs", "helm-charts", "tools")
	RunSpecs(t, "Charts")
}

const (
	system  = "arcane-system"
	release = "arcane"
	// name is that of the operator's Deployment, of its webhook configurations and of its field manager.
	name   = "arcane-operator"
	secret = "arcane-webhook-certificate" //nolint:gosec // The name of a Secret, not one.
)

var (
	stage *story.Stage
	// authority is a certificate that the API server takes for a webhook's: its own.
	authority []byte
)

var _ = BeforeSuite(func(ctx SpecContext) {
	cluster := story.RaiseCluster(ctx, "charts", false)
	var err error
	stage, err = story.NewStage(cluster)
	Expect(err).NotTo(HaveOccurred())
	stage.Patience = 30 * time.Second
	cfg, err := cluster.RESTConfig()
	Expect(err).NotTo(HaveOccurred())
	Expect(rest.LoadTLSFiles(cfg)).To(Succeed())
	authority = cfg.CAData
	Expect(authority).NotTo(BeEmpty())
})

// helm runs one of both on the cluster, and returns what it prints.
func helm(ctx context.Context, module, verb string, args ...string) (string, error) {
	all := []string{module, "helm", verb, "--kubeconfig=" + stage.Cluster.Kubeconfig()}
	out, err := exec.CommandContext(ctx, filepath.Join(story.Root(), "tools", "run"), append(all, args...)...).CombinedOutput()
	return string(out), err
}

// install installs or upgrades a release of the chart.
func install(ctx context.Context, module, verb, name, namespace string, args ...string) (string, error) {
	chart := filepath.Join(story.Root(), "helm-charts", "arcane-operator")
	args = append([]string{name, chart, "--namespace=" + namespace}, args...)
	if verb == "install" {
		args = append(args, "--create-namespace")
	}
	return helm(ctx, module, verb, args...)
}

// follow runs a block of docs/plugins.md with one version of Helm, and returns what it prints.
func follow(ctx context.Context, module, block string) string {
	GinkgoHelper()
	code, err := page.Block(filepath.Join(story.Root(), "docs", "plugins.md"), block)
	Expect(err).NotTo(HaveOccurred())
	programs := GinkgoT().TempDir()
	wrapper := "#!/bin/sh\nexec '" + filepath.Join(story.Root(), "tools", "run") + "' " + module + " helm \"$@\"\n"
	Expect(os.WriteFile(filepath.Join(programs, "helm"), []byte(wrapper), 0o755)).To(Succeed())
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", code)
	cmd.Dir = story.Root()
	cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "KUBECONFIG="+stage.Cluster.Kubeconfig())
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", code, out)
	return string(out)
}

func succeed(out string, err error) {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred(), out)
}

func uninstall(ctx context.Context, module, name string) {
	GinkgoHelper()
	succeed(helm(ctx, module, "uninstall", name, "--namespace="+system))
}

// operate writes what the operator writes into the objects of its release.
func operate(ctx context.Context, kube kubernetes.Interface) {
	GinkgoHelper()
	as := metav1.PatchOptions{FieldManager: name}
	configurations := kube.AdmissionregistrationV1()
	validating, err := configurations.ValidatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	var patches []string
	for _, w := range validating.Webhooks {
		patches = append(patches, `{"name":"`+w.Name+`","clientConfig":{"caBundle":"`+base64.StdEncoding.EncodeToString(authority)+`"}}`)
	}
	Expect(patches).NotTo(BeEmpty())
	patch := []byte(`{"webhooks":[` + strings.Join(patches, ",") + `]}`)
	_, err = configurations.ValidatingWebhookConfigurations().Patch(ctx, name, types.StrategicMergePatchType, patch, as)
	Expect(err).NotTo(HaveOccurred())
	held, err := kube.CoreV1().Secrets(system).Get(ctx, secret, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	held.Data = map[string][]byte{corev1.TLSCertKey: []byte("a certificate")}
	_, err = kube.CoreV1().Secrets(system).Update(ctx, held, metav1.UpdateOptions{FieldManager: name})
	Expect(err).NotTo(HaveOccurred())
}

// expectOperated finds what operate has written, all of it the operator's own.
func expectOperated(ctx context.Context, kube kubernetes.Interface) {
	GinkgoHelper()
	validating, err := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	for _, w := range validating.Webhooks {
		Expect(w.ClientConfig.CABundle).To(Equal(authority), "%s has lost its authority", w.Name)
	}
	Expect(managersOf(validating.ManagedFields, `"f:caBundle"`)).To(Equal([]string{name}))
	held, err := kube.CoreV1().Secrets(system).Get(ctx, secret, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	Expect(held.Data).To(HaveKey(corev1.TLSCertKey))
	Expect(managersOf(held.ManagedFields, `"f:data"`)).To(Equal([]string{name}))
}

func managersOf(fields []metav1.ManagedFieldsEntry, field string) []string {
	var all []string
	for _, f := range fields {
		if strings.Contains(f.FieldsV1.GetRawString(), field) {
			all = append(all, f.Manager)
		}
	}
	return all
}

var _ = DescribeTable("A release", func(ctx SpecContext, module string) {
	kube := stage.Kube
	notes, err := install(ctx, module, "install", release, system)
	succeed(notes, err)
	for _, command := range []string{
		"kubectl --namespace arcane-system rollout status deployment/arcane-operator", "helm test arcane --namespace arcane-system\n",
		"kubectl get streams,backfillrequests --all-namespaces",
	} {
		Expect(notes).To(ContainSubstring(command))
	}
	notes, err = install(ctx, module, "upgrade", release, system, "--set=namespaces={team-a,team-b}", "--dry-run=server")
	succeed(notes, err)
	Expect(notes).To(And(ContainSubstring("serves the namespaces team-a, team-b and no other"), ContainSubstring("kubectl get streams,backfillrequests --namespace team-a")))
	operate(ctx, kube)
	// The API server waits five seconds for a webhook that nobody serves: this class is written past it, by the operator.
	_, err = stage.Kubectl(ctx, "create", "--as=system:serviceaccount:"+system+":"+name, "--as-group=system:masters", "--filename",
		filepath.Join(story.Root(), "config", "samples", "streaming_v1_streamclass.yaml"))
	Expect(err).NotTo(HaveOccurred())

	By("upgrading and rolling back")
	succeed(install(ctx, module, "upgrade", release, system, "--set=workers=3,commonLabels.team=data"))
	expectOperated(ctx, kube)
	Expect(argsOf(ctx, kube)).To(ContainElement("--workers=3"))
	succeed(helm(ctx, module, "rollback", release, "1", "--namespace="+system))
	expectOperated(ctx, kube)
	Expect(argsOf(ctx, kube)).NotTo(ContainElement("--workers=3"))

	By("refusing a second one")
	for _, args := range [][]string{nil, {"--take-ownership"}} {
		out, err := install(ctx, module, "install", "second", "elsewhere", args...)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring(`this cluster already has an Arcane operator, in namespace "arcane-system" (Helm release "arcane")`))
	}
	_, err = kube.CoreV1().ServiceAccounts("elsewhere").Get(ctx, name, metav1.GetOptions{})
	Expect(err).To(HaveOccurred(), "the second release wrote something")

	By("refusing what the cluster has no kinds for")
	for values, says := range map[string]string{
		"prometheus.enabled=true":         "no kind PodMonitor of monitoring.coreos.com/v1",
		"certificate.source=cert-manager": "no kind Certificate of cert-manager.io/v1",
	} {
		out, err := install(ctx, module, "upgrade", release, system, "--set="+values)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring(says))
	}

	By("leaving the kinds and what is of them")
	uninstall(ctx, module, release)
	Expect(stage.Client.List(ctx, &streamingv1.StreamList{})).To(Succeed())
	class := &streamingv1.StreamClass{}
	Expect(stage.Client.Get(ctx, types.NamespacedName{Name: "shell"}, class)).To(Succeed())
	configurations, err := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	Expect(err).NotTo(HaveOccurred())
	Expect(namesOf(configurations.Items)).NotTo(ContainElement(name))

	By("installing under another name, which has to say that the kinds are its own now")
	out, err := install(ctx, module, "install", "other", system)
	Expect(err).To(HaveOccurred())
	Expect(out).To(ContainSubstring("invalid ownership metadata"))
	succeed(install(ctx, module, "install", "other", system, "--take-ownership"))
	Expect(stage.Client.Get(ctx, types.NamespacedName{Name: "shell"}, class)).To(Succeed())
	uninstall(ctx, module, "other")

	By("installing a plugin by its chart, as docs/plugins.md has it")
	_, err = kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sales"}}, metav1.CreateOptions{})
	Expect(client.IgnoreAlreadyExists(err)).To(Succeed())
	Expect(follow(ctx, module, "without a cluster")).To(And(ContainSubstring("kind: StreamClass"), ContainSubstring("kind: PodMonitor")))
	follow(ctx, module, "without a StreamPlugin")
	Expect(stage.Client.Get(ctx, types.NamespacedName{Name: "postgres"}, class)).To(Succeed())
	Expect(stage.Client.Get(ctx, types.NamespacedName{Namespace: "sales", Name: "postgres-backfill"}, &streamingv1.StreamingJobTemplate{})).To(Succeed())
	succeed(helm(ctx, module, "uninstall", "postgres", "--namespace=sales"))
	Expect(client.IgnoreNotFound(stage.Client.Get(ctx, types.NamespacedName{Name: "postgres"}, class))).To(Succeed())
	removeKinds(ctx)
},
	Entry("of Helm 3", "helm3"),
	Entry("of Helm 4", "helm4"),
)

var _ = DescribeTable("An installation of kubectl's", func(ctx SpecContext, module string, flags ...string) {
	kube := stage.Kube
	_, err := kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}}, metav1.CreateOptions{})
	Expect(client.IgnoreAlreadyExists(err)).To(Succeed())
	for _, args := range [][]string{{"apply", "-k", filepath.Join(story.Root(), "config", "crd")}, {"apply", "-k", filepath.Join(story.Root(), "config", "default")}} {
		out, err := stage.Kubectl(ctx, args...)
		Expect(err).NotTo(HaveOccurred(), out)
	}
	before, err := kube.AppsV1().Deployments(system).Get(ctx, name, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	operate(ctx, kube)

	By("refusing it in another namespace")
	out, err := install(ctx, module, "install", release, "elsewhere", append(flags, "--take-ownership")...)
	Expect(err).To(HaveOccurred())
	Expect(out).To(ContainSubstring(`this cluster already has an Arcane operator, in namespace "arcane-system"`))

	By("taking it over, with the same Deployment and certificate")
	succeed(install(ctx, module, "install", release, system, append(flags, "--take-ownership")...))
	after, err := kube.AppsV1().Deployments(system).Get(ctx, name, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	Expect(after.UID).To(Equal(before.UID))
	Expect(*after.Spec.Replicas).To(BeEquivalentTo(2))
	expectOperated(ctx, kube)
	uninstall(ctx, module, release)
	Expect(stage.Client.List(ctx, &streamingv1.StreamList{})).To(Succeed())
	removeKinds(ctx)
},
	Entry("moves to Helm 3", "helm3"),
	Entry("moves to Helm 4", "helm4", "--force-conflicts"),
)

// removeKinds removes what a release leaves, as the README says, so that the next one finds a fresh cluster.
func removeKinds(ctx context.Context) {
	GinkgoHelper()
	// As the page has it, a look comes first. No operator watches the kinds here: the API server would make the storage of a
	// kind for its deletion alone, and then, now and then, wait for ever for it ("storage is (re)initializing").
	Eventually(ctx, func() error {
		_, err := stage.Kubectl(ctx, "get", "streams,backfillrequests,streamingjobtemplates,streamclasses,streamplugins", "--all-namespaces")
		return err
	}).WithTimeout(time.Minute).Should(Succeed())
	out, err := stage.Kubectl(ctx, "delete", "crd", "--selector=app.kubernetes.io/part-of=arcane", "--timeout=2m")
	if err != nil {
		left, _ := stage.Kubectl(ctx, "get", "crd", "-o", `jsonpath={range .items[*]}{.metadata.name} {.metadata.deletionTimestamp} {.status.conditions}{"\n"}{end}`)
		out += "\nleft are:\n" + left
	}
	Expect(err).NotTo(HaveOccurred(), out)
	Expect(strings.Count(out, "deleted")).To(BeNumerically(">=", 4), out)
}

func argsOf(ctx context.Context, kube kubernetes.Interface) []string {
	GinkgoHelper()
	deployment, err := kube.AppsV1().Deployments(system).Get(ctx, name, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	return deployment.Spec.Template.Spec.Containers[0].Args
}

func namesOf(all []admissionregistrationv1.ValidatingWebhookConfiguration) []string {
	var names []string
	for _, o := range all {
		names = append(names, o.Name)
	}
	return names
}
