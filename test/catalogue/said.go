package catalogue

// This file tells what kubectl prints, and what the catalogue holds.

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unchecked is what the API server adds where a schema has refused an object.
const unchecked = "* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation\n"

// Said is all that kubectl says of a case's manifest in a file, less what Plain takes away.
func Said(c *Case, file string) string {
	var text strings.Builder
	for _, warning := range c.Warnings {
		fmt.Fprintf(&text, "Warning: %s\n", warning)
	}
	meta, _ := c.Manifest["metadata"].(map[string]any)
	kind := c.Manifest["kind"]
	switch {
	case !c.Wrong():
	case c.By == Decoding:
		fmt.Fprintf(&text, "Error from server (BadRequest): error when creating %q: %s in version \"v1\" cannot be handled as a %s: %s\n", file, kind, kind, c.Refused)
	default:
		fmt.Fprintf(&text, "The %s %q is invalid: %s\n", kind, meta["name"], c.Refused)
	}
	return text.String()
}

// Plain is what kubectl says less what the API server says beside any refusal by a
// schema, whose one cause then stands on the line.
func Plain(said string) string {
	before, found := strings.CutSuffix(said, unchecked)
	if !found || strings.Count(before, "\n* ") != 1 {
		return said
	}
	return strings.Replace(before, "\n* ", "", 1)
}

// Summary counts the cases of each kind by who refuses or stores them.
func Summary(cases []*Case) string {
	count := map[string]int{}
	for _, c := range cases {
		who := fmt.Sprintf("%-22s %s", c.Manifest["kind"], cmp.Or(c.By, "stored"))
		if !c.Wrong() && len(c.Warnings) > 0 {
			who += ", with warnings"
		}
		count[who]++
	}
	var text strings.Builder
	for _, who := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&text, "%4d %s\n", count[who], who)
	}
	fmt.Fprintf(&text, "%4d in all", len(cases))
	return text.String()
}
