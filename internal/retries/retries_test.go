package retries

// This file tests the pauses between attempts.

import (
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func named(n int) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "sales", Name: strconv.Itoa(n)}}
}

// TestAnOutageIsOverSoon: a thing that has failed for hours is tried again half a minute after.
func TestAnOutageIsOverSoon(t *testing.T) {
	l := Limiter()
	var last time.Duration
	for range 500 {
		pause := l.When(named(1))
		if pause < last {
			t.Fatalf("%s after %s", pause, last)
		}
		last = pause
	}
	if last > 30*time.Second {
		t.Errorf("it waits for %s", last)
	}
	l.Forget(named(1))
	if pause := l.When(named(1)); pause > 10*time.Millisecond {
		t.Errorf("a first failure after a success waits for %s", pause)
	}
}

// TestNobodyWaitsForTheOthers: where ten thousand fail at once, the last one waits no
// longer than the first.
func TestNobodyWaitsForTheOthers(t *testing.T) {
	l := Limiter()
	for n := range 10_000 {
		if pause := l.When(named(n)); pause > 10*time.Millisecond {
			t.Fatalf("number %d waits for %s", n, pause)
		}
	}
}
