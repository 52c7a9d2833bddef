package stream

// This file says what is confirmed once a batch is durable.

import "testing"

// TestAFlushConfirmsWhatItMadeDurable at once: under a steady load the next batch has
// begun before the next look, and would hold everything back.
func TestAFlushConfirmsWhatItMadeDurable(t *testing.T) {
	for _, c := range []struct {
		name    string
		decoder decoder
		want    uint64
	}{
		{"all that was received", decoder{}, 100},
		{"less the transaction that is still open", decoder{open: true, end: 50}, 50},
		{"never back", decoder{open: true, end: 5}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			consumer := &consumer{decoder: &c.decoder, rows: 1, received: 100, confirmed: 10}
			consumer.Stream = &Stream{}
			if err := consumer.flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if consumer.confirmed != c.want || consumer.rows != 0 {
				t.Errorf("confirmed %d with %d rows left, want %d and 0", consumer.confirmed, consumer.rows, c.want)
			}
		})
	}
}
