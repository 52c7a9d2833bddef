// Locks between processes, so that two builders or two starters do not meet.

package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lock keeps every other process from starting or ending this cluster. The file
// is outside the run folder, which comes and goes while somebody waits.
func (c *Cluster) lock(ctx context.Context) (func(), error) {
	path := filepath.Join(cacheFolder(), "locks", c.id)
	return lockFile(ctx, path, func() { c.say("waiting for another command on cluster %q", c.name) })
}

// lockFile waits for an exclusive lock, which ends with the process at the latest.
// It calls waiting once if it has to wait.
func lockFile(ctx context.Context, path string, waiting func()) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	// Nothing was written, and closing is what gives the lock back.
	release := func() { _ = f.Close() }
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return release, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			release()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			release()
			return nil, fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
