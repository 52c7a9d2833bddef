package gitops

// This file prints the table of docs/gitops.md: what Argo CD and Flux take each object for.

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/arcane-streaming/arcane-operator/test/page"
)

// words are Argo CD's, from the best to the worst.
var words = []health{healthy, suspended, progressing, degraded}

// row is a line of the table.
type row struct {
	kind string
	argo health
	flux status.Status
}

func TestTableInThePageIsFresh(t *testing.T) {
	all := objects(t)
	when := map[row][]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		kind := all[name].GetKind()
		argo, _ := argoHealth(t, script(t, kind), all[name])
		flux, err := status.Compute(all[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		state := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, strings.ToLower(kind)), "-"), "-", " ")
		r := row{kind, argo, flux.Status}
		when[r] = append(when[r], cmp.Or(state, "there"))
	}
	rows := slices.SortedFunc(maps.Keys(when), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(slices.Index(words, a.argo), slices.Index(words, b.argo)), cmp.Compare(a.flux, b.flux))
	})
	var b strings.Builder
	b.WriteString("| object | Argo CD | kstatus, and so Flux | when it is |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.kind, r.argo, r.flux, strings.Join(when[r], " · "))
	}
	page.Hold(t, filepath.Join("..", "..", "docs", "gitops.md"), "health", b.String(), *update)
}
