package main

// This file holds the dashboards, those of config/grafana and that of the plugins' chart, to what Grafana, PromQL and the
// metrics allow.

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
	"github.com/arcane-streaming/arcane-operator/test/dashboards/picture"
)

const (
	folder = "../../config/grafana"
	// chart holds the dashboards of a plugin's streams, by version. The chart puts UID and class into them, which
	// test/pluginchart looks at.
	chart = "../../helm-charts/stream-plugin/dashboards"
)

var uids = map[string]string{
	"fleet": "arcane-fleet", "stream": "arcane-stream", "backfills": "arcane-backfills", "operator": "arcane-operator",
	"plugin v1": "PLUGIN_UID",
}

func boards(t *testing.T) map[string]board.Dashboard {
	t.Helper()
	all, err := board.All(folder)
	if err != nil {
		t.Fatal(err)
	}
	ofPlugins, err := board.All(chart)
	if err != nil {
		t.Fatal(err)
	}
	for version, d := range ofPlugins {
		all["plugin "+version] = d
	}
	return all
}

// place is a panel where it stands.
type place struct {
	name      string
	dashboard board.Dashboard
	panel     board.Panel
}

// panels are all of them but the headings of rows.
func panels(t *testing.T) []place {
	t.Helper()
	var all []place
	for name, d := range boards(t) {
		for _, p := range d.Panels {
			if p.Type != "row" {
				all = append(all, place{name + "/" + p.Title, d, p})
			}
		}
	}
	return all
}

func TestTheDashboardsAreTheFiveWithTheirUIDs(t *testing.T) {
	got := map[string]string{}
	for name, d := range boards(t) {
		got[name] = d.UID
		if d.SchemaVersion == 0 || d.Description == "" || !slices.Contains(d.Tags, "arcane") {
			t.Errorf("%s lacks its schema, its description or the tag by which dashboards find each other", name)
		}
	}
	if !maps.Equal(got, uids) {
		t.Errorf("dashboards %v, want %v", got, uids)
	}
}

func TestEveryPanelSaysWhatItShows(t *testing.T) {
	for _, at := range panels(t) {
		t.Run(at.name, func(t *testing.T) {
			p := at.panel
			if p.Title == "" || len(p.Description) < 15 || !strings.HasSuffix(p.Description, ".") {
				t.Errorf("title %q, description %q", p.Title, p.Description)
			}
			if unit := p.FieldConfig.Defaults.Unit; !picture.KnowsUnit(unit) {
				t.Errorf("unit %q", unit)
			}
			if len(p.Targets) == 0 {
				t.Error("no query")
			}
			refs := map[string]bool{}
			for _, q := range p.Targets {
				if refs[q.RefID] || q.Instant == q.Range || q.Datasource.UID != "${datasource}" {
					t.Errorf("query %s: its name is taken, it is not one of instant and range, or it names a data source of its own", q.RefID)
				}
				refs[q.RefID] = true
			}
		})
	}
}

