package cli

// This file holds the program to hiding secrets wherever libraries put them.

import (
	"strings"
	"testing"
)

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	hide := newRedactor([]string{
		"PGPASSWORD=pass-canary", "AWS_SECRET_ACCESS_KEY=aws/canary+x", "AZURE_STORAGE_SAS_TOKEN=sv=1&sig=sas-canary", "AZURE_STORAGE_KEY=key-canary==",
		"PGUSER=orders", "PGSSLKEY=/etc/tls/key", "SHORT_TOKEN=on", "STREAMCONTEXT__TOKEN=no-secret",
	})
	for _, text := range []string{
		`password pass-canary is wrong`,
		`sent aws/canary+x`,
		`Get "https://a.blob.core.windows.net/c?comp=list&se=x&sig=url-canary%2Bx%3D&sv=1": dial tcp`,
		`{"error":"Put \"https://s3/b?X-Amz-Credential=canary&X-Amz-Signature=canary\""}`,
		`with sv=1&sig=sas-canary`,
		`key-canary==`,
	} {
		if shown := hide.text(text); strings.Contains(shown, "canary") || !strings.Contains(shown, hidden) {
			t.Errorf("%q is shown as %q", text, shown)
		}
	}
	for _, text := range []string{
		`user orders, file /etc/tls/key, on, no-secret`, `s3://bucket?region=eu-central-1&signed=no`, `{"lsn":"0/1","token":"x"}`,
	} {
		if shown := hide.text(text); shown != text {
			t.Errorf("%q is shown as %q", text, shown)
		}
	}
}
