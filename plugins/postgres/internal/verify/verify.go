// Package verify compares the sink with the source, row by row, at one place in the log.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/view"
)

// Verify compares one stream's sink with its source.
type Verify struct {
	Source source.Source
	Sink   *sink.Sink
	Stream job.Stream
	// Timeout is how long the sink may take to reach the source.
	Timeout time.Duration
	// Show is how many differences are printed.
	Show int
	Out  io.Writer
}

// ErrDiffer is returned where source and sink differ.
var ErrDiffer = errors.New("source and sink differ")

// Result is what was found.
type Result struct {
	LSN        layout.LSN
	SourceRows int
	SinkRows   int
	// BackfillRows and Changes are what the sink's rows were made of.
	BackfillRows int
	Changes      int
	Differences  []view.Difference
}

// Do takes a snapshot of the source whose place in the log is known exactly,
// waits until the sink has reached that place, and compares. Writers need not
// stop for it: what they do later is in neither of the two.
func (v Verify) Do(ctx context.Context) (Result, error) {
	var result Result
	deadline, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	conn, err := v.Source.Connect(ctx)
	if err != nil {
		return result, err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing was written
	manifest, err := v.awaitManifest(ctx, deadline)
	if err != nil {
		return result, err
	}
	err = v.Source.Snapshot(ctx, conn, func(lsn uint64, tx pgx.Tx) error {
		result.LSN, result.BackfillRows = layout.LSN(lsn), manifest.Rows
		if err := v.awaitSink(ctx, deadline, max(result.LSN, manifest.EndLSN)); err != nil {
			return err
		}
		if result.LSN < manifest.EndLSN {
			return exit.Transientf("a backfill was completed while this looked; run it again")
		}
		built, err := view.NewReader(v.Sink).Build(ctx, manifest, lsn)
		if err != nil {
			return err
		}
		return v.compare(ctx, conn, tx, built, &result)
	})
	if err != nil {
		return result, err
	}
	return result, v.report(result)
}

// poll asks until the answer is yes or the deadline is done.
func poll(deadline context.Context, ask func() (bool, error)) (bool, error) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		if done, err := ask(); done || err != nil {
			return done, err
		}
		select {
		case <-deadline.Done():
			return false, nil
		case <-ticker.C:
		}
	}
}

func (v Verify) awaitManifest(ctx, deadline context.Context) (*layout.Manifest, error) {
	var manifest *layout.Manifest
	found, err := poll(deadline, func() (bool, error) {
		var err error
		manifest, err = view.NewReader(v.Sink).Latest(ctx)
		return manifest != nil, err
	})
	if err == nil && !found {
		err = exit.Transientf("the sink has no completed backfill of this stream after %s", v.Timeout)
	}
	return manifest, err
}

// awaitSink waits until the stream has confirmed the place: everything before it is durable then.
func (v Verify) awaitSink(ctx, deadline context.Context, lsn layout.LSN) error {
	conn, err := v.Source.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing was written
	if err := v.Source.Mark(ctx, conn); err != nil {
		return err
	}
	var slot *source.Slot
	reached, err := poll(deadline, func() (bool, error) {
		var err error
		slot, err = v.Source.FindSlot(ctx, conn, v.Stream.SlotName())
		return slot != nil && slot.Confirmed >= lsn, err
	})
	switch {
	case err != nil || reached:
		return err
	case slot == nil:
		return exit.Gapf("slot %s does not exist: the stream follows no changes", v.Stream.SlotName())
	case !slot.Active:
		return exit.Transientf("the sink is at %s, the source at %s, and after %s no job is streaming", slot.Confirmed, lsn, v.Timeout)
	}
	return exit.Transientf("the sink is at %s, the source at %s, after %s", slot.Confirmed, lsn, v.Timeout)
}

func (v Verify) compare(ctx context.Context, conn *pgx.Conn, tx pgx.Tx, built *view.View, result *Result) error {
	found, err := v.Source.Describe(ctx, conn)
	if err != nil {
		return err
	}
	result.SinkRows, result.Changes = built.Len(), built.Applied
	err = v.Source.ReadAll(ctx, tx, found, func(row []table.Cell) (bool, error) {
		result.SourceRows++
		difference, err := built.Compare(&found.Schema, row)
		if difference != nil {
			result.Differences = append(result.Differences, *difference)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	result.Differences = append(result.Differences, built.Rest()...)
	return nil
}

func (v Verify) report(result Result) error {
	fmt.Fprintf(v.Out, "source %d rows, sink %d rows, %d differ at LSN %s (a backfill of %d rows and %d changes)\n",
		result.SourceRows, result.SinkRows, len(result.Differences), result.LSN, result.BackfillRows, result.Changes)
	for index, difference := range result.Differences {
		if index == v.Show {
			fmt.Fprintf(v.Out, "… and %d more\n", len(result.Differences)-index)
			break
		}
		fmt.Fprintf(v.Out, "%s %s\n", difference.Key, difference.What)
	}
	if len(result.Differences) > 0 {
		return ErrDiffer
	}
	return nil
}
