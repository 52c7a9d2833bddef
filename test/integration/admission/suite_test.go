// Package admission_test lets users write objects while the operator's webhooks
// stand before a real API server: what is refused and what is stored, who may, what
// passes, and what happens when nobody answers or the certificate changes.
package admission_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestAdmission(t *testing.T) {
	story.Prepare(t, "api", "cmd", "config", "internal", "webhooks")
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
	binary := story.Build(ctx)
	stage = story.Raise(ctx, "admission")
	admission, err := stage.InstallAdmission(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(selectNamespaces(ctx)).To(Succeed())
	admission.Life = life
	port, err := testbed.FreePort(ctx)
	Expect(err).NotTo(HaveOccurred())
	metricsAddress = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	webhookAddress = net.JoinHostPort("127.0.0.1", strconv.Itoa(admission.Port))
	operator = stage.Employ(binary, admission, "--metrics-bind-address="+metricsAddress)
	Expect(operator.Start(ctx)).To(Succeed())
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
