package e2e

// Tests of changes that happen while a backfill reads: parts come from later snapshots than the changes that are applied to them.

import (
	"context"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
)

// hold runs a backfill up to a write that matches the pattern, lets the test act, and lets the backfill go on.
func (s *stream) hold(pattern, backfill string, act func()) {
	s.t.Helper()
	s.misbehave(envHold + "=" + pattern)
	job := s.start(backfill)
	s.holding()
	act()
	s.release()
	job.want(0)
	s.behave()
}

const toasted = `CREATE TABLE t (id numeric(10,1) PRIMARY KEY, n int, big text)`

// TestRowsThatMoveBehindTheBackfill is about the one case that parts and changes
// together do not tell: a row gets a key that was read before, from one that was
// not yet, and its out-of-line value is in no part and in no change.
func TestRowsThatMoveBehindTheBackfill(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["part"] = map[string]any{"maxRows": 5}
		s.hold(`part-000001\.json`, "b1", func() {
			// Rows 1 to 5 are read. 8 moves behind the backfill's back; 9 does so, and on.
			s.exec(`UPDATE t SET id = 2.5 WHERE id = 8`)
			s.exec(`UPDATE t SET id = 3.5 WHERE id = 9`)
			s.exec(`UPDATE t SET id = 12.5, n = 9 WHERE id = 3.5`)
			// A row that was read moves forward and is read again there.
			s.exec(`UPDATE t SET id = 10.5 WHERE id = 2`)
			// Its former key is taken by another row: the part of that is newer than the move.
			s.exec(`UPDATE t SET id = 100 WHERE id = 15`)
			s.exec(`INSERT INTO t VALUES (15, 15, ` + big + `)`)
			// It moves, and dies.
			s.exec(`UPDATE t SET id = 4.5 WHERE id = 16`)
			s.exec(`DELETE FROM t WHERE id = 4.5`)
			// It moves behind, and gets a value of its own there.
			s.exec(`UPDATE t SET id = 1.5 WHERE id = 17`)
			s.exec(`UPDATE t SET big = ` + big + ` WHERE id = 1.5`)
		})
		settled := s.manifest("b1").Settled
		if len(settled) == 0 || settled[0].Rows < 4 {
			s.t.Fatalf("the rows that moved were not read once more: %+v", settled)
		}
		job := s.start("")
		s.verify()
		// Later moves find the value under the former key.
		s.exec(`UPDATE t SET id = id + 1000`)
		s.verify()
		job.terminate()
		job.want(0)
	}, toasted, `INSERT INTO t SELECT i, 0, `+big+` || i FROM generate_series(1, 20) AS i`)
}

// TestManyRowsThatMovedAreReadInParts: they need not fit into memory together.
func TestManyRowsThatMovedAreReadInParts(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["part"] = map[string]any{"maxRows": 5}
		s.hold(`part-000001\.json`, "b1", func() { s.exec(`UPDATE t SET id = id - 100 WHERE id > 5`) })
		settled, rows := s.manifest("b1").Settled, 0
		for _, part := range settled {
			rows += part.Rows
			if part.Rows > 5 {
				s.t.Errorf("a part has %d rows", part.Rows)
			}
		}
		if len(settled) != 3 || rows != 15 {
			s.t.Errorf("%d rows were read once more, in %d parts", rows, len(settled))
		}
		if left := s.files("backfill/b1"); len(left) != 2+2*len(s.parts("b1"))-1+len(settled) {
			s.t.Errorf("files are left, or missing: %v", left)
		}
		s.checkOnce()
	}, toasted, `INSERT INTO t SELECT i, 0, `+big+` || i FROM generate_series(1, 20) AS i`)
}

func TestWritesBetweenThePartsOfABackfill(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["part"] = map[string]any{"maxRows": 5}
		s.hold(`part-000002\.json`, "b1", func() {
			s.exec(`UPDATE t SET n = n + 1`)
			s.exec(`UPDATE t SET big = ` + big + ` WHERE id % 3 = 0`)
			s.exec(`UPDATE t SET n = n + 1`)
			s.exec(`DELETE FROM t WHERE id % 7 = 0`)
			s.exec(`INSERT INTO t VALUES (7, 700, 'back'), (0, 0, 'first'), (99, 99, 'last')`)
			s.exec(`UPDATE t SET n = 701 WHERE id = 7`)
		})
		job := s.start("")
		s.verify()
		job.terminate()
		job.want(0)
	}, toasted, `INSERT INTO t SELECT i, 0, `+big+` FROM generate_series(1, 20) AS i`)
}

func TestTruncateWhileTheBackfillReads(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["part"] = map[string]any{"maxRows": 5}
		s.hold(`part-000002\.json`, "b1", func() {
			s.exec(`INSERT INTO t VALUES (21, 0, NULL)`)
			s.exec(`TRUNCATE t`)
			s.exec(`INSERT INTO t SELECT i, 1, NULL FROM generate_series(15, 30) AS i`)
		})
		job := s.start("")
		s.verify()
		job.terminate()
		job.want(0)
	}, toasted, `INSERT INTO t SELECT i, 0, `+big+` FROM generate_series(1, 20) AS i`)
}