func TestPanelsHaveNumbersAndPlacesOfTheirOwn(t *testing.T) {
	for name, d := range boards(t) {
		ids, taken := map[int]string{}, map[[2]int]string{}
		for _, p := range d.Panels {
			if other, ok := ids[p.ID]; ok || p.ID == 0 {
				t.Errorf("%s: %q has the number %d, as has %q", name, p.Title, p.ID, other)
			}
			ids[p.ID] = p.Title
			at := p.GridPos
			if at.W < 1 || at.H < 1 || at.X < 0 || at.X+at.W > 24 {
				t.Errorf("%s: %q lies outside of the grid: %+v", name, p.Title, at)
			}
			for x := at.X; x < at.X+at.W; x++ {
				for y := at.Y; y < at.Y+at.H; y++ {
					if other, ok := taken[[2]int{x, y}]; ok {
						t.Fatalf("%s: %q lies over %q", name, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

// ask is a query as Prometheus gets it; a variable stands for a name.
func ask(t *testing.T, d board.Dashboard, expr string) parser.Expr {
	t.Helper()
	vars := map[string]string{}
	for _, v := range d.Templating.List {
		vars[v.Name] = "any"
	}
	asked := board.Window{From: time.Unix(0, 0), To: time.Unix(86400, 0), Scrape: 15 * time.Second}.Ask(expr, time.Minute, vars)
	parsed, err := parser.ParseExpr(asked)
	if err != nil {
		t.Fatalf("%s: %v", asked, err)
	}
	return parsed
}

func known(metric string) (map[string][]string, bool) {
	if of, ok := operators[metric]; ok {
		return of, true
	}
	of, ok := others[metric]
	return of, ok
}

// judge finds what a query asks of metrics that they do not have, and says which labels its series may have.
func judge(expr parser.Expr) (has map[string]bool, problems []string) {
	has = map[string]bool{}
	var grouped []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			problems = append(problems, judgeSelector(n, has)...)
		case *parser.AggregateExpr:
			grouped = append(grouped, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				grouped = append(append(grouped, n.VectorMatching.MatchingLabels...), n.VectorMatching.Include...)
			}
		}
		return nil
	})
	for _, label := range grouped {
		if !has[label] {
			problems = append(problems, fmt.Sprintf("nothing in it has the label %s", label))
		}
	}
	return has, problems
}

func judgeSelector(s *parser.VectorSelector, has map[string]bool) (problems []string) {
	of, ok := known(s.Name)
	if !ok {
		return []string{"there is no metric " + s.Name}
	}
	for label := range of {
		has[label] = true
	}
	for _, label := range everywhere {
		has[label] = true
	}
	for _, m := range s.LabelMatchers {
		if m.Name == labels.MetricName || slices.Contains(everywhere, m.Name) {
			continue
		}
		values, ok := of[m.Name]
		if !ok {
			problems = append(problems, s.Name+" has no label "+m.Name)
		}
		for value := range strings.SplitSeq(m.Value, "|") {
			if values != nil && m.Value != "any" && !slices.Contains(values, value) {
				problems = append(problems, fmt.Sprintf("%s never has %s=%q", s.Name, m.Name, value))
			}
		}
	}
	return problems
}

func TestEveryQueryAsksForWhatThereIs(t *testing.T) {
	for _, at := range panels(t) {
		t.Run(at.name, func(t *testing.T) {
			d, p := at.dashboard, at.panel
			for _, q := range p.Targets {
				has, problems := judge(ask(t, d, q.Expr))
				for _, problem := range problems {
					t.Errorf("%s: %s", q.Expr, problem)
				}
				for _, label := range board.LegendLabels(q.LegendFormat) {
					if !has[label] {
						t.Errorf("%s: the legend names %s", q.Expr, label)
					}
				}
			}
		})
	}
}

func TestTheJudgeNoticesWhatIsWrong(t *testing.T) {
	for expr, want := range map[string]string{
		`arcane_strems`:                          "there is no metric arcane_strems",
		`arcane_streams{class="a"}`:              "arcane_streams has no label class",
		`arcane_streams{phase="running"}`:        `arcane_streams never has phase="running"`,
		`arcane_streams{phase=~"Failed|Broken"}`: `arcane_streams never has phase="Broken"`,
		`sum by (stream) (arcane_streams)`:       "nothing in it has the label stream",
	} {
		_, problems := judge(ask(t, board.Dashboard{}, expr))
		if !slices.Equal(problems, []string{want}) {
			t.Errorf("%s: %v, want %s", expr, problems, want)
		}
	}
}

func TestEveryMetricIsShownSomewhere(t *testing.T) {
	shown := map[string]bool{}
	for _, at := range panels(t) {
		t.Run(at.name, func(t *testing.T) {
			d, p := at.dashboard, at.panel
			for _, q := range p.Targets {
				parser.Inspect(ask(t, d, q.Expr), func(node parser.Node, _ []parser.Node) error {
					if s, ok := node.(*parser.VectorSelector); ok {
						shown[s.Name] = true
					}
					return nil
				})
			}
		})
	}
	for metric := range operators {
		if _, excused := unused[metric]; shown[metric] == excused {
			t.Errorf("%s: shown %v, listed as not shown %v", metric, shown[metric], excused)
		}
	}
	for metric := range others {
		if !shown[metric] {
			t.Errorf("%s is listed and shown nowhere", metric)
		}
	}
}

func TestVariablesAreDeclaredAndUsed(t *testing.T) {
	for name, d := range boards(t) {
		declared, used := map[string]bool{}, map[string]bool{}
		for _, v := range d.Templating.List {
			declared[v.Name] = true
			if selector, label, ok := v.LabelValues(); ok {
				has, problems := judge(ask(t, d, selector))
				if len(problems) > 0 || !has[label] {
					t.Errorf("%s: variable %s: %s: %v", name, v.Name, v.Definition, problems)
				}
			}
			for _, other := range board.References(v.Definition) {
				if !declared[other] {
					t.Errorf("%s: variable %s needs %s, which is not chosen before it", name, v.Name, other)
				}
				used[other] = true
			}
		}
		text, err := json.Marshal(d.Panels)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range board.References(string(text)) {
			used[v] = true
		}
		if !maps.Equal(declared, used) {
			t.Errorf("%s: declared %v, used %v", name, declared, used)
		}
	}
}

var (
	toDashboard = regexp.MustCompile(`/d/([a-z-]+)\?`)
	toRunbook   = regexp.MustCompile(`docs/runbooks/([A-Za-z]+)\.md`)
	variable    = regexp.MustCompile(`var-([a-z]+)=`)
)

// runbooks are the alerts that have a page, in order.
func runbooks(t *testing.T) (alerts []string) {
	t.Helper()
	pages, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		alerts = append(alerts, strings.TrimSuffix(filepath.Base(page), ".md"))
	}
	return alerts
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := boards(t)
	var runs []string
	for name, d := range all {
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range toDashboard.FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(slices.Collect(maps.Values(uids)), found[1]) {
				t.Errorf("%s leads to a dashboard %s", name, found[1])
			}
		}
		for _, found := range variable.FindAllStringSubmatch(string(text), -1) {
			if !slices.ContainsFunc(all["stream"].Templating.List, func(v board.Variable) bool { return v.Name == found[1] }) {
				t.Errorf("%s gives the dashboard Stream a variable %s", name, found[1])
			}
		}
		for _, found := range toRunbook.FindAllStringSubmatch(string(text), -1) {
			runs = append(runs, found[1])
		}
	}
	slices.Sort(runs)
	if got, want := slices.Compact(runs), runbooks(t); !slices.Equal(got, want) {
		t.Errorf("runbooks that panels lead to: %v, want %v", got, want)
	}
}

var colour = regexp.MustCompile(`^#[0-9A-F]{6}$`)

func TestColoursAndStates(t *testing.T) {
	for _, at := range panels(t) {
		t.Run(at.name, func(t *testing.T) {
			p := at.panel
			var colours []string
			for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
				colours = append(colours, s.Color)
			}
			for _, m := range p.FieldConfig.Defaults.Mappings {
				for _, to := range m.Options {
					colours = append(colours, to.Color)
				}
			}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					var c board.Color
					if property.ID == "color" {
						if err := json.Unmarshal(property.Value, &c); err != nil {
							t.Fatal(err)
						}
						colours = append(colours, c.FixedColor)
					}
				}
			}
			for _, c := range colours {
				if !colour.MatchString(c) {
					t.Errorf("colour %q", c)
				}
			}
			if p.Type == "state-timeline" && len(p.FieldConfig.Defaults.Mappings) != 1 {
				t.Error("a timeline without names for its states")
			}
		})
	}
}

