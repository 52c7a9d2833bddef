// Telling stories side by side: Ginkgo's own parallel processes, from a plain `go test`.

package story

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
)

// processesEnv overrides how many processes Spread uses; 1 keeps all in this one.
const processesEnv = "ARCANE_TEST_PROCESSES"

// Spread runs this very test program by Ginkgo's command, in so many processes, and
// reports whether it did: false means that the caller itself is to run the specs.
// Stories mostly wait, so more processes than cores make a suite faster.
func Spread(t *testing.T, processes int) bool {
	t.Helper()
	suite, _ := ginkgo.GinkgoConfiguration()
	if given, err := strconv.Atoi(os.Getenv(processesEnv)); err == nil {
		processes = given
	}
	if os.Getenv("CLUSTER") == "existing" {
		processes = 1 // A user's cluster has one operator.
	}
	if suite.ParallelTotal > 1 || processes <= 1 {
		return false
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("find this program: %v", err)
	}
	args := []string{"tool", "ginkgo", "--procs=" + strconv.Itoa(processes), "--keep-going", "--no-color"}
	if deadline, ok := t.Deadline(); ok {
		// Sooner than go test, which would end it without a report.
		args = append(args, "--timeout="+(time.Until(deadline)-10*time.Second).Round(time.Second).String())
	}
	cmd := exec.CommandContext(t.Context(), "go", append(append(args, ginkgoFlags(os.Args[1:])...), self)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = Root(), os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Run(); err != nil {
		t.Fatalf("the suite in %d processes: %v", processes, err)
	}
	return true
}

// ginkgoFlags passes on what the user asked go test for: -ginkgo.focus=x is Ginkgo's --focus=x.
func ginkgoFlags(args []string) []string {
	var flags []string
	for _, arg := range args {
		if _, flag, ok := strings.Cut(arg, "-ginkgo."); ok && !strings.Contains(flag, "parallel.") {
			flags = append(flags, "--"+flag)
		}
		if arg == "-test.v=true" {
			flags = append(flags, "-v")
		}
	}
	return flags
}

// DependOn makes go test's cache of results depend on the source of the programs
// that a suite builds and runs: it cannot know of what a child process reads.
func DependOn(t *testing.T, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(Root(), folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			return file.Close()
		})
		if err != nil {
			t.Fatalf("read what the suite depends on: %v", err)
		}
	}
}

// Slot is a cluster name that no other suite uses at this time.
type Slot struct {
	// Name of the cluster.
	Name string
	lock *os.File
}

// TakeSlot finds a free name that begins with a prefix. The lock goes with the
// process, so a name is free again after any end.
func TakeSlot(_ context.Context, prefix string) (*Slot, error) {
	const most = 64
	for i := range most {
		name := fmt.Sprintf("%s-%d", prefix, i+1)
		lock, err := os.OpenFile(filepath.Join(os.TempDir(), "arcane-test-"+name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock a cluster's name: %w", err)
		}
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return &Slot{Name: name, lock: lock}, nil
		}
		if closed := lock.Close(); closed != nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock a cluster's name: %w", errors.Join(err, closed))
		}
	}
	return nil, fmt.Errorf("%d suites run at once", most)
}

// Release lets others have the name.
func (s *Slot) Release() error {
	if err := s.lock.Close(); err != nil {
		return fmt.Errorf("release a cluster's name: %w", err)
	}
	return nil
}
