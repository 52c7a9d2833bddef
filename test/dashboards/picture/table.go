package picture

// This file draws tables: the answers merged by their labels, the chosen columns in their order.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
)

// cell is a text, or a number in its unit.
type cell struct {
	text   string
	number float64
	filled bool
}

func drawTable(page *sheet, in box, p board.Panel, answers []answer) {
	fields := columnsOf(p)
	rows := merge(p, fields, answers)
	widths := make([]float64, len(fields))
	total := 0.0
	for i, f := range fields {
		widths[i] = page.width(11, true, heading(p, f)) + 18
		for _, row := range rows {
			widths[i] = max(widths[i], page.width(11, false, row[i].text)+18)
		}
		total += widths[i]
	}
	// Room that is left is shared out evenly; where there is too little, all columns give way in the same measure.
	for i := range widths {
		if total < in.w {
			widths[i] += (in.w - total) / float64(len(widths))
		} else {
			widths[i] *= in.w / total
		}
	}
	const height = 24.0
	fit := int(in.h/height) - 1
	if len(rows) > fit {
		text := fmt.Sprintf("and %d more", len(rows)-fit+1)
		rows = rows[:fit-1]
		page.text(in.x+4, in.y+float64(fit)*height+height/2, 11, false, faint, text)
	}
	x := in.x
	for i, f := range fields {
		page.text(x+4, in.y+height/2, 11, true, ink, page.fit(11, true, heading(p, f), widths[i]-8))
		for j, row := range rows {
			y := in.y + float64(j+1)*height
			if i == 0 {
				page.line(in.x, y, in.x+in.w, y, 1, grid)
			}
			colour := ink
			if linked(p, heading(p, f)) {
				colour = parse("#1F60C4")
			}
			page.text(x+4, y+height/2, 11, false, colour, page.fit(11, false, row[i].text, widths[i]-8))
		}
		x += widths[i]
	}
}

// columnsOf are the fields that the transformations leave, in their order.
func columnsOf(p board.Panel) []string {
	var fields []string
	order := map[string]int{}
	for _, t := range p.Transformations {
		fields = append(fields, t.Options.Include.Names...)
		for field, i := range t.Options.IndexByName {
			order[field] = i
		}
	}
	slices.SortStableFunc(fields, func(a, b string) int { return cmp.Compare(order[a], order[b]) })
	return fields
}

func heading(p board.Panel, field string) string {
	for _, t := range p.Transformations {
		if name := t.Options.RenameByName[field]; name != "" {
			return name
		}
	}
	return field
}

// merge makes a row of all answers that have the same labels, and sorts the rows.
func merge(p board.Panel, fields []string, answers []answer) [][]cell {
	var keys []string
	rows := map[string][]cell{}
	for _, a := range answers {
		var key strings.Builder
		for _, f := range fields {
			key.WriteString(a.labels[f] + "\x00")
		}
		row, ok := rows[key.String()]
		if !ok {
			row = make([]cell, len(fields))
			rows[key.String()], keys = row, append(keys, key.String())
		}
		value := "Value"
		if len(p.Targets) > 1 {
			value += " #" + p.Targets[a.query].RefID
		}
		for i, f := range fields {
			if text, ok := a.labels[f]; ok {
				row[i] = cell{text: text, filled: true}
			} else if f == value {
				row[i] = cell{inUnit(unitOf(p, heading(p, f)), a.last(), p.FieldConfig.Defaults.Decimals), a.last(), true}
			}
		}
	}
	sorted := make([][]cell, len(keys))
	for i, key := range keys {
		sorted[i] = rows[key]
	}
	for _, by := range p.Options.SortBy {
		i := slices.IndexFunc(fields, func(f string) bool { return heading(p, f) == by.DisplayName })
		slices.SortStableFunc(sorted, func(a, b []cell) int {
			less := cmp.Or(cmp.Compare(a[i].number, b[i].number), strings.Compare(a[i].text, b[i].text))
			if by.Desc {
				return -less
			}
			return less
		})
	}
	return sorted
}

func unitOf(p board.Panel, column string) string {
	unit := p.FieldConfig.Defaults.Unit
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if o.Matcher.Options == column && property.ID == "unit" {
				// The board's own test refuses what cannot be read.
				_ = json.Unmarshal(property.Value, &unit)
			}
		}
	}
	return unit
}

func linked(p board.Panel, column string) bool {
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if o.Matcher.Options == column && property.ID == "links" {
				return true
			}
		}
	}
	return false
}
