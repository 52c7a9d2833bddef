package e2e

// Tests of how jobs end: every exit code that the StreamClass gives a meaning to.

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
)

const simple = `CREATE TABLE t (id int PRIMARY KEY, n int)`

func TestUnusableConfigurationEndsWith20(t *testing.T) {
	t.Parallel()
	tests := []struct {
		why    string
		change func(s *stream)
		says   string
	}{
		{"no such table", func(s *stream) { s.source["table"] = "missing" }, `table "public"."missing" does not exist`},
		{"no such schema", func(s *stream) { s.source["schema"] = "missing" }, `table "missing"."t" does not exist`},
		{"no such database", func(s *stream) { s.source["database"] = "missing" }, `database "missing" does not exist`},
		{"no primary key", func(s *stream) { s.exec(`ALTER TABLE t DROP CONSTRAINT t_pkey`) }, "has no primary key"},
		{"a deferrable primary key", func(s *stream) {
			s.exec(`ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id) DEFERRABLE`)
		}, "has no primary key"},
		{"no replica identity", func(s *stream) { s.exec(`ALTER TABLE t REPLICA IDENTITY NOTHING`) }, "REPLICA IDENTITY NOTHING"},
		{"a view", func(s *stream) { s.exec(`CREATE VIEW v AS SELECT * FROM t`); s.source["table"] = "v" }, "is no table"},
		{"a partitioned table", func(s *stream) {
			s.exec(`CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)`)
			s.source["table"] = "p"
		}, "is partitioned"},
		{"an unlogged table", func(s *stream) { s.exec(`ALTER TABLE t SET UNLOGGED`) }, "is unlogged"},
		{"a column with a name of ours", func(s *stream) { s.exec(`ALTER TABLE t ADD COLUMN "_ARCANE_LSN" int`) }, `column "_ARCANE_LSN"`},
		{"no such publication", func(s *stream) { s.source["publication"] = "missing" }, `"missing" does not exist`},
		{"a publication of half the rows", func(s *stream) {
			s.exec(`CREATE PUBLICATION half FOR TABLE t WHERE (id % 2 = 0)`)
			s.source["publication"] = "half"
		}, "only some rows"},
		{"a publication of some columns", func(s *stream) {
			s.exec(`CREATE PUBLICATION part FOR TABLE t (id)`)
			s.source["publication"] = "part"
		}, `leaves out column "n"`},
		{"a publication without deletes", func(s *stream) {
			s.exec(`CREATE PUBLICATION part FOR TABLE t WITH (publish = 'insert, update, truncate')`)
			s.source["publication"] = "part"
		}, `does not publish inserts, updates, deletes and truncates`},
		{"a wrong password", func(s *stream) { s.env = []string{"PGPASSWORD=wrong"} }, "password authentication failed"},
		{"encryption that the server does not have", func(s *stream) { s.source["sslMode"] = "require" }, "TLS"},
		{"a password in the spec", func(s *stream) { s.source["password"] = canary }, "spec.source.password: a spec holds no secrets"},
		{"a password in the bucket's URL", func(s *stream) { s.target["bucket"] = "s3://user:" + canary + "@bucket" }, "spec.sink.bucket: holds a secret"},
		{"an unknown field", func(s *stream) { s.source["tables"] = []string{"t"} }, `unknown field "tables"`},
		{"no bucket", func(s *stream) { s.target["bucket"] = "file://" + s.sink + "/missing" }, "spec.sink.bucket"},
		{"a bucket of an unknown kind", func(s *stream) { s.target["bucket"] = "ftp://host" }, "spec.sink.bucket"},
		{"a bucket that cannot be written to", func(s *stream) { s.target["bucket"] = "file:///proc/sys" }, "spec.sink.bucket"},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.why, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple)
			test.change(s)
			p := s.start("b1")
			p.want(20)
			words := p.lastWords()
			if !strings.HasPrefix(words, "config: ") || !strings.Contains(words, test.says) {
				t.Errorf("the termination message is %q; want one about %q", words, test.says)
			}
			if !strings.Contains(p.output.String(), words) {
				t.Error("standard error does not have the termination message")
			}
			if strings.Contains(p.output.String(), canary) || strings.Contains(p.output.String(), s.server.Password) {
				t.Error("a password is on the log")
			}
			if slots := s.query(`SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot()); slots != "0" {
				t.Error("a slot was made, which fills the source's disk")
			}
		})
	}
}

// canary is a password that must not be seen anywhere.
const canary = "hunter2-canary"

// TestASignedURLIsNotShown: the library puts it into its errors, with the key to the bucket.
func TestASignedURLIsNotShown(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple)
	s.target["bucket"] = "azblob://container"
	s.env = []string{
		"AZURE_STORAGE_ACCOUNT=account", "AZURE_STORAGE_DOMAIN=127.0.0.1:1", "AZURE_STORAGE_PROTOCOL=http", "AZURE_STORAGE_IS_LOCAL_EMULATOR=true",
		"AZURE_STORAGE_SAS_TOKEN=sv=2022&se=x&sig=" + canary,
	}
	p := s.start("", "--patience=2s")
	p.want(2)
	if words := p.lastWords(); !strings.Contains(words, "connection refused") || strings.Contains(words+p.output.String(), canary) {
		t.Errorf("the termination message is %q", words)
	}
}

func TestAMissingEnvironmentEndsWith20(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple)
	required := []string{job.EnvStreamID, job.EnvStreamNamespace, job.EnvStreamUID, job.EnvSpec, job.EnvBackfill, job.EnvBackfillID}
	for _, name := range required {
		env := slices.DeleteFunc(s.environment("b1"), func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
		p := launch(t, env)
		p.want(20)
		if words := p.lastWords(); !strings.Contains(words, name+" is missing") {
			t.Errorf("without %s the termination message is %q", name, words)
		}
	}
}

// confirms writes so that the process that has the slot confirms something all the time, until the function that it returns is called.
func (s *stream) confirms() (stop func()) {
	s.t.Helper()
	s.exec(`CREATE TABLE beside (n int)`)
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if _, err := s.db.Exec(ctx, `INSERT INTO beside VALUES (1)`); err != nil && ctx.Err() == nil {
				s.t.Errorf("write beside the table: %v", err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

func TestASlotInUseEndsWith2(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple)
	s.backfill("b1")
	first := s.start("")
	s.received()
	// What the first one confirms meanwhile is no progress of the second one.
	confirms := s.confirms()
	second := s.start("", "--patience=500ms")
	second.want(2)
	confirms()
	if words := second.lastWords(); !strings.Contains(words, "slot "+s.slot()+" is in use by another process") {
		t.Errorf("the termination message is %q", words)
	}
	// With patience, it takes over when the other ends.
	third := s.start("")
	third.says("trying again")
	first.terminate()
	first.want(0)
	s.exec(`INSERT INTO t VALUES (1, 1)`)
	s.verify()
	third.terminate()
	third.want(0)
}

func TestALostSlotEndsWith30AndABackfillHealsIt(t *testing.T) {
	t.Parallel()
	losses := map[string]func(s *stream){
		"the slot is dropped":        func(s *stream) { s.loseSlot() },
		"the publication is dropped": func(s *stream) { s.exec(`DROP PUBLICATION ` + s.slot()) },
		"the publication is changed": func(s *stream) { s.exec(`ALTER PUBLICATION ` + s.slot() + ` SET (publish = 'insert')`) },
		"the table is made anew":     func(s *stream) { s.exec(`DROP TABLE t`); s.exec(simple) },
		"the sink is another":        func(s *stream) { s.target["prefix"] = "other" },
		"the table is another": func(s *stream) {
			s.exec(`CREATE TABLE u (id int PRIMARY KEY, n int)`)
			s.source["table"] = "u"
		},
	}
	for why, lose := range losses {
		t.Run(strings.ReplaceAll(why, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) AS i`)
			s.backfill("b1")
			lose(s)
			s.exec(`INSERT INTO ` + s.source["table"].(string) + ` SELECT i, 0 FROM generate_series(101, 150) AS i`)
			p := s.start("")
			p.want(30)
			if words := p.lastWords(); !strings.HasPrefix(words, "sourceGap: ") {
				t.Errorf("the termination message is %q", words)
			}
			// The operator answers with a backfill.
			s.backfill("gap")
			job := s.start("")
			s.exec(`UPDATE ` + s.source["table"].(string) + ` SET n = 1 WHERE id % 2 = 0`)
			if s.target["prefix"] == nil {
				s.verify()
			} else {
				s.received()
			}
			job.terminate()
			job.want(0)
		})
	}
}

