package e2e

// This file holds the plugin to making progress that the source can see.

import (
	"context"
	"testing"
)

// TestTheConfirmedPlaceFollowsASteadyLoad writes without a pause, so that a batch
// is always being gathered: what earlier batches made durable is confirmed all the same.
func TestTheConfirmedPlaceFollowsASteadyLoad(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, table)
	s.backfill("b1")
	job := s.start("")
	before := s.confirmed()
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan error, 1)
	writer := connect(t, server.URL(s.database))
	go func() {
		for ctx.Err() == nil {
			if _, err := writer.Exec(t.Context(), `INSERT INTO t (id, name) SELECT coalesce(max(id), 0) + 1, 'steady' FROM t`); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for range 3 {
		eventually(t, "the confirmed place moves on", func() bool { return s.confirmed() > before })
		before = s.confirmed()
	}
	stop()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	s.verify()
	job.terminate()
	job.want(0)
}

// TestABackfillMarksTheLog: a server that nobody writes to logs something only every
// fifteen seconds. The backfill does not wait for that, but writes a record behind the
// place that it waits for; a second slot sees it.
func TestABackfillMarksTheLog(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, table, `INSERT INTO t (id) SELECT generate_series(1, 100)`)
	s.exec(`SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, "watch_"+s.database)
	s.backfill("b1")
	marks := s.query(`SELECT count(*)::text FROM pg_logical_slot_get_changes($1, NULL, NULL) WHERE data LIKE '%prefix: arcane%'`, "watch_"+s.database)
	s.exec(`SELECT pg_drop_replication_slot($1)`, "watch_"+s.database)
	if marks == "0" {
		t.Error("nothing was written behind the place that the backfill waited for")
	}
}
