// Package stream carries changes from the slot to files, and tells PostgreSQL how far they are durable.
package stream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/epoch"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/metrics"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/rowfile"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
)

// Stream carries the changes of one epoch.
type Stream struct {
	Source source.Source
	Sink   *sink.Sink
	Keeper epoch.Keeper
	Format spec.Format
	Batch  spec.Batch
	Origin rowfile.Origin
	Log    *slog.Logger
	// Patience is how long the source may be away, or the slot in use, before the job gives up.
	Patience time.Duration
	// CheckEvery is how often the table is looked at for being the same.
	CheckEvery time.Duration
	// Metrics are told what is durable.
	Metrics *metrics.Metrics
}

// forever is an LSN that no stream reaches.
const forever = ^uint64(0)

// Run streams until stopping is done, which is a good end: what has been
// received is durable and confirmed when Run returns nil. Where ctx itself
// ends, Run returns without that.
func (s *Stream) Run(ctx, stopping context.Context, at epoch.Position) error {
	return s.run(ctx, stopping, at, forever)
}

// Drain streams until every change before the LSN is durable and confirmed. It
// returns exit.ErrInterrupted where stopping is done before.
func (s *Stream) Drain(ctx, stopping context.Context, at epoch.Position, until uint64) error {
	if err := s.run(ctx, stopping, at, until); err != nil {
		return err
	}
	if stopping.Err() != nil {
		return exit.ErrInterrupted
	}
	return nil
}

// run opens one session after the other while the source comes and goes.
func (s *Stream) run(ctx, stopping context.Context, at epoch.Position, until uint64) error {
	err := source.Patiently(ctx, stopping, s.Patience, s.Log, func() (bool, error) {
		var progress bool
		var err error
		at.Confirmed, progress, err = s.session(ctx, stopping, at, until)
		return progress, err
	})
	if errors.Is(err, source.ErrStopped) {
		return nil
	}
	if exit.Code(err) == exit.Gap {
		err = errors.Join(err, s.Keeper.Lose(ctx, at, err.Error()))
	}
	return err
}

// session is one connection's life. It returns how far the sink has come, and whether this session made it come further: what
// another process confirms, which has the slot, is not the progress of this one, and must not keep it waiting for ever.
func (s *Stream) session(ctx, stopping context.Context, at epoch.Position, until uint64) (confirmed layout.LSN, progress bool, err error) {
	catalog, err := s.Source.Connect(ctx)
	if err != nil {
		return at.Confirmed, false, source.LetInBefore(err)
	}
	defer func() { err = closing(err, catalog.Close(ctx)) }()
	if at.Confirmed, err = s.confirmed(ctx, catalog, at); err != nil {
		return at.Confirmed, false, err
	}
	durable, err := s.durable(ctx, catalog, at)
	if err != nil {
		return at.Confirmed, false, err
	}
	conn, err := s.Source.ConnectReplication(ctx)
	if err != nil {
		return at.Confirmed, false, source.LetInBefore(err)
	}
	defer func() { err = closing(err, conn.Close(ctx)) }()
	if err := s.Keeper.SameServer(ctx, conn, at); err != nil {
		return at.Confirmed, false, err
	}

	c := &consumer{
		Stream:  s,
		at:      at,
		until:   until,
		wire:    &wire{conn: conn},
		catalog: catalog,
		decoder: newDecoder(catalog, s.Source, at, durable),
		checked: time.Now(),
		// The server reads its log from an older place than the confirmed one, and
		// says so in keepalives. The confirmed position must never go back to that.
		received:  uint64(at.Confirmed),
		confirmed: uint64(at.Confirmed),
	}
	if err := c.wire.start(ctx, at.Slot, at.Publication); err != nil {
		return at.Confirmed, false, err
	}
	// The slot is this process's now, so that a former one has noted where it left it.
	if err := s.Keeper.Enter(ctx, at); err != nil {
		return at.Confirmed, false, err
	}
	if until != forever {
		if err := s.Source.Mark(ctx, catalog); err != nil {
			return at.Confirmed, false, err
		}
	}
	s.Log.Info("streaming", "slot", at.Slot, "epoch", at.Epoch.Number, "confirmed", at.Confirmed.String())
	err = c.consume(ctx, stopping)
	return layout.LSN(c.confirmed), layout.LSN(c.confirmed) > at.Confirmed, err
}

// confirmed is how far the source knows that the sink has come. What this process
// has confirmed before does not count: a source that crashed may have forgotten it,
// and one that was put back to an older state goes on from there.
func (s *Stream) confirmed(ctx context.Context, catalog *pgx.Conn, at epoch.Position) (layout.LSN, error) {
	if err := s.Source.AwaitPrimary(ctx, catalog); err != nil {
		return at.Confirmed, err
	}
	slot, err := s.Source.FindSlot(ctx, catalog, at.Slot)
	if err != nil {
		return at.Confirmed, err
	}
	if slot == nil || slot.Lost {
		return at.Confirmed, exit.Gapf("slot %s is lost; a backfill has to make up for the changes since %s", at.Slot, at.Confirmed)
	}
	return slot.Confirmed, nil
}

// closing keeps the error that matters: a connection that is closed after an error may well fail to.
func closing(err, closeErr error) error {
	if err != nil || closeErr == nil {
		return err
	}
	return source.Judge("close a connection", closeErr)
}

// durable is the last change that the sink already holds. Confirmation comes
// after the file, so a job that was killed between the two is sent changes
// again that are in a file; they are left out, and no file overlaps another.
func (s *Stream) durable(ctx context.Context, catalog *pgx.Conn, at epoch.Position) (layout.Place, error) {
	last := layout.Place{LSN: 0, Seq: -1}
	end, err := s.Source.CurrentLSN(ctx, catalog)
	if err != nil {
		return last, err
	}
	// Only files that begin behind the confirmed position can hold what will be sent again.
	for begin := uint64(at.Confirmed); begin>>32 <= uint64(end)>>32; begin += 1 << 32 {
		keys, err := s.Sink.List(ctx, layout.SegmentKey(at.Epoch.Number, begin))
		if err != nil {
			return last, err
		}
		for _, key := range keys {
			file, ours := layout.ParseChangeFile(key)
			if ours && last.Before(file.Last) {
				last = file.Last
			}
		}
	}
	if last.LSN >= uint64(end) {
		return last, exit.Gapf("the source was put back to a state from before: its log ends at %s, and the sink has a change from %s; a backfill has to bring the two together", end, layout.LSN(last.LSN))
	}
	return last, nil
}
