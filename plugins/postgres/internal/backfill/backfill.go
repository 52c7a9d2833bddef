// Package backfill reads the whole table, part by part, while it is being written to.
package backfill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/epoch"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/metrics"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/rowfile"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/stream"
)

// Backfill is one request's backfill.
type Backfill struct {
	Source source.Source
	Sink   *sink.Sink
	Keeper epoch.Keeper
	// Changes carries what happened meanwhile, at the end.
	Changes *stream.Stream
	Stream  job.Stream
	Request job.Backfill
	Run     int64
	Format  spec.Format
	Part    spec.Part
	Origin  rowfile.Origin
	Log     *slog.Logger
	// Patience is how long the source may be away before the job gives up.
	Patience time.Duration
	// Metrics are told what is durable.
	Metrics *metrics.Metrics
	// DrainEvery is how often the changes are carried while the table is read.
	DrainEvery time.Duration
}

// Do runs the backfill to its end, or until stopping is done: then it returns
// exit.ErrInterrupted at the end of a part, and the next run with the same
// request goes on behind that part.
func (b *Backfill) Do(ctx, stopping context.Context) error {
	parts, letIn := -1, false
	err := source.Patiently(ctx, stopping, b.Patience, b.Log, func() (bool, error) {
		before := parts
		var err error
		if parts, err = b.attempt(ctx, stopping); letIn {
			err = source.LetInBefore(err)
		}
		// It has read something, so it was let in.
		letIn = letIn || parts > 0
		return parts != before, err
	})
	if errors.Is(err, source.ErrStopped) {
		return exit.ErrInterrupted
	}
	if stopping.Err() != nil && (errors.Is(err, context.Canceled) || exit.Code(err) == exit.Transient) {
		return exit.ErrInterrupted
	}
	return err
}

// orStopping returns a context that ends with either. What may wait long for
// other transactions is broken off at once; the writing of a part is not.
func orStopping(ctx, stopping context.Context) (context.Context, context.CancelFunc) {
	either, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(stopping, cancel)
	return either, func() {
		release()
		cancel()
	}
}

// attempt goes as far as one connection goes. All that it knows from before is in the sink.
func (b *Backfill) attempt(ctx, stopping context.Context) (parts int, err error) {
	early, cancel := orStopping(ctx, stopping)
	defer cancel()
	switch _, err := b.Sink.Get(ctx, layout.ManifestKey(b.Request.Key)); {
	case err == nil:
		b.Log.Info("this backfill is complete already")
		return 0, nil
	case !errors.Is(err, sink.ErrNotFound):
		return 0, err
	}
	conn, err := b.Source.Connect(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		if closeErr := conn.Close(ctx); closeErr != nil && err == nil {
			err = source.Judge("close a connection", closeErr)
		}
	}()
	at, err := b.Keeper.ForBackfill(early, conn)
	if err != nil {
		return 0, err
	}
	w := &work{Backfill: b, conn: conn, at: at, drained: time.Now()}
	if err := w.open(ctx, stopping); err != nil {
		return 0, err
	}
	err = b.Source.AwaitWriters(early, conn, func(transactions int) {
		b.Log.Info("waiting for transactions that were writing when the slot's position was read", "transactions", transactions)
	})
	if err != nil {
		return len(w.parts), err
	}
	return w.run(ctx, stopping)
}

// work is one attempt's state, all of it read from the sink or written there.
type work struct {
	*Backfill

	conn  *pgx.Conn
	at    epoch.Position
	start layout.Start
	parts []layout.Part
	// drained is when the changes were last carried.
	drained time.Time
}

func (w *work) run(ctx, stopping context.Context) (int, error) {
	for !w.read() {
		if stopping.Err() != nil {
			w.Log.Info("stopping at the end of a part", "parts", len(w.parts))
			return len(w.parts), exit.ErrInterrupted
		}
		if err := w.nextPart(ctx, stopping); err != nil {
			return len(w.parts), w.judge(ctx, err)
		}
		if err := w.drain(ctx, stopping); err != nil {
			return len(w.parts), err
		}
	}
	manifest, err := w.settle(ctx, stopping)
	if err != nil {
		return len(w.parts), w.judge(ctx, err)
	}
	return len(w.parts), w.complete(ctx, manifest)
}

// drain carries the changes now and then. They would all be carried in the end, but
// until then the source had to keep its log, and where it does not keep that much, a
// large table's backfill lost its slot each time before it was through.
func (w *work) drain(ctx, stopping context.Context) error {
	if w.read() || time.Since(w.drained) < w.DrainEvery {
		return nil
	}
	now, err := w.Source.CurrentLSN(ctx, w.conn)
	if err == nil {
		err = w.Changes.Drain(ctx, stopping, w.at, uint64(now))
	}
	w.drained = time.Now()
	return err
}

// judge begins anew where the table's columns have changed: a column that was
// added with a default is in the rows of later parts, and in no change.
func (w *work) judge(ctx context.Context, err error) error {
	if !errors.Is(err, source.ErrSchemaChanged) {
		return err
	}
	if err := w.discard(ctx); err != nil {
		return err
	}
	return exit.Transientf("%w: the backfill begins anew", err)
}

