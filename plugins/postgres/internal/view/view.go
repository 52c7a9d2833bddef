package view

// This file applies a backfill and the changes after it to an empty table.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// View is a table, held in memory.
type View struct {
	rows map[string]row
	// key are the names of the key's columns, in their own order.
	key []string
	// Applied counts the changes.
	Applied int
}

type row struct {
	schema *table.Schema
	cells  []table.Cell
}

// Build makes the table that the manifest and the changes before until add up to.
//
// A part may have been read after changes that are applied to it again here.
// That is right nonetheless: every change since StartLSN is applied in order, so
// a column ends with the value of the last change that carries it; a column
// that no change carries has had one value all the time, which is the part's,
// whenever that was read. The exceptions (see leavesUnsettled) were read once
// more at EndLSN. No change from StartLSN on is older than the parts' columns:
// the backfill sees to that.
func (r *Reader) Build(ctx context.Context, manifest *layout.Manifest, until uint64) (*View, error) {
	if until < uint64(manifest.EndLSN) {
		return nil, fmt.Errorf("the backfill is the table only from %s on, not yet at %s", manifest.EndLSN, layout.LSN(until))
	}
	v := newView(manifest.Key)
	for _, part := range manifest.Parts {
		if err := r.eachPartRow(ctx, part, v.put); err != nil {
			return nil, err
		}
	}
	if err := r.EachChange(ctx, manifest.Epoch, uint64(manifest.StartLSN), uint64(manifest.EndLSN), v.apply); err != nil {
		return nil, err
	}
	for _, part := range manifest.Settled {
		if err := r.eachPartRow(ctx, part, v.put); err != nil {
			return nil, err
		}
	}
	if err := r.EachChange(ctx, manifest.Epoch, uint64(manifest.EndLSN), until, v.apply); err != nil {
		return nil, err
	}
	return v, nil
}

func newView(key []string) *View {
	return &View{rows: map[string]row{}, key: slices.Sorted(slices.Values(key))}
}

// Len is the number of rows.
func (v *View) Len() int { return len(v.rows) }

// put upserts a row as it was read from the table.
func (v *View) put(schema *table.Schema, cells []table.Cell) error {
	key, err := v.keyOf(schema, cells)
	if err != nil {
		return err
	}
	v.rows[key] = row{schema, cells}
	return nil
}

// apply carries a change out.
func (v *View) apply(schema *table.Schema, change table.Change) error {
	v.Applied++
	if change.Op == table.Truncate {
		clear(v.rows)
		return nil
	}
	if err := v.rekey(schema); err != nil {
		return err
	}
	key, err := v.keyOf(schema, change.Cells)
	if err != nil {
		return err
	}
	switch change.Op {
	case table.Delete:
		delete(v.rows, key)
		return nil
	case table.Insert:
		v.rows[key] = row{schema, change.Cells}
		return nil
	case table.Update:
		from := key
		if change.OldKey != nil {
			if from, err = v.oldKeyOf(schema, change.OldKey); err != nil {
				return err
			}
		}
		before := v.rows[from]
		delete(v.rows, from)
		v.rows[key] = fill(row{schema, change.Cells}, before)
		return nil
	default:
		return fmt.Errorf("unknown change %q", change.Op)
	}
}

// fill takes what an update left alone from the row before.
func fill(changed, before row) row {
	if before.schema == nil {
		return changed
	}
	for index, cell := range changed.cells {
		if cell.State != table.Unchanged {
			continue
		}
		if from := before.schema.Index(changed.schema.Columns[index].Name); from >= 0 {
			changed.cells[index] = before.cells[from]
		}
	}
	return changed
}

// errNoKey: a row lacks a column of the key, so it cannot be told from others.
var errNoKey = errors.New("the row has no key")

// keyOf is a row's key in a form that does not depend on the order of columns.
func (v *View) keyOf(schema *table.Schema, cells []table.Cell) (string, error) {
	key := make([]table.Cell, len(v.key))
	for place, name := range v.key {
		index := schema.Index(name)
		if index < 0 || cells[index].State != table.Value {
			return "", fmt.Errorf("%w: %q", errNoKey, name)
		}
		key[place] = cells[index]
	}
	return table.KeyText(key), nil
}

func (v *View) oldKeyOf(schema *table.Schema, oldKey []table.Cell) (string, error) {
	cells := make([]table.Cell, len(schema.Columns))
	for place, index := range schema.KeyColumns() {
		cells[index] = oldKey[place]
	}
	return v.keyOf(schema, cells)
}

// rekey follows a table whose key was changed.
func (v *View) rekey(schema *table.Schema) error {
	var names []string
	for _, index := range schema.KeyColumns() {
		names = append(names, schema.Columns[index].Name)
	}
	slices.Sort(names)
	if slices.Equal(names, v.key) {
		return nil
	}
	former := v.rows
	v.key, v.rows = names, make(map[string]row, len(former))
	for _, row := range former {
		if err := v.put(row.schema, row.cells); err != nil {
			return err
		}
	}
	return nil
}

// Difference is a key whose rows differ, and how.
type Difference struct {
	Key  string
	What string
}

// Compare takes a row of the source out of the view and says how the two
// differ; nil where they do not. What is left in the end is in the sink only.
func (v *View) Compare(schema *table.Schema, cells []table.Cell) (*Difference, error) {
	canonical := make([]table.Cell, len(cells))
	for index, cell := range cells {
		if cell.State == table.Value {
			text, err := schema.Columns[index].Canonical(cell.Text)
			if err != nil {
				return nil, fmt.Errorf("column %q: %w", schema.Columns[index].Name, err)
			}
			canonical[index] = table.TextCell(text)
		}
	}
	key, err := v.keyOf(schema, canonical)
	if err != nil {
		return nil, err
	}
	shown := v.show(schema, canonical)
	have, found := v.rows[key]
	if !found {
		return &Difference{Key: shown, What: "is missing in the sink"}, nil
	}
	delete(v.rows, key)
	var different []string
	for index, column := range schema.Columns {
		var cell table.Cell
		if from := have.schema.Index(column.Name); from >= 0 {
			cell = have.cells[from]
		}
		if cell != canonical[index] {
			different = append(different, column.Name)
		}
	}
	if different == nil {
		return nil, nil //nolint:nilnil // no difference is an answer
	}
	return &Difference{Key: shown, What: "differs in " + strings.Join(different, ", ")}, nil
}

// Rest are the rows that Compare was not asked for.
func (v *View) Rest() []Difference {
	rest := make([]Difference, 0, len(v.rows))
	for _, key := range slices.Sorted(maps.Keys(v.rows)) {
		rest = append(rest, Difference{Key: v.show(v.rows[key].schema, v.rows[key].cells), What: "is in the sink only"})
	}
	return rest
}

// show is a key for people: (id=1, tenant=x).
func (v *View) show(schema *table.Schema, cells []table.Cell) string {
	parts := make([]string, len(v.key))
	for place, name := range v.key {
		parts[place] = name + "=" + cells[schema.Index(name)].Text
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
