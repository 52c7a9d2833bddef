// The operator's webhooks for an operator that runs beside the test.

package story

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

// What config/default names.
const (
	OperatorNamespace    = "arcane-system"
	OperatorUser         = "system:serviceaccount:arcane-system:arcane-operator"
	WebhookConfiguration = "arcane-operator"
)

// Admission is how an operator beside the test serves the webhooks.
type Admission struct {
	// Port on the loopback that the webhook configurations name.
	Port int
	// Kubeconfig speaks as the operator's service account: with its rights and no others.
	Kubeconfig string
	// Life of the certificate; zero: as long as the operator likes.
	Life time.Duration
}

// admissionArgs are the flags about the webhooks.
func (p *Process) admissionArgs() []string {
	if p.Admission == nil {
		return []string{"--webhooks=false"}
	}
	args := []string{
		// The last of two flags of one name counts.
		"--kubeconfig", p.Admission.Kubeconfig,
		"--operator-user=" + OperatorUser, "--operator-namespace=" + OperatorNamespace,
		"--webhook-host=127.0.0.1", "--webhook-port=" + strconv.Itoa(p.Admission.Port),
		"--webhook-names=127.0.0.1", "--webhook-configuration=" + WebhookConfiguration,
	}
	if p.Admission.Life > 0 {
		args = append(args, "--certificate-lifetime="+p.Admission.Life.String())
	}
	return args
}

// InstallAdmission applies the operator's namespace and what config/default holds but the Deployment, and points
// the webhook configurations at a port of this machine. What it returns is for a
// Process of the same cluster.
func (s *Stage) InstallAdmission(ctx context.Context) (*Admission, error) {
	return s.InstallAdmissionOf(ctx, "default")
}

// InstallAdmissionOf does so with another folder of config/.
func (s *Stage) InstallAdmissionOf(ctx context.Context, install string) (*Admission, error) {
	all, err := s.Render(ctx, install)
	if err != nil {
		return nil, err
	}
	var kept []string
	for document := range strings.SplitSeq(all, "\n---\n") {
		if !strings.Contains(document, "\nkind: Deployment\n") && !strings.Contains(document, "\nkind: NetworkPolicy\n") {
			kept = append(kept, document)
		}
	}
	file := filepath.Join(s.Cluster.Dir(), "admission.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(kept, "\n---\n")), 0o600); err != nil {
		return nil, fmt.Errorf("write what admission needs: %w", err)
	}
	if _, err := s.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(Root(), "config", "namespace")); err != nil {
		return nil, err
	}
	if _, err := s.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-f", file); err != nil {
		return nil, err
	}
	a := &Admission{Kubeconfig: filepath.Join(s.Cluster.Dir(), "operator.kubeconfig")}
	if a.Port, err = testbed.FreePort(ctx); err != nil {
		return nil, err
	}
	if err := s.actAs(OperatorUser, a.Kubeconfig); err != nil {
		return nil, err
	}
	return a, s.pointTo(ctx, a.Port)
}

// Render is what a folder of config/ installs.
func (s *Stage) Render(ctx context.Context, install string) (string, error) {
	return s.Kubectl(ctx, "kustomize", filepath.Join(Root(), "config", install))
}

// actAs writes the user's kubeconfig again, for somebody that the user plays.
func (s *Stage) actAs(serviceAccount, file string) error {
	cfg, err := clientcmd.LoadFromFile(s.Cluster.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read the user's kubeconfig: %w", err)
	}
	namespace := strings.Split(serviceAccount, ":")[2]
	for _, user := range cfg.AuthInfos {
		user.Impersonate = serviceAccount
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
	}
	if err := clientcmd.WriteToFile(*cfg, file); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", serviceAccount, err)
	}
	return nil
}

// pointTo lets the API server call a port of this machine instead of the Service.
func (s *Stage) pointTo(ctx context.Context, port int) error {
	direct := func(c *admissionregistrationv1.WebhookClientConfig) {
		if c.Service == nil {
			return
		}
		c.URL = ptr.To("https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + ptr.Deref(c.Service.Path, "/"))
		c.Service = nil
	}
	registrations := s.Kube.AdmissionregistrationV1()
	mutating, err := registrations.MutatingWebhookConfigurations().Get(ctx, WebhookConfiguration, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the mutating webhook configuration: %w", err)
	}
	for i := range mutating.Webhooks {
		direct(&mutating.Webhooks[i].ClientConfig)
	}
	if _, err := registrations.MutatingWebhookConfigurations().Update(ctx, mutating, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("point the mutating webhooks at the test: %w", err)
	}
	validating, err := registrations.ValidatingWebhookConfigurations().Get(ctx, WebhookConfiguration, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the validating webhook configuration: %w", err)
	}
	for i := range validating.Webhooks {
		direct(&validating.Webhooks[i].ClientConfig)
	}
	if _, err := registrations.ValidatingWebhookConfigurations().Update(ctx, validating, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("point the validating webhooks at the test: %w", err)
	}
	return nil
}
