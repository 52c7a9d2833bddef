package main

// This file makes panels: one constructor for each type, and what can be said of a panel on top of that.

import "maps"

var prometheus = &datasource{Type: "prometheus", UID: "${datasource}"}

// query is an expression with the name of what it answers.
type query struct{ expr, legend string }

func newPanel(kind, title, unit, description string, queries []query) *panel {
	p := &panel{
		Type: kind, Title: title, Description: description, Datasource: prometheus, Options: map[string]any{},
		FieldConfig: &fieldConfig{Overrides: []override{}, Defaults: defaults{
			Unit: unit, Mappings: []mapping{},
			Color:      map[string]any{"mode": "palette-classic"},
			Thresholds: thresholds{Mode: "absolute", Steps: []step{{Color: good}}},
		}},
	}
	for i, q := range queries {
		p.Targets = append(p.Targets, target{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expr: q.expr, LegendFormat: q.legend, Format: "time_series", Range: true,
		})
	}
	return p
}

// now makes the queries ask for one moment instead of the whole window.
func (p *panel) now(format string) *panel {
	for i := range p.Targets {
		p.Targets[i].Instant, p.Targets[i].Range, p.Targets[i].Format = true, false, format
	}
	return p
}

var lastValue = map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}

// tiles shows numbers of this moment, one tile for each series.
func tiles(title, unit, description string, queries ...query) *panel {
	p := newPanel("stat", title, unit, description, queries).now("time_series")
	p.Options = map[string]any{
		"reduceOptions": lastValue, "colorMode": "value", "graphMode": "none", "textMode": "auto", "orientation": "auto", "justifyMode": "auto",
	}
	p.FieldConfig.Defaults.Color["mode"] = "thresholds"
	return p
}

// names makes tiles tell the series' names instead of their values.
func (p *panel) names() *panel {
	p.Options["textMode"] = "name"
	return p
}

// valuesOnly leaves the names of the series out of tiles.
func (p *panel) valuesOnly() *panel {
	p.Options["textMode"] = "value"
	return p
}

func series(title, unit, description string, queries ...query) *panel {
	p := newPanel("timeseries", title, unit, description, queries)
	zero := 0.0
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Custom = map[string]any{
		"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": false,
		"stacking": map[string]any{"mode": "none", "group": "A"},
	}
	p.Options = map[string]any{
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	return p
}

// stacked piles the series up, where their sum means something.
func (p *panel) stacked() *panel {
	p.FieldConfig.Defaults.Custom["stacking"] = map[string]any{"mode": "normal", "group": "A"}
	p.FieldConfig.Defaults.Custom["fillOpacity"] = 60
	return p
}

// bars shows what was counted in each step: a step has to be longer than two scrapes.
func bars(title, description string, queries ...query) *panel {
	p := series(title, "none", description, queries...).stacked()
	p.Interval, p.MaxDataPoints = "2m", 100
	maps.Copy(p.FieldConfig.Defaults.Custom, map[string]any{"drawStyle": "bars", "fillOpacity": 90, "lineWidth": 0})
	return p
}

// timeline shows how a state changed: value mappings name and colour the numbers.
func timeline(title, description string, states []mapping, queries ...query) *panel {
	p := newPanel("state-timeline", title, "none", description, queries)
	p.FieldConfig.Defaults.Mappings = states
	p.FieldConfig.Defaults.Custom = map[string]any{"fillOpacity": 80, "lineWidth": 0, "spanNulls": false}
	p.Options = map[string]any{
		"mergeValues": true, "showValue": "auto", "rowHeight": 0.8, "alignValue": "left",
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true},
		"tooltip": map[string]any{"mode": "single", "sort": "none"},
	}
	return p
}

// gauges shows one horizontal bar for each series.
func gauges(title, unit, description string, queries ...query) *panel {
	p := newPanel("bargauge", title, unit, description, queries).now("time_series")
	zero := 0.0
	p.FieldConfig.Defaults.Min = &zero
	p.Options = map[string]any{
		"reduceOptions": lastValue, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": true, "valueMode": "color",
	}
	return p
}

// column is one of a table: the field in Prometheus' answer, its heading, and its unit where it is a number.
type column struct {
	field, heading, unit string
	links                []dataLink
}

