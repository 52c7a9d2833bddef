// How missing packages are installed, and who is told to install them by hand.

package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Check returns an error where something of the needs is missing and Install could
// not install it: the user is not root, or this is not Debian. It changes nothing.
func Check(needs ...Need) error { return thisMachine().check(needs) }

// Install installs the packages of the needs that are missing, and reports on its
// progress. It uses the network only where something is missing. Several may run at
// once: they wait for each other.
//
// The services of the packages are neither started nor enabled: tests and the demo
// start what they need by themselves, on ports and in folders of their own. When ctx
// ends, Install stops the download of packages, but lets dpkg finish.
func Install(ctx context.Context, progress io.Writer, needs ...Need) error {
	return thisMachine().install(ctx, progress, needs)
}

func (m machine) check(needs []Need) error {
	if slices.Contains(needs, Node) && !m.isRoot {
		return errors.New("a cluster with a node needs root: namespaces, mounts and control groups are made for it")
	}
	missing := m.missing(needs)
	if len(missing) == 0 || (m.isRoot && m.isDebian()) {
		return nil
	}
	var names []string
	for _, r := range missing {
		names = append(names, r.what)
	}
	return fmt.Errorf("missing on this machine: %s. %s", strings.Join(names, ", "), m.wayOut(missing))
}

// wayOut says what the user can do about what is missing.
func (m machine) wayOut(missing []requirement) string {
	names := strings.Join(packagesOf(missing), " ")
	advice := "This is neither Debian nor Ubuntu: install what your distribution calls " + strings.Join(packagesOf(missing), ", ")
	if m.isDebian() {
		advice = "Run as root: apt-get install --no-install-recommends " + names
	}
	if slices.Contains(packagesOf(missing), "postgresql") {
		advice += ". POSTGRES_BIN may name the folder of PostgreSQL's programs"
	}
	return advice
}

// isDebian is true for Debian and the distributions that are made from it.
func (m machine) isDebian() bool {
	raw, err := os.ReadFile(m.in("/etc/os-release"))
	if err != nil || !m.finds(SystemPath, "apt-get") {
		return false
	}
	for line := range strings.Lines(string(raw)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if (key == "ID" || key == "ID_LIKE") && slices.Contains(strings.Fields(strings.Trim(value, `"'`)), "debian") {
			return true
		}
	}
	return false
}

func (m machine) install(ctx context.Context, progress io.Writer, needs []Need) error {
	if err := m.check(needs); err != nil {
		return err
	}
	if len(m.missing(needs)) == 0 && !m.hasLeftovers() {
		return nil
	}
	unlock, err := m.lock(ctx, progress)
	if err != nil {
		return err
	}
	defer unlock()
	// Whoever had the lock may have installed the same.
	missing := packagesOf(m.missing(needs))
	if len(missing) == 0 {
		return m.removeLeftovers()
	}
	fmt.Fprintf(progress, "installing the Debian packages %s\n", strings.Join(missing, " "))
	if err := m.installQuietly(ctx, progress, missing); err != nil {
		return fmt.Errorf("install the Debian packages %s: %w", strings.Join(missing, " "), err)
	}
	if left := m.missing(needs); len(left) > 0 {
		return fmt.Errorf("%s installed, and still missing: %s", strings.Join(missing, " "), strings.Join(packagesOf(left), " "))
	}
	return nil
}

// installQuietly installs without a service that starts, now or at the next boot.
func (m machine) installQuietly(ctx context.Context, progress io.Writer, names []string) (err error) {
	allow, err := m.forbidServices()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, allow()) }()
	known := m.units()
	err = m.apt(ctx, progress, names)
	return errors.Join(err, m.disableUnits(ctx, progress, known))
}
