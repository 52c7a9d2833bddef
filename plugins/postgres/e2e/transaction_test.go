package e2e

// Tests of transactions of every kind, and of a table that is a part of another.

import (
	"testing"
)

// TestTransactionsOfEveryKind: prepared ones, which a job does not live to see the end of, and what is taken back within one.
func TestTransactionsOfEveryKind(t *testing.T) {
	t.Parallel()
	s := newStream(t, startServer(t, map[string]string{"max_prepared_transactions": "5"}), simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) AS i`)
	s.backfill("b1")
	job := s.start("")
	s.exec(`BEGIN; UPDATE t SET n = 5 WHERE id < 10; PREPARE TRANSACTION 'x'`)
	s.exec(`INSERT INTO t VALUES (1000, 1)`)
	s.received()
	job.kill()
	job = s.start("")
	s.exec(`COMMIT PREPARED 'x'`)
	s.verify()
	s.exec(`BEGIN; SAVEPOINT a; UPDATE t SET n = 6 WHERE id < 10; ROLLBACK TO a; SAVEPOINT b; DELETE FROM t WHERE id = 3; RELEASE b; INSERT INTO t VALUES (3, 33); COMMIT`)
	s.exec(`INSERT INTO t VALUES (3, 1), (5000, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + 1`)
	s.exec(`BEGIN; UPDATE t SET n = 7; PREPARE TRANSACTION 'y'`)
	s.exec(`ROLLBACK PREPARED 'y'`)
	s.verify()
	job.terminate()
	job.want(0)
}

// TestAPartition is followed by itself: its rows come from others, and go there.
func TestAPartition(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, `CREATE TABLE root (id int PRIMARY KEY, n int) PARTITION BY RANGE (id)`,
		`CREATE TABLE t PARTITION OF root FOR VALUES FROM (0) TO (100)`, `CREATE TABLE u PARTITION OF root FOR VALUES FROM (100) TO (200)`,
		`CREATE PUBLICATION by_root FOR ALL TABLES WITH (publish_via_partition_root = true)`, `INSERT INTO root SELECT i, 0 FROM generate_series(1, 99) AS i`)
	// Its changes would bear the root's name.
	s.source["publication"] = "by_root"
	s.start("b1").want(20)
	delete(s.source, "publication")
	s.backfill("b1")
	job := s.start("")
	s.exec(`UPDATE root SET id = id + 100 WHERE id < 20`)
	s.verify()
	s.exec(`UPDATE root SET id = id - 100, n = 1 WHERE id >= 110`)
	s.verify()
	s.exec(`TRUNCATE root`)
	s.exec(`INSERT INTO root VALUES (1, 1), (101, 1)`)
	s.verify()
	job.terminate()
	job.want(0)
}
