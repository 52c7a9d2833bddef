// Package view puts a table together from the files of its stream, as any reader of them would.
package view

import (
	"context"
	"fmt"
	"slices"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/rowfile"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// Reader reads one stream's files.
type Reader struct {
	sink    *sink.Sink
	schemas map[string]*table.Schema
}

// NewReader returns a Reader of the files in s.
func NewReader(s *sink.Sink) *Reader {
	return &Reader{sink: s, schemas: map[string]*table.Schema{}}
}

// Latest is the manifest of the latest completed backfill; nil where there is none.
func (r *Reader) Latest(ctx context.Context) (*layout.Manifest, error) {
	keys, err := r.sink.List(ctx, layout.BackfillsKey)
	if err != nil {
		return nil, err
	}
	var latest *layout.Manifest
	for _, key := range keys {
		if !layout.IsManifest(key) {
			continue
		}
		var manifest layout.Manifest
		if err := r.sink.GetJSON(ctx, key, &manifest); err != nil {
			return nil, err
		}
		if latest == nil || manifest.Epoch > latest.Epoch || (manifest.Epoch == latest.Epoch && manifest.EndLSN > latest.EndLSN) {
			latest = &manifest
		}
	}
	return latest, nil
}

func (r *Reader) schema(ctx context.Context, id string) (*table.Schema, error) {
	if schema, known := r.schemas[id]; known {
		return schema, nil
	}
	var schema table.Schema
	if err := r.sink.GetJSON(ctx, layout.SchemaKey(id), &schema); err != nil {
		return nil, err
	}
	r.schemas[id] = &schema
	return &schema, nil
}

// EachChange visits the changes from one LSN up to, and without, another, in
// their order and each once, although files may overlap.
func (r *Reader) EachChange(ctx context.Context, epoch int, from, until uint64, visit func(*table.Schema, table.Change) error) error {
	files, err := r.changeFiles(ctx, epoch, from, until)
	if err != nil {
		return err
	}
	last := layout.Place{LSN: from, Seq: -1}
	for _, file := range files {
		if !last.Before(file.Last) {
			continue
		}
		if err := r.eachChangeOf(ctx, file, until, &last, visit); err != nil {
			return fmt.Errorf("%s: %w", file.Key(), err)
		}
	}
	return nil
}

func (r *Reader) eachChangeOf(ctx context.Context, file layout.ChangeFile, until uint64, last *layout.Place, visit func(*table.Schema, table.Change) error) error {
	schema, err := r.schema(ctx, file.Schema)
	if err != nil {
		return err
	}
	data, err := r.sink.Get(ctx, file.Key())
	if err != nil {
		return err
	}
	changes, err := rowfile.DecodeChanges(file.Format, *schema, data)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if change.LSN >= until {
			return nil
		}
		if !change.After(last.LSN, last.Seq) {
			continue
		}
		*last = layout.Place{LSN: change.LSN, Seq: change.Seq}
		if err := visit(schema, change); err != nil {
			return err
		}
	}
	return nil
}

// changeFiles are the files that hold changes of a range, in order of their first:
// that is how their names sort, and the sink lists by name.
func (r *Reader) changeFiles(ctx context.Context, epoch int, from, until uint64) ([]layout.ChangeFile, error) {
	keys, err := r.sink.List(ctx, layout.ChangesKey(epoch))
	if err != nil {
		return nil, err
	}
	var files []layout.ChangeFile
	for _, key := range keys {
		file, ours := layout.ParseChangeFile(key)
		if ours && file.Last.LSN >= from && file.First.LSN < until {
			files = append(files, file)
		}
	}
	return files, nil
}

// eachPartRow visits the rows of a part.
func (r *Reader) eachPartRow(ctx context.Context, part layout.Part, visit func(*table.Schema, []table.Cell) error) error {
	schema, err := r.schema(ctx, part.Schema)
	if err != nil {
		return err
	}
	data, err := r.sink.Get(ctx, part.File)
	if err != nil {
		return err
	}
	rows, err := rowfile.DecodeRows(part.Format, *schema, data)
	if err != nil {
		return fmt.Errorf("%s: %w", part.File, err)
	}
	if len(rows) != part.Rows {
		return fmt.Errorf("%s: has %d rows, the manifest says %d", part.File, len(rows), part.Rows)
	}
	for _, row := range rows {
		if err := visit(schema, row); err != nil {
			return fmt.Errorf("%s: %w", part.File, err)
		}
	}
	return nil
}

// Unsettled lists the keys of rows in the range whose content the parts and the
// changes alone do not tell, as leavesUnsettled says. A key has the columns' texts in
// the order of their names here.
func (r *Reader) Unsettled(ctx context.Context, epoch int, from, until uint64, names []string) ([][]string, error) {
	var keys [][]string
	seen := map[string]bool{}
	err := r.EachChange(ctx, epoch, from, until, func(schema *table.Schema, change table.Change) error {
		if !leavesUnsettled(change) {
			return nil
		}
		cells := make([]table.Cell, len(names))
		texts := make([]string, len(names))
		for place, name := range names {
			// A change of other columns belongs to a table that has changed, and is read anew.
			if index := schema.Index(name); index >= 0 {
				cells[place], texts[place] = change.Cells[index], change.Cells[index].Text
			}
		}
		if text := table.KeyText(cells); !seen[text] {
			seen[text] = true
			keys = append(keys, texts)
		}
		return nil
	})
	return keys, err
}

// leavesUnsettled reports whether a change gave the row a new key and left a
// column out: the value stands under the former key, where the backfill may not
// have met it.
func leavesUnsettled(change table.Change) bool {
	return change.OldKey != nil && slices.ContainsFunc(change.Cells, func(cell table.Cell) bool { return cell.State == table.Unchanged })
}