func TestColumnsThatChangeWhileTheBackfillReadsMakeItBeginAnew(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["part"] = map[string]any{"maxRows": 5}
		s.hold(`part-000002\.json`, "b1", func() {
			s.exec(`UPDATE t SET n = 1 WHERE id = 1`)
			// Every row has the new column's value at once, and no change says so.
			s.exec(`ALTER TABLE t ADD COLUMN extra int DEFAULT 42`)
			s.exec(`UPDATE t SET n = 2, extra = 43 WHERE id = 2`)
			s.exec(`UPDATE t SET n = 20 WHERE id = 20`)
		})
		job := s.start("")
		s.verify()
		job.terminate()
		job.want(0)
	}, toasted, `INSERT INTO t SELECT i, 0, `+big+` FROM generate_series(1, 20) AS i`)
}

// TestASlotThatIsLostBetweenTwoPartsMakesTheBackfillBeginAnew: what happened to
// rows that were read before is in no change any more.
func TestASlotThatIsLostBetweenTwoPartsMakesTheBackfillBeginAnew(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["part"] = map[string]any{"maxRows": 5}
		s.misbehave(envHold + `=part-000003\.json`)
		job := s.start("b1")
		s.holding()
		job.kill()
		s.behave()
		s.loseSlot()
		s.exec(`UPDATE t SET n = 1`)
		s.exec(`DELETE FROM t WHERE id = 3`)
		s.backfill("b1")
		job = s.start("")
		s.verify()
		job.terminate()
		job.want(0)
	}, toasted, `INSERT INTO t SELECT i, 0, `+big+` FROM generate_series(1, 20) AS i`)
}

func TestColumnsThatChangeBetweenTwoRunsMakeTheBackfillBeginAnew(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["part"] = map[string]any{"maxRows": 5}
		s.misbehave(envHold + `=part-000003\.json`)
		job := s.start("b1")
		s.holding()
		job.kill()
		s.behave()
		s.exec(`ALTER TABLE t ADD COLUMN extra int DEFAULT 42`)
		s.backfill("b1")
		s.checkOnce()
	}, toasted, `INSERT INTO t SELECT i, 0, `+big+` FROM generate_series(1, 20) AS i`)
}

// TestColumnsThatChangedBeforeTheBackfill: changes from before have not been
// written yet, and lack what every row has now.
func TestColumnsThatChangedBeforeTheBackfill(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.backfill("b1")
		s.exec(`UPDATE t SET n = 1 WHERE id < 5`)
		s.exec(`DELETE FROM t WHERE id = 7`)
		s.exec(`INSERT INTO t VALUES (7, 7, 'back')`)
		s.exec(`ALTER TABLE t ADD COLUMN extra int DEFAULT 42`)
		s.exec(`UPDATE t SET n = 2 WHERE id = 3`)
		s.backfill("b2")
		s.checkOnce()
	}, toasted, `INSERT INTO t SELECT i, 0, `+big+` FROM generate_series(1, 20) AS i`)
}

// TestACommitThatIsLoggedButNotVisible is about the moment in which a commit is
// in the log and others do not see it yet. With a standby that must confirm and
// does not, that moment lasts as long as the test wants.
func TestACommitThatIsLoggedButNotVisible(t *testing.T) {
	t.Parallel()
	own := startServer(t, nil)
	s := newStream(t, own, `CREATE TABLE t (id int PRIMARY KEY, n int)`, `INSERT INTO t VALUES (1, 1)`)
	// The slot has to be there already: its creation waits for such commits by itself.
	s.backfill("b1")
	job := s.start("")
	s.received()
	admin := connect(t, own.URL(s.database))
	t.Cleanup(func() { letCommit(admin) })
	exec1(t, admin, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
	exec1(t, admin, `SELECT pg_reload_conf()`)
	eventually(t, "commits wait for a standby", func() bool {
		return s.query(`SELECT current_setting('synchronous_standby_names')`) == "nobody"
	})
	writer := connect(t, own.URL(s.database))
	committed := make(chan error, 1)
	waits := func() bool {
		return s.query(`SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT%'`) == "1"
	}
	writing := false
	eventually(t, "a commit waits for the standby", func() bool {
		select {
		case err := <-committed:
			if err != nil {
				t.Fatal(err)
			}
			// The server takes the setting over in its own time, and this commit did not wait yet.
			writing = false
		default:
		}
		if !writing {
			writing = true
			go func() {
				_, err := writer.Exec(t.Context(), `INSERT INTO t SELECT max(id) + 1, 0 FROM t`)
				committed <- err
			}()
		}
		return waits()
	})
	visible := s.query(`SELECT count(*)::text FROM t`)
	s.received()
	eventually(t, "the stream has the row that nobody sees", func() bool {
		return len(s.files("changes")) > 0 && s.query(`SELECT (confirmed_flush_lsn >= pg_current_wal_flush_lsn())::text FROM pg_replication_slots`) == "true"
	})
	if !waits() {
		t.Fatal("the commit did not wait: the test tests nothing")
	}
	job.terminate()
	job.want(0)
	// The slot is confirmed behind the row. A backfill that read now would miss it.
	again := s.start("b2")
	again.says("waiting for transactions")
	letCommit(admin)
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	again.want(0)
	if rows := strconv.Itoa(s.manifest("b2").Rows); rows == visible {
		t.Errorf("the backfill has %s rows, want one more", rows)
	}
	job = s.start("")
	s.verify()
	job.terminate()
	job.want(0)
}

// letCommit makes commits no longer wait for a standby.
func letCommit(admin *pgx.Conn) {
	for _, statement := range []string{`ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`} {
		_, _ = admin.Exec(context.Background(), statement)
	}
}
