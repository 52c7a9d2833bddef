package e2e

// Tests of what the source may expect of a stream: that it answers, and that it lets go of the log.

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
)

// TestASlowSinkDoesNotCostTheConnection, although the source ends connections that say nothing for a second.
func TestASlowSinkDoesNotCostTheConnection(t *testing.T) {
	t.Parallel()
	s := newStream(t, startServer(t, map[string]string{"wal_sender_timeout": "1s"}), simple)
	s.backfill("b1")
	s.misbehave(envHold + "=changes/")
	job := s.start("")
	s.exec(`INSERT INTO t VALUES (1, 1)`)
	s.holding()
	held := time.Now()
	// More than the socket takes, so that the source waits for us as well.
	s.exec(`INSERT INTO t SELECT i, 0 FROM generate_series(2, 200000) AS i`)
	eventually(t, "the sink has been slow for long", func() bool { return time.Since(held) > 5*time.Second })
	s.release()
	s.verify()
	if strings.Contains(job.output.String(), "trying again") {
		t.Error("the connection was lost")
	}
	job.terminate()
	job.want(0)
}

// TestAQuietTableLetsGoOfTheLog: only others change, and nothing of theirs is published.
func TestAQuietTableLetsGoOfTheLog(t *testing.T) {
	t.Parallel()
	s := newStream(t, startServer(t, nil), simple, `CREATE TABLE other (text text)`)
	s.backfill("b1")
	job := s.start("")
	job.says(`"msg":"streaming"`)
	s.exec(`INSERT INTO other SELECT md5(i::text) FROM generate_series(1, 10000) AS i`)
	end, err := layout.ParseLSN(s.query(`SELECT pg_current_wal_insert_lsn()::text`))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slot follows", func() bool { return s.confirmed() >= end })
	job.terminate()
	job.want(0)
	if files := s.files("changes"); len(files) != 0 {
		t.Errorf("files were written for other tables: %v", files)
	}
}

// TestATruncateOfSeveralTables reaches the stream's by way of another.
func TestATruncateOfSeveralTables(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.backfill("b1")
		job := s.start("")
		s.exec(`TRUNCATE other CASCADE`)
		s.exec(`INSERT INTO other VALUES (1)`)
		s.exec(`INSERT INTO t VALUES (2, 1)`)
		s.verify()
		s.exec(`TRUNCATE other, t RESTART IDENTITY`)
		s.verify()
		job.terminate()
		job.want(0)
	}, `CREATE TABLE other (id int PRIMARY KEY)`, `INSERT INTO other VALUES (1)`,
		`CREATE TABLE t (id int PRIMARY KEY, o int REFERENCES other)`, `INSERT INTO t VALUES (1, 1)`, `CREATE PUBLICATION mine FOR TABLE t, other`)
}

// TestATableThatTakesAnothersPlace by its name is not the one that was followed.
func TestATableThatTakesAnothersPlace(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `CREATE PUBLICATION everything FOR ALL TABLES`, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`)
	s.source["publication"] = "everything"
	s.backfill("b1")
	job := s.start("", "--check-every", "100ms")
	job.says(`"msg":"streaming"`)
	s.exec(`BEGIN; ALTER TABLE t RENAME TO t_before; CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 77); COMMIT`)
	job.want(30)
	s.heal()
}

// TestTheReplicaIdentityChangesWhileTheStreamRuns.
func TestTheReplicaIdentityChangesWhileTheStreamRuns(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.exec(`INSERT INTO t SELECT i, 'k' || i, 0, ` + big + ` FROM generate_series(1, 20) AS i`)
		s.backfill("b1")
		job := s.start("")
		for _, identity := range []string{"FULL", "DEFAULT", "USING INDEX t_other", "FULL", "DEFAULT"} {
			s.exec(`ALTER TABLE t REPLICA IDENTITY ` + identity)
			s.exec(`UPDATE t SET n = n + 1`)
			s.exec(`UPDATE t SET id = id + 100 WHERE id % 3 = 0`)
			s.exec(`UPDATE t SET other = other || 'x' WHERE id % 4 = 0`)
			s.exec(`DELETE FROM t WHERE id = (SELECT min(id) FROM t)`)
			s.verify()
		}
		job.terminate()
		job.want(0)
	}, `CREATE TABLE t (id int PRIMARY KEY, other text NOT NULL, n int, big text)`, `CREATE UNIQUE INDEX t_other ON t (other)`)
}

// TestAServerThatIsAStandbyForAWhile is what a stream meets while another takes over.
func TestAServerThatIsAStandbyForAWhile(t *testing.T) {
	t.Parallel()
	own := startServer(t, nil)
	s := newStream(t, own, simple, `INSERT INTO t VALUES (1, 1)`)
	s.backfill("b1")
	job := s.start("")
	s.exec(`INSERT INTO t VALUES (2, 2)`)
	s.received()
	if err := errors.Join(own.Stop(), own.MakeStandby(), own.Resume(t.Context())); err != nil {
		t.Fatal(err)
	}
	job.says("the source is a standby now")
	s.db = connect(t, own.URL(s.database))
	s.exec(`SELECT pg_promote()`)
	s.exec(`INSERT INTO t VALUES (3, 3)`)
	s.verify()
	job.terminate()
	job.want(0)
}

// TestWideRowsAreReadOnce: what does not fit into a part is not fetched for it.
func TestWideRowsAreReadOnce(t *testing.T) {
	t.Parallel()
	const rows = 300
	s := newStream(t, server, `CREATE TABLE t (id int PRIMARY KEY, big text)`, `ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL`,
		`INSERT INTO t SELECT i, repeat(md5(i::text), 3000) FROM generate_series(1, `+strconv.Itoa(rows)+`) AS i`)
	s.target["part"] = map[string]any{"maxBytes": 500_000}
	s.backfill("b1")
	if parts := len(s.manifest("b1").Parts); parts < 40 {
		t.Errorf("%d parts of wide rows, want more", parts)
	}
	eventually(t, "the server has counted", func() bool {
		return s.query(`SELECT (idx_scan >= $1::text::int)::text FROM pg_stat_all_tables WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 't'::regclass)`, strconv.Itoa(rows)) == "true"
	})
	read, err := strconv.Atoi(s.query(`SELECT idx_scan::text FROM pg_stat_all_tables WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 't'::regclass)`))
	if err != nil || read > 5*rows {
		t.Errorf("%d large values were read for %d rows (%v)", read, rows, err)
	}
}