// TestATableThatIsMadeAnewIsAnother, although a publication of all tables has it.
func TestATableThatIsMadeAnewIsAnother(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `CREATE PUBLICATION everything FOR ALL TABLES`, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) AS i`)
	s.source["publication"] = "everything"
	s.backfill("b1")
	s.exec(`UPDATE t SET n = 1`)
	s.exec(`DROP TABLE t`)
	s.exec(simple)
	s.exec(`INSERT INTO t VALUES (1, 2)`)
	s.start("", "--check-every=1h").want(30)
	s.backfill("gap")
	s.checkOnce()
}

// TestARoleWithFewRights may read the table and replicate, no more; an
// administrator has made the publication. What it lacks is said before a slot is made.
func TestARoleWithFewRights(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t VALUES (1, 1)`, `CREATE PUBLICATION mine FOR TABLE t`)
	role := "role_" + s.database
	s.exec(`CREATE ROLE ` + role + ` LOGIN PASSWORD 'few'`)
	t.Cleanup(func() {
		_, err := s.db.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		if err != nil {
			t.Error(err)
		}
	})
	s.env = []string{"PGUSER=" + role, "PGPASSWORD=few"}
	refused := func(says, wayOut string) {
		t.Helper()
		p := s.start("b1")
		p.want(20)
		if words := p.lastWords(); !strings.Contains(words, says) || !strings.Contains(words, wayOut) {
			t.Errorf("the termination message is %q; want one about %q with %q", words, says, wayOut)
		}
		if slots := s.query(`SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = $1`, s.slot()); slots != "0" {
			t.Error("a slot was made, which fills the source's disk")
		}
	}
	refused("replication role", `ALTER ROLE "`+role+`" REPLICATION`)
	s.exec(`ALTER ROLE ` + role + ` REPLICATION`)
	refused("may not read", `GRANT SELECT ON "public"."t" TO `+role)
	s.exec(`GRANT SELECT ON t TO ` + role)
	refused("permission denied for database", "spec.source.publication")
	s.source["publication"] = "mine"
	s.exec(`ALTER TABLE t ENABLE ROW LEVEL SECURITY`)
	s.exec(`CREATE POLICY half ON t USING (id % 2 = 0)`)
	refused("row-level security", "BYPASSRLS")
	s.exec(`ALTER TABLE t DISABLE ROW LEVEL SECURITY`)
	s.backfill("b1")
	job := s.start("")
	s.exec(`INSERT INTO t VALUES (2, 2)`)
	s.verify()
	job.terminate()
	job.want(0)
}

