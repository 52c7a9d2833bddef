package e2e

// Tests of what changes do to rows, and of what a reader makes of them.

import (
	"strings"
	"testing"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/pgserver"
)

// big is a text that PostgreSQL stores out of line: long, and not to be compressed.
const big = `(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 200))`

var formats = []string{"parquet", "jsonl"}

// inBothFormats runs a test once per format, each with a stream of its own.
func inBothFormats(t *testing.T, test func(s *stream), statements ...string) {
	t.Helper()
	inBothFormatsOn(t, func() *pgserver.Server { return server }, test, statements...)
}

func inBothFormatsOn(t *testing.T, on func() *pgserver.Server, test func(s *stream), statements ...string) {
	t.Helper()
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, on(), statements...)
			s.target["format"] = format
			test(s)
		})
	}
}

// contents of all files of changes, of a stream in jsonl.
func (s *stream) changes() string {
	s.t.Helper()
	var all strings.Builder
	for _, file := range s.files("changes") {
		all.WriteString(s.content(file))
	}
	return all.String()
}

func TestUnchangedOutOfLineValuesComeFromBefore(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.exec(`INSERT INTO t SELECT i, 0, ` + big + `, NULL FROM generate_series(1, 20) AS i`)
		s.backfill("b1")
		job := s.start("")
		s.exec(`UPDATE t SET n = n + 1`)
		s.exec(`UPDATE t SET id = id + 1000 WHERE id % 3 = 0`)
		s.exec(`UPDATE t SET big = ` + big + ` WHERE id % 5 = 0`)
		s.exec(`UPDATE t SET small = 'x', n = n + 1 WHERE id % 2 = 0`)
		s.exec(`UPDATE t SET big = NULL WHERE id = 7`)
		s.exec(`INSERT INTO t VALUES (500, 0, ` + big + `, NULL)`)
		s.exec(`UPDATE t SET n = 77 WHERE id = 500`)
		s.verify()
		job.terminate()
		job.want(0)
		if s.target["format"] == "jsonl" && !strings.Contains(s.changes(), `"_arcane_unchanged":["big"]`) {
			s.t.Error("no change is marked as leaving a column alone: the test tests nothing")
		}
	}, `CREATE TABLE t (id int PRIMARY KEY, n int, big text, small text)`)
}

func TestReplicaIdentities(t *testing.T) {
	t.Parallel()
	identities := map[string]string{
		"full":  `ALTER TABLE t REPLICA IDENTITY FULL`,
		"index": `ALTER TABLE t REPLICA IDENTITY USING INDEX t_other`,
	}
	for name, identity := range identities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothFormats(t, func(s *stream) {
				s.exec(`INSERT INTO t SELECT i, 'k' || i, 0, ` + big + ` FROM generate_series(1, 20) AS i`)
				s.backfill("b1")
				job := s.start("")
				s.exec(`UPDATE t SET n = n + 1`)
				s.exec(`UPDATE t SET id = id + 1000 WHERE id % 3 = 0`)
				s.exec(`UPDATE t SET other = other || 'x' WHERE id % 4 = 0`)
				s.exec(`DELETE FROM t WHERE id % 5 = 0`)
				s.verify()
				job.terminate()
				job.want(0)
				marked := strings.Contains(s.changes(), "_arcane_unchanged\":")
				if s.target["format"] == "jsonl" && marked != (name == "index") {
					s.t.Errorf("changes leave columns out: %t", marked)
				}
			}, `CREATE TABLE t (id int PRIMARY KEY, other text NOT NULL, n int, big text)`,
				`CREATE UNIQUE INDEX t_other ON t (other)`, identity)
		})
	}
}

// TestAKeyThatIsStoredOutOfLine: an update that leaves such a key alone names the row by its old key only.
func TestAKeyThatIsStoredOutOfLine(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.backfill("b1")
		job := s.start("")
		s.exec(`UPDATE t SET n = n + 1`)
		s.exec(`UPDATE t SET id = 'x' || id WHERE part = 3`)
		s.exec(`DELETE FROM t WHERE part = 5`)
		s.verify()
		job.terminate()
		job.want(0)
	}, `CREATE TABLE t (id text, part int, n int, PRIMARY KEY (part, id))`,
		`ALTER TABLE t ALTER COLUMN id SET STORAGE EXTERNAL`,
		`INSERT INTO t SELECT (SELECT string_agg(md5(random()::text || x || i), '') FROM generate_series(1, 75) AS x), i, 0 FROM generate_series(1, 10) AS i`)
}

