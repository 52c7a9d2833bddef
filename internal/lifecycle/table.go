package lifecycle

// This file prints the table of rules.

//go:generate go test -run IsFresh$ -update .

import (
	"fmt"
	"strings"
)

// Table prints the rules as a Markdown page.
func Table() string {
	var b strings.Builder
	b.WriteString("<!-- Printed from rules.go by `make generate`; do not edit. -->\n# The rules of a stream's life\n\n")
	b.WriteString("First match wins. *Do* is the order in which things are written; a phase of – leaves the phase as it is.\n\n")
	b.WriteString("| # | rule | when | do | phase | reason | then |\n|---|---|---|---|---|---|---|\n")
	for i, r := range rules {
		phase := string(r.phase)
		if r.phase == keep {
			phase = "–"
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s | %s | %s |\n", i+1, r.name, guardNames(r.when), verbNames(r.do), phase, r.reason,
			[]string{"wait for the cluster", "go on at once", "wait for the time"}[r.then])
	}
	return b.String()
}

func guardNames(guards []guard) string {
	if len(guards) == 0 {
		return "otherwise"
	}
	names := make([]string, 0, len(guards))
	for _, g := range guards {
		names = append(names, g.name)
	}
	return strings.Join(names, " and ")
}

func verbNames(verbs []Verb) string {
	if len(verbs) == 0 {
		return "nothing"
	}
	names := make([]string, 0, len(verbs))
	for _, v := range verbs {
		names = append(names, string(v))
	}
	return strings.Join(names, ", ")
}
