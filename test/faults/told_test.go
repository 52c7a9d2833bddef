// One telling of a scenario, and what is held against it.

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// untrue is a sentence of a story that did not come true.
type untrue string

// company is the operator, or the operators, of one telling.
type company interface {
	// Start begins with the first.
	Start(ctx context.Context) error
	// Settle lets whoever still stands still go on.
	Settle(ctx context.Context) error
	// Stop ends all.
	Stop(ctx context.Context) error
	// Aimed is the wire that the fault is on.
	Aimed() *wire
	// Log is the end of what they have said.
	Log() string
}

// quiet is how long the operator must rest at the end.
const quiet = 1200 * time.Millisecond

// telling is what one run of a scenario came to.
type telling struct {
	// writes of the operator on the wire that the fault is on.
	writes []write
	// audited are the operator's writes by the API server's own account.
	audited []string
	// hit: what was aimed at was met.
	hit bool
	// refused: the API server refused it for a conflict, as it came too late.
	refused bool
	// state at the end.
	state []string
	// faults are whatever was wrong.
	faults []string
	// evidence is for whoever has to find out why.
	evidence string
}

// tell runs a scenario in a world of its own.
func tell(ctx context.Context, s scenario, hire func(w *story.World) company) (out telling) {
	defer func() {
		if failed := recover(); failed != nil {
			message, ok := failed.(untrue)
			if !ok {
				panic(failed)
			}
			out.faults = append(out.faults, string(message))
		}
	}()
	stage := *ground
	w := stage.Open(ctx)
	defer w.Close(ctx)
	all, err := law.NewAuditLog(w.Cluster.AuditLog(), "")
	if err != nil {
		panic(untrue(err.Error()))
	}
	operators := hire(w)
	if err := operators.Start(ctx); err != nil {
		panic(untrue(err.Error()))
	}
	// Also when a sentence of the story is untrue, and before the namespace goes.
	defer func() {
		out.note(operators.Stop(ctx))
		out.conclude(ctx, w, operators)
	}()
	s.tell(ctx, w)
	out.note(operators.Settle(ctx))
	w.AwaitQuietFor(ctx, quiet)
	out.state = endState(ctx, w)
	out.audited = audited(all, operators.Aimed())
	return out
}

func (o *telling) note(err error) {
	if err != nil {
		o.faults = append(o.faults, err.Error())
	}
}

// conclude asks the laws, and keeps the evidence where something is wrong.
func (o *telling) conclude(ctx context.Context, w *story.World, operators company) {
	aimed := operators.Aimed()
	o.writes = aimed.seen()
	var err error
	o.hit, o.refused, err = aimed.wasHit()
	o.note(err)
	history := w.History(ctx)
	for _, v := range law.Check(history) {
		o.faults = append(o.faults, v.String())
	}
	o.evidence = fmt.Sprintf("%s\n\n%s\n\nwrites: %v", law.Timeline(history), operators.Log(), o.writes)
}

// audited lists the writes that the API server has logged of this world's operator, in words.
func audited(all *law.AuditLog, scope *wire) []string {
	requests, err := all.Next()
	if err != nil {
		panic(untrue(err.Error()))
	}
	var kinds []string
	for _, r := range requests {
		if strings.HasPrefix(r.UserAgent, law.Operator) && slices.Contains(mutating, r.Verb) && scope.concerns(r.Object) {
			kinds = append(kinds, inWords(kindOf(r), r.Response.Code == http.StatusConflict))
		}
	}
	slices.Sort(kinds)
	return kinds
}

func inWords(kind string, refused bool) string {
	if refused {
		return kind + " (refused)"
	}
	return kind
}

var mutating = []string{"create", "update", "patch", "delete", "deletecollection"}

// against compares a telling with the one without a fault.
func (o *telling) against(reference telling) error {
	var found []error
	for _, f := range o.faults {
		found = append(found, errors.New(f))
	}
	if len(o.faults) == 0 {
		if d := difference(reference.state, o.state); d != "" {
			found = append(found, fmt.Errorf("the end is another than without the fault:\n%s", d))
		}
	}
	return errors.Join(found...)
}

// references of this run, by scenario: the tests that need them come one after the other.
var references sync.Map

// reference tells a scenario without any fault, and counts its steps twice: on the
// operator's own wire and in the API server's audit log.
func reference(t *testing.T, s scenario) telling {
	t.Helper()
	if known, ok := references.Load(s.name); ok {
		return known.(telling)
	}
	out := tell(t.Context(), s, func(w *story.World) company { return newMortal(w, aim{}) })
	if err := errors.Join(errorsOf(out.faults)...); err != nil {
		t.Fatalf("without a fault: %v\n%s", err, out.evidence)
	}
	if wired := counted(out.writes); !slices.Equal(wired, out.audited) {
		t.Fatalf("the operator made %d writes and the audit log has %d:\n%v\n%v", len(wired), len(out.audited), wired, out.audited)
	}
	out.writes = slices.DeleteFunc(out.writes, func(w write) bool { return w.refused })
	references.Store(s.name, out)
	return out
}

func errorsOf(faults []string) []error {
	var list []error
	for _, f := range faults {
		list = append(list, errors.New(f))
	}
	return list
}
