package cli

// This file holds the last words to what Kubernetes takes.

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

func TestLastWordsFitAndAreWhole(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "last")
	p := &program{stderr: io.Discard, hide: newRedactor(nil), options: options{termination: file}}
	if code := p.end(exit.Configf("column %s", strings.Repeat("日", 3000))); code != exit.Config {
		t.Errorf("exit code %d", code)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), "config: column 日") || len(data) > terminationLimit || len(data) < terminationLimit-3 || !utf8.Valid(data) {
		t.Errorf("%d bytes, valid: %t", len(data), utf8.Valid(data))
	}
}
