package e2e

// Tests of the order in which a backfill reads: a part goes on where the one before ended only where both mean the same order.

import (
	"testing"
)

// TestKeysWhoseOperatorsAreNotInTheSearchPath: citext lives in a schema of its own at
// some providers, and without its operators PostgreSQL compares its values as text.
func TestKeysWhoseOperatorsAreNotInTheSearchPath(t *testing.T) {
	t.Parallel()
	for why, key := range map[string]string{"single": "id", "composite": "tenant, id"} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			inBothFormats(t, func(s *stream) {
				s.target["part"] = map[string]any{"maxRows": 7}
				s.backfill("b1")
				if rows := s.manifest("b1").Rows; rows != 200 {
					s.t.Errorf("the backfill has %d of 200 rows", rows)
				}
				s.checkOnce()
			}, `CREATE SCHEMA extensions`, `CREATE EXTENSION citext SCHEMA extensions`,
				`CREATE TABLE t (tenant int, id extensions.citext, n int, PRIMARY KEY (`+key+`))`,
				`INSERT INTO t SELECT i % 3, (CASE WHEN i % 2 = 0 THEN 'key' ELSE 'KEY' END || i)::extensions.citext, 0 FROM generate_series(1, 200) AS i`)
		})
	}
}

// TestKeysInEveryCollation: the parts' seams follow the order of the key's own collation.
func TestKeysInEveryCollation(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"linguistic": `text COLLATE "und-x-icu"`, "bytes": `text COLLATE "C"`, "nondeterministic": `text COLLATE caseless`,
		"domain": `word`, "domain-of-another-collation": `word COLLATE "C"`, "padded": `char(12)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, `CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
				`CREATE DOMAIN word AS text COLLATE "und-x-icu"`, `CREATE TABLE t (id `+key+` PRIMARY KEY, n int)`,
				`INSERT INTO t SELECT (ARRAY['a', 'B', '-c', 'Ä', '_', 'ß'])[1 + i % 6] || i, i FROM generate_series(1, 300) AS i`)
			s.target["part"] = map[string]any{"maxRows": 11}
			s.backfill("b1")
			if rows := s.manifest("b1").Rows; rows != 300 {
				t.Errorf("the backfill has %d of 300 rows", rows)
			}
			job := s.start("")
			s.exec(`UPDATE t SET n = n + 1, id = 'z' || id WHERE n % 2 = 0`)
			s.verify()
			job.terminate()
			job.want(0)
		})
	}
}

// TestAnOrderThatChangesBetweenTwoRunsMakesTheBackfillBeginAnew: behind a key is another place then.
func TestAnOrderThatChangesBetweenTwoRunsMakesTheBackfillBeginAnew(t *testing.T) {
	t.Parallel()
	for why, change := range map[string]string{
		"columns":   `ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (b, a)`,
		"collation": `ALTER TABLE t ALTER COLUMN a TYPE text COLLATE "C", ALTER COLUMN b TYPE text COLLATE "C"`,
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, `CREATE TABLE t (a text COLLATE "und-x-icu", b text COLLATE "und-x-icu", n int, PRIMARY KEY (a, b))`,
				`INSERT INTO t SELECT CASE WHEN i % 2 = 0 THEN 'x' ELSE 'Y' END || (100 - i), 'k' || i, 0 FROM generate_series(1, 100) AS i`)
			s.target["part"] = map[string]any{"maxRows": 30}
			s.misbehave(envHold + `=part-000003\.json`)
			job := s.start("b1")
			s.holding()
			job.kill()
			s.behave()
			s.exec(change)
			s.backfill("b1")
			if rows := s.manifest("b1").Rows; rows != 100 {
				t.Errorf("the backfill has %d of 100 rows", rows)
			}
			s.checkOnce()
		})
	}
}

// TestAColumnThatIsDroppedAndAddedBetweenTwoPartsMakesTheBackfillBeginAnew: the table
// looks the same, and what is in the parts is gone.
func TestAColumnThatIsDroppedAndAddedBetweenTwoPartsMakesTheBackfillBeginAnew(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, i FROM generate_series(1, 20) AS i`)
	s.target["part"] = map[string]any{"maxRows": 5}
	s.hold(`part-000002\.json`, "b1", func() { s.exec(`ALTER TABLE t DROP COLUMN n, ADD COLUMN n int`) })
	s.checkOnce()
}
