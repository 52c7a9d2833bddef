package stream

// This file says when the sink has caught up with a look at the source's log.

import "testing"

// TestHolds also while the next batch is being gathered: under a steady load there is
// always one, and a lag that waited for a pause would grow for ever.
func TestHolds(t *testing.T) {
	for _, c := range []struct {
		name      string
		rows      int
		open      bool
		received  uint64
		confirmed uint64
		want      bool
	}{
		{"confirmed, and more is on its way", 7, true, 200, 100, true},
		{"not confirmed, and more is on its way", 7, false, 200, 99, false},
		{"nothing waits", 0, false, 100, 50, true},
		{"not all has been received", 0, false, 99, 50, false},
		{"in the middle of a transaction", 0, true, 200, 50, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			consumer := &consumer{decoder: &decoder{open: c.open}, rows: c.rows, received: c.received, confirmed: c.confirmed}
			if got := consumer.holds(100); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
