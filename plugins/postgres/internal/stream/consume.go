package stream

// This file gathers changes into batches, writes them, and confirms what is durable.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/epoch"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/metrics"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/rowfile"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// consumer is one session's work.
type consumer struct {
	*Stream

	at      epoch.Position
	until   uint64
	wire    *wire
	catalog *pgx.Conn
	decoder *decoder
	checked time.Time

	// schema is that of the last change.
	schema   table.Schema
	schemaID string
	batch    []segment
	rows     int
	bytes    int
	since    time.Time

	// received: everything before it has been received. It stands still while a transaction is open.
	received uint64
	// confirmed is what the server was told last.
	confirmed uint64
	total     totals
	lag       lag
	// asked: the server wants to hear that all is durable.
	asked bool
}

// segment is a run of changes of one schema; it becomes one file.
type segment struct {
	schema   table.Schema
	schemaID string
	changes  []table.Change
}

// totals are told on the log.
type totals struct {
	rows, bytes, files int
	told               time.Time
	toldRows           int
}

// beat is how often the server is told where we are, and asked where it is. It
// also bounds how late a batch's age is noticed.
const beat = 500 * time.Millisecond

// tellEvery is how often progress is logged.
const tellEvery = 10 * time.Second

func (c *consumer) consume(ctx, stopping context.Context) error {
	c.total.told = time.Now()
	for {
		if c.decoder.end > c.received {
			c.received = c.decoder.end
		}
		if stopping.Err() != nil || (!c.decoder.open && c.received >= c.until) {
			return c.end(ctx)
		}
		if c.isDue() {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
		c.asked = false
		if err := c.receiveFor(ctx, stopping); err != nil {
			return err
		}
		if err := c.keepUp(ctx, stopping); err != nil {
			return err
		}
	}
}

// end is the good end: all that was received is durable and confirmed.
func (c *consumer) end(ctx context.Context) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	if err := c.confirm(ctx); err != nil {
		return err
	}
	c.tell("stopped")
	c.leave(ctx)
	if err := c.wire.finish(ctx); err != nil && exit.Code(err) != exit.Transient {
		return err
	}
	return nil
}

// leaveTime is how long the sink gets to note where the slot was left.
const leaveTime = 5 * time.Second

// leave notes it while the slot is still this process's. Without the note nothing is
// lost: the next reader sees less of what others do.
func (c *consumer) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	if err := c.Keeper.Leave(ctx, c.at, layout.LSN(c.confirmed)); err != nil {
		c.Log.Warn("the place where the slot was left is not noted", "error", err.Error())
	}
}

// isDue also where the server asks. We tell it where we are more often than it would
// ever ask; it does so nonetheless when it shuts down, and then it waits until all
// that it has sent is confirmed.
func (c *consumer) isDue() bool {
	return c.rows > 0 && (c.asked || c.rows >= c.Batch.MaxRows || c.bytes >= c.Batch.MaxBytes || time.Since(c.since) >= time.Duration(c.Batch.MaxAge))
}

// receiveFor takes messages until a beat has passed, a batch is full, or the end is near.
func (c *consumer) receiveFor(ctx, stopping context.Context) error {
	beatCtx, cancel := context.WithTimeout(ctx, beat)
	defer cancel()
	defer context.AfterFunc(stopping, cancel)()
	for {
		message, err := c.wire.receive(beatCtx)
		if errors.Is(err, errQuiet) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := c.take(ctx, message); err != nil {
			return err
		}
		c.asked = c.asked || message.answer
		if message.answer || c.rows >= c.Batch.MaxRows || c.bytes >= c.Batch.MaxBytes || c.received >= c.until || beatCtx.Err() != nil {
			return nil
		}
	}
}

func (c *consumer) take(ctx context.Context, message received) error {
	if message.data == nil {
		// Within a transaction the position says nothing about that transaction's changes.
		if c.decoder.open {
			return nil
		}
		c.received = max(c.received, message.position)
		return c.decoder.passed(message.position)
	}
	change, err := c.decoder.decode(ctx, message.data)
	if c.decoder.end > c.received {
		c.received = c.decoder.end
	}
	if err != nil || change == nil {
		return err
	}
	if c.rows == 0 {
		c.since = time.Now()
	}
	c.noticeColumns()
	last := len(c.batch) - 1
	if last < 0 || c.batch[last].schemaID != c.decoder.schemaID {
		c.batch = append(c.batch, segment{schema: c.decoder.schema, schemaID: c.decoder.schemaID})
		last++
	}
	c.batch[last].changes = append(c.batch[last].changes, *change)
	c.rows++
	c.bytes += table.Size(change.Cells) + table.Size(change.OldKey)
	return nil
}

