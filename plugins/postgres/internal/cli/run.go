package cli

// This file runs one job of a stream.

import (
	"context"
	"errors"
	"fmt"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/backfill"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/epoch"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/metrics"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/rowfile"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/stream"
)

func (p *program) run(ctx context.Context) error {
	stop, release := p.stopping(ctx)
	defer release()
	j, err := job.Read(p.lookup)
	if err != nil {
		return err
	}
	p.log = p.log.With("stream", j.Stream.Namespace+"/"+j.Stream.Name, "run", j.Run)
	err = p.within(stop, func() error { return p.carry(ctx, stop, j) })
	switch {
	case err == nil:
		// SIGTERM may have come meanwhile; the backfill returns without an error only when all of it is in the sink.
		p.completed = j.Backfill != nil
		return nil
	case !errors.Is(err, errGraceOver):
		return err
	case j.Backfill != nil:
		return fmt.Errorf("%w; %w", err, exit.ErrInterrupted)
	}
	return exit.Transientf("%w; the next job is sent again what is in no file", err)
}

// carry does what the job is for.
func (p *program) carry(ctx, stop context.Context, j job.Job) (err error) {
	files, err := sink.Open(ctx, j.Spec.Sink.Bucket, j.Stream.Directory(j.Spec.Sink.Prefix), p.options.patience)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	if err := files.Clear(); err != nil {
		return err
	}
	mode := metrics.Stream
	if j.Backfill != nil {
		mode = metrics.Backfill
	}
	told := metrics.New(mode, p.version)
	defer told.Serve(ctx, p.options.metrics, p.log)()
	changes := p.changes(j, files, told)
	if j.Backfill == nil {
		return p.stream(ctx, stop, changes)
	}
	p.log.Info("backfill", "backfill", j.Backfill.ID, "key", j.Backfill.Key)
	return p.backfill(j, files, changes).Do(ctx, stop)
}

func sourceOf(j job.Job) source.Source {
	return source.Source{
		Spec:           j.Spec.Source,
		NativeDecimals: j.Spec.Sink.Format == spec.Parquet && j.Spec.Sink.Decimals == spec.DecimalsNative,
		Application:    fmt.Sprintf("arcane %s/%s", j.Stream.Namespace, j.Stream.Name),
	}
}

func (p *program) changes(j job.Job, files *sink.Sink, told *metrics.Metrics) *stream.Stream {
	from := sourceOf(j)
	return &stream.Stream{
		Source:     from,
		Sink:       files,
		Keeper:     epoch.Keeper{Source: from, Sink: files, Stream: j.Stream, Run: j.Run, Log: p.log},
		Format:     j.Spec.Sink.Format,
		Batch:      j.Spec.Sink.Batch,
		Origin:     rowfile.Origin{Stream: j.Stream.Namespace + "/" + j.Stream.Name, Run: j.Run},
		Log:        p.log,
		Patience:   p.options.patience,
		CheckEvery: p.options.checkEvery,
		Metrics:    told,
	}
}

func (p *program) backfill(j job.Job, files *sink.Sink, changes *stream.Stream) *backfill.Backfill {
	part := j.Spec.Sink.Part
	if j.Backfill.Part.MaxRows > 0 {
		part.MaxRows = j.Backfill.Part.MaxRows
	}
	if j.Backfill.Part.MaxBytes > 0 {
		part.MaxBytes = j.Backfill.Part.MaxBytes
	}
	return &backfill.Backfill{
		Source:     changes.Source,
		Sink:       files,
		Keeper:     changes.Keeper,
		Changes:    changes,
		Stream:     j.Stream,
		Request:    *j.Backfill,
		Run:        j.Run,
		Format:     changes.Format,
		Part:       part,
		Origin:     changes.Origin,
		Log:        p.log,
		Patience:   p.options.patience,
		Metrics:    changes.Metrics,
		DrainEvery: p.options.drainEvery,
	}
}

// stream finds out where to go on, patiently, and goes on.
func (p *program) stream(ctx, stop context.Context, changes *stream.Stream) error {
	var at epoch.Position
	err := source.Patiently(ctx, stop, p.options.patience, p.log, func() (bool, error) {
		// A first slot waits for all that are writing, however long; SIGTERM does not.
		conn, err := changes.Source.Connect(stop)
		if err != nil {
			return false, err
		}
		at, err = changes.Keeper.ForStream(stop, conn)
		return false, errors.Join(err, source.Judge("close a connection", conn.Close(ctx)))
	})
	switch {
	case errors.Is(err, source.ErrStopped), stop.Err() != nil && exit.Code(err) == exit.Transient:
		// Nothing has been received yet, so nothing is left behind.
		return nil
	case err != nil:
		return err
	}
	return changes.Run(ctx, stop, at)
}