// TestAPasswordThatIsChangedMeanwhile: the next pod reads the new one from the Secret,
// so that a job that was let in before does not call for the user.
func TestAPasswordThatIsChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) AS i`)
	role := "role_" + s.database
	s.exec(`CREATE ROLE ` + role + ` SUPERUSER LOGIN PASSWORD 'before'`)
	t.Cleanup(func() {
		if _, err := s.db.Exec(context.Background(), `REASSIGN OWNED BY `+role+` TO CURRENT_USER; DROP ROLE `+role); err != nil {
			t.Error(err)
		}
	})
	password := "before"
	change := func() {
		t.Helper()
		password += "x"
		s.exec(`ALTER ROLE ` + role + ` PASSWORD '` + password + `'`)
		s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, role)
	}
	s.target["part"] = map[string]any{"maxRows": 5}
	s.misbehave(envHold+`=part-000002\.json`, "PGUSER="+role, "PGPASSWORD="+password)
	job := s.start("b1", "--patience=1s")
	s.holding()
	change()
	s.release()
	job.want(2)
	s.behave()
	s.env = []string{"PGUSER=" + role, "PGPASSWORD=" + password}
	s.backfill("b1")
	job = s.start("", "--patience=1s")
	s.received()
	change()
	job.want(2)
	if words := job.lastWords(); !strings.Contains(words, "password authentication failed") {
		t.Errorf("the termination message is %q", words)
	}
	// The next job has never been let in.
	s.start("").want(20)
	s.env = []string{"PGUSER=" + role, "PGPASSWORD=" + password}
	s.checkOnce()
}

// TestASlotWhoseMakingWasCutShortIsMadeAnew: nobody knows what it has seen.
func TestASlotWhoseMakingWasCutShortIsMadeAnew(t *testing.T) {
	t.Parallel()
	for _, next := range []string{"b2", ""} {
		s := newStream(t, server, simple)
		s.backfill("b1")
		file := filepath.Join(s.directory(), "slot.json")
		if err := os.WriteFile(file, []byte(strings.Replace(s.content("slot.json"), `"ready": true`, `"ready": false`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		job := s.start(next)
		job.says("beginning a new run of changes")
		if next == "" {
			job.says(`"msg":"streaming"`)
			job.terminate()
		}
		job.want(0)
		if slot := s.content("slot.json"); !strings.Contains(slot, `"epoch": 2`) || !strings.Contains(slot, `"ready": true`) {
			t.Errorf("slot.json: %s", slot)
		}
	}
}

func TestALossWhileStreamingIsNoticed(t *testing.T) {
	t.Parallel()
	losses := map[string]struct {
		lose string
		code int
	}{
		"the table is made anew":     {`DROP TABLE t; ` + simple, 30},
		"the publication is dropped": {`DROP PUBLICATION %s`, 30},
		"the table is dropped":       {`DROP TABLE t`, 20},
		"the primary key is dropped": {`ALTER TABLE t DROP CONSTRAINT t_pkey`, 20},
	}
	for why, loss := range losses {
		t.Run(strings.ReplaceAll(why, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple)
			s.target["batch"] = map[string]any{"maxAge": "1h"}
			s.backfill("b1")
			job := s.start("", "--check-every", "100ms")
			s.exec(`INSERT INTO t VALUES (1, 1)`)
			s.received()
			s.exec(strings.ReplaceAll(loss.lose, "%s", s.slot()))
			job.want(loss.code)
			if files := s.files("changes"); len(files) != 1 {
				t.Errorf("what was received before is not in a file: %v", files)
			}
		})
	}
}

func TestWALThatIsGoneEndsWith30(t *testing.T) {
	t.Parallel()
	own := startServer(t, map[string]string{"max_slot_wal_keep_size": "1MB", "max_wal_size": "32MB", "min_wal_size": "32MB"})
	s := newStream(t, own, simple, `CREATE TABLE noise (text text)`)
	s.backfill("b1")
	eventually(t, "the slot's WAL is gone", func() bool {
		s.exec(`INSERT INTO noise SELECT repeat(md5(i::text), 100) FROM generate_series(1, 10000) AS i`)
		s.exec(`SELECT pg_switch_wal()`)
		s.exec(`CHECKPOINT`)
		return s.query(`SELECT wal_status FROM pg_replication_slots`) == "lost"
	})
	p := s.start("")
	p.want(30)
	if words := p.lastWords(); !strings.Contains(words, "invalidated") {
		t.Errorf("the termination message is %q", words)
	}
	s.exec(`INSERT INTO t VALUES (1, 1)`)
	s.backfill("gap")
	job := s.start("")
	s.verify()
	job.terminate()
	job.want(0)
}

func TestSIGTERMWhileStreamingFlushesAndConfirms(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["batch"] = map[string]any{"maxAge": "1h"}
		s.backfill("b1")
		job := s.start("")
		s.exec(`INSERT INTO t VALUES (1, 1), (2, 2)`)
		end := s.query(`SELECT pg_current_wal_insert_lsn()::text`)
		s.received()
		if files := s.files("changes"); len(files) != 0 {
			s.t.Fatalf("the batch was written before its time: %v", files)
		}
		job.terminate()
		job.want(0)
		if files := s.files("changes"); len(files) != 1 {
			s.t.Errorf("want one file of changes, have %v", files)
		}
		if confirmed := s.confirmed().String(); confirmed < end {
			s.t.Errorf("confirmed is %s, want at least %s", confirmed, end)
		}
	}, simple)
}

func TestSIGTERMWhileBackfillingEndsWith143AndTheNextRunResumes(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.misbehave(envHold + `=part-000003-.*\.(parquet|jsonl)`)
		job := s.start("b1")
		s.holding()
		job.terminate()
		job.says("asked to stop")
		s.release()
		job.want(143)
		if words := job.lastWords(); !strings.HasPrefix(words, "interrupted: ") {
			s.t.Errorf("the termination message is %q", words)
		}
		parts := s.parts("b1")
		if len(parts) != 3 {
			s.t.Fatalf("%d parts are finished, want 3: SIGTERM comes at a part's end", len(parts))
		}
		before := s.stamps("b1")
		s.behave()
		s.backfill("b1")
		after := s.stamps("b1")
		for file, stamp := range before {
			if after[file] != stamp {
				s.t.Errorf("%s was written again, or is gone", file)
			}
		}
		if manifest := s.manifest("b1"); manifest.Rows != 10_000 || len(manifest.Parts) != 10 {
			s.t.Errorf("the manifest has %d rows in %d parts", manifest.Rows, len(manifest.Parts))
		}
		// Done is done.
		again := s.start("b1")
		again.want(0)
		if !strings.Contains(again.output.String(), "complete already") {
			s.t.Error("a completed backfill was run again")
		}
		job = s.start("")
		s.verify()
		job.terminate()
		job.want(0)
	}, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 10000) AS i`)
}

