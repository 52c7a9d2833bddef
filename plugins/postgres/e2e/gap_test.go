package e2e

// Tests of losses that are easily overlooked: each must end with 30, and the backfill that answers must heal it.

import (
	"strings"
	"testing"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
)

// wantGap expects a streaming job to say that changes are lost.
func (s *stream) wantGap(says string) {
	s.t.Helper()
	p := s.start("")
	p.want(30)
	if words := p.lastWords(); !strings.HasPrefix(words, "sourceGap: ") || !strings.Contains(words, says) {
		s.t.Errorf("the termination message is %q; want one about %q", words, says)
	}
}

// heal does what the operator does about a gap.
func (s *stream) heal() {
	s.t.Helper()
	s.backfill(newUID())
	s.checkOnce()
}

// TestAGapIsNotForgottenWithItsBackfill: the backfill that was to make up for lost
// changes begins a new slot, and is given up. What was lost is lost still.
func TestAGapIsNotForgottenWithItsBackfill(t *testing.T) {
	t.Parallel()
	for _, hold := range []string{`part-000001\.json`, `start\.json`} {
		t.Run(strings.Trim(hold, `\.json`), func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`)
			s.backfill("b1")
			s.loseSlot()
			s.exec(`UPDATE t SET n = 1`)
			s.misbehave(envHold + "=" + hold)
			given := s.start("b2")
			s.holding()
			given.kill()
			s.behave()
			s.wantGap("has not been completed")
			s.wantGap("has not been completed")
			s.heal()
		})
	}
}

// TestAPublicationThatWasChangedMeanwhileHasLeftChangesOut, although it is whole again.
func TestAPublicationThatWasChangedMeanwhileHasLeftChangesOut(t *testing.T) {
	t.Parallel()
	changes := map[string][]string{
		"made anew":      {`DROP PUBLICATION mine`, `UPDATE t SET n = 1`, `CREATE PUBLICATION mine FOR TABLE t`},
		"other changes":  {`ALTER PUBLICATION mine SET (publish = 'insert')`, `UPDATE t SET n = 1`, `ALTER PUBLICATION mine SET (publish = 'insert, update, delete, truncate')`},
		"without table":  {`ALTER PUBLICATION mine SET TABLE u`, `UPDATE t SET n = 1`, `ALTER PUBLICATION mine SET TABLE t`},
		"some rows only": {`ALTER PUBLICATION mine SET TABLE t WHERE (id > 5)`, `UPDATE t SET n = 1`, `ALTER PUBLICATION mine SET TABLE t`},
	}
	for why, statements := range changes {
		t.Run(strings.ReplaceAll(why, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple, `CREATE TABLE u (id int PRIMARY KEY)`, `CREATE PUBLICATION mine FOR TABLE t`,
				`INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`)
			s.source["publication"] = "mine"
			s.backfill("b1")
			s.checkOnce()
			for _, statement := range statements {
				s.exec(statement)
			}
			s.wantGap("publication")
			s.heal()
		})
	}
}

// TestAnOwnPublicationThatSomebodyNarrowedIsMadeAnew: with a filter it still lists the table.
func TestAnOwnPublicationThatSomebodyNarrowedIsMadeAnew(t *testing.T) {
	t.Parallel()
	for why, change := range map[string]string{"rows": `t WHERE (id > 5)`, "columns": `t (id)`} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`)
			s.backfill("b1")
			job := s.start("", "--check-every", "100ms")
			job.says("streaming")
			s.exec(`ALTER PUBLICATION ` + s.slot() + ` SET TABLE ` + change)
			job.want(30)
			s.exec(`UPDATE t SET n = 1`)
			s.heal()
		})
	}
}

