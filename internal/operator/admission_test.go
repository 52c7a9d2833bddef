package operator

// This file asks the webhooks' readiness.

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/arcane-streaming/arcane-operator/webhooks/certificate"
)

func TestWebhooksWithoutACertificateAreNotAsked(t *testing.T) {
	served, err := certificate.New(certificate.Options{
		SelfSigned: true, Secret: types.NamespacedName{Namespace: "here", Name: "certificate"}, Names: []string{"webhooks.here.svc"}, Life: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &Admission{served: served}
	check := a.started(func(*http.Request) error {
		t.Error("it was asked, and the connection would have failed")
		return nil
	})
	if err := check(nil); err == nil || !strings.Contains(err.Error(), "has not been read yet") {
		t.Errorf("it is ready without a certificate: %v", err)
	}
}