// stamps are the finished parts' files with the time and the inode of their last writing.
func (s *stream) stamps(backfill string) map[string]string {
	s.t.Helper()
	stamps := map[string]string{}
	for _, key := range s.parts(backfill) {
		var part struct{ File string }
		s.read(key, &part)
		for _, file := range []string{key, part.File} {
			info, err := os.Stat(filepath.Join(s.directory(), filepath.FromSlash(file)))
			if err != nil {
				s.t.Fatal(err)
			}
			stamps[file] = info.ModTime().String() + strconv.FormatUint(info.Sys().(*syscall.Stat_t).Ino, 10)
		}
	}
	return stamps
}

func TestSIGTERMWhileWaitingForOtherTransactionsEndsWith143(t *testing.T) {
	t.Parallel()
	own := startServer(t, nil)
	s := newStream(t, own, simple)
	writer := connect(t, own.URL(s.database))
	exec1(t, writer, `BEGIN; INSERT INTO t VALUES (1, 1)`)
	job := s.start("b1")
	job.says("beginning a new run")
	eventually(t, "the slot is being created", func() bool {
		return s.query(`SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%pg_create_logical_replication_slot%' AND wait_event_type = 'Lock'`) == "1"
	})
	job.terminate()
	job.want(143)
	exec1(t, writer, `COMMIT`)
	s.backfill("b1")
	job = s.start("")
	s.verify()
	job.terminate()
	job.want(0)
}

