package backfill

// This file brings parts and changes together, so that the manifest names a place in the log from which the sink is the table.

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/metrics"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/view"
)

// settle carries the changes that happened meanwhile, and reads once more the
// rows that parts and changes together do not tell.
//
// There are such rows where an update gave a row a new key and left an
// out-of-line value out of the log: the row may have moved behind the backfill's
// back, from a key not yet read to one read before, and its value is nowhere.
// They are read from a snapshot whose place in the log is known exactly.
func (w *work) settle(ctx, stopping context.Context) (layout.Manifest, error) {
	manifest := w.manifest()
	// No part holds anything that is not before the log's end as it is now.
	end, err := w.Source.CurrentLSN(ctx, w.conn)
	if err != nil {
		return manifest, err
	}
	manifest.EndLSN = end
	if err := w.Changes.Drain(ctx, stopping, w.at, uint64(end)); err != nil {
		return manifest, err
	}
	if !w.at.Table.Toasted {
		return manifest, nil
	}
	unsettled, err := w.unsettled(ctx, uint64(end))
	if err != nil || len(unsettled) == 0 {
		return manifest, err
	}
	w.Log.Info("reading rows once more that parts and changes do not tell", "rows", len(unsettled))
	early, cancel := orStopping(ctx, stopping)
	defer cancel()
	err = w.Source.Snapshot(early, w.conn, func(lsn uint64, tx pgx.Tx) error {
		manifest.EndLSN = layout.LSN(lsn)
		return w.readSettled(ctx, stopping, tx, &manifest)
	})
	return manifest, err
}

func (w *work) unsettled(ctx context.Context, until uint64) ([][]string, error) {
	return view.NewReader(w.Sink).Unsettled(ctx, w.start.Epoch, uint64(w.start.LSN), until, w.keyNames())
}

func (w *work) keyNames() []string {
	names := make([]string, 0, len(w.at.Table.KeyOrder))
	for _, index := range w.at.Table.KeyOrder {
		names = append(names, w.at.Table.Schema.Columns[index].Name)
	}
	return names
}

// settledKeys is how many rows are asked for at once.
const settledKeys = 500

func (w *work) readSettled(ctx, stopping context.Context, tx pgx.Tx, manifest *layout.Manifest) error {
	found, err := w.Source.Describe(ctx, w.conn)
	if err != nil {
		return err
	}
	if found.OID != w.at.Table.OID || found.Schema.ID() != w.start.Schema {
		return source.ErrSchemaChanged
	}
	if err := w.Changes.Drain(ctx, stopping, w.at, uint64(manifest.EndLSN)); err != nil {
		return err
	}
	unsettled, err := w.unsettled(ctx, uint64(manifest.EndLSN))
	if err != nil {
		return err
	}
	rows := rowBuffer{maxRows: w.Part.MaxRows, maxBytes: w.Part.MaxBytes}
	for keys := range slices.Chunk(unsettled, settledKeys) {
		err := w.Source.ReadKeys(ctx, tx, found, keys, func(row []table.Cell) (bool, error) {
			if more, err := rows.add(row); more || err != nil {
				return true, err
			}
			return true, w.writeSettled(ctx, &rows, manifest)
		})
		if err != nil {
			return err
		}
	}
	return w.writeSettled(ctx, &rows, manifest)
}

// writeSettled makes what was gathered a part: many rows may have moved, and they need not all fit into memory.
func (w *work) writeSettled(ctx context.Context, rows *rowBuffer, manifest *layout.Manifest) error {
	if len(rows.rows) == 0 {
		return nil
	}
	part := layout.Part{Number: len(manifest.Settled) + 1, Format: w.Format, Schema: w.start.Schema, Rows: len(rows.rows), Run: w.Run}
	part.File = layout.SettledFile(w.Request.Key, w.Run, nonce(), w.Format)
	var err error
	if part.Bytes, err = w.writeRows(ctx, part.File, *rows); err != nil {
		return err
	}
	rows.rows, rows.bytes = nil, 0
	w.Metrics.Wrote(metrics.Snapshot, part.Rows, part.Bytes)
	manifest.Settled = append(manifest.Settled, part)
	return nil
}

func (w *work) manifest() layout.Manifest {
	manifest := layout.Manifest{
		Version:    1,
		Namespace:  w.Stream.Namespace,
		Stream:     w.Stream.Name,
		UID:        w.Stream.UID,
		BackfillID: w.Request.ID,
		Run:        w.Run,
		Epoch:      w.start.Epoch,
		Slot:       w.at.Slot,
		System:     w.at.System,
		Database:   w.Source.Spec.Database,
		Relation:   w.at.Relation,
		Key:        w.keyNames(),
		StartLSN:   w.start.LSN,
		// The time is for people; everything else goes by LSN.
		CompletedAt: time.Now().UTC().Truncate(time.Second),
	}
	if !w.Request.Scheduled {
		manifest.BackfillUID = w.Request.Key
	}
	for _, part := range w.parts {
		if part.Rows > 0 {
			manifest.Parts = append(manifest.Parts, part)
		}
	}
	manifest.Rows, manifest.Bytes = w.sums()
	return manifest
}
