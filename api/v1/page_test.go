package v1

// This file prints what meanings.go says as a page for users, and holds the page fresh.

//go:generate go test -run ^TestReasonsPageIsFresh$ -update .

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/arcane-streaming/arcane-operator/test/page"
)

var update = flag.Bool("update", false, "write docs/reference/reasons.md anew")

const pageHead = `<!-- Printed from api/v1/meanings.go by "make generate"; do not edit. -->
# Conditions, reasons and events

Every condition says its reason in one word, which is stable: scripts and alerts may lean on it. The message beside it is for people and may change.
` + "`kubectl describe stream NAME`" + ` shows both. [The lifecycle](../lifecycle.md) shows what leads from one phase to the next.
`

// reasonsPage is docs/reference/reasons.md.
func reasonsPage() string {
	var b strings.Builder
	b.WriteString(pageHead)
	b.WriteString("\n## Conditions\n\n| condition | of | True | False |\n|---|---|---|---|\n")
	for _, c := range Conditions() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.Type, strings.Join(c.Kinds, ", "), c.True, c.False)
	}
	b.WriteString("\nReady, Reconciling, Stalled, Backfilling and Suspended of a stream carry one reason, the one that explains its phase." +
		" Where the definition is not accepted, that is Accepted's.\n")
	for _, chapter := range Chapters() {
		fmt.Fprintf(&b, "\n## %s\n\n| reason | where | meaning | what to do |\n|---|---|---|---|\n", chapter.Title)
		for _, e := range chapter.Reasons {
			remedy := e.Remedy.Text
			if remedy == "" {
				remedy = "Nothing."
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.Reason, strings.Join(wheres(e), "<br>"), e.Meaning, remedy)
		}
	}
	writeEvents(&b)
	return b.String()
}

// wheres lists the places of a reason for people.
func wheres(e Explanation) []string {
	list := make([]string, 0, len(e.Places))
	for _, p := range e.Places {
		where := p.Kind + ": "
		switch {
		case p.In == "":
			where += "the operator's log only"
		case strings.HasPrefix(p.In, "status."):
			where += "`" + p.In + "`"
		default:
			where += "condition " + p.In
		}
		if p.Event != "" {
			where += ", " + p.Event + " event"
		}
		list = append(list, where)
	}
	return list
}

const eventsHead = `
## Events

An event is told once for each transition, after it was written: when a stream's phase changes, when a definition stops being acceptable, and where the
table says so. A class is told to be served only after it was not. A stream plugin's is also told again for each version that is installed. An event's note is the condition's message. ` + "`kubectl events --for stream/NAME`" + ` lists them; the API server forgets them after an hour,
` + "`status.history`" + ` keeps the last ten transitions.

| event | of | type | meaning |
|---|---|---|---|
`

func writeEvents(b *strings.Builder) {
	b.WriteString(eventsHead)
	for _, kind := range []string{KindStream, KindBackfillRequest, KindStreamClass, KindStreamPlugin} {
		for _, wanted := range []string{corev1.EventTypeWarning, corev1.EventTypeNormal} {
			for _, chapter := range Chapters() {
				for _, e := range chapter.Reasons {
					if slices.ContainsFunc(e.Places, func(p Place) bool { return p.Kind == kind && p.Event == wanted }) {
						fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", e.Reason, kind, wanted, e.Meaning)
					}
				}
			}
		}
	}
}

// TestReasonsPageIsFresh holds the page against meanings.go.
func TestReasonsPageIsFresh(t *testing.T) {
	page.HoldWhole(t, filepath.Join("..", "..", "docs", "reference", "reasons.md"), reasonsPage(), *update)
}
