package certificate

// This file serves the certificate, and tells whether it can be trusted.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Options say where the certificate comes from.
type Options struct {
	// SelfSigned: the operator makes it, keeps it in the Secret and replaces it.
	// Otherwise tls.crt and tls.key lie in Dir, and whoever lays them there replaces them.
	SelfSigned bool
	Dir        string
	// Secret holds a self-signed one. It is there, if empty: who may create one
	// Secret may create any.
	Secret types.NamespacedName
	// Names that a self-signed one is for: DNS names and addresses.
	Names []string
	// Life of a self-signed one; it is replaced in its last third.
	Life time.Duration
	// Configuration is the name of the two webhook configurations, mutating and
	// validating, that must trust it. Empty: they are somebody else's, and not looked at.
	Configuration string
}

// Certificate is what the webhooks serve.
type Certificate struct {
	Options

	// own is the self-signed one; nil until it has been read.
	own atomic.Pointer[tls.Certificate]
	// files reads one that is laid down; nil where it is self-signed.
	files *certwatcher.CertWatcher
	// reader is the manager's cache.
	reader client.Reader
}

// New reads a certificate that lies in files, which must be there. A self-signed
// one is there when the manager has run for a moment.
func New(o Options) (*Certificate, error) {
	c := &Certificate{Options: o}
	if o.SelfSigned {
		if len(o.Names) == 0 || o.Secret.Name == "" || o.Secret.Namespace == "" || o.Life <= 0 {
			return nil, fmt.Errorf("a self-signed certificate needs a Secret (%s), names (%v) and a lifetime (%s)", o.Secret, o.Names, o.Life)
		}
		return c, nil
	}
	var err error
	if c.files, err = certwatcher.New(filepath.Join(o.Dir, corev1.TLSCertKey), filepath.Join(o.Dir, corev1.TLSPrivateKeyKey)); err != nil {
		return nil, fmt.Errorf("read the certificate of the webhooks in %s: %w; lay it there, or let the operator make its own", o.Dir, err)
	}
	return c, nil
}

// CacheInto limits what the manager's cache holds to the objects by name, as the
// operator may read no others.
func (o Options) CacheInto(all map[client.Object]cache.ByObject) {
	if o.SelfSigned {
		all[&corev1.Secret{}] = cache.ByObject{Namespaces: map[string]cache.Config{
			o.Secret.Namespace: {FieldSelector: fields.OneTermEqualSelector("metadata.name", o.Secret.Name)},
		}}
	}
	if o.Configuration != "" {
		named := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", o.Configuration)}
		all[&admissionregistrationv1.MutatingWebhookConfiguration{}] = named
		all[&admissionregistrationv1.ValidatingWebhookConfiguration{}] = named
	}
}

// Get is what a TLS server asks at each connection: a new certificate is served
// from the next one on, and none is closed for it.
func (c *Certificate) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.files != nil {
		served, err := c.files.GetCertificate(hello)
		if err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
		return served, nil
	}
	if served := c.own.Load(); served != nil {
		return served, nil
	}
	return nil, fmt.Errorf("the certificate in Secret %s has not been read yet", c.Secret)
}

// Register keeps the certificate fresh, its expiry in the metrics, and the
// operator unready where the API server would not trust it.
//
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations;validatingwebhookconfigurations,resourceNames=arcane-operator,verbs=list;watch
func (c *Certificate) Register(ctx context.Context, mgr ctrl.Manager) error {
	c.reader = mgr.GetClient()
	if c.Configuration != "" {
		for _, o := range []client.Object{&admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}} {
			if _, err := mgr.GetCache().GetInformer(ctx, o, cache.BlockUntilSynced(false)); err != nil {
				return fmt.Errorf("watch the webhook configurations: %w", err)
			}
		}
	}
	if c.files != nil {
		if err := mgr.Add(c.files); err != nil {
			return fmt.Errorf("watch the certificate's files: %w", err)
		}
	} else if err := c.rotate(mgr); err != nil {
		return err
	}
	if err := metrics.Registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "arcane_webhook_certificate_expiration_timestamp_seconds",
		Help: "When the certificate that the webhooks serve runs out, in Unix seconds; 0 while there is none.",
	}, c.expiry)); err != nil {
		return fmt.Errorf("add the metric of the certificate's expiry: %w", err)
	}
	if err := mgr.AddReadyzCheck("webhook-certificate", c.Ready); err != nil {
		return fmt.Errorf("add the readiness check of the certificate: %w", err)
	}
	return nil
}

func (c *Certificate) expiry() float64 {
	served, err := c.Get(nil)
	if err != nil || served.Leaf == nil {
		return 0
	}
	return float64(served.Leaf.NotAfter.Unix())
}

// Ready tells why a request of the API server's would find no certificate, or one
// that it does not trust.
func (c *Certificate) Ready(r *http.Request) error {
	served, err := c.Get(nil)
	if err != nil {
		return err
	}
	if served.Leaf == nil {
		return errors.New("the certificate cannot be read")
	}
	now := time.Now()
	if now.After(served.Leaf.NotAfter) {
		return fmt.Errorf("the certificate has run out at %s", served.Leaf.NotAfter.Format(time.RFC3339))
	}
	if c.Configuration == "" {
		return nil
	}
	configurations, err := c.configurations(r.Context())
	if err != nil {
		return err
	}
	for _, configuration := range configurations {
		for _, called := range configuration.called {
			if err := trusts(called.CABundle, served, now); err != nil {
				return fmt.Errorf("%s %s does not trust the certificate: %w", configuration.kind, c.Configuration, err)
			}
		}
	}
	return nil
}

// configuration is a webhook configuration of either kind.
type configuration struct {
	client.Object
	kind   string
	called []*admissionregistrationv1.WebhookClientConfig
}

func (c *Certificate) configurations(ctx context.Context) ([]configuration, error) {
	mutating, validating := &admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}
	found := []configuration{{Object: mutating, kind: "MutatingWebhookConfiguration"}, {Object: validating, kind: "ValidatingWebhookConfiguration"}}
	for _, f := range found {
		if err := c.reader.Get(ctx, types.NamespacedName{Name: c.Configuration}, f.Object); err != nil {
			return nil, fmt.Errorf("read %s %s: %w", f.kind, c.Configuration, err)
		}
	}
	for i := range mutating.Webhooks {
		found[0].called = append(found[0].called, &mutating.Webhooks[i].ClientConfig)
	}
	for i := range validating.Webhooks {
		found[1].called = append(found[1].called, &validating.Webhooks[i].ClientConfig)
	}
	return found, nil
}
