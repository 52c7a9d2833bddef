// The cluster's processes: how they are started, found again and ended.
//
// No file of process ids is kept, because such a file is wrong after every
// unclean end and its ids may belong to somebody else by then. Each process
// carries the cluster and its own part in its environment, and the process table
// is asked. Whoever does not carry the mark is never touched.

package testbed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arcane-streaming/arcane-operator/test/setup/packages"
)

const (
	clusterMark = "ARCANE_TESTBED_CLUSTER="
	partMark    = "ARCANE_TESTBED_PART="
)

// part is one long-living process of the cluster.
type part struct {
	name string
	path string
	args []string
	// inside lists the options of nsenter that lead to where the part belongs.
	inside []string
	// clone creates namespaces together with the process.
	clone uintptr
	// listen is an address on the host; its listener is passed on as descriptor 3.
	listen string
	// ready returns nil when the part does what the next one needs.
	ready func(context.Context) error
}

// launch is a process that this very program started; it tells at once when the
// process has ended, and why.
type launch struct {
	ended   chan struct{}
	outcome string
}

// start launches a part so that it outlives this program: in a session of its own
// and with its output in a file.
func (c *Cluster) start(p part) error {
	argv, err := c.commandLine(p)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	log, err := os.OpenFile(c.LogFile(p.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(plainEnv(), clusterMark+c.id, partMark+p.name)
	cmd.Stdout, cmd.Stderr = log, log
	if p.listen != "" {
		listener, err := hostListener(p.listen)
		if err != nil {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
		defer listener.Close()
		cmd.ExtraFiles = []*os.File{listener}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: p.clone}
	KeepToOurselves()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	l := &launch{ended: make(chan struct{})}
	c.launched[p.name] = l
	// The process must be waited for, or it stays a zombie while a test runs on.
	go func() {
		l.outcome = "exit status 0"
		if err := cmd.Wait(); err != nil {
			l.outcome = err.Error()
		}
		close(l.ended)
	}()
	return nil
}

// KeepToOurselves keeps what this program was handed at its start, such as the lock of
// flock or a pipe of make's, from processes that outlive it: they would hold it for as
// long as they run. Go closes only the files that it has opened itself.
func KeepToOurselves() {
	// A kernel older than 5.11 refuses, and hands on what it always has.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
}

// commandLine leads a part into its namespaces and its control group first.
func (c *Cluster) commandLine(p part) ([]string, error) {
	argv := append([]string{p.path}, p.args...)
	if len(p.inside) > 0 {
		enter, err := c.enter(p.inside...)
		if err != nil {
			return nil, err
		}
		argv = append(enter, argv...)
	}
	if !c.state.Node {
		return argv, nil
	}
	join, err := c.cgroupEntry()
	return append(join, argv...), err
}

// plainEnv keeps the user's environment out of the cluster: a proxy setting or a
// KUBECONFIG would change what the cluster does.
func plainEnv() []string {
	return []string{"HOME=" + home(), "LANG=C.UTF-8", "PATH=" + packages.SystemPath}
}

// systemCommand runs one of the system's tools, found where plainEnv says.
func systemCommand(ctx context.Context, name string, args ...string) *exec.Cmd {
	for _, dir := range strings.Split(packages.SystemPath, ":") {
		if path := filepath.Join(dir, name); isExecutable(path) {
			name = path
			break
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = plainEnv()
	return cmd
}

// enter is the command line that leads into the cluster's namespaces.
func (c *Cluster) enter(namespaces ...string) ([]string, error) {
	running, err := c.running()
	if err != nil {
		return nil, err
	}
	holder, ok := running[namespaceHolder]
	if !ok {
		return nil, fmt.Errorf("cluster %q is %w", c.name, ErrNotRunning)
	}
	argv := []string{"nsenter", "--target", strconv.Itoa(holder)}
	return append(append(argv, namespaces...), "--"), nil
}

// running finds the cluster's parts in the process table.
func (c *Cluster) running() (map[string]int, error) {
	found := map[string]int{}
	err := eachMarked(c.id, func(pid int, part string) {
		// A part's own children carry its mark too; the part itself leads its session.
		if p, ok := lookUp(pid); ok && p.session == pid {
			found[part] = pid
		}
	})
	return found, err
}

// eachMarked visits every living process of one cluster.
func eachMarked(id string, visit func(pid int, part string)) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("read the process table: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if part, ok := markOf(pid, id); ok {
			visit(pid, part)
		}
	}
	return nil
}

// markOf tells which part of the cluster a process is.
func markOf(pid int, id string) (string, bool) {
	env := environment(pid)
	if !strings.Contains(env, clusterMark+id+"\x00") {
		return "", false
	}
	for _, entry := range strings.Split(env, "\x00") {
		if part, ok := strings.CutPrefix(entry, partMark); ok {
			return part, true
		}
	}
	return "", false
}

// killIf ends a process unless it is no longer the one meant: the handle is taken
// first and the question asked after, so that a reused id is never hit.
func killIf(pid int, ours func() bool) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil
	}
	defer func() { _ = p.Release() }()
	if !ours() {
		return nil
	}
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end process %d: %w", pid, err)
	}
	return nil
}

// killMarked ends the cluster's processes and waits until they are gone. Nothing
// is asked to end gracefully: all that they would save is removed with them.
func (c *Cluster) killMarked(ctx context.Context, which func(part string) bool) error {
	killed := map[int]string{}
	return poll(ctx, 10*time.Second, func() error {
		var left []string
		var failed error
		err := eachMarked(c.id, func(pid int, part string) {
			if !which(part) {
				return
			}
			left = append(left, fmt.Sprintf("%s (%d)", part, pid))
			killed[pid] = part
			ours := func() bool { _, ok := markOf(pid, c.id); return ok }
			failed = errors.Join(failed, killIf(pid, ours))
		})
		if err := errors.Join(err, failed); err != nil {
			return stop{err}
		}
		// A dying process loses its mark before it lets go of its ports.
		for pid, part := range killed {
			if p, ok := lookUp(pid); ok && p.exiting {
				left = append(left, fmt.Sprintf("%s (%d)", part, pid))
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("still running: %s", strings.Join(left, ", "))
		}
		return nil
	})
}

// awaitExits waits for parts that somebody else killed a moment ago and that still
// hold their ports. They no longer carry the mark, so they are known by their names;
// waiting for another cluster's does no harm.
func (c *Cluster) awaitExits(ctx context.Context) error {
	names := map[string]bool{}
	for _, p := range c.parts() {
		names[commandName(p.path)] = true
	}
	return poll(ctx, 10*time.Second, func() error {
		dying, err := exiting(names)
		if err != nil {
			return stop{err}
		}
		if len(dying) > 0 {
			return fmt.Errorf("still ending: %s", strings.Join(dying, ", "))
		}
		return nil
	})
}

// failed tells why a part that this program started has ended, with the end of
// its log; nil while it runs.
func (c *Cluster) failed(name string) error {
	l, ok := c.launched[name]
	if !ok {
		return nil
	}
	select {
	case <-l.ended:
		return fmt.Errorf("%s ended: %s; the end of %s:\n%s", name, l.outcome, c.LogFile(name), tail(c.LogFile(name), 12))
	default:
		return nil
	}
}

func tail(path string, lines int) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