// read reports whether the whole table has been read.
func (w *work) read() bool {
	return len(w.parts) > 0 && w.parts[len(w.parts)-1].Last
}

// open finds out where the former run of this backfill stopped. Its parts count
// only where changes have been kept without a gap since they were read, and
// where the table still has the same columns in the same order.
func (w *work) open(ctx, stopping context.Context) error {
	schema, reading := w.at.Table.Schema, w.at.Table.Reading()
	err := w.Sink.GetJSON(ctx, layout.StartKey(w.Request.Key), &w.start)
	switch {
	case err == nil && w.start.Epoch == w.at.Epoch.Number && w.start.Schema == schema.ID() && w.start.Reading == reading:
		return w.resume(ctx)
	case err == nil:
		w.Log.Warn("the parts of the former run do not fit the table any more", "epoch", w.start.Epoch, "nowEpoch", w.at.Epoch.Number)
		if err := w.discard(ctx); err != nil {
			return err
		}
	case !errors.Is(err, sink.ErrNotFound):
		return err
	}
	if err := w.Sink.PutJSON(ctx, layout.SchemaKey(schema.ID()), schema); err != nil {
		return err
	}
	// What happened before need not be applied to rows that are read afterwards,
	// and must not be where it is older than the table's present columns: it
	// would put back rows that lack some.
	now, err := w.Source.CurrentLSN(ctx, w.conn)
	if err != nil {
		return err
	}
	if err := w.Changes.Drain(ctx, stopping, w.at, uint64(now)); err != nil {
		return err
	}
	w.start = layout.Start{Epoch: w.at.Epoch.Number, LSN: now, Schema: schema.ID(), Reading: reading, Run: w.Run}
	if err := w.Sink.PutNewJSON(ctx, layout.StartKey(w.Request.Key), w.start); err != nil {
		return w.meet(err)
	}
	w.Log.Info("reading the table", "relation", schema.Relation, "startLSN", w.start.LSN.String(), "epoch", w.start.Epoch)
	return nil
}

// meet says what it means that a file is there which this run wanted to write.
func (w *work) meet(err error) error {
	if errors.Is(err, sink.ErrExists) {
		return exit.Transientf("another run of this backfill is writing at the same time: %w", err)
	}
	return err
}

func (w *work) resume(ctx context.Context) error {
	for number := 1; ; number++ {
		var part layout.Part
		err := w.Sink.GetJSON(ctx, layout.PartKey(w.Request.Key, number), &part)
		if errors.Is(err, sink.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		w.parts = append(w.parts, part)
	}
	rows, _ := w.sums()
	w.Log.Info("resuming behind the last finished part", "parts", len(w.parts), "rows", rows, "startLSN", w.start.LSN.String())
	return nil
}

func (w *work) sums() (rows, bytes int) {
	for _, part := range w.parts {
		rows += part.Rows
		bytes += part.Bytes
	}
	return rows, bytes
}

// discard deletes what this backfill has written. The start goes last: killed
// before, the next run comes here again.
func (w *work) discard(ctx context.Context) error {
	keys, err := w.Sink.List(ctx, layout.BackfillKey(w.Request.Key))
	if err != nil {
		return err
	}
	start := layout.StartKey(w.Request.Key)
	for _, key := range keys {
		if key == start {
			continue
		}
		if err := w.Sink.Delete(ctx, key); err != nil {
			return err
		}
	}
	w.parts = nil
	return w.Sink.Delete(ctx, start)
}

// complete writes the manifest, which makes the backfill count, and then removes what it does not name.
func (w *work) complete(ctx context.Context, manifest layout.Manifest) error {
	err := w.Sink.PutNewJSON(ctx, layout.ManifestKey(w.Request.Key), manifest)
	if err != nil {
		return w.meet(err)
	}
	w.Log.Info("backfill complete", "rows", manifest.Rows, "bytes", manifest.Bytes, "parts", len(manifest.Parts),
		"startLSN", manifest.StartLSN.String(), "endLSN", manifest.EndLSN.String())
	if err := w.removeLeftovers(ctx, manifest); err != nil {
		// They take space and mislead nobody.
		w.Log.Warn("leftovers of interrupted runs stay", "error", err.Error())
	}
	return nil
}

func (w *work) removeLeftovers(ctx context.Context, manifest layout.Manifest) error {
	keep := map[string]bool{layout.StartKey(w.Request.Key): true, layout.ManifestKey(w.Request.Key): true}
	for _, part := range w.parts {
		keep[part.File] = true
		keep[layout.PartKey(w.Request.Key, part.Number)] = true
	}
	for _, part := range manifest.Settled {
		keep[part.File] = true
	}
	keys, err := w.Sink.List(ctx, layout.BackfillKey(w.Request.Key))
	if err != nil {
		return err
	}
	for _, key := range keys {
		if keep[key] {
			continue
		}
		if err := w.Sink.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func nonce() string { return rand.Text()[:8] }

// writeRows writes rows to a file that nobody else writes.
func (w *work) writeRows(ctx context.Context, file string, rows rowBuffer) (int, error) {
	data, err := rowfile.EncodeRows(w.Format, w.at.Table.Schema, w.Origin, rows.rows)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return len(data), w.Sink.Put(ctx, file, data)
}
