package main

import (
	"slices"
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/setup/packages"
)

func TestNeedsAreRead(t *testing.T) {
	for _, c := range []struct {
		args     []string
		existing bool
		want     []packages.Need
	}{
		{nil, false, packages.All()},
		{[]string{"postgres", "prometheus"}, false, []packages.Need{packages.Postgres, packages.Prometheus}},
		{[]string{"node", "postgres"}, false, []packages.Need{packages.Node, packages.Postgres}},
		// The user's own cluster has nodes of its own.
		{[]string{"node", "postgres"}, true, []packages.Need{packages.Postgres}},
	} {
		got, err := parse(c.args, c.existing)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("parse(%q, %t) = %q, %v, want %q", c.args, c.existing, got, err, c.want)
		}
	}
	if _, err := parse([]string{"postgress"}, false); err == nil {
		t.Error("an unknown need is taken")
	}
}
