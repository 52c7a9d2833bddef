// Package page holds printed pages fresh, and the printed parts of hand-written ones. A
// part stands between two markers and is written by whoever knows what it says.
package page

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lifecycle is the page of a stream's life, seen from a package two folders below the root.
var Lifecycle = filepath.Join("..", "..", "docs", "lifecycle.md")

// Hold fails the test where a part of the page is not the text; with update it writes it first.
func Hold(t *testing.T, path, part, text string, update bool) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := With(string(raw), part, text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if fresh == string(raw) {
		return
	}
	if !update {
		t.Errorf("the part %q of %s is not fresh: run make generate", part, path)
		return
	}
	if err := os.WriteFile(path, []byte(fresh), 0o600); err != nil {
		t.Fatal(err)
	}
}

// HoldWhole fails the test where the page is not the text; with update it writes it first.
func HoldWhole(t *testing.T, path, text string, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != text {
		t.Errorf("%s is not fresh: run make generate, or this test with -update, if what is printed now is meant:\n%s", path, text)
	}
}

// With is a page whose part is replaced by the text.
func With(page, part, text string) (string, error) {
	begin, end := fmt.Sprintf("<!-- begin %s: printed, do not edit -->\n", part), fmt.Sprintf("<!-- end %s -->", part)
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("there is no part between %q and %q", strings.TrimSpace(begin), end)
	}
	return before + begin + text + end + after, nil
}
