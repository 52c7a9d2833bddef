package e2e

// Tests that kill the program, at moments of chance and at every single write.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/job"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/pgserver"
)

// ownServer starts a server for a test that writes all the time: every slot that
// is created meanwhile has to wait for its transactions.
func ownServer(t *testing.T) func() *pgserver.Server {
	t.Helper()
	own := startServer(t, nil)
	return func() *pgserver.Server { return own }
}

// kills is how often each mode is killed.
const kills = 12

// TestKilledManyTimesUnderWrites is the promise as a whole: a table that is
// written to all the time, a program that is killed all the time, and in the end
// every row of the table equals the backfill and the changes applied.
func TestKilledManyTimesUnderWrites(t *testing.T) {
	t.Parallel()
	inBothFormatsOn(t, ownServer(t), func(s *stream) {
		if err := s.server.Bench(s.t.Context(), s.database, "-i", "-q", "-s", "1"); err != nil {
			s.t.Fatal(err)
		}
		s.source["table"] = "pgbench_accounts"
		s.target["part"] = map[string]any{"maxRows": 5000}
		s.killAlways(func(ctx context.Context) error {
			return s.server.Bench(ctx, s.database, "-n", "-c", "2", "-R", "400", "-T", "300")
		})
	})
}

// TestKilledManyTimesWhileRowsMove does the same with writes of every kind: rows
// come, go, change their keys, leave out-of-line values alone, all at once, and
// once the table is emptied.
func TestKilledManyTimesWhileRowsMove(t *testing.T) {
	t.Parallel()
	inBothFormatsOn(t, ownServer(t), func(s *stream) {
		s.target["part"] = map[string]any{"maxRows": 150}
		script := s.script(
			`\set a random(1, 3000)`+"\n"+`\set b random(1, 3000)`+"\n"+`UPDATE t SET n = n + 1 WHERE id = :a`,
			// In one transaction: between the two, another might take the key.
			`BEGIN`, `DELETE FROM t WHERE id = :b`, `UPDATE t SET id = :b WHERE id = :a`, `COMMIT`,
			`UPDATE t SET big = md5(random()::text) || big WHERE id = :b % 100`,
			`INSERT INTO t SELECT :a, 0, string_agg(md5(random()::text || x), '') FROM generate_series(1, 80) AS x ON CONFLICT DO NOTHING`,
		)
		s.midway = func() { s.exec(`BEGIN; TRUNCATE t; ` + fill + `; COMMIT`) }
		s.killAlways(func(ctx context.Context) error {
			return s.server.Bench(ctx, s.database, "-n", "-c", "1", "-R", "100", "-T", "300", "-f", script)
		})
	}, `CREATE TABLE t (id int PRIMARY KEY, n int, big text)`, fill)
}

const fill = `INSERT INTO t SELECT i, 0, (SELECT string_agg(md5(random()::text || x || i), '') FROM generate_series(1, 80) AS x) FROM generate_series(1, 3000, 2) AS i`

func (s *stream) killAlways(write func(ctx context.Context) error) {
	t := s.t
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wrote := make(chan error, 1)
	go func() { wrote <- write(ctx) }()

	killed := 0
	for number := 0; ; number++ {
		p := s.start("b1")
		if number < kills {
			killed += p.killWithin(400 * time.Millisecond)
		}
		if p.code() == 0 {
			break
		}
	}
	parts := len(s.manifest("b1").Parts)
	for number := range kills {
		p := s.start("")
		if number == kills/2 && s.midway != nil {
			s.midway()
		}
		killed += p.killWithin(600 * time.Millisecond)
	}
	job := s.start("")
	s.received()
	stop()
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	s.verify()
	job.terminate()
	job.want(0)
	changes := len(s.files("changes"))
	t.Logf("killed %d times; %d parts, %d files of changes", killed, parts, changes)
	if killed < kills || parts < 5 || changes < 5 {
		t.Error("too little happened: the test tests nothing")
	}
}

// killWithin kills the process at a moment of chance, unless it ends before.
func (p *process) killWithin(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return 0
	case <-time.After(50*time.Millisecond + rand.N(limit)):
		p.kill()
		return 1
	}
}

// lanes is how many lives are lived side by side.
const lanes = 3

// TestKilledAtEveryWrite kills the program before and after each single write of
// a whole life: backfill, streaming, another backfill, and the loss of the slot.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		for lane := 1; lane <= lanes; lane++ {
			t.Run(fmt.Sprintf("%s-%d", when, lane), func(t *testing.T) {
				t.Parallel()
				s := newStream(t, server, toasted, `INSERT INTO t SELECT i, 0, `+big+` FROM generate_series(1, 8) AS i`)
				s.target["format"] = "jsonl"
				s.target["part"] = map[string]any{"maxRows": 4}
				s.target["batch"] = map[string]any{"maxRows": 3, "maxAge": "100ms"}
				life := lane
				for s.killedAt(life, when) > 0 {
					life += lanes
				}
				t.Logf("killed %s each of writes %d, %d, … %d", when, lane, lane+lanes, life-lanes)
				if life < 10 {
					t.Errorf("a whole life has only %d writes: the test tests nothing", life)
				}
			})
		}
	}
}

