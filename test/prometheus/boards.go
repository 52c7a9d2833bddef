// The queries of Grafana's dashboards.

package prometheus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// Query is what a panel, a variable or a rule asks.
type Query struct {
	// Name says where it stands: file/panel/letter.
	Name string
	Expr string
}

type panel struct {
	Title   string  `json:"title"`
	Panels  []panel `json:"panels"` // of a row that is folded
	Targets []struct {
		RefID string `json:"refId"`
		Expr  string `json:"expr"`
	} `json:"targets"`
}

// Boards are the queries of all panels of all dashboards.
func Boards() ([]Query, error) {
	files, err := filepath.Glob(filepath.Join(story.Root(), "config", "grafana", "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("find the dashboards: %d files, %w", len(files), err)
	}
	var all []Query
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a dashboard: %w", err)
		}
		var board panel
		if err := json.Unmarshal(raw, &board); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		all = append(all, board.queries(strings.TrimSuffix(filepath.Base(file), ".json"))...)
	}
	return all, nil
}

func (p panel) queries(of string) []Query {
	var all []Query
	for _, t := range p.Targets {
		all = append(all, Query{Name: of + "/" + p.Title + "/" + t.RefID, Expr: t.Expr})
	}
	for _, inner := range p.Panels {
		all = append(all, inner.queries(of)...)
	}
	return all
}

var variable = regexp.MustCompile(`\$\{?(\w+)(?::\w+)?\}?`)

// Fill puts values in the place of a dashboard's variables; one without a value is an error.
func (q Query) Fill(values map[string]string) (string, error) {
	var missing []string
	expr := variable.ReplaceAllStringFunc(q.Expr, func(found string) string {
		name := variable.FindStringSubmatch(found)[1]
		value, ok := values[name]
		if !ok {
			missing = append(missing, name)
		}
		return value
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("%s: nobody has said what $%s is", q.Name, strings.Join(missing, ", $"))
	}
	return expr, nil
}

var (
	quoted = regexp.MustCompile(`"[^"]*"`)
	metric = regexp.MustCompile(`\b(?:(?:arcane|workqueue|controller_runtime|rest_client|certwatcher|process|go|scrape)_\w+|arcane:[\w:]+|ALERTS|up)\b`)
)

// Metrics are the names that an expression speaks of.
func Metrics(expr string) []string {
	return slices.Compact(slices.Sorted(slices.Values(metric.FindAllString(quoted.ReplaceAllString(expr, `""`), -1))))
}

// Family is the name under which a histogram's series are known.
func Family(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if family, ok := strings.CutSuffix(name, suffix); ok {
			return family
		}
	}
	return name
}
