package certificate

// This file asks whether the operator is ready to be called.

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// trusting are webhook configurations whose second webhook trusts a bundle, and
// whose first always trusts the good one.
func trusting(good, bundle []byte) (*admissionregistrationv1.MutatingWebhookConfiguration, *admissionregistrationv1.ValidatingWebhookConfiguration) {
	called := func(bundle []byte) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{CABundle: bundle}
	}
	mutating, validating := &admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}
	mutating.Name, validating.Name = "arcane-operator", "arcane-operator"
	mutating.Webhooks = []admissionregistrationv1.MutatingWebhook{{Name: "a", ClientConfig: called(good)}}
	validating.Webhooks = []admissionregistrationv1.ValidatingWebhook{{Name: "a", ClientConfig: called(good)}, {Name: "b", ClientConfig: called(bundle)}}
	return mutating, validating
}

func TestReady(t *testing.T) {
	p := testPlan()
	now := time.Now()
	good, err := issue(p.names, now, life)
	if err != nil {
		t.Fatal(err)
	}
	other, err := issue(p.names, now, life)
	if err != nil {
		t.Fatal(err)
	}
	old, err := issue(p.names, now.Add(-2*life), life)
	if err != nil {
		t.Fatal(err)
	}
	both := bytes.Join([][]byte{other.authority, good.authority}, nil)
	for name, c := range map[string]struct {
		served *pair
		bundle []byte
		absent bool
		why    string
	}{
		"trusted":                           {served: &good, bundle: good.authority},
		"trusted beside another":            {served: &good, bundle: both},
		"no certificate yet":                {bundle: good.authority, why: "has not been read yet"},
		"one that has run out":              {served: &old, bundle: old.authority, why: "has run out at"},
		"a bundle of another authority":     {served: &good, bundle: other.authority, why: "ValidatingWebhookConfiguration arcane-operator does not trust the certificate"},
		"no bundle":                         {served: &good, why: "no authority is named"},
		"a bundle that is none":             {served: &good, bundle: []byte("x"), why: "cannot be read as PEM"},
		"configurations that are not there": {served: &good, absent: true, why: "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			b := fake.NewClientBuilder()
			if !c.absent {
				mutating, validating := trusting(good.authority, c.bundle)
				b = b.WithObjects(mutating, validating)
			}
			served := &Certificate{Options: Options{SelfSigned: true, Configuration: "arcane-operator"}, reader: b.Build()}
			expires := 0.0
			if c.served != nil {
				at := now
				if c.served == &old {
					at = now.Add(-2 * life)
				}
				own, err := read(c.served.cert, c.served.key, p.names, at)
				if err != nil {
					t.Fatal(err)
				}
				served.own.Store(own)
				expires = float64(own.Leaf.NotAfter.Unix())
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil)
			if err != nil {
				t.Fatal(err)
			}
			err = served.Ready(request)
			if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("got %v, want %q", err, c.why)
			}
			if got := served.expiry(); got != expires {
				t.Errorf("the metric says %f, not %f", got, expires)
			}
		})
	}
}

// TestTakeTeachesConfigurations: what makes the operator ready again where
// somebody took the authorities away.
func TestTakeTeachesConfigurations(t *testing.T) {
	p := testPlan()
	fresh, _ := step(t, p, nil, time.Time{}, start)
	mutating, validating := trusting([]byte("x"), nil)
	api := fake.NewClientBuilder().WithObjects(mutating, validating).Build()
	c := &Certificate{Options: Options{SelfSigned: true, Configuration: "arcane-operator", Names: p.names}, reader: api}
	r := &rotation{Certificate: c, plan: p, client: api}
	if err := r.take(t.Context(), &corev1.Secret{Data: fresh}, start); err != nil {
		t.Fatal(err)
	}
	got := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	if err := api.Get(t.Context(), types.NamespacedName{Name: "arcane-operator"}, got); err != nil {
		t.Fatal(err)
	}
	for _, w := range got.Webhooks {
		if !bytes.Equal(w.ClientConfig.CABundle, fresh[keyAuthorities]) {
			t.Errorf("webhook %s trusts %q", w.Name, w.ClientConfig.CABundle)
		}
	}
	if r.since != start {
		t.Errorf("published since %s", r.since)
	}
}
