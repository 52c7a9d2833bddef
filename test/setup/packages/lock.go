// One set-up at a time, whoever runs it and from whichever clone.

package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// lockFile is never removed: the policy asks for its lock.
const lockFile = "/run/arcane-setup.lock"

// lock waits for the machine's lock, which ends with the process at the latest.
func (m machine) lock(ctx context.Context, progress io.Writer) (unlock func(), err error) {
	file, err := os.OpenFile(m.in(lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("take the lock of the set-up: %w", err)
	}
	// Nothing was written, and closing is what gives the lock back.
	unlock = func() { _ = file.Close() }
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for waiting := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return unlock, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			unlock()
			return nil, fmt.Errorf("take the lock of the set-up, %s: %w", file.Name(), err)
		}
		if !waiting {
			fmt.Fprintln(progress, "waiting for another set-up on this machine")
			waiting = true
		}
		select {
		case <-ctx.Done():
			unlock()
			return nil, fmt.Errorf("wait for another set-up: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
