package page_test

// This file tests how code is read out of a page.

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/page"
)

func TestBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	const whole = "# A\n<!-- tested: one -->\n```sh\na\nb\n```\n\n```sh\nnever\n```\n<!-- tested: none -->\n<!-- tested: twice -->\n```\n1\n```\n<!-- tested: twice -->\n```\n2\n```\n<!-- tested: open -->\n```sh\nc\n"
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := page.Block(path, "one"); got != "a\nb\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, name := range []string{"none", "twice", "open", "missing"} {
		if got, err := page.Block(path, name); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if names, err := page.Blocks(path); err != nil || !slices.Equal(names, []string{"one", "none", "twice", "twice", "open"}) {
		t.Errorf("got %v, %v", names, err)
	}
}
