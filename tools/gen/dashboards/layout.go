package main

// This file puts panels into Grafana's grid of 24 columns and gives them their numbers.

const columns = 24

// placed is a panel with its width; a row's panels share a height.
type placed struct {
	width int
	*panel
}

type row struct {
	title  string
	height int
	panels []placed
}

func lay(rows ...row) []panel {
	var laid []panel
	y := 0
	add := func(p panel, at gridPos) {
		p.ID, p.GridPos = len(laid)+1, at
		laid = append(laid, p)
	}
	for _, r := range rows {
		if r.title != "" {
			open := false
			add(panel{Type: "row", Title: r.title, Collapsed: &open, Panels: &[]panel{}}, gridPos{W: columns, H: 1, Y: y})
			y++
		}
		x := 0
		for _, p := range r.panels {
			if x+p.width > columns {
				x, y = 0, y+r.height
			}
			add(*p.panel, gridPos{X: x, Y: y, W: p.width, H: r.height})
			x += p.width
		}
		y += r.height
	}
	return laid
}

// board is what all dashboards have in common.
func board(uid, title, description string, variables []variable, rows ...row) dashboard {
	return dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{"arcane"},
		SchemaVersion: 39, Version: 1, Editable: true, GraphTooltip: 1, Timezone: "browser", Refresh: "30s",
		Time: timeRange{From: "now-24h", To: "now"},
		Links: []link{
			{Title: "Arcane", Type: "dashboards", Tags: []string{"arcane"}, Icon: "external link", IncludeVars: true, KeepTime: true},
			{Title: "Runbooks", Type: "link", URL: runbooks, Tags: []string{}, Icon: "doc", TargetBlank: true},
		},
		Templating: templating{List: append([]variable{{
			Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1, Current: map[string]any{},
		}}, variables...)},
		Panels: lay(rows...),
	}
}

// choice is a variable with the values that a label has now.
func choice(name, label, metric, of string) variable {
	question := "label_values(" + metric + ", " + of + ")"
	return variable{
		Name: name, Label: label, Type: "query", Datasource: prometheus, Definition: question,
		Query:   map[string]any{"qryType": 1, "query": question, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
		Refresh: 2, Sort: 1, Current: map[string]any{},
	}
}

// orAll lets several values, or all, be chosen; all are chosen to begin with.
func (v variable) orAll() variable {
	v.Multi, v.IncludeAll, v.AllValue = true, true, ".*"
	v.Current = map[string]any{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}}
	return v
}

// constant is a variable with one value, which its users neither see nor choose.
func constant(name, label, value string) variable {
	return variable{
		Name: name, Label: label, Type: "constant", Query: value, Hide: 2,
		Current: map[string]any{"selected": true, "text": value, "value": value},
	}
}
