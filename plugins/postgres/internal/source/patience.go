package source

// This file tries again while the source is away.

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

// firstPause and longestPause bound the growing pause between two tries.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
)

// ErrStopped is returned by Patiently where stopping ended a pause: nothing was under way.
var ErrStopped = errors.New("stopped")

// Patiently does what try does until it succeeds, fails for good, has failed
// for as long as the patience lasts, or stopping is done. A try that got
// somewhere before it failed says so, and the patience begins anew.
func Patiently(ctx, stopping context.Context, patience time.Duration, log *slog.Logger, try func() (progress bool, err error)) error {
	since, pause := time.Now(), firstPause
	for {
		progress, err := try()
		if exit.Code(err) != exit.Transient || ctx.Err() != nil || stopping.Err() != nil {
			return err
		}
		if progress {
			since, pause = time.Now(), firstPause
		}
		if time.Since(since) >= patience {
			return err
		}
		log.Warn("trying again", "error", err.Error(), "pause", pause.String())
		select {
		case <-ctx.Done():
		case <-stopping.Done():
		case <-time.After(pause):
		}
		if stopping.Err() != nil {
			return ErrStopped
		}
		pause = min(2*pause, longestPause)
	}
}
