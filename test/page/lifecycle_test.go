package page_test

// This file holds docs/lifecycle.md to having all of its parts printed.

import (
	"os"
	"regexp"
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/page"
)

// TestEveryPartIsPrinted finds parts of the page that nobody has printed yet.
func TestEveryPartIsPrinted(t *testing.T) {
	text, err := os.ReadFile(page.Lifecycle)
	if err != nil {
		t.Fatal(err)
	}
	begins := regexp.MustCompile(`<!-- begin (\S+): printed, do not edit -->\n(<!-- end)?`).FindAllStringSubmatch(string(text), -1)
	if len(begins) == 0 {
		t.Error("the page has no printed part")
	}
	for _, begin := range begins {
		if begin[2] != "" {
			t.Errorf("nobody has printed the part %s", begin[1])
		}
	}
}
