// apt-get: downloads that can be interrupted, then an installation that cannot.

package packages

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lockPatience is how long apt-get and Install wait for another package manager.
const lockPatience = 5 * time.Minute

func (m machine) apt(ctx context.Context, progress io.Writer, names []string) error {
	install := append([]string{"install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"}, names...)
	download := append([]string{"--download-only"}, install...)
	if err := m.aptGet(ctx, progress, download...); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fmt.Fprintln(progress, "the lists of packages are missing or out of date: updating them")
		if err := m.aptGet(ctx, progress, "update"); err != nil {
			return err
		}
		if err := m.aptGet(ctx, progress, download...); err != nil {
			return err
		}
	}
	// A dpkg that is killed leaves packages half configured, and every later
	// installation refuses to work until somebody repairs them.
	stop := context.AfterFunc(ctx, func() {
		fmt.Fprintln(progress, "interrupted: apt-get finishes the installation first, in a minute at most on most machines")
	})
	defer stop()
	if err := m.aptGet(context.WithoutCancel(ctx), progress, install...); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// aptGet waits for its turn where another package manager is at work.
func (m machine) aptGet(ctx context.Context, progress io.Writer, args ...string) error {
	waiting := sync.OnceFunc(func() { fmt.Fprintln(progress, "waiting for another package manager") })
	for deadline := time.Now().Add(lockPatience); ; {
		out, err := m.aptGetOnce(ctx, progress, args...)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// apt-get waits for dpkg's lock by itself, and for its other locks not at all.
		if !strings.Contains(out, "Could not get lock") || time.Now().After(deadline) {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		waiting()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

func (m machine) aptGetOnce(ctx context.Context, progress io.Writer, args ...string) (string, error) {
	options := []string{"-q", "-o", fmt.Sprintf("DPkg::Lock::Timeout=%.0f", lockPatience.Seconds()), "-o", "Dpkg::Use-Pty=0"}
	cmd := m.command(ctx, "apt-get", append(options, args...)...)
	// apt-get's helpers have to end, too.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	stop := every(5*time.Second, func() {
		if line := out.last(); line != "" {
			fmt.Fprintf(progress, "apt-get: %s\n", line)
		}
	})
	err := cmd.Run()
	stop()
	return out.String(), err
}

// output keeps what a program says, and knows the latest line while it runs.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

func (o *output) last() string {
	text := strings.TrimSpace(o.String())
	return strings.TrimSpace(text[strings.LastIndex(text, "\n")+1:])
}

// every calls do at each interval until stop is called, which waits for a call that
// is under way.
func every(interval time.Duration, do func()) (stop func()) {
	ticker := time.NewTicker(interval)
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				do()
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(ended)
		<-stopped
	}
}
