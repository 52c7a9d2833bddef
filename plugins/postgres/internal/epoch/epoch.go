// Package epoch keeps the promise that no change is lost unnoticed: it begins, continues or gives up the run of changes that one slot brings.
package epoch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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
	if err := k.Source.CheckReadable(ctx, conn, found); err != nil {
		return Position{}, err
	}
	slot, reason, err := k.continuity(ctx, conn, known, want)
	if err != nil {
		return Position{}, err
	}
	if reason == "" {
		return position(*known, want, slot, found), nil
	}
	// What a stream had is lost, here or in another sink. A stream that never had
	// anything, or whose first slot was never finished, has lost nothing.
	if known != nil {
		want.Owed = known.Ready || known.Owed
	} else if want.Owed, err = k.hadSomething(ctx, slot); err != nil {
		return Position{}, err
	}
	return k.begin(ctx, conn, known, want, found, reason)
}

func position(known, want layout.Epoch, slot *source.Slot, found source.Table) Position {
	known.PublicationState = want.PublicationState
	return Position{Epoch: known, Confirmed: slot.Confirmed, Table: found}
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
	if known != nil && known.Owed {
		if known.Owed, err = k.owes(ctx, *known); err != nil {
			return Position{}, err
		}
	}
	had := false
	if known == nil {
		if had, err = k.hadSomething(ctx, slot); err != nil {
			return Position{}, err
		}
	}
	switch {
	case had:
		return Position{}, exit.Gapf("the sink does not know slot %s, but there is one, or the sink has older files: was the sink changed? A backfill has to fill it", want.Slot)
	case known != nil && known.Owed:
		return Position{}, exit.Gapf("changes were lost, and the backfill that was to make up for them has not been completed")
	case reason == "":
		return position(*known, want, slot, found), nil
	case known == nil || !known.Ready:
		return k.begin(ctx, conn, known, want, found, reason)
	}
	return Position{}, exit.Gapf("changes are lost: %s; a backfill has to make up for them", reason)
}

// hadSomething reports whether a stream that its sink does not know has been here
// before, or elsewhere: its slot says so, or files.
func (k Keeper) hadSomething(ctx context.Context, slot *source.Slot) (bool, error) {
	if slot != nil {
		return true, nil
	}
	last, err := k.lastEpoch(ctx, nil)
	return last > 0, err
}

// owes reports whether no backfill of the epoch has been completed yet.
func (k Keeper) owes(ctx context.Context, known layout.Epoch) (bool, error) {
	manifests, err := k.manifests(ctx)
	return !slices.ContainsFunc(manifests, func(m layout.Manifest) bool { return m.Epoch == known.Number }), err
}

// manifests are those of all completed backfills.
func (k Keeper) manifests(ctx context.Context) ([]layout.Manifest, error) {
	keys, err := k.Sink.List(ctx, layout.BackfillsKey)
	if err != nil {
		return nil, err
	}
	var manifests []layout.Manifest
	for _, key := range keys {
		if !layout.IsManifest(key) {
			continue
		}
		var manifest layout.Manifest
		if err := k.Sink.GetJSON(ctx, key, &manifest); err != nil {
			return nil, err
		}
		manifests = append(manifests, manifest)
	}
	return manifests, nil
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
	published, err := k.Source.Published(ctx, conn, want.Publication, want.RelationOID)
	if err != nil {
		return nil, want, found, err
	}
	if published.Whole {
		want.PublicationState = published.State
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
	end, err := k.Source.CurrentLSN(ctx, conn)
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
		return slot, "slot " + want.Slot + " was invalidated: the source removed WAL that it still needed (max_slot_wal_keep_size), or nobody read it for too long (idle_replication_slot_timeout)", nil
	case !known.SameSource(want):
		return slot, "the source is another server, database or table than before, or the table was created anew", nil
	case known.Lost != "":
		return slot, known.Lost, nil
	case want.PublicationState == "":
		return slot, "publication " + want.Publication + " does not exist any more, or leaves out some of the table's changes", nil
	case known.PublicationState != "" && known.PublicationState != want.PublicationState:
		return slot, "publication " + want.Publication + " was changed meanwhile and may have left changes out", nil
	case slot.Confirmed < known.StartLSN || known.Left > end:
		return slot, "the source was put back to a state from before: its log ends, or its slot stands, where the sink was already past", nil
	case known.Left != 0 && slot.Confirmed > known.Left:
		return slot, fmt.Sprintf("slot %s stands at %s, and this sink left it at %s: somebody else has read from it", want.Slot, slot.Confirmed, known.Left), nil
	}
	return slot, "", nil
}

// slowSlot is when it is said why a slot takes its time.
const slowSlot = 2 * time.Second

