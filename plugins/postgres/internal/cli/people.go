package cli

// This file holds the commands that people run: verify and cleanup.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/verify"
)

// readJob reads whose sink and slot it is about: from a Stream, else from the environment.
func (p *program) readJob() (job.Job, error) {
	j, err := p.readStream()
	if err != nil {
		return j, err
	}
	if p.options.host != "" {
		j.Spec.Source.Host = p.options.host
	}
	if p.options.port != 0 {
		if p.options.port > 65535 {
			return j, exit.Configf("--port: %d is no port", p.options.port)
		}
		j.Spec.Source.Port = uint16(p.options.port)
	}
	if p.options.sslMode != "" {
		j.Spec.Source.SSLMode = p.options.sslMode
	}
	if p.options.bucket != "" {
		j.Spec.Sink.Bucket = p.options.bucket
	}
	return j, nil
}

func (p *program) readStream() (job.Job, error) {
	switch p.options.stream {
	case "":
		return job.Read(p.lookup)
	case "-":
		data, err := io.ReadAll(os.Stdin)
		if err != nil {
			return job.Job{}, fmt.Errorf("read the Stream: %w", err)
		}
		return job.FromObject(data)
	default:
		data, err := os.ReadFile(p.options.stream)
		if err != nil {
			return job.Job{}, exit.Configf("read the Stream: %w", err)
		}
		return job.FromObject(data)
	}
}

func (p *program) verify(ctx context.Context) (err error) {
	stop, release := p.stopping(ctx)
	defer release()
	j, err := p.readJob()
	if err != nil {
		return err
	}
	files, err := sink.Open(stop, j.Spec.Sink.Bucket, j.Stream.Directory(j.Spec.Sink.Prefix), p.options.patience)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	v := verify.Verify{Source: sourceOf(j), Sink: files, Stream: j.Stream, Timeout: p.options.timeout, Show: p.options.show, Out: p.stdout}
	_, err = v.Do(stop)
	return err
}

// cleanup drops the slot, which would make the source keep its log for ever, and
// the publication. A publication that the user named is the user's.
func (p *program) cleanup(ctx context.Context) (err error) {
	stop, release := p.stopping(ctx)
	defer release()
	j, err := p.readJob()
	if err != nil {
		return err
	}
	from, name := sourceOf(j), j.Stream.SlotName()
	conn, err := from.Connect(stop)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Judge("close a connection", conn.Close(ctx))) }()
	if err := p.dropSlot(stop, from, conn, name); err != nil {
		return err
	}
	if err := from.DropPublication(stop, conn, name); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "slot and publication %s are gone from database %s\n", name, from.Spec.Database)
	return nil
}

// dropSlot waits a while for a job that is just ending.
func (p *program) dropSlot(ctx context.Context, from source.Source, conn *pgx.Conn, name string) error {
	deadline := time.Now().Add(p.options.timeout)
	for {
		err := from.DropSlot(ctx, conn, name)
		if exit.Code(err) != exit.Transient || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
