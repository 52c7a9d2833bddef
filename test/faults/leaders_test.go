// I1, most of all: an operator stands still at each of its writes, another one acts
// meanwhile, and then the first goes on as if it still led.

package faults_test

import (
	"fmt"
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// When the operator that stood still goes on.
const (
	midway mode = "held, then on at the other's first write"
	atEnd  mode = "held, then on when the other is done"
)

func TestPausedLeader(t *testing.T) { //nolint:tparallel // TestPausedProcess must have the cluster alone: a process acts in all namespaces.
	table := newTable(t, "A leader that stands still between its look and its write", midway, atEnd)
	for i, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			without := reference(t, s)
			table.begin(s, without)
			for k, at := range without.writes {
				for m, how := range []mode{midway, atEnd} {
					if !*everything && (2*k+m+i)%sampleEvery != sampleEvery/2 {
						continue
					}
					t.Run(fmt.Sprintf("%02d/%s", k+1, how), func(t *testing.T) {
						t.Parallel()
						table.try(t, s, k+1, how, without, func(w *story.World) company {
							return newPair(w, aim{at, held}, how == midway)
						})
					})
				}
			}
		})
	}
}
