package model

// This file runs the model by steps: world after world, until enough has happened.

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"pgregory.net/rapid"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	// stepsVariable says how many steps to take; without it a run takes as many as a normal test may.
	stepsVariable = "ARCANE_MODEL_STEPS"
	normalSteps   = 100_000
	// worldsPerCheck is how many worlds one seed is for.
	worldsPerCheck = 200
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

func wantedSteps(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv(stepsVariable)
	if text == "" {
		return normalSteps
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", stepsVariable, err)
	}
	return n
}

// run is a number of checks that go on until enough steps have been taken.
type run struct {
	// flags guards rapid's flags: they are everybody's, and read as a check begins.
	flags  sync.Mutex
	seed   uint64
	checks atomic.Uint64
	want   int64
	steps  atomic.Int64
	worlds atomic.Int64
	slept  atomic.Int64
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
		r.slept.Add(int64(rest))
		r.worlds.Add(1)
		failed = false
	})
}

// TestTheLawsHoldWhateverHappens lets world after world live. A seed that is given
// by -rapid.seed repeats a run, as far as one processor goes; a failure is repeated
// by what rapid says of it.
func TestTheLawsHoldWhateverHappens(t *testing.T) {
	r := &run{want: wantedSteps(t), seed: rand.Uint64()} //nolint:gosec // chance, not secrecy
	if f := flag.Lookup("rapid.seed").Value.String(); f != "0" {
		seed, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		r.seed = seed
	}
	t.Cleanup(func() {
		t.Logf("%d steps, and %d at rest, in %d worlds from seed %d", r.steps.Load(), r.slept.Load(), r.worlds.Load(), r.seed)
	})
	for i := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprintf("processor %d", i), func(t *testing.T) {
			t.Parallel()
			s := newStage()
			for r.steps.Load() < r.want {
				r.check(t, s)
			}
		})
	}
}
