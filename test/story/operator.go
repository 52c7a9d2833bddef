// The operator as a process of the test's own.

package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

// Operator is the operator as a story sees it: something that runs or does not.
type Operator interface {
	// Start returns when the operator is ready. It may be running already.
	Start(ctx context.Context) error
	// Stop ends it gracefully and returns when it has ended.
	Stop(ctx context.Context) error
	// Kill ends it without warning and returns when it has ended.
	Kill(ctx context.Context) error
	// Sound is an error where it has ended by itself.
	Sound(ctx context.Context) error
	// Log is the end of what it has printed about a namespace.
	Log(ctx context.Context, namespace string) string
}

// Process is an operator that runs beside the test.
type Process struct {
	// Binary is the program; see BuildOperator.
	Binary string
	// Kubeconfig of the cluster.
	Kubeconfig string
	// LogFile receives what it prints, of all its lives.
	LogFile string
	// Args are added to those that every test gives.
	Args []string
	// Admission lets it serve the webhooks, which must be installed; see InstallAdmission.
	// Nil: it serves none.
	Admission *Admission

	cmd   *exec.Cmd
	ended chan struct{}
	err   error
	ready string
	// told: its end was asked for.
	told bool
}

// How long a start and a graceful end may take.
const (
	startWithin = 30 * time.Second
	stopWithin  = 20 * time.Second
)

// Start starts the process and waits for its readiness probe.
func (p *Process) Start(ctx context.Context) error {
	if p.Running() {
		return nil
	}
	if err := p.Sound(ctx); err != nil {
		return err
	}
	port, err := testbed.FreePort(ctx)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the operator's log: %w", err)
	}
	defer log.Close()
	probe := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	args := append([]string{
		"--kubeconfig", p.Kubeconfig, "--leader-elect=false", "--metrics-bind-address=0",
		"--health-probe-bind-address=" + probe, "--log-level=debug",
	}, p.admissionArgs()...)
	args = append(args, p.Args...)
	// The context of one call must not end a process that outlives it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.Binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// No operator may stay behind when the test itself is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	p.cmd, p.ended, p.ready, p.told = cmd, make(chan struct{}), "http://"+probe+"/readyz", false
	ended := p.ended
	go func() {
		p.err = cmd.Wait()
		close(ended)
	}()
	return p.awaitReady(ctx)
}

// Running tells whether the process lives.
func (p *Process) Running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Sound is an error where the process has ended by itself.
func (p *Process) Sound(ctx context.Context) error {
	if p.cmd == nil || p.told || p.Running() {
		return nil
	}
	return fmt.Errorf("the operator has ended by itself (%s):\n%s", p.cmd.ProcessState, p.Log(ctx, ""))
}

// Ready tells what the readiness probe answers.
func (p *Process) Ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.ready, nil)
	if err != nil {
		return fmt.Errorf("ask whether the operator is ready: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask whether the operator is ready: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the operator is not ready: %s", response.Status)
	}
	return nil
}

func (p *Process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := p.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.Sound(ctx)
		case <-ctx.Done():
			return fmt.Errorf("%w\n%s", err, p.Log(ctx, ""))
		case <-ticker.C:
		}
	}
}

// Stop sends SIGTERM. An operator that does not end in time, or not with success, is an error.
func (p *Process) Stop(ctx context.Context) error {
	if !p.Running() {
		return p.Sound(ctx)
	}
	p.told = true
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("send SIGTERM to the operator: %w", err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
		return errors.Join(fmt.Errorf("the operator has not ended %s after SIGTERM", stopWithin), p.Kill(ctx))
	}
	if p.err != nil {
		return fmt.Errorf("the operator's end after SIGTERM: %w\n%s", p.err, p.Log(ctx, ""))
	}
	return nil
}

// Kill sends SIGKILL.
func (p *Process) Kill(ctx context.Context) error {
	if !p.Running() {
		return p.Sound(ctx)
	}
	p.told = true
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the operator: %w", err)
	}
	<-p.ended
	return nil
}

// Pause lets the process stand still and returns when it does: a leader that its node
// has frozen. Continue ends that.
func (p *Process) Pause(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pause the operator: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		stopped, err := isStopped(p.cmd.Process.Pid)
		if err != nil || stopped {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pause the operator: it runs on: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// Continue lets a paused process go on.
func (p *Process) Continue() error {
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("let the operator go on: %w", err)
	}
	return nil
}

// isStopped asks the kernel, which notes each thread's state: the process stands still
// when all of them do.
func isStopped(pid int) (bool, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) == 0 {
		return false, fmt.Errorf("look at process %d: it is not there: %w", pid, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("look at process %d: %w", pid, err)
		}
		// The name in brackets may hold anything; the state follows it.
		_, state, _ := strings.Cut(string(raw[bytes.LastIndexByte(raw, ')')+1:]), " ")
		if !strings.HasPrefix(state, "T") {
			return false, nil
		}
	}
	return true, nil
}

// Log is the end of what the process has printed about a namespace, and of what is
// no record at all: how it died.
func (p *Process) Log(_ context.Context, namespace string) string {
	raw, err := os.ReadFile(p.LogFile)
	if err != nil {
		return err.Error()
	}
	return lastOf(string(raw), namespace)
}

func lastOf(log, namespace string) string {
	const lines, width = 60, 500
	var kept []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, namespace) || !strings.HasPrefix(line, "{") {
			kept = append(kept, strings.TrimSpace(line[:min(len(line), width)]))
		}
	}
	return strings.Join(kept[max(0, len(kept)-lines):], "\n")
}