// killedAt lives one life in which each job is killed at its n-th write once,
// and returns how many were.
func (s *stream) killedAt(number int, when string) (killed int) {
	s.t.Helper()
	once := func(backfill string, act func()) {
		s.misbehave(envKillAt+"="+strconv.Itoa(number), killAfter(when))
		p := s.start(backfill)
		act()
		if backfill == "" && !p.ended() {
			s.receivedOr(p)
			if !p.ended() {
				p.terminate()
			}
		}
		if p.code() == -1 {
			killed++
		} else {
			p.want(0)
		}
		s.behave()
	}
	first, second, third := newUID(), newUID(), newUID()
	moves := func() {
		s.exec(`UPDATE t SET id = id + 1000, n = n + 1 WHERE id % 2 = 0`)
		s.exec(`UPDATE t SET id = 0.5 WHERE id = (SELECT max(id) FROM t)`)
		s.exec(`UPDATE t SET id = id - 1000 WHERE id > 1000`)
		s.exec(`UPDATE t SET id = (SELECT max(id) + 1 FROM t) WHERE id = (SELECT min(id) FROM t)`)
	}
	once(first, moves)
	s.backfill(first)
	once("", moves)
	once(second, moves)
	s.backfill(second)
	s.checkOnce()
	s.loseSlot()
	moves()
	once(third, moves)
	s.backfill(third)
	once("", moves)
	s.checkOnce()
	return killed
}

func (s *stream) checkOnce() {
	s.t.Helper()
	job := s.start("")
	s.verify()
	job.terminate()
	job.want(0)
}

func killAfter(when string) string {
	if when == "after" {
		return envKillAfter + "=1"
	}
	return envKillAfter + "="
}

// receivedOr waits until a streaming job has confirmed all changes, or has ended.
func (s *stream) receivedOr(p *process) {
	s.t.Helper()
	lsn := s.query(`SELECT pg_current_wal_insert_lsn()::text`)
	eventually(s.t, "the job has confirmed the changes, or has ended", func() bool {
		return p.ended() || s.query(`SELECT coalesce((SELECT confirmed_flush_lsn >= $1::text::pg_lsn
			FROM pg_replication_slots WHERE slot_name = $2), false)::text`, lsn, s.slot()) == "true"
	})
}

// TestAKillBeforeTheBatchIsWrittenLosesNothing: what has been received and is in
// no file must not have been confirmed.
func TestAKillBeforeTheBatchIsWrittenLosesNothing(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.target["batch"] = map[string]any{"maxAge": "1h"}
		s.backfill("b1")
		job := s.start("")
		s.exec(`INSERT INTO t VALUES (1, 1)`)
		s.exec(`INSERT INTO t VALUES (2, 2)`)
		// The position that was received is told together with the one that is durable.
		s.received()
		job.kill()
		if files := s.files("changes"); len(files) != 0 {
			s.t.Fatalf("a file was written: the test tests nothing: %v", files)
		}
		s.target["batch"] = map[string]any{"maxAge": "100ms"}
		s.checkOnce()
	}, simple)
}

// TestTwoRunsOfOneBackfill is about a pod that lives on although its node was
// given up: of two processes that write the same part, one is believed.
func TestTwoRunsOfOneBackfill(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, `CREATE TABLE t (id int PRIMARY KEY, n int)`, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 5000) AS i`)
	s.misbehave(envHold + `=part-000002\.json`)
	forgotten := s.start("b1", "--patience=1s")
	s.holding()
	env := s.env
	s.behave()
	s.exec(`DELETE FROM t WHERE id % 2 = 0`)
	s.backfill("b1")
	manifest := s.content("backfill/b1/manifest.json")
	s.env = env
	s.exec(`INSERT INTO t VALUES (2, 2)`)
	s.release()
	// It finds that its part is taken, looks again, and sees that all is done.
	forgotten.want(0)
	forgotten.says("another run of this backfill")
	if after := s.content("backfill/b1/manifest.json"); after != manifest {
		t.Error("the forgotten run changed the manifest")
	}
	for _, file := range s.files("backfill/b1") {
		if strings.Contains(file, "-1-") && !strings.Contains(manifest, file) {
			t.Errorf("the forgotten run left %s", file)
		}
	}
	s.behave()
	s.checkOnce()
}

// TestALaterRunFencesAnEarlierOne: a run that comes back after a later one has begun gives up.
func TestALaterRunFencesAnEarlierOne(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, `CREATE TABLE t (id int PRIMARY KEY, n int)`)
	s.run = 1000
	s.backfill("b1")
	s.env = []string{job.EnvRun + "=3"}
	p := s.start("", "--patience=100ms")
	p.want(2)
	if words := p.lastWords(); !strings.Contains(words, fmt.Sprintf("run %d of this stream has taken over", s.run-1)) {
		t.Errorf("the termination message is %q", words)
	}
}
