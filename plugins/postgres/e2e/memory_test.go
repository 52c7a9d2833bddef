package e2e

// This file measures how much memory a job takes.

import (
	"fmt"
	"strings"
	"testing"
)

// TestASparseTableFitsIntoMemory is counted by what a row takes there, NULLs too.
func TestASparseTableFitsIntoMemory(t *testing.T) {
	t.Parallel()
	columns := make([]string, 500)
	for index := range columns {
		columns[index] = fmt.Sprintf("c%d int", index)
	}
	s := newStream(t, server, `CREATE TABLE t (id int PRIMARY KEY, `+strings.Join(columns, ", ")+`)`,
		`INSERT INTO t (id) SELECT generate_series(1, 40000)`)
	s.target["part"] = map[string]any{}
	job := s.start("b1")
	job.want(0)
	usage, known := job.usage()
	if limit := int64(50+4*32) << 10; !known || usage > limit {
		t.Errorf("the backfill took %d kB of memory, want less than %d", usage, limit)
	}
}
