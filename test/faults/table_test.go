// The table that tells what was tried.

package faults_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

const (
	// sampleEvery is how many steps there are for each one in the fixed sample.
	sampleEvery = 15
	// tries: a step that a run happened not to come by is aimed at again.
	tries = 6
)

// row is one step that was tried.
type row struct {
	scenario string
	k, n     int
	write    write
	mode     mode
	result   string
	took     time.Duration
}

// table collects rows from tests that run side by side.
type table struct {
	title string
	mu    sync.Mutex
	rows  []row
	total int
	modes int
}

// newTable is printed when the test and all below it have ended.
func newTable(t *testing.T, title string, modes ...mode) *table {
	t.Helper()
	b := &table{title: title, modes: len(modes)}
	started := time.Now()
	t.Cleanup(func() { b.print(time.Since(started)) })
	return b
}

// begin notes how many steps a scenario has.
func (b *table) begin(s scenario, without telling) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total += len(without.writes) * b.modes
	b.rows = append(b.rows, row{scenario: s.name, n: len(without.writes), mode: "none", result: "the audit log counts as many"})
}

// try tells a scenario with a fault, and holds the end to the one without.
func (b *table) try(t *testing.T, s scenario, k int, how mode, without telling, hire func(w *story.World) company) {
	t.Helper()
	r := row{scenario: s.name, k: k, n: len(without.writes), write: without.writes[k-1], mode: how}
	started := time.Now()
	var out telling
	for i := 1; i <= tries && !out.hit; i++ {
		out = tell(t.Context(), s, hire)
		r.result = "same end"
		if out.refused {
			r.result += ", the late write was refused"
		}
		if i > 1 {
			r.result += fmt.Sprintf(" (hit at try %d)", i)
		}
		if len(out.faults) > 0 {
			break
		}
	}
	r.took = time.Since(started)
	err := out.against(without)
	if err == nil && !out.hit {
		err = fmt.Errorf("write %s was not hit in %d tries; the writes of the last: %v", r.write, tries, out.writes)
	}
	if err != nil {
		r.result = "FAILED"
		t.Errorf("%s, write %d/%d (%s), %s: %v\n%s", s.name, k, r.n, r.write, how, err, out.evidence)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows = append(b.rows, r)
}

func (b *table) print(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.SortStableFunc(b.rows, func(x, y row) int {
		return cmp.Or(cmp.Compare(order(x), order(y)), cmp.Compare(x.k, y.k), strings.Compare(string(x.mode), string(y.mode)))
	})
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "\n%s\n\nscenario\tk/N\tverb resource\tmode\tresult\ttook\n", b.title)
	tried, good := 0, 0
	for _, r := range b.rows {
		what := r.write.String()
		if r.k == 0 {
			what = "–"
		} else {
			tried++
		}
		if r.k > 0 && r.result != "FAILED" {
			good++
		}
		fmt.Fprintf(out, "%s\t%d/%d\t%s\t%s\t%s\t%.1fs\n", r.scenario, r.k, r.n, what, r.mode, r.result, r.took.Seconds())
	}
	fmt.Fprintf(out, "\n%d of %d steps tried, %d with the same end, in %s\n\n", tried, b.total, good, took.Round(time.Second))
	// A table that cannot be printed is missed by whoever asked for it.
	_ = out.Flush()
}

func order(r row) int {
	return slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == r.scenario })
}
