package e2e

// Tests of SIGTERM where a job waits for something that does not come, and of what a job makes others wait for.

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
)

// atOnce expects the end well before the grace period is over.
func (p *process) atOnce(code int) {
	p.t.Helper()
	since := time.Now()
	p.terminate()
	p.want(code)
	if took := time.Since(since); took > 10*time.Second {
		p.t.Errorf("it took %s to end", took)
	}
}

func TestSIGTERMWhileAStreamWaitsForItsFirstSlot(t *testing.T) {
	t.Parallel()
	own := startServer(t, nil)
	s := newStream(t, own, simple)
	writer := connect(t, own.URL(s.database))
	exec1(t, writer, `BEGIN; INSERT INTO t VALUES (1, 1)`)
	job := s.start("")
	eventually(t, "the slot is being created", func() bool {
		return s.query(`SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%pg_create_logical_replication_slot%' AND wait_event_type = 'Lock'`) == "1"
	})
	job.says("the slot is still being created")
	job.atOnce(0)
	exec1(t, writer, `COMMIT`)
}

func TestSIGTERMWhileABackfillWaitsForTheTable(t *testing.T) {
	t.Parallel()
	s := newStream(t, startServer(t, nil), simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) AS i`)
	s.target["part"] = map[string]any{"maxRows": 5}
	s.misbehave(envHold + `=part-000001\.json`)
	job := s.start("b1")
	s.holding()
	other := connect(t, s.server.URL(s.database))
	exec1(t, other, `BEGIN; LOCK TABLE t`)
	s.release()
	eventually(t, "the backfill waits for the table", func() bool {
		return s.query(`SELECT count(*)::text FROM pg_locks WHERE relation = 't'::regclass AND NOT granted`) == "1"
	})
	job.atOnce(143)
	exec1(t, other, `COMMIT`)
	s.behave()
	s.backfill("b1")
	if rows := s.manifest("b1").Rows; rows != 20 {
		t.Errorf("the backfill has %d of 20 rows", rows)
	}
}

// TestSIGTERMWhileTheSinkHangs: the pod is not left to be killed, which would count as a failure.
func TestSIGTERMWhileTheSinkHangs(t *testing.T) {
	t.Parallel()
	for backfill, code := range map[string]int{"b2": 143, "": 2} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple, `INSERT INTO t VALUES (1, 1)`)
			s.backfill("b1")
			s.misbehave(envHold + "=(changes/|backfill/b2/part-)")
			job := s.start(backfill, "--grace=1s")
			s.exec(`UPDATE t SET n = 2`)
			s.holding()
			job.atOnce(code)
			if words := job.lastWords(); !strings.Contains(words, "did not end within 1s") {
				t.Errorf("the termination message is %q", words)
			}
			s.behave()
			if backfill != "" {
				s.backfill(backfill)
			}
			s.checkOnce()
		})
	}
}

// TestSIGTERMWhileACatalogQueryHangs: what has been received is written all the same.
func TestSIGTERMWhileACatalogQueryHangs(t *testing.T) {
	t.Parallel()
	// A server of its own: others would wait until the backend takes notice of what they do.
	s := newStream(t, startServer(t, nil), simple)
	s.target["batch"] = map[string]any{"maxAge": "1h"}
	s.backfill("b1")
	job := s.start("", "--check-every=100ms")
	s.exec(`INSERT INTO t VALUES (1, 1)`)
	s.received()
	backend, err := strconv.Atoi(s.query(`SELECT pid::text FROM pg_stat_activity WHERE datname = current_database()
		AND application_name LIKE 'arcane %' AND backend_type = 'client backend'`))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(backend, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(backend, syscall.SIGCONT) })
	eventually(t, "the job waits for the catalog", func() bool {
		return s.query(`SELECT (now() - r.reply_time > '1.5 seconds')::text FROM pg_stat_replication r
			JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = $1`, s.slot()) == "true"
	})
	job.atOnce(0)
	if files := s.files("changes"); len(files) != 1 {
		t.Errorf("want one file of changes, have %v", files)
	}
}

// TestAServerThatShutsDownNeedNotWaitForABatch: it waits until all that it has sent is confirmed.
func TestAServerThatShutsDownNeedNotWaitForABatch(t *testing.T) {
	t.Parallel()
	own := startServer(t, nil)
	s := newStream(t, own, simple)
	s.target["batch"] = map[string]any{"maxAge": "1h"}
	s.backfill("b1")
	job := s.start("")
	s.exec(`INSERT INTO t VALUES (1, 1)`)
	s.received()
	since := time.Now()
	if err := own.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(since); took > 20*time.Second {
		t.Errorf("the server took %s to shut down", took)
	}
	job.says("trying again")
	if files := s.files("changes"); len(files) != 1 {
		t.Errorf("want one file of changes, have %v", files)
	}
	job.kill()
	if err := own.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.db = connect(t, own.URL(s.database))
}

// TestALongBackfillLetsGoOfTheLog: a table that takes longer than the source keeps its
// log for a slot (max_slot_wal_keep_size) would else never be read to its end.
func TestALongBackfillLetsGoOfTheLog(t *testing.T) {
	t.Parallel()
	s := newStream(t, startServer(t, nil), simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) AS i`)
	s.target["part"] = map[string]any{"maxRows": 5}
	s.misbehave(envHold + `=part-000001\.json`)
	job := s.start("b1", "--drain-every=1ms")
	s.holding()
	s.exec(`UPDATE t SET n = 1 WHERE id IN (3, 13)`)
	end, err := layout.ParseLSN(s.query(`SELECT pg_current_wal_insert_lsn()::text`))
	if err != nil {
		t.Fatal(err)
	}
	// The next part waits for the table.
	other := connect(t, s.server.URL(s.database))
	exec1(t, other, `BEGIN; LOCK TABLE t`)
	s.release()
	eventually(t, "the log is let go of between two parts", func() bool { return s.confirmed() >= end })
	exec1(t, other, `COMMIT`)
	job.want(0)
	s.behave()
	s.checkOnce()
}
