package lifecycle

// This file proves the table over every observation, and that every part of the table is needed.

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/page"
)

var update = flag.Bool("update", false, "write TABLE.md and the printed parts of docs/lifecycle.md anew")

// TestEveryDecisionKeepsTheLaws judges every observation.
func TestEveryDecisionKeepsTheLaws(t *testing.T) {
	all := observations()
	if err := judgeAll(rules, all); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d observations judged", len(all))
}

// TestEveryRuleWinsSomewhere finds rules that can never apply.
func TestEveryRuleWinsSomewhere(t *testing.T) {
	wins := map[string]int{}
	for _, o := range observations() {
		wins[Decide(o).Rule]++
	}
	for _, r := range rules {
		if wins[r.name] == 0 {
			t.Errorf("rule %s never wins", r.name)
		}
	}
	if len(wins) != len(rules) {
		t.Errorf("%d names won, there are %d rules: two share a name", len(wins), len(rules))
	}
}

// TestTheWorldSettles walks from every observation through every order in which
// the cluster may answer and every crash between two verbs, and finds each way
// ending in the declared state.
func TestTheWorldSettles(t *testing.T) {
	all := observations()
	if err := settle(rules, all, all); err != nil {
		t.Fatal(err)
	}
}

// TestEveryVerbIsUsed keeps the list of verbs and the table together.
func TestEveryVerbIsUsed(t *testing.T) {
	used := map[Verb]bool{}
	for _, r := range rules {
		remembers := 0
		for _, v := range r.do {
			used[v] = true
			if v.Kind() == Remember {
				remembers++
			}
		}
		if remembers > 1 {
			t.Errorf("rule %s patches the status %d times", r.name, remembers)
		}
	}
	for _, v := range Verbs() {
		if !used[v] {
			t.Errorf("verb %s is in no rule", v)
		}
	}
}

// TestEveryPartIsNeeded takes away each row, each guard and each verb in turn and
// expects the laws or the settling to notice.
func TestEveryPartIsNeeded(t *testing.T) {
	all := observations()
	// Nearly every part is missed by some of a few: the whole is asked about the others.
	var few []Observation
	for i := 0; i < len(all); i += 101 {
		few = append(few, all[i])
	}
	tables := mutants()
	names := make(chan string)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for name := range names {
				table := tables[name]
				if judgeAll(table, few) == nil && settle(table, few, all) == nil && judgeAll(table, all) == nil && settle(table, all, all) == nil {
					t.Errorf("nothing notices that %s is missing", name)
				}
			}
		})
	}
	for name := range tables {
		names <- name
	}
	close(names)
	workers.Wait()
	t.Logf("%d parts removed, one at a time", len(tables))
}

// TestTableIsFresh holds TABLE.md against the rules.
func TestTableIsFresh(t *testing.T) {
	page.HoldWhole(t, "TABLE.md", Table(), *update)
}

func judgeAll(table []rule, all []Observation) error {
	for _, o := range all {
		d, err := tryDecide(table, o)
		if err != nil {
			return err
		}
		if err := judge(o, d); err != nil {
			return err
		}
	}
	return nil
}

// tryDecide turns a table without an answer into an error.
func tryDecide(table []rule, o Observation) (d Decision, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v: %+v", r, o)
		}
	}()
	return decide(table, o), nil
}

// finish does all verbs; partial lists the worlds that a crash between two of them leaves.
func finish(d Decision, o Observation) (done Observation, partial []Observation) {
	done = o
	for i, v := range d.Do {
		done = effect(d, v, done)
		if i < len(d.Do)-1 {
			partial = append(partial, done)
		}
	}
	return done, partial
}

var (
	errNotHome = errors.New("the world stops in a state that was not declared")
	errCircle  = errors.New("the operator goes in a circle")
)

// settle checks that each way from each of some observations ends at home: with the
// operator and the cluster moving in any order nothing goes in a circle, and where
// nothing moves any more is home. A crash between two verbs leaves one of the
// observations, and from each of them the way home is proven.
func settle(table []rule, from, all []Observation) error {
	colour := make([]uint8, codes)
	for _, o := range all {
		colour[code(o)] = unknown
	}
	for _, o := range from {
		if err := walk(table, o, colour); err != nil {
			return err
		}
	}
	return nil
}

const (
	unknown = iota + 1
	walking
	walked
)

func walk(table []rule, o Observation, colour []uint8) error {
	number := code(o)
	switch colour[number] {
	case walked:
		return nil
	case walking:
		return fmt.Errorf("%w: %+v", errCircle, o)
	}
	colour[number] = walking
	d, err := tryDecide(table, o)
	if err != nil {
		return err
	}
	next := forward(o)
	if len(d.Do) > 0 {
		done, partial := finish(d, o)
		next = append(next, done)
		for _, p := range partial {
			if colour[code(p)] == 0 {
				return fmt.Errorf("a crash leaves a world that is not enumerated: %+v → %+v", o, p)
			}
		}
	}
	if len(next) == 0 && !isHome(o, d) {
		return fmt.Errorf("%w: %+v → %+v", errNotHome, o, d)
	}
	for _, n := range next {
		if err := walk(table, n, colour); err != nil {
			return err
		}
	}
	colour[number] = walked
	return nil
}

// forward lists the cluster's answers, less the one that leads back by design: a
// backfill that was interrupted runs again.
func forward(o Observation) []Observation {
	return slices.DeleteFunc(answers(o), func(n Observation) bool { return o.Job == Active && n.Job == Interrupted })
}

// mutants lists the table with one part missing, by the part's name.
func mutants() map[string][]rule {
	tables := map[string][]rule{}
	for i, r := range rules {
		tables["rule "+r.name] = slices.Delete(slices.Clone(rules), i, i+1)
		for g := range r.when {
			mutant := slices.Clone(rules)
			mutant[i].when = slices.Delete(slices.Clone(r.when), g, g+1)
			tables[fmt.Sprintf("guard %q of rule %s", r.when[g].name, r.name)] = mutant
		}
		for v := range r.do {
			mutant := slices.Clone(rules)
			mutant[i].do = slices.Delete(slices.Clone(r.do), v, v+1)
			tables[fmt.Sprintf("verb %s of rule %s", r.do[v], r.name)] = mutant
		}
	}
	return tables
}