// begin starts a new epoch. It is written down before the old slot goes and
// marked ready after the new one is there: killed at any point between, the
// next job comes here again.
func (k Keeper) begin(ctx context.Context, conn *pgx.Conn, known *layout.Epoch, want layout.Epoch, found source.Table, reason string) (Position, error) {
	next := want
	last, err := k.lastEpoch(ctx, known)
	if err != nil {
		return Position{}, err
	}
	next.Number, next.PublicationState = last+1, ""
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
	slow := time.AfterFunc(slowSlot, func() {
		k.Log.Info("the slot is still being created: PostgreSQL waits until all transactions have ended that were writing, in whatever database", "slot", next.Slot)
	})
	defer slow.Stop()
	start, err := k.Source.CreateSlot(ctx, conn, next.Slot)
	if err != nil {
		return Position{}, err
	}
	published, err := k.Source.Published(ctx, conn, next.Publication, next.RelationOID)
	if err != nil {
		return Position{}, err
	}
	if !published.Whole {
		return Position{}, exit.Transientf("publication %s was changed while the slot was created", next.Publication)
	}
	next.StartLSN, next.Ready, next.PublicationState = start, true, published.State
	if err := k.Sink.PutJSON(ctx, layout.EpochKey, next); err != nil {
		return Position{}, err
	}
	return Position{Epoch: next, Confirmed: start, Table: found}, nil
}

// lastEpoch is the number of the newest run of changes of which the sink has
// something. A sink that has lost its memory may hold files of an older one still.
func (k Keeper) lastEpoch(ctx context.Context, known *layout.Epoch) (int, error) {
	if known != nil {
		return known.Number, nil
	}
	last := 0
	keys, err := k.Sink.List(ctx, layout.AllChangesKey)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if file, ours := layout.ParseChangeFile(key); ours {
			last = max(last, file.Epoch)
		}
	}
	manifests, err := k.manifests(ctx)
	for _, manifest := range manifests {
		last = max(last, manifest.Epoch)
	}
	return last, err
}

// Enter notes that the slot is read from now on. It comes before the first
// confirmation: how far the slot stands says nothing until Leave.
func (k Keeper) Enter(ctx context.Context, at Position) error {
	return k.note(ctx, at, func(stored *layout.Epoch) {
		stored.Left, stored.Owed, stored.PublicationState = 0, at.Owed, at.PublicationState
	})
}

// Leave notes how far the slot has been confirmed, so that the next reader sees whether somebody else has read from it.
func (k Keeper) Leave(ctx context.Context, at Position, confirmed layout.LSN) error {
	return k.note(ctx, at, func(stored *layout.Epoch) { stored.Left = confirmed })
}

// Lose notes a loss that the source does not show by itself, so that the backfill
// that answers it begins a new run of changes.
func (k Keeper) Lose(ctx context.Context, at Position, why string) error {
	return k.note(ctx, at, func(stored *layout.Epoch) { stored.Lost = why })
}

// note changes what the sink remembers of an epoch, unless another has begun meanwhile.
func (k Keeper) note(ctx context.Context, at Position, change func(*layout.Epoch)) error {
	var stored layout.Epoch
	if err := k.Sink.GetJSON(ctx, layout.EpochKey, &stored); err != nil {
		return err
	}
	if stored.Number != at.Number || !stored.Ready {
		return exit.Transientf("another job of this stream has begun epoch %d, while this one was in epoch %d", stored.Number, at.Number)
	}
	before := stored
	change(&stored)
	if stored == before {
		return nil
	}
	return k.Sink.PutJSON(ctx, layout.EpochKey, stored)
}

// SameServer looks whether a connection leads to the server whose changes the epoch holds.
func (k Keeper) SameServer(ctx context.Context, replication *pgconn.PgConn, at Position) error {
	system, err := k.Source.Identify(ctx, replication)
	if err != nil {
		return err
	}
	if system != at.System {
		return exit.Gapf("the source is another server than before (%s, it was %s); a backfill has to make up for the changes", system, at.System)
	}
	return nil
}

// StillWhole looks, while a job streams, whether the table is still the one that
// is followed: a table that was dropped and created anew is silent otherwise.
func (k Keeper) StillWhole(ctx context.Context, conn *pgx.Conn, at Position) error {
	// The publication first: a table that goes takes its place in the publication
	// with it, and the message had better say that the table is gone.
	published, err := k.Source.Published(ctx, conn, at.Publication, at.RelationOID)
	if err != nil {
		return err
	}
	found, err := k.Source.Describe(ctx, conn)
	switch {
	case err != nil:
		return err
	case found.OID != at.RelationOID:
		return exit.Gapf("table %s was dropped and created anew; a backfill has to read it", at.Relation)
	case !published.Whole:
		return exit.Gapf("publication %s does not exist any more, or leaves out some of the table's changes; a backfill has to make up for them", at.Publication)
	case published.State != at.PublicationState:
		return exit.Gapf("publication %s was changed and may have left changes out; a backfill has to make up for them", at.Publication)
	}
	return nil
}
