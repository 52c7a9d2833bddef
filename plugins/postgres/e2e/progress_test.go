package e2e

// This file holds the plugin to not waiting for a quiet server.

import "testing"

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
