// Reading the audit log, and rest as it shows there.

package law_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/law"
)

const (
	agent   = `"userAgent":"arcane-operator/v0.0.0 (linux/amd64)"`
	asks    = `{"stage":"ResponseComplete","verb":"patch",` + agent + `,"objectRef":{"resource":"streams","namespace":"sales","name":"a","subresource":"status"},"responseStatus":{"code":200}}`
	watches = `{"stage":"ResponseComplete","verb":"watch",` + agent + `,"objectRef":{"resource":"streams","namespace":"sales"},"responseStatus":{"code":200}}`
	renews  = `{"stage":"ResponseComplete","verb":"update",` + agent + `,"objectRef":{"resource":"leases","namespace":"sales"},"responseStatus":{"code":200}}`
	user    = `{"stage":"ResponseComplete","verb":"patch","userAgent":"kubectl","objectRef":{"resource":"streams","namespace":"sales"},"responseStatus":{"code":200}}`
	other   = `{"stage":"ResponseComplete","verb":"patch",` + agent + `,"objectRef":{"resource":"streams","namespace":"other","name":"of-sales"},"responseStatus":{"code":200}}`
	begun   = `{"stage":"ResponseStarted","verb":"watch",` + agent + `,"objectRef":{"resource":"streams","namespace":"sales"},"responseStatus":{"code":200}}`
)

func TestAuditLogGoesOnWhereItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	add(t, path, asks+"\n")
	log, err := law.NewAuditLog(path, "sales")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, log, 0)
	add(t, path, user+"\n"+other+"\n"+begun+"\n"+asks[:20])
	expect(t, log, 1)
	add(t, path, asks[20:]+"\n")
	got := expect(t, log, 1)
	if got[0].Object.Subresource != "status" || got[0].Response.Code != 200 || !strings.HasPrefix(got[0].UserAgent, law.Operator) {
		t.Errorf("read %+v", got[0])
	}
	expect(t, log, 0)
	add(t, path, "sales {\n")
	if _, err := log.Next(); err == nil {
		t.Error("a broken line went unnoticed")
	}
}

// The API server may be writing in the moment that the log is opened.
func TestAuditLogBeginsWithAWholeLine(t *testing.T) {
	for name, before := range map[string]string{
		"one line before": asks + "\n", "none": "", "a long one": strings.Repeat(" ", 200<<10) + "\n",
	} {
		path := filepath.Join(t.TempDir(), "audit.log")
		half := len(asks) / 2
		add(t, path, before+asks[:half])
		log, err := law.NewAuditLog(path, "sales")
		if err != nil {
			t.Fatal(name, err)
		}
		add(t, path, asks[half:]+"\n"+asks+"\n")
		expect(t, log, 2)
	}
}

func TestTryingIsNoWriting(t *testing.T) {
	const jobs = "/apis/batch/v1/namespaces/sales/jobs"
	for _, c := range []struct {
		resource, uri string
		writes        bool
	}{
		{"jobs", jobs, true},
		{"jobs", jobs + "?fieldManager=dryRun", true},
		{"jobs", jobs + "?dryRun=All&fieldManager=arcane", false},
		{"subjectaccessreviews", "/apis/authorization.k8s.io/v1/subjectaccessreviews", false},
	} {
		r := law.Request{Verb: "create", URI: c.uri, UserAgent: law.Operator + "/v1", Object: law.ObjectRef{Resource: c.resource}}
		if r.Writes() != c.writes || r.Disturbs() != c.writes {
			t.Errorf("%s: writes %t, disturbs %t", c.uri, r.Writes(), r.Disturbs())
		}
	}
}

func TestNoAuditLog(t *testing.T) {
	if _, err := law.NewAuditLog(filepath.Join(t.TempDir(), "none"), "sales"); err == nil {
		t.Error("a missing log went unnoticed")
	}
}

func TestQuiet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	add(t, path, "")
	log, err := law.NewAuditLog(path, "sales")
	if err != nil {
		t.Fatal(err)
	}
	add(t, path, watches+"\n"+renews+"\n"+user+"\n"+other+"\n")
	if err := law.AwaitQuiet(t.Context(), log, 100*time.Millisecond); err != nil {
		t.Errorf("leases, watches and others disturbed: %v", err)
	}
	add(t, path, asks+"\n")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := law.AwaitQuiet(ctx, log, time.Minute); err == nil || !strings.Contains(err.Error(), "patch") {
		t.Errorf("a request went unnoticed: %v", err)
	}
}

func expect(t *testing.T, log *law.AuditLog, count int) []law.Request {
	t.Helper()
	requests, err := log.Next()
	if err != nil {
		t.Fatal(err)
	}
	if len(requests) != count {
		t.Fatalf("read %d requests, want %d: %v", len(requests), count, requests)
	}
	return requests
}

func add(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
