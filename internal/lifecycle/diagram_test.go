package lifecycle

// This file draws the phases by walking the table from every beginning of a stream.

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/page"
)

// shown is a world at rest or on its way, and the phase that its users see.
type shown struct {
	o     Observation
	phase v1.StreamPhase
}

// edge is a change of the phase, and the rule that made it.
type edge struct {
	from, to v1.StreamPhase
	rule     string
	reason   v1.Reason
}

// edges lists the changes of the phase in the order of the rules. The operator
// is prompt here: it comes to rest before anything else happens. After a downtime
// several things have happened, and a phase in between may never be seen.
func edges() []edge {
	found := map[edge]bool{}
	seen := map[shown]bool{}
	open := beginnings()
	for len(open) > 0 {
		s := open[len(open)-1]
		open = open[:len(open)-1]
		if seen[s] {
			continue
		}
		seen[s] = true
		d := Decide(s.o)
		phase := d.Phase
		if phase == keep {
			phase = s.phase
		}
		if phase != s.phase {
			found[edge{s.phase, phase, d.Rule, d.Reason}] = true
		}
		next := happenings(s.o)
		if len(d.Do) > 0 {
			next = outcomes(d, s.o)
		}
		for _, o := range next {
			open = append(open, shown{o, phase})
		}
	}
	var list []edge
	for e := range found {
		list = append(list, e)
	}
	slices.SortFunc(list, compareEdges)
	return list
}

// phases in the order in which a stream that goes well meets them.
var phases = []v1.StreamPhase{"", v1.StreamPending, v1.StreamBackfilling, v1.StreamRunning, v1.StreamScheduled, v1.StreamSuspended, v1.StreamFailed}

func compareEdges(a, b edge) int {
	for _, by := range []int{
		slices.Index(phases, a.from) - slices.Index(phases, b.from),
		slices.Index(phases, a.to) - slices.Index(phases, b.to),
		indexOf(a.rule) - indexOf(b.rule),
	} {
		if by != 0 {
			return by
		}
	}
	return 0
}

func indexOf(name string) int {
	return slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
}

// beginnings are the worlds that a new stream may be born into.
func beginnings() []shown {
	var list []shown
	for _, suspended := range bools {
		for _, acceptable := range bools {
			// A scheduled stream has no initial backfill.
			list = append(list, shown{o: Observation{Initial: ToWaive, Cron: CronIdle, Suspended: suspended, Acceptable: acceptable}.Canonical()})
		}
	}
	for _, initial := range []Initial{ToRequest, ToWaive} {
		for _, suspended := range bools {
			for _, acceptable := range bools {
				list = append(list, shown{o: Observation{Initial: initial, Suspended: suspended, Acceptable: acceptable}.Canonical()})
			}
		}
	}
	return list
}

// outcomes are the worlds that a decision may leave: a backfill that the operator
// asks for may have to wait for a slot, and a failure may be one that is retried.
func outcomes(d Decision, o Observation) []Observation {
	done, _ := finish(d, o)
	list := []Observation{done}
	if has(d, RecordInitial) || has(d, RecordGap) {
		waits := done
		waits.Request = RequestFirst
		list = append(list, waits)
	}
	if has(d, RecordFailure) {
		for failure := RetryLater; failure <= GapDue; failure++ {
			retried := done
			retried.Failure = failure
			list = append(list, retried)
		}
	}
	return list
}

// schedules are what users, and time, may make of a CronJob: a schedule is set,
// changed or removed, a run is due, somebody deletes the CronJob by hand.
var schedules = map[Cron][]Cron{
	NoCron:       {CronIdle},
	CronIdle:     {NoCron, CronLeftOver},
	CronRight:    {CronDue, CronStale, CronUnwanted, CronIdle, CronStopping},
	CronDue:      {CronStale, CronUnwanted, CronIdle, CronStopping},
	CronLeftOver: {CronIdle},
}

