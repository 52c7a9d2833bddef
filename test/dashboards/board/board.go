// Package board reads Grafana's dashboards, as far as this repository's use Grafana.
package board

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Dashboard is a page of panels.
type Dashboard struct {
	UID           string
	Title         string
	Description   string
	SchemaVersion int
	Tags          []string
	Links         []Link
	Templating    struct{ List []Variable }
	Panels        []Panel
}

// Link is a way from a dashboard, a panel or a value to somewhere else.
type Link struct {
	Title, Type, URL string
	Tags             []string
}

// Variable is what a user chooses at the top of a dashboard.
type Variable struct {
	Name, Label, Type, Definition, AllValue string
	Multi, IncludeAll                       bool
}

// Panel is one picture of a dashboard.
type Panel struct {
	ID                                 int
	Type, Title, Description, Interval string
	MaxDataPoints                      int
	GridPos                            Position
	Links                              []Link
	Targets                            []Target
	FieldConfig                        FieldConfig
	Options                            Options
	Transformations                    []Transformation
}

// Position is a place in the grid of 24 columns.
type Position struct{ X, Y, W, H int }

// Target is a query of a panel.
type Target struct {
	RefID, Expr, LegendFormat, Format string
	Instant, Range                    bool
	Datasource                        struct{ Type, UID string }
}

// FieldConfig says how values are shown.
type FieldConfig struct {
	Defaults  Defaults
	Overrides []Override
}

// Defaults are for all series of a panel.
type Defaults struct {
	Unit       string
	Decimals   *int
	Min, Max   *float64
	NoValue    string
	Color      Color
	Thresholds struct{ Steps []Step }
	Mappings   []Mapping
	Links      []Link
	Custom     Custom
}

// Color says where a series gets its colour from.
type Color struct{ Mode, FixedColor string }

// Step is a colour from a value on.
type Step struct {
	Color string
	Value *float64
}

// Mapping shows values as something else.
type Mapping struct {
	Type    string
	Options map[string]struct{ Text, Color string }
}

// Custom are settings of one type of panel.
type Custom struct {
	DrawStyle   string
	FillOpacity float64
	Stacking    struct{ Mode string }
}

// Override changes the defaults for the series of one name.
type Override struct {
	Matcher    struct{ ID, Options string }
	Properties []struct {
		ID    string
		Value json.RawMessage
	}
}

// Options are the settings of a whole panel.
type Options struct {
	TextMode string
	SortBy   []struct {
		DisplayName string
		Desc        bool
	}
}

// Transformation changes a table before it is shown.
type Transformation struct {
	ID      string
	Options struct {
		Include      struct{ Names []string }
		IndexByName  map[string]int
		RenameByName map[string]string
	}
}

// Load reads one dashboard.
func Load(file string) (Dashboard, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Dashboard{}, fmt.Errorf("read the dashboard: %w", err)
	}
	var d Dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return Dashboard{}, fmt.Errorf("read the dashboard %s: %w", file, err)
	}
	return d, nil
}

// All reads the dashboards of a folder, by the names of their files without the ending.
func All(folder string) (map[string]Dashboard, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("look for dashboards: %w", err)
	}
	slices.Sort(files)
	all := map[string]Dashboard{}
	for _, file := range files {
		d, err := Load(file)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(file)
		all[name[:len(name)-len(".json")]] = d
	}
	return all, nil
}
