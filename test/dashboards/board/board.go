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
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	SchemaVersion int      `json:"schemaVersion"`
	Tags          []string `json:"tags"`
	Links         []Link   `json:"links"`
	Templating    struct {
		List []Variable `json:"list"`
	} `json:"templating"`
	Panels []Panel `json:"panels"`
}

// Link is a way from a dashboard, a panel or a value to somewhere else.
type Link struct {
	Title string   `json:"title"`
	Type  string   `json:"type"`
	URL   string   `json:"url"`
	Tags  []string `json:"tags"`
}

// Variable is what a user chooses at the top of a dashboard.
type Variable struct {
	Name       string `json:"name"`
	Label      string `json:"label"`
	Type       string `json:"type"`
	Definition string `json:"definition"`
	AllValue   string `json:"allValue"`
	Multi      bool   `json:"multi"`
	IncludeAll bool   `json:"includeAll"`
}

// Panel is one picture of a dashboard.
type Panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description"`
	Interval        string           `json:"interval"`
	MaxDataPoints   int              `json:"maxDataPoints"`
	GridPos         Position         `json:"gridPos"`
	Links           []Link           `json:"links"`
	Targets         []Target         `json:"targets"`
	FieldConfig     FieldConfig      `json:"fieldConfig"`
	Options         Options          `json:"options"`
	Transformations []Transformation `json:"transformations"`
}

// Position is a place in the grid of 24 columns.
type Position struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// Target is a query of a panel.
type Target struct {
	RefID        string `json:"refId"`
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	Format       string `json:"format"`
	Instant      bool   `json:"instant"`
	Range        bool   `json:"range"`
	Datasource   struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	} `json:"datasource"`
}

// FieldConfig says how values are shown.
type FieldConfig struct {
	Defaults  Defaults   `json:"defaults"`
	Overrides []Override `json:"overrides"`
}

// Defaults are for all series of a panel.
type Defaults struct {
	Unit       string   `json:"unit"`
	Decimals   *int     `json:"decimals"`
	Min        *float64 `json:"min"`
	Max        *float64 `json:"max"`
	NoValue    string   `json:"noValue"`
	Color      Color    `json:"color"`
	Thresholds struct {
		Steps []Step `json:"steps"`
	} `json:"thresholds"`
	Mappings []Mapping `json:"mappings"`
	Links    []Link    `json:"links"`
	Custom   Custom    `json:"custom"`
}

// Color says where a series gets its colour from.
type Color struct {
	Mode       string `json:"mode"`
	FixedColor string `json:"fixedColor"`
}

// Step is a colour from a value on.
type Step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// Mapping shows values as something else.
type Mapping struct {
	Type    string            `json:"type"`
	Options map[string]Mapped `json:"options"`
}

// Mapped is what a value is shown as.
type Mapped struct {
	Text  string `json:"text"`
	Color string `json:"color"`
}

// Custom are settings of one type of panel.
type Custom struct {
	DrawStyle   string  `json:"drawStyle"`
	FillOpacity float64 `json:"fillOpacity"`
	Stacking    struct {
		Mode string `json:"mode"`
	} `json:"stacking"`
}

// Override changes the defaults for the series of one name.
type Override struct {
	Matcher struct {
		ID      string `json:"id"`
		Options string `json:"options"`
	} `json:"matcher"`
	Properties []struct {
		ID    string          `json:"id"`
		Value json.RawMessage `json:"value"`
	} `json:"properties"`
}

// Options are the settings of a whole panel.
type Options struct {
	TextMode string `json:"textMode"`
	SortBy   []struct {
		DisplayName string `json:"displayName"`
		Desc        bool   `json:"desc"`
	} `json:"sortBy"`
}

// Transformation changes a table before it is shown.
type Transformation struct {
	ID      string `json:"id"`
	Options struct {
		Include struct {
			Names []string `json:"names"`
		} `json:"include"`
		IndexByName  map[string]int    `json:"indexByName"`
		RenameByName map[string]string `json:"renameByName"`
	} `json:"options"`
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