// noticeColumns says on the log that the columns have changed: what ALTER TABLE does
// to rows that are there is in no change, and only the user knows whether it did.
func (c *consumer) noticeColumns() {
	if c.schemaID == c.decoder.schemaID {
		return
	}
	first, before := c.schemaID == "", c.schema
	c.schema, c.schemaID = c.decoder.schema, c.decoder.schemaID
	if first {
		return
	}
	added, gone := c.schema.Difference(before), before.Difference(c.schema)
	if len(added)+len(gone) > 0 {
		c.Log.Warn("the table's columns have changed; where that gave values to rows that were there (a default, another type, another name), make a BackfillRequest",
			"added", added, "gone", gone, "schema", c.schemaID)
	}
}

// lookTime is how long the catalog may take to answer.
const lookTime = 20 * time.Second

// keepUp tells the server where we are, and us whether the table is still the same.
func (c *consumer) keepUp(ctx, stopping context.Context) error {
	if err := c.confirm(ctx); err != nil {
		return err
	}
	if time.Since(c.total.told) >= tellEvery {
		c.tell("progress")
	}
	// A look into the catalog must hold up neither the end nor, for long, the changes.
	look, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	defer context.AfterFunc(stopping, cancel)()
	c.measureLag(look)
	if time.Since(c.checked) < c.CheckEvery || stopping.Err() != nil {
		return nil
	}
	c.checked = time.Now()
	err := c.Keeper.StillWhole(look, c.catalog, c.at)
	switch {
	case stopping.Err() != nil:
		return nil
	case exit.Code(err) == exit.Gap || exit.Code(err) == exit.Config:
		// What was received before is good, and the next job need not fetch it again.
		return errors.Join(err, c.flush(ctx), c.confirm(ctx))
	}
	return err
}

// confirm sends the place before which all is durable. Changes that wait in the
// batch hold it back, and so does a transaction that is open.
func (c *consumer) confirm(ctx context.Context) error {
	if c.rows == 0 && !c.decoder.open && c.received > c.confirmed {
		c.confirmed = c.received
	}
	return c.wire.confirm(ctx, c.received, c.confirmed)
}

// flush makes the batch durable. The server is kept company meanwhile, so that
// a slow sink does not cost the connection.
func (c *consumer) flush(ctx context.Context) error {
	if c.rows == 0 {
		return nil
	}
	written := make(chan error, 1)
	go func() {
		written <- exit.Guard(func() error { return c.write(ctx) })
	}()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case err := <-written:
			if err != nil {
				return err
			}
			c.total.rows += c.rows
			c.batch, c.rows, c.bytes = nil, 0, 0
			// Confirmed at once: under a steady load the next batch has begun before the
			// next look. Of a transaction larger than a batch the first part is durable
			// now, and it is confirmed only with the rest.
			durable := c.received
			if c.decoder.open {
				durable = c.decoder.end
			}
			c.confirmed = max(c.confirmed, durable)
			return nil
		case <-ticker.C:
			if err := c.wire.confirm(ctx, c.received, c.confirmed); err != nil {
				return errors.Join(err, <-written)
			}
		}
	}
}

func (c *consumer) write(ctx context.Context) error {
	for _, segment := range c.batch {
		first, last := segment.changes[0], segment.changes[len(segment.changes)-1]
		file := layout.ChangeFile{
			Epoch:  c.at.Epoch.Number,
			First:  layout.Place{LSN: first.LSN, Seq: first.Seq},
			Last:   layout.Place{LSN: last.LSN, Seq: last.Seq},
			Schema: segment.schemaID,
			Format: c.Format,
		}
		data, err := rowfile.EncodeChanges(c.Format, segment.schema, c.Origin, segment.changes)
		if err != nil {
			return fmt.Errorf("changes from %s: %w", layout.LSN(first.LSN), err)
		}
		// The schema first: a file whose columns nobody knows could not be read.
		if err := c.Sink.PutJSON(ctx, layout.SchemaKey(segment.schemaID), segment.schema); err != nil {
			return err
		}
		if err := c.Sink.Put(ctx, file.Key(), data); err != nil {
			return err
		}
		c.Metrics.Wrote(metrics.Change, len(segment.changes), len(data))
		c.Metrics.Lag.Committed(time.UnixMicro(last.CommitMicros))
		c.total.files++
		c.total.bytes += len(data)
		c.Log.Debug("wrote changes", "file", file.Key(), "rows", len(segment.changes), "bytes", len(data))
	}
	return nil
}

func (c *consumer) tell(what string) {
	c.total.told = time.Now()
	// Nothing new is not worth a line.
	if what == "progress" && c.total.rows == c.total.toldRows && c.rows == 0 {
		return
	}
	c.total.toldRows = c.total.rows
	var lag uint64
	if c.wire.serverEnd > c.confirmed {
		lag = c.wire.serverEnd - c.confirmed
	}
	c.Log.Info(what, "rows", c.total.rows, "bytes", c.total.bytes, "files", c.total.files, "pending", c.rows,
		"lsn", layout.LSN(c.confirmed).String(), "lagBytes", lag)
}