func TestAPanicEndsWith1(t *testing.T) {
	t.Parallel()
	for mode, pattern := range map[string]string{"backfill": `part-`, "streaming": `changes/`} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple, `INSERT INTO t VALUES (1, 1)`)
			backfill := "b1"
			if mode == "streaming" {
				s.backfill(backfill)
				backfill = ""
			}
			s.misbehave(envPanic + "=" + pattern)
			job := s.start(backfill)
			if mode == "streaming" {
				s.received()
				s.exec(`INSERT INTO t VALUES (2, 2)`)
			}
			job.want(1)
			words := job.lastWords()
			if !strings.HasPrefix(words, "fatal: panic: the bucket panics") || strings.Contains(words, "goroutine") {
				t.Errorf("the termination message is %q", words)
			}
			if !strings.Contains(job.output.String(), "bucket_test.go") {
				t.Error("the panic's stack is not on the log")
			}
		})
	}
}

func TestASinkThatFailsEndsWith2(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t VALUES (1, 1)`)
	s.misbehave(envFail + "=part-")
	job := s.start("b1", "--patience=1s")
	job.want(2)
	s.behave()
	s.backfill("b1")
	s.misbehave(envFail + "=changes/")
	job = s.start("", "--patience=1s")
	s.exec(`INSERT INTO t VALUES (2, 2)`)
	job.want(2)
	s.behave()
	job = s.start("")
	s.verify()
	job.terminate()
	job.want(0)
}

func TestASourceThatGoesAndComes(t *testing.T) {
	t.Parallel()
	own := startServer(t, nil)
	s := newStream(t, own, simple, `INSERT INTO t VALUES (1, 1)`)
	s.backfill("b1")
	job := s.start("")
	s.exec(`INSERT INTO t VALUES (2, 2)`)
	s.received()
	for _, stop := range []func() error{own.Stop, own.Kill} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		job.says("trying again")
		if err := own.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.db = connect(t, own.URL(s.database))
		s.exec(`UPDATE t SET n = n + 1`)
		s.verify()
	}
	if err := own.Stop(); err != nil {
		t.Fatal(err)
	}
	// Away for longer than its patience.
	impatient := s.start("", "--patience=1s")
	impatient.want(2)
	job.terminate()
	job.want(0)
	if err := own.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.db = connect(t, own.URL(s.database))
}

func TestCleanupDropsSlotAndPublication(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple)
	s.backfill("b1")
	count := func() string {
		return s.query(`SELECT ((SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1)
			+ (SELECT count(*) FROM pg_publication WHERE pubname = $1))::text`, s.slot())
	}
	if count() != "2" {
		t.Fatal("there is no slot or no publication to drop")
	}
	job := s.start("")
	s.received()
	busy := launch(t, s.environment(""), "cleanup", "--timeout", "200ms")
	busy.want(2)
	if count() != "2" {
		t.Fatal("a slot in use was dropped")
	}
	// With patience it waits for the job to end.
	patient := launch(t, s.environment(""), "cleanup")
	job.terminate()
	job.want(0)
	patient.want(0)
	if left := count(); left != "0" {
		t.Errorf("%s of slot and publication are left", left)
	}
	// Again, and from the Stream's own JSON: nothing to do is fine.
	object, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"name": s.stream.Name, "namespace": s.stream.Namespace, "uid": s.stream.UID},
		"spec":     map[string]any{"source": s.source, "sink": s.target},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "stream.json")
	if err := os.WriteFile(file, object, 0o600); err != nil {
		t.Fatal(err)
	}
	env := slices.DeleteFunc(s.environment(""), func(pair string) bool { return strings.HasPrefix(pair, "STREAMCONTEXT__") })
	launch(t, env, "cleanup", "--stream", file).want(0)
}

func TestCleanupLeavesAPublicationOfTheUsers(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `CREATE PUBLICATION mine FOR TABLE t`, `INSERT INTO t VALUES (1, 1)`)
	s.source["publication"] = "mine"
	s.backfill("b1")
	job := s.start("")
	s.exec(`INSERT INTO t VALUES (2, 2)`)
	s.verify()
	job.terminate()
	job.want(0)
	launch(t, s.environment(""), "cleanup").want(0)
	if left := s.query(`SELECT string_agg(pubname, ',') FROM pg_publication`); left != "mine" {
		t.Errorf("publications: %q, want mine", left)
	}
}

func TestAStreamWithoutAnInitialBackfillFollowsFromNowOn(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t VALUES (1, 1)`)
	job := s.start("")
	job.says("streaming")
	s.exec(`INSERT INTO t VALUES (2, 2)`)
	eventually(t, "the change is written", func() bool { return len(s.files("changes")) == 1 })
	early := s.startVerify("--timeout=300ms")
	early.want(2)
	if !strings.Contains(early.output.String(), "no completed backfill") {
		t.Errorf("verify says %q", early.output.String())
	}
	job.terminate()
	job.want(0)
	// A backfill that is asked for later continues the same run of changes.
	s.backfill("b1")
	job = s.start("")
	s.verify()
	job.terminate()
	job.want(0)
	if len(s.files("changes")) != 1 {
		t.Error("the backfill began a new run of changes")
	}
}

