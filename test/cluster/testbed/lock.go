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
	return lockFile(ctx, c.lockPath(), func() { c.say("waiting for another command on cluster %q", c.name) })
}

func (c *Cluster) lockPath() string { return filepath.Join(cacheFolder(), "locks", c.id) }

// lockFile waits for an exclusive lock, which ends with the process at the latest.
// It calls waiting once if it has to wait. Whoever holds the lock may remove the file.
func lockFile(ctx context.Context, path string, waiting func()) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, cacheUnusable(err)
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		release, err := tryLock(path)
		if err != nil {
			return nil, cacheUnusable(err)
		}
		if release != nil {
			return release, nil
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock %s: %w", path, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// cacheUnusable says what can be done where no lock can be written: all of them are
// in the cache.
func cacheUnusable(err error) error {
	return fmt.Errorf("write to the cache folder %s (XDG_CACHE_HOME names another one): %w", cacheFolder(), err)
}

// tryLock returns nothing where somebody else has the lock.
func tryLock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	// Nothing was written, and closing is what gives the lock back.
	release = func() { _ = f.Close() }
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil && sameFile(f, path) {
		return release, nil
	}
	release()
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, err
}

// sameFile is false for a file that its owner removed between our opening it and
// our locking it: that lock would keep nobody away.
func sameFile(f *os.File, path string) bool {
	locked, err := f.Stat()
	if err != nil {
		return false
	}
	current, err := os.Stat(path)
	return err == nil && os.SameFile(locked, current)
}
