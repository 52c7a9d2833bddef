package operator

// This file adds the admission webhooks.

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
	"github.com/arcane-streaming/arcane-operator/webhooks"
	"github.com/arcane-streaming/arcane-operator/webhooks/certificate"
)

// Admission is how the operator answers the API server at admission.
type Admission struct {
	// Host and Port to serve on; an empty host is every address.
	Host string
	Port int
	// User is the operator's own name at the API server.
	User string
	// Chart is rendered for StreamPlugins; nil for an operator that does not serve them.
	Chart *pluginchart.Chart
	// Certificate that is served.
	Certificate certificate.Options

	served *certificate.Certificate
}

// Into makes a manager's options serve webhooks.
func (a *Admission) Into(o *ctrl.Options) error {
	var err error
	if a.served, err = certificate.New(a.Certificate); err != nil {
		return err
	}
	a.Certificate.CacheInto(o.Cache.ByObject)
	o.WebhookServer = webhook.NewServer(webhook.Options{Host: a.Host, Port: a.Port, TLSOpts: []func(*tls.Config){SecureTLS, a.ServeCertificate}})
	return nil
}

// ServeCertificate makes a TLS server serve the webhooks' certificate.
func (a *Admission) ServeCertificate(c *tls.Config) { c.GetCertificate = a.served.Get }

// Register adds the webhooks, and what keeps their certificate, to the manager.
func (a *Admission) Register(ctx context.Context, mgr ctrl.Manager) error {
	if err := webhooks.Register(ctx, mgr, webhooks.Options{User: a.User, Metrics: metrics.Registry, Chart: a.Chart}); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	if err := mgr.AddReadyzCheck("webhooks", a.started(mgr.GetWebhookServer().StartedChecker())); err != nil {
		return fmt.Errorf("add the readiness check of the webhooks: %w", err)
	}
	if err := a.served.Register(ctx, mgr); err != nil {
		return fmt.Errorf("certificate of the webhooks: %w", err)
	}
	return nil
}

// started asks the server only once it has a certificate: the check is a TLS connection
// to itself, and one without a certificate is an error in the log of every start.
func (a *Admission) started(check healthz.Checker) healthz.Checker {
	return func(r *http.Request) error {
		if _, err := a.served.Get(nil); err != nil {
			return err
		}
		return check(r)
	}
}

// SecureTLS refuses what is older than TLS 1.2, and leaves out HTTP/2, whose stream
// resets have been used to exhaust servers (CVE-2023-44487).
func SecureTLS(c *tls.Config) {
	c.MinVersion = tls.VersionTLS12
	c.NextProtos = []string{"http/1.1"}
}
