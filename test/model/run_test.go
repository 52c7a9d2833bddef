package model

// This file runs the model by steps: world after world, until enough has happened.

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"pgregory.net/rapid"
	ctrl "sigs.k8s.io/controller-runtime"
)

// normalSteps is what a normal run takes.
const normalSteps = 100_000

var (
	stepsFlag      = flag.Int64("model.steps", normalSteps, "model: how many steps to take; more than a normal run's also tells every story with every fault")
	processorsFlag = flag.Int("model.processors", 1, "model: how many worlds live at a time; only one alone is repeated by its seed")
)

// worldsPerCheck is how many worlds one seed is for.
const worldsPerCheck = 200

func init() { ctrl.SetLogger(logr.Discard()) }

// run is a number of checks that go on until enough steps have been taken.
type run struct {
	// flags guards rapid's flags: they are everybody's, and read as a check begins.
	flags  sync.Mutex
	seed   uint64
	checks atomic.Uint64
	want   int64
	steps  atomic.Int64
	worlds atomic.Int64
	rested atomic.Int64
}

// seedOf is the seed of the n-th check: the first one's is the run's own, so that
// rapid's word on how to repeat a failure is enough.
func (r *run) seedOf(n uint64) uint64 { return max(1, r.seed+n*0x9e3779b97f4a7c15) }

// check lets some worlds live.
func (r *run) check(t *testing.T, s *stage) {
	t.Helper()
	r.flags.Lock()
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(worldsPerCheck),
		"rapid.seed":   strconv.FormatUint(r.seedOf(r.checks.Add(1)-1), 10),
	} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	begun := sync.OnceFunc(r.flags.Unlock)
	defer begun()
	failed := false
	rapid.Check(t, func(t *rapid.T) {
		begun()
		if r.steps.Load() >= r.want && !failed {
			return
		}
		failed = true // until it is not: a failure is repeated, whoever else is done
		steps, rest := liveWorld(t, s, rapid.IntRange(30, 200).Draw(t, "steps"))
		r.steps.Add(int64(steps))
		r.rested.Add(int64(rest))
		r.worlds.Add(1)
		failed = false
	})
}

// TestTheLawsHoldWhateverHappens lets world after world live. A seed that is given
// by -rapid.seed repeats a run; a failure is repeated by what rapid says of it.
func TestTheLawsHoldWhateverHappens(t *testing.T) {
	r := &run{want: *stepsFlag, seed: rand.Uint64()}
	if f := flag.Lookup("rapid.seed").Value.String(); f != "0" {
		seed, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		r.seed = seed
	}
	t.Logf("seed %d", r.seed)
	if *processorsFlag == 1 {
		r.live(t)
	} else {
		t.Run("together", func(t *testing.T) {
			for i := range *processorsFlag {
				t.Run(fmt.Sprintf("processor %d", i), func(t *testing.T) {
					t.Parallel()
					r.live(t)
				})
			}
		})
	}
	if !t.Failed() {
		t.Logf("%d steps, and %d at rest, in %d worlds", r.steps.Load(), r.rested.Load(), r.worlds.Load())
	}
}

// live lets worlds live until there have been enough steps.
func (r *run) live(t *testing.T) {
	t.Helper()
	s := newStage()
	for r.steps.Load() < r.want {
		r.check(t, s)
	}
}