func TestTruncateEmptiesTheTable(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.backfill("b1")
		job := s.start("")
		s.exec(`UPDATE t SET n = 1 WHERE id < 10`)
		s.exec(`BEGIN; INSERT INTO t VALUES (100001, 1); TRUNCATE t; INSERT INTO t SELECT i, 2 FROM generate_series(1, 50) AS i; COMMIT`)
		s.exec(`DELETE FROM t WHERE id = 50`)
		s.verify()
		s.exec(`TRUNCATE t`)
		s.verify()
		job.terminate()
		job.want(0)
	}, `CREATE TABLE t (id int PRIMARY KEY, n int)`, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 3000) AS i`)
}

func TestASchemaChangeStartsANewFile(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["batch"] = map[string]any{"maxAge": "1h"}
		s.backfill("b1")
		job := s.start("")
		s.exec(`INSERT INTO t VALUES (101, 'before')`)
		s.exec(`BEGIN; INSERT INTO t VALUES (102, 'before'); ALTER TABLE t ADD COLUMN extra jsonb; INSERT INTO t VALUES (103, 'after', '{"a": 1}'); COMMIT`)
		s.exec(`UPDATE t SET extra = '[1, 2]' WHERE id < 10`)
		s.exec(`ALTER TABLE t DROP COLUMN name`)
		s.exec(`INSERT INTO t VALUES (104, 'null')`)
		s.exec(`ALTER TABLE t ALTER COLUMN id TYPE bigint`)
		s.exec(`UPDATE t SET id = 5000000000 WHERE id = 104`)
		s.received()
		job.says(`the table's columns have changed.*"added":\["extra jsonb"\]`)
		job.says(`the table's columns have changed.*"gone":\["name text"\]`)
		job.terminate()
		job.want(0)
		if files := s.files("changes"); len(files) != 4 {
			s.t.Errorf("%d files for four schemas: %v", len(files), files)
		}
		job = s.start("")
		s.verify()
		job.terminate()
		job.want(0)
	}, `CREATE TABLE t (id int PRIMARY KEY, name text)`, `INSERT INTO t SELECT i, 'row' FROM generate_series(1, 100) AS i`)
}

func TestCompositeKeysAndOddNames(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.source["table"], s.source["schema"] = `My "Table"`, "Sales, EU"
		s.target["part"] = map[string]any{"maxRows": 100}
		s.backfill("b1")
		if parts := s.parts("b1"); len(parts) < 10 {
			s.t.Errorf("%d parts, want at least 10", len(parts))
		}
		job := s.start("")
		s.exec(`UPDATE "Sales, EU"."My ""Table""" SET "a.b" = 'x', "A" = "A" + 1 WHERE "A" % 2 = 0`)
		s.exec(`UPDATE "Sales, EU"."My ""Table""" SET "日" = "日" + interval '1 day' WHERE "A" % 3 = 0`)
		s.exec(`DELETE FROM "Sales, EU"."My ""Table""" WHERE a LIKE '%4'`)
		s.verify()
		job.terminate()
		job.want(0)
	}, `CREATE SCHEMA "Sales, EU"`,
		// The index has another order than the columns, and a text with quotes in it.
		`CREATE TABLE "Sales, EU"."My ""Table""" ("A" int, a text, "a.b" text, "日" timestamptz, " ""q"" " float8, PRIMARY KEY (a, "日", "A"))`,
		`INSERT INTO "Sales, EU"."My ""Table""" SELECT i, '''"' || (i % 17), NULL, '2024-01-01'::timestamptz + i * interval '1 hour', i / 3.0 FROM generate_series(1, 1500) AS i`)
}

func TestATransactionLargerThanABatchIsSplitAndWhole(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["batch"] = map[string]any{"maxRows": 100, "maxAge": "1h"}
		s.backfill("b1")
		job := s.start("")
		s.exec(`INSERT INTO t SELECT i, 1 FROM generate_series(1, 1050) AS i`)
		eventually(t, "ten files are written", func() bool { return len(s.files("changes")) == 10 })
		job.kill()
		// The transaction is not confirmed, is sent again, and what is in files already stays out of new ones.
		s.target["batch"] = map[string]any{"maxRows": 70, "maxAge": "1h"}
		job = s.start("")
		s.received()
		job.terminate()
		job.want(0)
		if files := s.files("changes"); len(files) != 11 {
			s.t.Errorf("%d files, want 11: %v", len(files), files)
		}
		job = s.start("")
		s.verify()
		job.terminate()
		job.want(0)
	}, `CREATE TABLE t (id int PRIMARY KEY, n int)`)
}