// table shows columns, in their order, of the merged answers; everything else that the answers hold stays out.
func table(title, description string, columns []column, queries ...query) *panel {
	p := newPanel("table", title, "none", description, queries).now("table")
	p.FieldConfig.Defaults.Custom = map[string]any{"align": "left", "filterable": true}
	p.FieldConfig.Defaults.Color["mode"] = "thresholds"
	var include []string
	order, rename := map[string]any{}, map[string]any{}
	for i, c := range columns {
		include = append(include, c.field)
		order[c.field], rename[c.field] = i, c.heading
		var properties []property
		if c.unit != "" {
			properties = append(properties, property{"unit", c.unit})
		}
		if c.links != nil {
			properties = append(properties, property{"links", c.links})
		}
		if properties != nil {
			p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{matcher{"byName", c.heading}, properties})
		}
	}
	p.Options = map[string]any{
		"showHeader": true, "cellHeight": "sm", "sortBy": []map[string]any{{"displayName": columns[0].heading, "desc": false}},
	}
	p.Transformations = []transformation{
		{ID: "merge", Options: map[string]any{}},
		{ID: "filterFieldsByName", Options: map[string]any{"include": map[string]any{"names": include}}},
		{ID: "organize", Options: map[string]any{"excludeByName": map[string]any{}, "indexByName": order, "renameByName": rename}},
	}
	return p
}

// sorted changes the column that a table is sorted by, the largest first.
func (p *panel) sorted(heading string) *panel {
	p.Options["sortBy"] = []map[string]any{{"displayName": heading, "desc": true}}
	return p
}

// coloured gives the series named so their colour.
func (p *panel) coloured(lists ...[]coloured) *panel {
	for _, list := range lists {
		for _, c := range list {
			p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{
				matcher{"byName", c.name},
				[]property{{"color", map[string]any{"mode": "fixed", "fixedColor": c.colour}}},
			})
		}
	}
	return p
}

// fixed paints all in one colour.
func (p *panel) fixed(colour string) *panel {
	p.FieldConfig.Defaults.Color = map[string]any{"mode": "fixed", "fixedColor": colour}
	return p
}

// from changes the colour from a value on: from(1, bad) is good at zero and bad above.
func (p *panel) from(value float64, colour string) *panel {
	p.FieldConfig.Defaults.Color["mode"] = "thresholds"
	t := &p.FieldConfig.Defaults.Thresholds
	t.Steps = append(t.Steps, step{Color: colour, Value: &value})
	return p
}

// shades paints all in shades of one colour.
func (p *panel) shades(colour string) *panel {
	p.FieldConfig.Defaults.Color = map[string]any{"mode": "shades", "fixedColor": colour}
	return p
}

// lines leaves out what is below the lines.
func (p *panel) lines() *panel {
	p.FieldConfig.Defaults.Custom["fillOpacity"] = 0
	return p
}

// base is the colour below the first threshold.
func (p *panel) base(colour string) *panel {
	p.FieldConfig.Defaults.Thresholds.Steps[0].Color = colour
	return p
}

func (p *panel) upTo(most float64) *panel {
	p.FieldConfig.Defaults.Max = &most
	return p
}

func (p *panel) decimals(n int) *panel {
	p.FieldConfig.Defaults.Decimals = &n
	return p
}

func (p *panel) mapped(states []mapping) *panel {
	p.FieldConfig.Defaults.Mappings = states
	return p
}

// empty is what to show where there is no answer.
func (p *panel) empty(text string) *panel {
	p.FieldConfig.Defaults.NoValue = text
	return p
}

// runbook links the page of an alert.
func (p *panel) runbook(alert string) *panel {
	p.Links = append(p.Links, dataLink{Title: "Runbook: " + alert, URL: runbooks + alert + ".md", TargetBlank: true})
	return p
}

// toStream makes each series a way to its stream.
func (p *panel) toStream() *panel {
	p.FieldConfig.Defaults.Links = []dataLink{streamLink("${__field.labels.namespace}", "${__field.labels.stream}")}
	return p
}

func streamLink(namespace, stream string) dataLink {
	return dataLink{
		Title: "Show the stream",
		URL:   "/d/arcane-stream?${datasource:queryparam}&${__url_time_range}&var-namespace=" + namespace + "&var-stream=" + stream,
	}
}

// alsoMapped adds a value to the mappings.
func (p *panel) alsoMapped(value string, to coloured) *panel {
	names := p.FieldConfig.Defaults.Mappings[0].Options
	names[value] = mapped{Text: to.name, Color: to.colour, Index: len(names)}
	return p
}