// TestASinkThatWasLeftAndCameBack: meanwhile its slot served another.
func TestASinkThatWasLeftAndCameBack(t *testing.T) {
	t.Parallel()
	for _, publication := range []string{"", "mine"} {
		t.Run("publication-"+publication, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`, `CREATE PUBLICATION mine FOR TABLE t`)
			if publication != "" {
				s.source["publication"] = publication
			}
			s.backfill("b1")
			s.checkOnce()
			s.target["prefix"] = "other"
			s.wantGap("was the sink changed?")
			s.backfill("b2")
			job := s.start("")
			s.exec(`UPDATE t SET n = 1`)
			s.received()
			job.terminate()
			job.want(0)
			delete(s.target, "prefix")
			s.wantGap("changes are lost")
			s.heal()
		})
	}
}

// TestASlotThatSomebodyElseReadHasGivenChangesAway.
func TestASlotThatSomebodyElseReadHasGivenChangesAway(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`)
	s.backfill("b1")
	s.checkOnce()
	s.exec(`UPDATE t SET n = 1`)
	s.exec(`SELECT pg_replication_slot_advance($1, pg_current_wal_insert_lsn())`, s.slot())
	s.wantGap("somebody else")
	s.heal()
}

// TestASourceThatWasPutBackHasForgottenWhatTheSinkHas: its log has other changes now
// at places that the sink holds already.
func TestASourceThatWasPutBackHasForgottenWhatTheSinkHas(t *testing.T) {
	t.Parallel()
	own := startServer(t, nil)
	s := newStream(t, own, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`)
	s.backfill("b1")
	// What is committed now is written to files, and then the server is put back to before.
	if err := own.Stop(); err != nil {
		t.Fatal(err)
	}
	putBack, err := own.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.db = connect(t, own.URL(s.database))
	job := s.start("")
	s.exec(`INSERT INTO t SELECT i, 1 FROM generate_series(1001, 1300) AS i`)
	s.verify()
	job.terminate()
	job.want(0)
	if err := own.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := putBack(); err != nil {
		t.Fatal(err)
	}
	if err := own.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.db = connect(t, own.URL(s.database))
	for range 200 {
		s.exec(`UPDATE t SET n = n + 1`)
	}
	s.wantGap("the source")
	s.wantGap("the source")
	s.heal()
	if epoch := s.epoch(); epoch < 2 {
		t.Errorf("the backfill belongs to epoch %d, in which changes are lost", epoch)
	}
}

// epoch is the one that the slot's file names.
func (s *stream) epoch() int {
	s.t.Helper()
	var epoch layout.Epoch
	s.read(layout.EpochKey, &epoch)
	return epoch.Number
}

// TestASinkThatLostItsMemoryBeginsBehindWhatItHolds: files of another run of changes must not mix with new ones.
func TestASinkThatLostItsMemoryBeginsBehindWhatItHolds(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`)
	s.backfill("b1")
	job := s.start("")
	s.exec(`UPDATE t SET n = 1`)
	s.verify()
	job.terminate()
	job.want(0)
	for epoch, lose := range []func(){func() {}, s.loseSlot} {
		s.remove(layout.EpochKey)
		lose()
		s.exec(`UPDATE t SET n = n + 1`)
		s.wantGap("was the sink changed?")
		s.heal()
		if s.epoch() != epoch+2 {
			t.Errorf("epoch %d follows epoch %d", s.epoch(), epoch+1)
		}
	}
}

// TestWALThatGoesWhileTheSinkIsSlow: PostgreSQL ends the connection and takes the slot's log away.
func TestWALThatGoesWhileTheSinkIsSlow(t *testing.T) {
	t.Parallel()
	own := startServer(t, map[string]string{"max_slot_wal_keep_size": "1MB", "max_wal_size": "32MB", "min_wal_size": "32MB"})
	s := newStream(t, own, simple, `CREATE TABLE noise (text text)`, `INSERT INTO t VALUES (1, 0)`)
	s.backfill("b1")
	s.misbehave(envHold + "=changes/")
	job := s.start("")
	job.says(`"msg":"streaming"`)
	s.exec(`UPDATE t SET n = 1`)
	s.holding()
	eventually(t, "the slot's WAL is gone", func() bool {
		s.exec(`INSERT INTO noise SELECT repeat(md5(i::text), 100) FROM generate_series(1, 10000) AS i`)
		s.exec(`SELECT pg_switch_wal()`)
		s.exec(`CHECKPOINT`)
		return s.query(`SELECT wal_status FROM pg_replication_slots`) == "lost"
	})
	s.exec(`UPDATE t SET n = 2`)
	s.release()
	job.want(30)
	s.behave()
	s.heal()
}

// TestAPublicationThatIsOnlyMaintained, or gets another table, has left nothing out: no backfill is asked for.
func TestAPublicationThatIsOnlyMaintained(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `CREATE TABLE u (id int PRIMARY KEY)`, `CREATE PUBLICATION mine FOR TABLE t`, `INSERT INTO t VALUES (1, 0)`)
	s.source["publication"] = "mine"
	s.backfill("b1")
	job := s.start("", "--check-every", "100ms")
	for _, statement := range []string{
		`VACUUM FREEZE pg_publication`, `VACUUM FREEZE pg_publication_rel`, `VACUUM (FULL, FREEZE) pg_publication`, `VACUUM (FULL, FREEZE) pg_publication_rel`,
		`ALTER PUBLICATION mine ADD TABLE u`, `ALTER PUBLICATION mine DROP TABLE u`, `ALTER TABLE t ADD COLUMN x int`, `ALTER TABLE t DROP COLUMN x`, `VACUUM FULL t`,
	} {
		s.exec(statement)
		s.exec(`UPDATE t SET n = n + 1`)
	}
	s.verify()
	job.terminate()
	job.want(0)
	s.checkOnce()
	if s.epoch() != 1 {
		t.Errorf("epoch %d", s.epoch())
	}
}
