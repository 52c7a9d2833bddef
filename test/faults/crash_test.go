// I6: the operator dies at each of its writes, before or after it, and the next one
// comes to the same end.

package faults_test

import (
	"fmt"
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestCrashAtEveryWrite(t *testing.T) { //nolint:tparallel // TestPausedProcess must have the cluster alone: a process acts in all namespaces.
	table := newTable(t, "Crash at every write", dropped, replyLost)
	for i, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			without := reference(t, s)
			table.begin(s, without)
			for k, at := range without.writes {
				for m, how := range []mode{dropped, replyLost} {
					if !*everything && (2*k+m+i)%sampleEvery != 0 {
						continue
					}
					t.Run(fmt.Sprintf("%02d/%s", k+1, how), func(t *testing.T) {
						t.Parallel()
						table.try(t, s, k+1, how, without, func(w *story.World) company {
							return newMortal(w, aim{at, how})
						})
					})
				}
			}
		})
	}
}
