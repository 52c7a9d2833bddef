// Package admission_test lets users write objects while the operator's webhooks
// stand before a real API server: what is refused and what is stored, who may, what
// passes, and what happens when nobody answers or the certificate changes.
package admission_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestAdmission(t *testing.T) {
	story.DependOn(t, "api", "cmd", "config", "internal", "webhooks")
	// Here and not in the suite, which hides what its processes print: a first build takes minutes.
	if err := testbed.BuildAll(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	RegisterFailHandler(Fail)
	ctrllog.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(20 * time.Second)
	RunSpecs(t, "Admission")
}

var (
	stage    *story.Stage
	operator *story.Process
	// Where the operator is spoken to.
	webhookAddress, metricsAddress string
)

// A namespace with this label is left out by the webhooks, or by the policy, so that
// each is seen alone.
const (
	exempts  = "test.arcane/exempts-from"
	webhooks = "webhooks"
	policy   = "policy"
)

// life of the certificate: short, so that it is replaced while the tests run.
const life = 15 * time.Second

// enter begins a world whose class and template the webhooks know: their caches hear
// of them a moment after they were created.
func enter(ctx context.Context) *story.World {
	GinkgoHelper()
	w := stage.Enter(ctx)
	w.Await(ctx, func(g Gomega) {
		probe := given.Stream(w.Namespace, "probe", w.Class)
		g.Expect(w.Client.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		g.Expect(probe.Spec.PodFailurePolicy).NotTo(BeNil())
	})
	return w
}

var _ = BeforeSuite(func(ctx SpecContext) {
	folder := GinkgoT().TempDir()
	binary, err := story.BuildOperator(ctx, folder, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	stage = story.Raise(ctx, "admission")
	cluster := stage.Cluster
	admission, err := stage.InstallAdmission(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(selectNamespaces(ctx)).To(Succeed())
	admission.Life = life
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	metricsAddress = listener.Addr().String()
	Expect(listener.Close()).To(Succeed())
	webhookAddress = net.JoinHostPort("127.0.0.1", strconv.Itoa(admission.Port))
	operator = &story.Process{
		Binary: binary, Kubeconfig: cluster.Kubeconfig(), Admission: admission,
		// The last of two flags of one name counts.
		Args:    []string{"--metrics-bind-address=" + metricsAddress},
		LogFile: filepath.Join(cluster.Dir(), "logs", "arcane-operator.log"),
	}
	stage.Operator = operator
	Expect(operator.Start(ctx)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(operator.Stop(ctx)).To(Succeed()) })
})

// selectNamespaces makes webhooks and policy leave out the namespaces that are labelled so.
func selectNamespaces(ctx context.Context) error {
	selector := func(guard string) string {
		return `{"matchExpressions":[{"key":"` + exempts + `","operator":"NotIn","values":["` + guard + `"]}]}`
	}
	for _, kind := range []string{"mutatingwebhookconfiguration", "validatingwebhookconfiguration"} {
		names, err := stage.Kubectl(ctx, "get", kind, story.WebhookConfiguration, "-o", "jsonpath={.webhooks[*].name}")
		if err != nil {
			return err
		}
		var patches []string
		for i := range strings.Fields(names) {
			patches = append(patches, fmt.Sprintf(`{"op":"add","path":"/webhooks/%d/namespaceSelector","value":%s}`, i, selector(webhooks)))
		}
		if _, err := stage.Kubectl(ctx, "patch", kind, story.WebhookConfiguration, "--type=json", "-p", "["+strings.Join(patches, ",")+"]"); err != nil {
			return err
		}
	}
	_, err := stage.Kubectl(ctx, "patch", "validatingadmissionpolicybinding", "arcane-who-may", "--type=merge",
		"-p", `{"spec":{"matchResources":{"namespaceSelector":`+selector(policy)+`}}}`)
	return err
}
