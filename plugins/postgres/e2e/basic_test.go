package e2e

// This file follows a table from its backfill on, in each format.

import (
	"testing"
)

const table = `CREATE TABLE t (id bigint PRIMARY KEY, name text, amount numeric(10,2), at timestamptz DEFAULT now())`

func TestATableIsBackfilledAndFollowed(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"parquet", "jsonl"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, table, `INSERT INTO t SELECT i, 'row ' || i, i * 1.5 FROM generate_series(1, 2500) AS i`)
			s.target["format"] = format
			s.backfill("b1")
			if rows := s.manifest("b1").Rows; rows != 2500 {
				t.Errorf("the manifest says %d rows", rows)
			}
			job := s.start("")
			s.exec(`INSERT INTO t VALUES (3000, NULL, -0.01), (3001, '', NULL)`)
			s.exec(`UPDATE t SET name = name || '!' WHERE id % 7 = 0`)
			s.exec(`DELETE FROM t WHERE id % 11 = 0`)
			s.exec(`UPDATE t SET id = id + 100000 WHERE id % 13 = 0`)
			s.verify()
			job.terminate()
			job.want(0)
		})
	}
}