func TestAScheduledRunIsCompleteByItself(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 5000) AS i`)
	for _, name := range []string{"orders-29000001", "orders-29000002"} {
		env := slices.DeleteFunc(s.environment(name), func(pair string) bool {
			return strings.HasPrefix(pair, job.EnvBackfillUID+"=") || strings.HasPrefix(pair, job.EnvBackfillID+"=") || strings.HasPrefix(pair, job.EnvRun+"=")
		})
		s.exec(`UPDATE t SET n = n + 1`)
		launch(t, append(env, job.EnvBackfillID+"="+name)).want(0)
		manifest := s.manifest(name)
		if manifest.Rows != 5000 || manifest.BackfillUID != "" {
			t.Errorf("%s: %+v", name, manifest)
		}
		if confirmed := s.confirmed(); confirmed < manifest.EndLSN {
			t.Errorf("%s: the slot is left at %s, behind %s: it would keep the source's log", name, confirmed, manifest.EndLSN)
		}
	}
}

func TestThePayloadOverridesTheSizeOfParts(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 1000) AS i`)
	s.env = []string{job.EnvOverride + `={"part": {"maxRows": 100}, "reason": "asked by sales"}`}
	s.backfill("b1")
	if parts := s.manifest("b1").Parts; len(parts) != 10 {
		t.Errorf("%d parts, want 10", len(parts))
	}
	s.env = []string{job.EnvOverride + `={"part": {"maxRows": "many"}}`}
	s.start("b2").want(20)
}

