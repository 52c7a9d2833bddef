// Package epoch keeps the promise that no change is lost unnoticed: it begins, continues or gives up the run of changes that one slot brings.
package epoch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
)

// Keeper looks after the epoch of one stream.
type Keeper struct {
	Source source.Source
	Sink   *sink.Sink
	Stream job.Stream
	Run    int64
	Log    *slog.Logger
}

// Position is where the stream stands: its epoch, and how far its slot has been confirmed.
type Position struct {
	layout.Epoch

	Confirmed layout.LSN
	Table     source.Table
}

// ForBackfill returns the epoch that a backfill belongs to. It keeps the one
// there is, and begins a new one where changes have been lost: the backfill
// makes up for them.
func (k Keeper) ForBackfill(ctx context.Context, conn *pgx.Conn) (Position, error) {
	known, want, found, err := k.look(ctx, conn)
	if err != nil {
		return Position{}, err
	}
	slot, reason, err := k.continuity(ctx, conn, known, want)
	if err != nil {
		return Position{}, err
	}
	if reason == "" {
		return Position{Epoch: *known, Confirmed: slot.Confirmed, Table: found}, nil
	}
	return k.begin(ctx, conn, known, want, found, reason)
}

// ForStream returns the epoch that streaming continues. Changes that are lost
// are a gap, for only a backfill can make up for them. A stream that never had
// an epoch, because it was created without an initial backfill, begins one.
func (k Keeper) ForStream(ctx context.Context, conn *pgx.Conn) (Position, error) {
	known, want, found, err := k.look(ctx, conn)
	if err != nil {
		return Position{}, err
	}
	slot, reason, err := k.continuity(ctx, conn, known, want)
	if err != nil {
		return Position{}, err
	}
	switch {
	case reason == "":
		return Position{Epoch: *known, Confirmed: slot.Confirmed, Table: found}, nil
	case known == nil && slot != nil:
		return Position{}, exit.Gapf("slot %s exists, but the sink has no file of this stream: was the sink changed? A backfill has to fill it", want.Slot)
	case known == nil || !known.Ready:
		return k.begin(ctx, conn, known, want, found, reason)
	}
	return Position{}, exit.Gapf("changes are lost: %s; a backfill has to make up for them", reason)
}

// look reads what the sink remembers and what the source has now.
func (k Keeper) look(ctx context.Context, conn *pgx.Conn) (known *layout.Epoch, want layout.Epoch, found source.Table, err error) {
	system, database, err := k.Source.Server(ctx, conn)
	if err != nil {
		return nil, want, found, err
	}
	if found, err = k.Source.Describe(ctx, conn); err != nil {
		return nil, want, found, err
	}
	slot := k.Stream.SlotName()
	want = layout.Epoch{
		Slot:        slot,
		Publication: k.Source.Publication(slot),
		System:      system,
		DatabaseOID: database,
		RelationOID: found.OID,
		Relation:    found.Schema.Relation,
		Run:         k.Run,
	}
	var stored layout.Epoch
	err = k.Sink.GetJSON(ctx, layout.EpochKey, &stored)
	if errors.Is(err, sink.ErrNotFound) {
		return nil, want, found, nil
	}
	if err != nil {
		return nil, want, found, err
	}
	if k.Run != 0 && stored.Run > k.Run {
		return nil, want, found, exit.Transientf("run %d of this stream has taken over from run %d", stored.Run, k.Run)
	}
	return &stored, want, found, nil
}

// continuity returns why the changes do not continue; no reason: they do.
func (k Keeper) continuity(ctx context.Context, conn *pgx.Conn, known *layout.Epoch, want layout.Epoch) (*source.Slot, string, error) {
	slot, err := k.Source.FindSlot(ctx, conn, want.Slot)
	if err != nil {
		return nil, "", err
	}
	publishes, err := k.Source.Publishes(ctx, conn, want.Publication, want.RelationOID)
	if err != nil {
		return nil, "", err
	}
	switch {
	case known == nil:
		return slot, "the stream is new to its sink", nil
	case !known.Ready:
		return slot, "the slot was being created when its job ended", nil
	case slot == nil:
		return nil, "slot " + want.Slot + " does not exist any more", nil
	case slot.Lost:
		return slot, "slot " + want.Slot + " was invalidated: the source removed WAL that it still needed (max_slot_wal_keep_size)", nil
	case !known.SameSource(want):
		return slot, "the source is another server, database or table than before, or the table was created anew", nil
	case !publishes:
		return slot, "publication " + want.Publication + " does not exist any more, or leaves out some of the table's changes", nil
	case slot.Confirmed < known.StartLSN:
		return slot, "slot " + want.Slot + " is behind the place where this stream created it", nil
	}
	return slot, "", nil
}

// begin starts a new epoch. It is written down before the old slot goes and
// marked ready after the new one is there: killed at any point between, the
// next job comes here again.
func (k Keeper) begin(ctx context.Context, conn *pgx.Conn, known *layout.Epoch, want layout.Epoch, found source.Table, reason string) (Position, error) {
	next := want
	next.Number = 1
	if known != nil {
		next.Number = known.Number + 1
	}
	next.CreatedAt = time.Now().UTC().Truncate(time.Second)
	k.Log.Info("beginning a new run of changes", "epoch", next.Number, "slot", next.Slot, "publication", next.Publication, "reason", reason)
	// The sink first: where it cannot be written to, a slot would only fill the source's disk.
	if err := k.Sink.PutJSON(ctx, layout.EpochKey, next); err != nil {
		return Position{}, err
	}
	if err := k.Source.DropSlot(ctx, conn, next.Slot); err != nil {
		return Position{}, err
	}
	// The publication must be there before the first change that the slot decodes.
	if err := k.Source.EnsurePublication(ctx, conn, next.Slot, found); err != nil {
		return Position{}, err
	}
	start, err := k.Source.CreateSlot(ctx, conn, next.Slot)
	if err != nil {
		return Position{}, err
	}
	next.StartLSN, next.Ready = start, true
	if err := k.Sink.PutJSON(ctx, layout.EpochKey, next); err != nil {
		return Position{}, err
	}
	return Position{Epoch: next, Confirmed: start, Table: found}, nil
}

// StillWhole looks, while a job streams, whether the table is still the one that
// is followed: a table that was dropped and created anew is silent otherwise.
func (k Keeper) StillWhole(ctx context.Context, conn *pgx.Conn, at Position) error {
	// The publication first: a table that goes takes its place in the publication
	// with it, and the message had better say that the table is gone.
	publishes, err := k.Source.Publishes(ctx, conn, at.Publication, at.RelationOID)
	if err != nil {
		return err
	}
	found, err := k.Source.Describe(ctx, conn)
	switch {
	case err != nil:
		return err
	case found.OID != at.RelationOID:
		return exit.Gapf("table %s was dropped and created anew; a backfill has to read it", at.Relation)
	case !publishes:
		return exit.Gapf("publication %s does not exist any more, or leaves out some of the table's changes; a backfill has to make up for them", at.Publication)
	}
	return nil
}
