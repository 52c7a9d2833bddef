package backfill

// This file reads and writes one part.

import (
	"context"
	"errors"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/metrics"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// rowBuffer gathers rows up to a limit.
type rowBuffer struct {
	rows     [][]table.Cell
	bytes    int
	maxRows  int
	maxBytes int
}

func (b *rowBuffer) add(row []table.Cell) (more bool, err error) {
	b.rows = append(b.rows, row)
	b.bytes += table.Size(row)
	return !b.isFull(), nil
}

func (b *rowBuffer) isFull() bool { return len(b.rows) >= b.maxRows || b.bytes >= b.maxBytes }

// nextPart reads the rows behind the last finished part and makes them a part.
//
// Each part is read from a snapshot of its own, later than the one before. That
// loses nothing: the slot was there before the first of them, so every change
// since is in the files of changes and is applied to the parts afterwards.
func (w *work) nextPart(ctx, stopping context.Context) error {
	early, cancel := orStopping(ctx, stopping)
	defer cancel()
	part := layout.Part{Number: len(w.parts) + 1, Format: w.Format, Schema: w.start.Schema, Run: w.Run}
	var after []string
	if len(w.parts) > 0 {
		after = w.parts[len(w.parts)-1].LastKey
	}
	rows := rowBuffer{maxRows: w.Part.MaxRows, maxBytes: w.Part.MaxBytes}
	if err := w.Source.ReadChunk(ctx, early, w.conn, w.at.Table, after, w.Part.MaxRows, rows.add); err != nil {
		return err
	}
	part.Rows, part.Last = len(rows.rows), !rows.isFull()
	if part.Rows > 0 {
		last := rows.rows[part.Rows-1]
		for _, index := range w.at.Table.KeyOrder {
			part.LastKey = append(part.LastKey, last[index].Text)
		}
		part.File = layout.PartFile(w.Request.Key, part.Number, w.Run, nonce(), w.Format)
		var err error
		if part.Bytes, err = w.writeRows(ctx, part.File, rows); err != nil {
			return err
		}
	}
	if err := w.finish(ctx, part); err != nil {
		return err
	}
	if part.File != "" {
		w.Metrics.Wrote(metrics.Snapshot, part.Rows, part.Bytes)
	}
	w.parts = append(w.parts, part)
	total, bytes := w.sums()
	w.Log.Info("progress", "part", part.Number, "rows", total, "bytes", bytes)
	return nil
}

// finish makes the part count. Where another run has finished the same part
// meanwhile, that one counts, and this run must not go on from its own.
func (w *work) finish(ctx context.Context, part layout.Part) error {
	err := w.Sink.PutNewJSON(ctx, layout.PartKey(w.Request.Key, part.Number), part)
	if !errors.Is(err, sink.ErrExists) {
		return err
	}
	if part.File != "" {
		err = errors.Join(w.meet(err), w.Sink.Delete(ctx, part.File))
	}
	return w.meet(err)
}
