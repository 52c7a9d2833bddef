// Waiting for facts.

package testbed

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stop is an error that waiting longer cannot mend.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// poll asks until the answer is nil, and returns the last answer when the time is up.
func poll(ctx context.Context, limit time.Duration, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if final := (stop{}); errors.As(err, &final) {
			return final.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (gave up: %w)", err, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