func TestVerifyFindsEveryKindOfDifference(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) AS i`)
	s.target["format"] = "jsonl"
	s.backfill("b1")
	job := s.start("")
	s.exec(`UPDATE t SET n = 5 WHERE id = 50`)
	s.exec(`DELETE FROM t WHERE id = 60`)
	s.exec(`INSERT INTO t VALUES (101, 1)`)
	s.verify()
	part := s.manifest("b1").Parts[0].File
	file := filepath.Join(s.directory(), filepath.FromSlash(part))
	good := s.content(part)
	damages := []struct{ old, damaged, says string }{
		{`{"id":7,"n":0}`, `{"id":7,"n":1}`, "(id=7) differs in n"},
		{`{"id":8,"n":0}`, `{"id":8,"n":null}`, "(id=8) differs in n"},
		{`{"id":9,"n":0}`, `{"id":900,"n":0}`, "(id=9) is missing in the sink\n(id=900) is in the sink only"},
	}
	for _, damage := range damages {
		if err := os.WriteFile(file, []byte(strings.Replace(good, damage.old, damage.damaged, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		p := s.startVerify()
		p.want(1)
		if !strings.Contains(p.stdout.String(), damage.says) {
			t.Errorf("verify prints %q, want %q", p.stdout.String(), damage.says)
		}
	}
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, change := range s.files("changes") {
		if err := os.Remove(filepath.Join(s.directory(), filepath.FromSlash(change))); err != nil {
			t.Fatal(err)
		}
	}
	p := s.startVerify()
	p.want(1)
	for _, key := range []string{"(id=50) differs in n", "(id=60) is in the sink only", "(id=101) is missing in the sink"} {
		if !strings.Contains(p.stdout.String(), key) {
			t.Errorf("verify prints %q, want %q", p.stdout.String(), key)
		}
	}
	if !strings.HasPrefix(p.stdout.String(), "source 100 rows, sink 100 rows, 3 differ at LSN ") {
		t.Errorf("verify prints %q", p.stdout.String())
	}
	job.kill()
	late := s.startVerify("--timeout=500ms")
	s.exec(`INSERT INTO t VALUES (102, 1)`)
	late.want(2)
}

func TestVerifyHoldsWhileWritersWrite(t *testing.T) {
	t.Parallel()
	s := newStream(t, startServer(t, nil), simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 1000) AS i`)
	s.backfill("b1")
	job := s.start("")
	ctx, stop := context.WithCancel(t.Context())
	wrote := make(chan error, 1)
	script := s.script(`UPDATE t SET n = n + 1 WHERE id = 1 + random() * 999`)
	go func() { wrote <- s.server.Bench(ctx, s.database, "-n", "-c", "2", "-T", "60", "-f", script) }()
	for range 3 {
		s.verify()
	}
	stop()
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	s.verify()
	job.terminate()
	job.want(0)
}

// TestAServerThatCannotReplicate says what to set.
func TestAServerThatCannotReplicate(t *testing.T) {
	t.Parallel()
	servers := map[string]struct {
		settings map[string]string
		says     string
	}{
		"no logical log": {map[string]string{"wal_level": "replica"}, "set wal_level = logical and restart PostgreSQL"},
		"no slot left":   {map[string]string{"max_replication_slots": "1"}, "raise max_replication_slots"},
	}
	for why, server := range servers {
		t.Run(strings.ReplaceAll(why, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := newStream(t, startServer(t, server.settings), simple)
			if server.settings["wal_level"] == "" {
				s.exec(`SELECT pg_create_logical_replication_slot('taken', 'pgoutput')`)
			}
			for _, backfill := range []string{"b1", ""} {
				p := s.start(backfill)
				p.want(20)
				if words := p.lastWords(); !strings.Contains(words, server.says) {
					t.Errorf("the termination message is %q", words)
				}
			}
		})
	}
}
