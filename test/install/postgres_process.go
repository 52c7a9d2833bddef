// The server's process: how it is found again, and ended.

package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// newSession detaches a process from the terminal: it outlives whoever started it.
func newSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// process is the server's process id; 0 where it does not run. The file in which
// PostgreSQL notes it may be a dead server's, and the number somebody else's by
// now, so the process must also work in the server's own folder.
func (d *Database) process() (int, error) {
	raw, err := os.ReadFile(filepath.Join(d.folder, "data", "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	// A file that is not written to its end has no number yet.
	if pid, err := strconv.Atoi(strings.TrimSpace(first)); err == nil && d.owns(pid) {
		return pid, nil
	}
	return 0, nil
}

func (d *Database) owns(pid int) bool {
	return sameFile(fmt.Sprintf("/proc/%d/cwd", pid), filepath.Join(d.folder, "data"))
}

func (d *Database) inClusterNetwork(pid int) bool {
	member, err := d.cluster.PID("kube-apiserver")
	return err == nil && sameFile(fmt.Sprintf("/proc/%d/ns/net", pid), fmt.Sprintf("/proc/%d/ns/net", member))
}

func sameFile(a, b string) bool {
	first, errFirst := os.Stat(a)
	second, errSecond := os.Stat(b)
	return errFirst == nil && errSecond == nil && os.SameFile(first, second)
}

// Stop ends the server, if it runs: at first in good order, and after ten seconds at
// once, as a crash would.
func (d *Database) Stop(ctx context.Context) error {
	pid, err := d.process()
	if err != nil || pid == 0 {
		return err
	}
	// The handle is taken first and the question asked again after, so that a process
	// id that is used anew is never hit.
	server, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("end PostgreSQL: %w", err)
	}
	defer func() { _ = server.Release() }()
	if !d.owns(pid) {
		return nil
	}
	for _, ending := range []struct {
		signal   os.Signal
		patience time.Duration
	}{{syscall.SIGINT, 10 * time.Second}, {syscall.SIGQUIT, 20 * time.Second}} {
		if err := server.Signal(ending.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("end PostgreSQL: %w", err)
		}
		if d.gone(ctx, pid, ending.patience) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("end PostgreSQL: %w", context.Cause(ctx))
		}
	}
	return fmt.Errorf("PostgreSQL (process %d) does not end; its log is %s", pid, d.logFile())
}

// gone tells whether the process ended in time.
func (d *Database) gone(ctx context.Context, pid int, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for d.owns(pid) {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}
