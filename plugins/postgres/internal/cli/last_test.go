package cli

// This file holds the last words to what Kubernetes takes.

import (
	"io"
	"log/slog"
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

// TestAMarkThatCannotBeWrittenIsLogged: the operator runs such a backfill again, and the log is where its user looks for why.
// Without the file there is no Kubernetes that would read it, and nothing to say.
func TestAMarkThatCannotBeWrittenIsLogged(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, c := range map[string]struct {
		file string
		says bool
	}{
		"what cannot be written": {folder, true},
		"what is not there":      {filepath.Join(folder, "none", "last"), false},
	} {
		var said strings.Builder
		p := &program{
			stderr: io.Discard, hide: newRedactor(nil), log: slog.New(slog.NewTextHandler(&said, nil)),
			options: options{termination: c.file}, completed: true,
		}
		if code := p.end(nil); code != exit.OK {
			t.Errorf("%s: exit code %d", name, code)
		}
		if strings.Contains(said.String(), "the mark of completion was not written") != c.says {
			t.Errorf("%s: the log says %q", name, said.String())
		}
	}
}
