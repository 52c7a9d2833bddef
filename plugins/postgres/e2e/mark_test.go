package e2e

// Tests of the mark by which the operator knows that a backfill is complete: the termination message of a job whose
// backfill is all in the sink, and of no other.

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
)

// mark is what the StreamClass declares: spec.completion.terminationMessage where it says nothing.
const mark = "completed"

// marked reports whether the operator would believe that the process completed its backfill.
func (p *process) marked() bool {
	return slices.Contains(strings.Split(p.lastWords(), "\n"), mark)
}

func TestACompleteBackfillIsMarked(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) AS i`)
	for _, which := range []string{"the backfill", "the same again, of which nothing is left to do"} {
		job := s.start("b1")
		job.want(0)
		if !job.marked() {
			t.Errorf("%s: the termination message is %q, and its class declares the line %q", which, job.lastWords(), mark)
		}
	}
}

func TestABackfillThatSIGTERMEndsIsNotMarked(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) AS i`)
	s.target["part"] = map[string]any{"maxRows": 5}
	s.misbehave(envHold + `=part-000001\.json`)
	job := s.start("b1")
	s.holding()
	job.terminate()
	job.says("asked to stop")
	s.release()
	job.want(143)
	if job.marked() || !strings.HasPrefix(job.lastWords(), "interrupted: ") {
		t.Errorf("the termination message is %q", job.lastWords())
	}
	s.behave()
	resumed := s.start("b1")
	resumed.want(0)
	if !resumed.marked() {
		t.Errorf("the termination message of the run that completes it is %q", resumed.lastWords())
	}
}

// TestABackfillThatSIGTERMMeetsAtItsLastWriteIsMarkedOnlyOnceItIsWritten: the mark follows from what is in the sink, and
// from nothing else.
func TestABackfillThatSIGTERMMeetsAtItsLastWriteIsMarkedOnlyOnceItIsWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answers bool
		code    int
	}{{"the sink answers", true, 0}, {"the sink hangs", false, 143}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, server, simple, `INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) AS i`)
			s.misbehave(envHold + "=" + layout.ManifestKey("b1"))
			grace := "--grace=30s"
			if !c.answers {
				grace = "--grace=1s"
			}
			job := s.start("b1", grace)
			s.holding()
			job.terminate()
			job.says("asked to stop")
			if c.answers {
				s.release()
			}
			job.want(c.code)
			if job.marked() != c.answers {
				t.Errorf("the termination message is %q", job.lastWords())
			}
		})
	}
}

func TestOnlyBackfillsAreMarked(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t VALUES (1, 1)`)
	s.backfill("b1")
	job := s.start("")
	s.verify()
	job.terminate()
	job.want(0)
	if _, err := os.Stat(job.last); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a streaming job that SIGTERM ended left the termination message %q", job.lastWords())
	}
	s.exec(`DROP TABLE t`)
	failed := s.start("b2")
	failed.want(20)
	if failed.marked() || !strings.HasPrefix(failed.lastWords(), "config: ") {
		t.Errorf("the termination message of a backfill that failed is %q", failed.lastWords())
	}
}