// A timeline can only draw numbers, so query and mapping have to number the phases alike.
func TestPhasesHaveTheNumbersOfTheirNames(t *testing.T) {
	found := 0
	for _, at := range panels(t) {
		t.Run(at.name, func(t *testing.T) {
			d, p := at.dashboard, at.panel
			numbers := map[string]string{}
			for _, q := range p.Targets {
				parser.Inspect(ask(t, d, q.Expr), func(node parser.Node, _ []parser.Node) error {
					times, ok := node.(*parser.BinaryExpr)
					if !ok {
						return nil
					}
					series, isSeries := times.LHS.(*parser.VectorSelector)
					number, isNumber := times.RHS.(*parser.NumberLiteral)
					if times.Op == parser.MUL && isSeries && isNumber && series.Name == "arcane_stream_phase" {
						for _, m := range series.LabelMatchers {
							if m.Name == "phase" {
								numbers[number.String()] = m.Value
							}
						}
					}
					return nil
				})
			}
			if len(numbers) == 0 {
				return
			}
			found++
			names := map[string]string{}
			for number, to := range p.FieldConfig.Defaults.Mappings[0].Options {
				names[number] = to.Text
			}
			if !maps.Equal(numbers, names) {
				t.Errorf("the query says %v, the names are %v", numbers, names)
			}
			got, want := slices.Sorted(maps.Values(names)), slices.Sorted(slices.Values(operators["arcane_stream_phase"]["phase"]))
			if !slices.Equal(got, want) {
				t.Errorf("phases %v, want %v", got, want)
			}
		})
	}
	if found != 3 {
		t.Errorf("%d panels show phases as numbers, want the two timelines and the tile", found)
	}
}
