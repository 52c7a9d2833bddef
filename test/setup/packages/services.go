// The services of the installed packages: Debian would start them, and make a
// PostgreSQL server with a database, at the installation.

package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	// policyFile is the program that Debian's packages ask whether a service may start.
	policyFile = "/usr/sbin/policy-rc.d"
	// noServer keeps the package of PostgreSQL from making a server of its own, which
	// would occupy port 5432 from the next boot on.
	noServer        = "/etc/postgresql-common/createcluster.d/arcane.conf"
	noServerContent = "# Written by Arcane's set-up, which removes it again.\ncreate_main_cluster = false\n"
)

// policy forbids services as long as a set-up holds its lock. A set-up that was
// killed cannot remove the file, and this way the file forbids nothing from then on.
func (m machine) policy() string {
	return fmt.Sprintf(`#!/bin/sh
# Written by Arcane's set-up, which removes it again. It forbids services to start while the set-up runs.
exec flock --nonblock --conflict-exit-code 101 %s true
`, m.in(lockFile))
}

// hasLeftovers is true where a set-up was killed, and where one is running.
func (m machine) hasLeftovers() bool {
	return m.isRoot && (m.wroteFile(policyFile, m.policy()) || m.wroteFile(noServer, noServerContent))
}

func (m machine) wroteFile(path, content string) bool {
	raw, err := os.ReadFile(m.in(path))
	return err == nil && string(raw) == content
}

// forbidServices must be called with the lock held. A policy of the machine's own is
// left as it is.
func (m machine) forbidServices() (allow func() error, err error) {
	if err := m.removeLeftovers(); err != nil {
		return nil, err
	}
	if err := m.createFile(policyFile, m.policy(), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("forbid services to start: %w", err)
	}
	if err := m.createFile(noServer, noServerContent, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(fmt.Errorf("forbid a PostgreSQL server: %w", err), m.removeLeftovers())
	}
	return m.removeLeftovers, nil
}

// createFile makes a file that does not exist. It appears complete, because another
// installation may ask the policy at any moment.
func (m machine) createFile(path, content string, mode fs.FileMode) error {
	path = m.in(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := path + ".arcane-next"
	defer func() { _ = os.Remove(next) }() // the next set-up writes over it
	if err := os.WriteFile(next, []byte(content), mode); err != nil {
		return err
	}
	// The mode above is subject to the user's umask.
	if err := os.Chmod(next, mode); err != nil {
		return err
	}
	return os.Link(next, path)
}

// removeLeftovers removes the files that this or an earlier set-up has written, and
// no others.
func (m machine) removeLeftovers() error {
	var errs []error
	for path, content := range map[string]string{policyFile: m.policy(), noServer: noServerContent} {
		if m.wroteFile(path, content) {
			errs = append(errs, os.Remove(m.in(path)))
		}
	}
	return errors.Join(errs...)
}

// services are those of the packages that Install may install.
var services = []string{"containerd.service", "postgresql.service", "prometheus.service"}

// units lists which of the services the machine has.
func (m machine) units() []string {
	var found []string
	for _, name := range services {
		if m.exists("/lib/systemd/system/"+name) || m.exists("/usr/lib/systemd/system/"+name) {
			found = append(found, name)
		}
	}
	return found
}

// disableUnits keeps the services that were installed just now from starting at the
// next boot. Those that were known before are the user's.
func (m machine) disableUnits(ctx context.Context, progress io.Writer, known []string) error {
	fresh := slices.DeleteFunc(m.units(), func(name string) bool { return slices.Contains(known, name) })
	if len(fresh) == 0 || !m.finds(SystemPath, "systemctl") {
		return nil
	}
	fmt.Fprintf(progress, "disabling %s: tests and the demo start what they need\n", strings.Join(fresh, " "))
	// Also after an interrupt: the packages are there.
	cmd := m.command(context.WithoutCancel(ctx), "systemctl", append([]string{"--quiet", "disable"}, fresh...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl disable %s: %w\n%s", strings.Join(fresh, " "), err, out)
	}
	return nil
}

// command is one of the system's programs, in a session of its own: an interrupt at
// the terminal must not reach dpkg in the middle of its work.
func (m machine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	for _, folder := range filepath.SplitList(SystemPath) {
		if path := filepath.Join(folder, name); m.isExecutable(path) {
			name = m.in(path)
			break
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	// The rest of the user's environment stays: it may hold the proxy through which
	// packages come.
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "PATH="+SystemPath)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}
