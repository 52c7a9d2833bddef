package page_test

// This file tests how a printed part is replaced.

import (
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/page"
)

func TestWith(t *testing.T) {
	const whole = "# A\n<!-- begin b: printed, do not edit -->\nold\n<!-- end b -->\nrest\n"
	got, err := page.With(whole, "b", "new\n")
	if want := "# A\n<!-- begin b: printed, do not edit -->\nnew\n<!-- end b -->\nrest\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	for _, part := range []string{"a", ""} {
		if _, err := page.With(whole, part, "new\n"); err == nil {
			t.Errorf("there is no part %q, and nobody says so", part)
		}
	}
}
