// PostgreSQL's programs: found where distributions put them, or installed on Debian.

package install

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
	"strconv"
)

// oldestPostgres is the first version whose logical replication the plugin can follow.
const oldestPostgres = 14

// serverPrograms are what a server of our own is made and filled with.
var serverPrograms = []string{"initdb", "postgres", "psql", "pgbench"}

// postgresPrograms is the folder with PostgreSQL's programs. Where root on Debian or
// Ubuntu has none, the distribution's package is installed.
func postgresPrograms(ctx context.Context, progress io.Writer) (string, error) {
	if found := findPrograms(); found != "" {
		return found, nil
	}
	if err := CheckPostgres(); err != nil {
		return "", err
	}
	fmt.Fprintln(progress, "installing the package postgresql, once")
	if err := installPostgres(ctx); err != nil {
		return "", err
	}
	found := findPrograms()
	if found == "" {
		return "", fmt.Errorf("the package postgresql is installed, and still /usr/lib/postgresql has no server of version %d or newer", oldestPostgres)
	}
	return found, nil
}

// CheckPostgres tells at once where PostgreSQL is missing and cannot be installed from here.
func CheckPostgres() error {
	if findPrograms() != "" {
		return nil
	}
	if _, err := os.Stat("/etc/debian_version"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("PostgreSQL %d or newer is missing: install your distribution's package of the server with pgbench "+
			"(Debian, Ubuntu: apt-get install postgresql), or name the folder of its programs in POSTGRES_BIN", oldestPostgres)
	}
	return nil
}

// findPrograms prefers what the user names, then the newest that is installed.
func findPrograms() string {
	candidates := []string{os.Getenv("POSTGRES_BIN")}
	// Neither pattern is malformed, which is the only error there could be.
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	others, _ := filepath.Glob("/usr/pgsql-*/bin")
	slices.SortFunc(debian, func(a, b string) int { return majorOf(b) - majorOf(a) })
	for _, folder := range debian {
		if majorOf(folder) >= oldestPostgres {
			candidates = append(candidates, folder)
		}
	}
	for _, folder := range append(candidates, others...) {
		if folder != "" && holdsPrograms(folder) {
			return folder
		}
	}
	return ""
}

// majorOf reads the version from a path such as /usr/lib/postgresql/15/bin.
func majorOf(folder string) int {
	version, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	if err != nil {
		return 0
	}
	return version
}

func holdsPrograms(folder string) bool {
	for _, name := range serverPrograms {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

// noCluster keeps Debian's package from making and starting a server of its own on
// the machine's port 5432.
const noCluster = "/etc/postgresql-common/createcluster.d/arcane.conf"

func installPostgres(ctx context.Context) (err error) {
	if err := os.MkdirAll(filepath.Dir(noCluster), 0o755); err != nil {
		return fmt.Errorf("prepare the installation of PostgreSQL: %w", err)
	}
	if err := os.WriteFile(noCluster, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return fmt.Errorf("prepare the installation of PostgreSQL: %w", err)
	}
	defer func() {
		if removeErr := os.Remove(noCluster); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	wanted := []string{"install", "-y", "--no-install-recommends", "postgresql"}
	if aptGet(ctx, wanted...) == nil {
		return nil
	}
	// The package lists of a fresh machine are empty or old.
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	return aptGet(ctx, wanted...)
}

func aptGet(ctx context.Context, args ...string) error {
	args = append([]string{"-q", "-o", "DPkg::Lock::Timeout=300"}, args...)
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %v: %w\n%s", args, err, out)
	}
	return nil
}
