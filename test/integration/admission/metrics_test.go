// Who may scrape the operator, and how it is spoken to.

package admission_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// authorities are those that the webhook configurations trust.
func authorities(ctx context.Context) *x509.CertPool {
	GinkgoHelper()
	configuration, err := stage.Kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, story.WebhookConfiguration, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	pool := x509.NewCertPool()
	Expect(pool.AppendCertsFromPEM(configuration.Webhooks[0].ClientConfig.CABundle)).To(BeTrue())
	return pool
}

// scrape reads /metrics with a token, empty for none.
func scrape(ctx context.Context, token string) (int, string) {
	GinkgoHelper()
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities(ctx), MinVersion: tls.VersionTLS12}}}
	defer c.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+metricsAddress+"/metrics", nil)
	Expect(err).NotTo(HaveOccurred())
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return response.StatusCode, string(body)
}

// account makes a service account of the world and a token of it.
func account(ctx context.Context, w *story.World, name string) string {
	GinkgoHelper()
	accounts := w.Kube.CoreV1().ServiceAccounts(w.Namespace)
	_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	made, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	return made.Status.Token
}

// reader is an account that may scrape.
func reader(ctx context.Context, w *story.World) string {
	GinkgoHelper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.Namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "arcane-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.Namespace, Name: "prometheus"}},
	}
	_, err := w.Kube.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) {
		Expect(w.Kube.RbacV1().ClusterRoleBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{})).To(Succeed())
	})
	return account(ctx, w, "prometheus")
}

var _ = Describe("The operator's metrics", func() {
	It("are for those who may get them, and come by TLS 1.2 or newer without HTTP/2", func(ctx SpecContext) {
		w := enter(ctx)
		stranger, prometheus := account(ctx, w, "stranger"), reader(ctx, w)

		code, _ := scrape(ctx, "")
		Expect(code).To(Equal(http.StatusUnauthorized))
		code, _ = scrape(ctx, stranger)
		Expect(code).To(Equal(http.StatusForbidden))
		code, body := scrape(ctx, prometheus)
		Expect(code).To(Equal(http.StatusOK))
		Expect(body).To(ContainSubstring("\narcane_webhook_certificate_expiration_timestamp_seconds "))

		for _, address := range []string{metricsAddress, webhookAddress} {
			_, err := tls.Dial("tcp", address, &tls.Config{RootCAs: authorities(ctx), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
			Expect(err).To(MatchError(ContainSubstring("protocol version")), address)
			c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: authorities(ctx), NextProtos: []string{"h2", "http/1.1"}})
			Expect(err).NotTo(HaveOccurred())
			Expect(c.ConnectionState().NegotiatedProtocol).To(Equal("http/1.1"), address)
			Expect(c.Close()).To(Succeed())
		}
	})
})
