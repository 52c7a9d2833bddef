// Only the cluster's own processes are ever found or ended.

package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// sleeper starts a process that does nothing, in a session of its own.
func sleeper(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "300")
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
	})
	return cmd
}

func alive(cmd *exec.Cmd) bool {
	_, ok := lookUp(cmd.Process.Pid)
	return ok
}

func TestAPartHoldsNothingThatWeWereHanded(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	// As flock and make hand theirs on: open, and not closed when another program is run.
	handed, err := os.Open(os.DevNull)
	g.Expect(err).NotTo(HaveOccurred())
	defer handed.Close()
	_, err = unix.FcntlInt(handed.Fd(), unix.F_SETFD, 0)
	g.Expect(err).NotTo(HaveOccurred())
	c, err := locate("handed")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.MkdirAll(filepath.Dir(c.LogFile("sleep")), 0o755)).To(Succeed())
	g.Expect(c.start(part{name: "sleep", path: "sleep", args: []string{"300"}})).To(Succeed())
	defer func() {
		g.Expect(c.killMarked(context.WithoutCancel(t.Context()), func(string) bool { return true })).To(Succeed())
	}()
	// The kernel closes files a moment after the process has become the other program.
	g.Eventually(func() ([]os.DirEntry, error) {
		pid, err := c.PID("sleep")
		if err != nil {
			return nil, err
		}
		return os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	}).Should(HaveLen(3), "standard input, output and errors")
}

func TestOnlyMarkedProcessesAreTheClusters(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	c, err := locate("marked")
	g.Expect(err).NotTo(HaveOccurred())
	ours := sleeper(t, clusterMark+c.id, partMark+"etcd")
	sameStart := sleeper(t, clusterMark+c.id+"0", partMark+"etcd")
	unmarked := sleeper(t)

	g.Expect(c.running()).To(Equal(map[string]int{"etcd": ours.Process.Pid}))
	pid, err := c.PID("etcd")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pid).To(Equal(ours.Process.Pid))
	_, err = c.PID("kubelet")
	g.Expect(err).To(MatchError(ContainSubstring("kubelet is not running")))

	g.Expect(c.killMarked(t.Context(), func(part string) bool { return part == "kubelet" })).To(Succeed())
	g.Expect(alive(ours)).To(BeTrue())
	g.Expect(c.Down(t.Context())).To(Succeed())
	g.Expect(alive(ours)).To(BeFalse())
	g.Expect(alive(sameStart)).To(BeTrue())
	g.Expect(alive(unmarked)).To(BeTrue())
}

func TestAProcessIsFoundWhileItBecomesAnotherProgram(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	c, err := locate("becoming")
	g.Expect(err).NotTo(HaveOccurred())
	// Every part does this twice: a shell joins the control group, nsenter the
	// namespaces. This one never stops.
	script := filepath.Join(t.TempDir(), "again")
	g.Expect(os.WriteFile(script, []byte("exec sh \"$0\"\n"), 0o600)).To(Succeed())
	cmd := exec.Command("sh", script)
	cmd.Env = append(os.Environ(), clusterMark+c.id, partMark+"etcd")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	g.Expect(cmd.Start()).To(Succeed())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
	})
	for range 5000 {
		_, ok := markOf(cmd.Process.Pid, c.id)
		g.Expect(ok).To(BeTrue())
	}
}

func TestAProcessIsSparedWhenItsIDWasReused(t *testing.T) {
	g := NewWithT(t)
	cmd := sleeper(t)
	g.Expect(killIf(cmd.Process.Pid, func() bool { return false })).To(Succeed())
	g.Expect(alive(cmd)).To(BeTrue())
	g.Expect(killIf(cmd.Process.Pid, func() bool { return true })).To(Succeed())
	g.Eventually(func() bool { return alive(cmd) }).Should(BeFalse())
}

func TestADownedClusterLeavesNoFolder(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	c, err := locate("half")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.MkdirAll(filepath.Join(c.dir, "pki"), 0o755)).To(Succeed())
	g.Expect(Down(t.Context(), "half")).To(Succeed())
	g.Expect(c.dir).NotTo(BeADirectory())
	g.Expect(c.lockPath()).NotTo(BeAnExistingFile())
	g.Expect(Down(t.Context(), "half")).To(Succeed(), "a second time")
}

func TestParseStat(t *testing.T) {
	g := NewWithT(t)
	rest := " 1 7 7 0 -1 %FLAGS% 0 0 0 0 0 0 0 0 20 0 %THREADS%" + strings.Repeat(" 0", 6) + " %CODE%" + strings.Repeat(" 0", 22) + " %ENV% 0"
	line := func(head, flags, threads string, memory ...string) string {
		memory = append(memory, "80", "95 99")
		return head + strings.NewReplacer("%FLAGS%", flags, "%THREADS%", threads, "%CODE%", memory[0], "%ENV%", memory[1]).Replace(rest)
	}
	p, ok := parseStat(line("7 (a (b) c) S", "4194304", "1"))
	g.Expect(ok).To(BeTrue())
	g.Expect(p).To(Equal(process{command: "a (b) c", session: 7, environmentComing: true}))

	for _, tc := range []struct {
		code, env string
		coming    bool
	}{{"0", "0 0", true}, {"0", "95 95", true}, {"80", "95 99", true}, {"80", "95 95", false}} {
		p, _ = parseStat(line("7 (sh) R", "4194304", "1", tc.code, tc.env))
		g.Expect(p.environmentComing).To(Equal(tc.coming), "%v", tc)
	}
	p, _ = parseStat(line("7 (kworker/0:1) S", "2097152", "1", "0", "0 0"))
	g.Expect(p.environmentComing).To(BeFalse(), "a thread of the kernel's")

	p, ok = parseStat(line("7 (etcd) R", "4194308", "9"))
	g.Expect(ok).To(BeTrue())
	g.Expect(p.exiting).To(BeTrue())

	p, ok = parseStat(line("7 (etcd) Z", "4194316", "5"))
	g.Expect(ok).To(BeTrue(), "its other threads still run")
	g.Expect(p.exiting).To(BeTrue())

	_, ok = parseStat(line("7 (etcd) Z", "4194316", "1"))
	g.Expect(ok).To(BeFalse())
	_, ok = parseStat("")
	g.Expect(ok).To(BeFalse())
}

func TestALockWhoseFileWasRemovedKeepsNobodyAway(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "lock")
	var inside, held atomic.Int64
	done := make(chan error, 20)
	for range cap(done) {
		go func() {
			unlock, err := lockFile(t.Context(), path, nil)
			if err == nil {
				if inside.Add(1) != 1 {
					t.Error("two hold the lock at once")
				}
				held.Add(1)
				err = os.Remove(path)
				inside.Add(-1)
				unlock()
			}
			done <- err
		}()
	}
	for range cap(done) {
		g.Eventually(done).WithTimeout(10 * time.Second).Should(Receive(BeNil()))
	}
	g.Expect(held.Load()).To(BeEquivalentTo(cap(done)))
	g.Expect(path).NotTo(BeAnExistingFile())
}

func TestOneWaitsForTheOther(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path, nil)
	g.Expect(err).NotTo(HaveOccurred())

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = lockFile(ctx, path, nil)
	g.Expect(err).To(MatchError(context.DeadlineExceeded))

	waiting, entered := make(chan struct{}), make(chan error, 1)
	go func() {
		release, err := lockFile(t.Context(), path, func() { close(waiting) })
		if err == nil {
			release()
		}
		entered <- err
	}()
	g.Eventually(waiting).Should(BeClosed())
	unlock()
	g.Eventually(entered).Should(Receive(BeNil()))
}