// happenings lists what may happen next: by the cluster, by the pods, by users.
func happenings(o Observation) []Observation {
	list := answers(o)
	add := func(possible bool, change func(*Observation)) {
		if next := o; possible {
			change(&next)
			if next = next.Canonical(); next != o {
				list = append(list, next)
			}
		}
	}
	active, backfill := o.Job == Active, o.Mode == v1.ModeBackfill
	for _, end := range []Job{Succeeded, Failed, Stopping, Vanished} {
		add(active, func(n *Observation) { n.Job = end })
	}
	add(active, func(n *Observation) { n.Job, n.Others = Vanished, OrphanPods })
	add(active && !backfill, func(n *Observation) { n.Pod = PodTakenAway })
	add(active && !backfill, func(n *Observation) { n.Pod = PodEnded })
	add(active, func(n *Observation) { n.Lingers = true })
	add(active && backfill, func(n *Observation) { n.Wanted = false })
	add(active && backfill, func(n *Observation) { n.Inputs = ChangeWaits })
	add(active, func(n *Observation) { n.Inputs = Changed })
	add(active, func(n *Observation) { n.Inputs = Altered })
	for _, cron := range schedules[o.Cron] {
		add(true, func(n *Observation) { n.Cron = cron })
	}
	add(o.Request == NoRequest, func(n *Observation) { n.Request = RequestWaiting })
	for _, request := range []Request{NoRequest, RequestReady} {
		add(true, func(n *Observation) { n.Request = request })
	}
	add(true, func(n *Observation) { n.Suspended = !o.Suspended })
	add(true, func(n *Observation) { n.Acceptable = !o.Acceptable })
	add(true, func(n *Observation) { n.RestartAsked = true })
	return list
}

// diagram prints the changes of the phase as Mermaid text.
func diagram(edges []edge) string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	for i := 0; i < len(edges); {
		var reasons []string
		first := edges[i]
		for ; i < len(edges) && edges[i].from == first.from && edges[i].to == first.to; i++ {
			if reason := string(edges[i].reason); !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
		}
		from := string(first.from)
		if from == "" {
			from = "[*]"
		}
		fmt.Fprintf(&b, "    %s --> %s : %s\n", from, first.to, strings.Join(reasons, "<br/>"))
	}
	b.WriteString("```\n")
	return b.String()
}

// transitions prints the same as a table with the rules.
func transitions(edges []edge) string {
	var b strings.Builder
	b.WriteString("| from | to | reason | rule |\n|---|---|---|---|\n")
	for _, e := range edges {
		from := string(e.from)
		if from == "" {
			from = "(new)"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | `%s` |\n", from, e.to, e.reason, e.rule)
	}
	return b.String()
}

// TestDiagramIsFresh holds the diagram in docs/lifecycle.md against the rules.
func TestDiagramIsFresh(t *testing.T) {
	page.Hold(t, page.Lifecycle, "diagram", diagram(edges()), *update)
	page.Hold(t, page.Lifecycle, "transitions", transitions(edges()), *update)
}

// TestTableInThePageIsFresh holds the table in docs/lifecycle.md against the rules.
func TestTableInThePageIsFresh(t *testing.T) {
	_, table, _ := strings.Cut(Table(), "\n# The rules of a stream's life\n\n")
	page.Hold(t, page.Lifecycle, "table", table, *update)
}

// TestDiagramKnowsEveryPhase finds phases that no stream can be in, and such that the diagram does not know.
func TestDiagramKnowsEveryPhase(t *testing.T) {
	drawn := map[v1.StreamPhase]bool{keep: true}
	for _, e := range edges() {
		drawn[e.to] = true
	}
	for _, r := range rules {
		if !drawn[r.phase] || !slices.Contains(phases, r.phase) {
			t.Errorf("the phase of rule %s is missing: %q", r.name, r.phase)
		}
	}
	if len(drawn) != len(phases) {
		t.Errorf("%d phases are drawn, %d are listed", len(drawn), len(phases))
	}
}

// TestEveryTransitionIsTold holds the page of events to the diagram: a change of
// the phase comes with an event, and no event is promised that never comes.
func TestEveryTransitionIsTold(t *testing.T) {
	happens := map[v1.Reason]bool{
		// Obstacles are met by the hands: no rule knows of them.
		v1.ReasonNameConflict: true, v1.ReasonJobRefused: true, v1.ReasonRequestRefused: true,
		v1.ReasonWriteRefused: true,
		// Told for its own sake: the phase stays.
		v1.ReasonBackfillCompleted: true,
	}
	for _, e := range edges() {
		// What is not accepted is told with the reason of the problem.
		happens[e.reason] = e.reason != v1.ReasonNotAccepted
	}
	for _, chapter := range v1.Chapters() {
		for _, e := range chapter.Reasons {
			promised := slices.ContainsFunc(e.Places, func(p v1.Place) bool {
				return p.Kind == v1.KindStream && p.In == v1.ConditionReady && p.Event != ""
			})
			if promised != happens[e.Reason] {
				t.Errorf("%s: told in an event by meanings.go: %t; by a change of the phase or for its own sake: %t", e.Reason, promised, happens[e.Reason])
			}
		}
	}
}
