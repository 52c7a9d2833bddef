// The demo's source: what PostgreSQL says of the stream, and the writers.

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/install"
)

// comeAndGo adds to pgbench's updates what they lack: rows that are inserted and deleted.
//
//go:embed writes.sql
var comeAndGo string

const (
	writesPerSecond = 300
	// writersName is what PostgreSQL calls the writers' connections.
	writersName = "arcane-demo"
)

// count is the number of rows in the table.
func (d *demo) count(ctx context.Context) (int64, error) {
	return d.number(ctx, "SELECT count(*) FROM "+table)
}

func (d *demo) number(ctx context.Context, sql string) (int64, error) {
	text, err := d.database.Query(ctx, sql)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", sql, err)
	}
	return n, nil
}

// behind is how many bytes of PostgreSQL's log, up to a place in it, the sink has not
// confirmed yet.
func (d *demo) behind(ctx context.Context, s *streamingv1.Stream, place string) (int64, error) {
	return d.number(ctx, fmt.Sprintf("SELECT coalesce(max(%s::pg_lsn - confirmed_flush_lsn), 0)::bigint "+
		"FROM pg_replication_slots WHERE slot_name = '%s'", place, install.Slot(s)))
}

// writers is a running pgbench.
type writers struct {
	cmd *exec.Cmd
	// ended is closed when pgbench has ended; why is in err by then.
	ended chan struct{}
	err   error
}

// startWriters starts pgbench. It ends with ctx at the latest.
func (d *demo) startWriters(ctx context.Context) (*writers, error) {
	script := filepath.Join(d.cluster.Dir(), "demo-writes.sql")
	if err := os.WriteFile(script, []byte(comeAndGo), 0o644); err != nil {
		return nil, fmt.Errorf("write pgbench's script: %w", err)
	}
	cmd := d.database.Command(ctx, "pgbench", "--no-vacuum", "--builtin=tpcb-like@3", "--file="+script+"@1",
		"--client=4", fmt.Sprint("--rate=", writesPerSecond), "--time=86400")
	cmd.Env = append(cmd.Env, "PGAPPNAME="+writersName)
	// In a process group of its own, so that Ctrl-C reaches only this program, which
	// then ends the writers in good order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start pgbench: %w", err)
	}
	w := &writers{cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended stands in its state
		w.err = fmt.Errorf("pgbench ended by itself (%s):\n%s", cmd.ProcessState, said.String())
		close(w.ended)
	}()
	return w, nil
}

// stop ends the writers and returns when they have ended.
func (w *writers) stop() error {
	select {
	case <-w.ended:
		return w.err
	default:
	}
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end pgbench: %w", err)
	}
	<-w.ended
	return nil
}

// endForeignWriters ends what a demo that was killed has left writing, and waits
// until the last transaction has ended.
func (d *demo) endForeignWriters(ctx context.Context) error {
	return poll(ctx, 30*time.Second, func(ctx context.Context) (bool, error) {
		left, err := d.number(ctx, fmt.Sprintf("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'", writersName))
		return left == 0, err
	})
}

// dropOrphans drops the slots and publications of streams that exist no more, and
// tells how many. Left alone, a slot would make PostgreSQL keep its log for ever.
func (d *demo) dropOrphans(ctx context.Context) (dropped int, err error) {
	var streams streamingv1.StreamList
	if err := d.api.List(ctx, &streams); err != nil {
		return 0, fmt.Errorf("list streams: %w", err)
	}
	living := map[string]bool{}
	for i := range streams.Items {
		living[install.Slot(&streams.Items[i])] = true
	}
	for _, leftover := range []struct{ kind, list, drop string }{
		{"replication slot", "SELECT slot_name FROM pg_replication_slots", "SELECT pg_drop_replication_slot('%s')"},
		{"publication", "SELECT pubname FROM pg_publication", "DROP PUBLICATION %s"},
	} {
		names, err := d.database.Query(ctx, leftover.list)
		if err != nil {
			return dropped, fmt.Errorf("list each %s: %w", leftover.kind, err)
		}
		for _, name := range strings.Fields(names) {
			if living[name] || !strings.HasPrefix(name, "arcane_") {
				continue
			}
			if err := d.awaitUnused(ctx, name); err != nil {
				return dropped, err
			}
			if _, err := d.database.Query(ctx, fmt.Sprintf(leftover.drop, name)); err != nil {
				return dropped, fmt.Errorf("drop the %s %s: %w", leftover.kind, name, err)
			}
			dropped++
			d.out.say("clean-up", "dropped %s %s, whose stream is gone", leftover.kind, name)
		}
	}
	return dropped, nil
}

// awaitUnused waits until nobody reads from a slot: the last pod of a stream that was
// just deleted may still be on its way out.
func (d *demo) awaitUnused(ctx context.Context, slot string) error {
	err := poll(ctx, 2*time.Minute, func(ctx context.Context) (bool, error) {
		readers, err := d.number(ctx, fmt.Sprintf("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '%s' AND active", slot))
		return readers == 0, err
	})
	if err != nil {
		return fmt.Errorf("wait until nobody reads from the replication slot %s: %w", slot, err)
	}
	return nil
}
