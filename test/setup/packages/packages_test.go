package packages

// These tests install into a folder that stands for a machine, by an apt-get that is a
// script. The script records what it is asked for, and what a package's own script
// would be told about services.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n"
	ubuntu = "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n"
	fedora = "NAME=\"Fedora Linux\"\nID=fedora\nHOME_URL=https://not-debian.example\n"
)

// bring holds the files of each package that the tests install.
var bring = map[string][]string{
	"prometheus": {"/usr/bin/prometheus", "/usr/bin/promtool"},
	"postgresql": {
		"/usr/lib/postgresql/15/bin/initdb", "/usr/lib/postgresql/15/bin/postgres",
		"/usr/lib/postgresql/15/bin/psql", "/usr/lib/postgresql/15/bin/pgbench",
	},
	"containerd": {"/usr/bin/containerd", "/usr/bin/ctr"},
	"runc":       {"/usr/sbin/runc"}, "iptables": {"/usr/sbin/iptables", "/usr/sbin/iptables-restore"},
	"iproute2": {"/usr/bin/ip"}, "util-linux": {"/usr/bin/nsenter"}, "mount": {"/usr/bin/mount"}, "kmod": {"/usr/sbin/modprobe"},
	"containernetworking-plugins": {"/usr/lib/cni/bridge", "/usr/lib/cni/host-local"},
	"ca-certificates":             {"/etc/ssl/certs/ca-certificates.crt"}, "git": {"/usr/bin/git"}, "make": {"/usr/bin/make"},
}

// aptGet is the script. What comes before, decides by $* what goes wrong.
const aptGet = `#!/bin/sh
root=${0%%/usr/bin/apt-get}
record() { echo "$*" >>"$root/record"; }
case "$*" in
*" update"*) asked=update ;;
*"--download-only"*) asked=download ;;
*) asked=install ;;
esac
record "$asked"
# An interrupt at the terminal reaches everybody in the session of the terminal.
[ "$(cut -d' ' -f6 /proc/$$/stat)" = $$ ] || record "in the session of the terminal"
%s
case $asked in
update) touch "$root/lists" ;;
download) [ -e "$root/lists" ] || { echo "E: Unable to locate package"; exit 100; } ;;
install)
	if [ -e "$root/usr/sbin/policy-rc.d" ]; then
		status=0
		"$root/usr/sbin/policy-rc.d" prometheus start || status=$?
		record "policy $status"
	else
		record "no policy"
	fi
	! grep -qx "create_main_cluster = false" "$root/etc/postgresql-common/createcluster.d/arcane.conf" || record "no server"
	bring() { mkdir -p "$root${1%%/*}"; : >"$root$1"; chmod 755 "$root$1"; }
	for package in "$@"; do
		case $package in
%s		esac
	done
	;;
esac
`

// newMachine has an apt-get and nothing else.
func newMachine(t *testing.T, release, script string) machine {
	t.Helper()
	m := machine{root: t.TempDir(), path: "/usr/bin:/bin", isRoot: true}
	var cases strings.Builder
	for pkg, files := range bring {
		fmt.Fprintf(&cases, "\t\t%s)", pkg)
		for _, file := range files {
			fmt.Fprintf(&cases, " bring %s;", file)
		}
		cases.WriteString(" ;;\n")
	}
	write(t, m.in("/etc/os-release"), release)
	write(t, m.in("/usr/bin/apt-get"), fmt.Sprintf(aptGet, script, cases.String()))
	for _, folder := range []string{"/run", "/usr/sbin"} {
		if err := os.MkdirAll(m.in(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// has puts the files of packages into the machine.
func has(t *testing.T, m machine, names ...string) {
	t.Helper()
	for _, name := range names {
		for _, file := range bring[name] {
			write(t, m.in(file), "")
		}
	}
}

func record(t *testing.T, m machine) []string {
	t.Helper()
	raw, err := os.ReadFile(m.in("/record"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Fields(strings.ReplaceAll(strings.ReplaceAll(string(raw), " ", "-"), "\n", " "))
}

func expectRecord(t *testing.T, m machine, want ...string) {
	t.Helper()
	if got := record(t, m); !slices.Equal(got, want) {
		t.Errorf("apt-get was asked for %q, want %q", got, want)
	}
}

// expectNoTrace: neither a policy nor a setting of PostgreSQL's package is left.
func expectNoTrace(t *testing.T, m machine) {
	t.Helper()
	for _, file := range []string{policyFile, noServer, policyFile + ".arcane-next", noServer + ".arcane-next"} {
		if m.exists(file) {
			t.Errorf("%s is left", file)
		}
	}
}

func TestMissingPackages(t *testing.T) {
	everything := []string{
		"ca-certificates", "git", "make",
		"containerd", "runc", "iptables", "iproute2", "util-linux", "mount", "kmod", "containernetworking-plugins",
		"postgresql", "prometheus",
	}
	for name, c := range map[string]struct {
		needs []Need
		has   []string
		files []string
		bin   string
		want  []string
	}{
		"an empty machine lacks all":                 {needs: All(), want: everything},
		"a complete one lacks nothing":               {needs: All(), has: everything},
		"a test needs no container runtime":          {needs: []Need{Postgres, Prometheus}, want: []string{"postgresql", "prometheus"}},
		"a node needs no Prometheus":                 {needs: []Need{Node}, has: []string{"runc", "iptables", "iproute2", "util-linux", "mount", "kmod"}, want: []string{"containerd", "containernetworking-plugins"}},
		"promtool alone is not enough":               {needs: []Need{Prometheus}, files: []string{"/usr/bin/promtool"}, want: []string{"prometheus"}},
		"PostgreSQL of an old version does not do":   {needs: []Need{Postgres}, files: versioned("13"), want: []string{"postgresql"}},
		"a client of PostgreSQL alone does not do":   {needs: []Need{Postgres}, files: []string{"/usr/lib/postgresql/15/bin/psql"}, want: []string{"postgresql"}},
		"PostgreSQL may be where POSTGRES_BIN says":  {needs: []Need{Postgres}, files: []string{"/opt/pg/initdb", "/opt/pg/postgres", "/opt/pg/psql", "/opt/pg/pgbench"}, bin: "/opt/pg"},
		"POSTGRES_BIN of an empty folder does not":   {needs: []Need{Postgres}, bin: "/opt/pg", want: []string{"postgresql"}},
		"CNI plugins may be where others put them":   {needs: []Need{Node}, has: []string{"containerd", "runc", "iptables", "iproute2", "util-linux", "mount", "kmod"}, files: []string{"/opt/cni/bin/bridge", "/opt/cni/bin/host-local"}},
		"a program outside of the node's PATH is no": {needs: []Need{Node}, has: everything[4:], files: []string{"/opt/bin/containerd", "/opt/bin/ctr"}, want: []string{"containerd"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, debian, "")
			m.postgresBin = c.bin
			has(t, m, c.has...)
			for _, file := range c.files {
				write(t, m.in(file), "")
			}
			if got := packagesOf(m.missing(c.needs)); !slices.Equal(got, c.want) {
				t.Errorf("missing %q, want %q", got, c.want)
			}
		})
	}
}

func versioned(version string) []string {
	var files []string
	for _, file := range bring["postgresql"] {
		files = append(files, strings.ReplaceAll(file, "/15/", "/"+version+"/"))
	}
	return files
}

func TestTheNewestPostgresIsTaken(t *testing.T) {
	m := newMachine(t, debian, "")
	for _, version := range []string{"15", "9", "16", "13"} {
		for _, file := range versioned(version) {
			write(t, m.in(file), "")
		}
	}
	if got, want := m.postgresPrograms(), "/usr/lib/postgresql/16/bin"; got != want {
		t.Errorf("PostgreSQL's programs are in %q, want %q", got, want)
	}
}

func TestWhatCannotBeInstalledIsRefusedWithTheWayOut(t *testing.T) {
	const byHand = "missing on this machine: prometheus, promtool, PostgreSQL 14 or newer. "
	for name, c := range map[string]struct {
		release string
		isRoot  bool
		needs   []Need
		want    string
	}{
		"root on Debian installs": {debian, true, []Need{Prometheus, Postgres}, ""},
		"root on Ubuntu installs": {ubuntu, true, []Need{Prometheus, Postgres}, ""},
		"a user on Debian": {
			debian, false,
			[]Need{Prometheus, Postgres},
			byHand + "Run as root: apt-get install --no-install-recommends prometheus postgresql. POSTGRES_BIN may name the folder of PostgreSQL's programs",
		},
		"root on Fedora": {
			fedora, true,
			[]Need{Prometheus, Postgres},
			byHand + "This is neither Debian nor Ubuntu: install what your distribution calls prometheus, postgresql. POSTGRES_BIN may name the folder of PostgreSQL's programs",
		},
		"no node without root": {debian, false, []Need{Node}, "a cluster with a node needs root: namespaces, mounts and control groups are made for it"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, c.release, "")
			m.isRoot = c.isRoot
			got := ""
			if err := m.check(c.needs); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("check says\n%q, want\n%q", got, c.want)
			}
			if c.want == "" {
				return
			}
			if err := m.install(t.Context(), io.Discard, c.needs); err == nil || err.Error() != c.want {
				t.Errorf("install says\n%v, want\n%q", err, c.want)
			}
			expectRecord(t, m)
		})
	}
}

func TestAUserWhoHasAllNeedsNeitherRootNorDebian(t *testing.T) {
	m := newMachine(t, fedora, "")
	m.isRoot = false
	has(t, m, "prometheus")
	if err := m.install(t.Context(), io.Discard, []Need{Prometheus}); err != nil {
		t.Error(err)
	}
	expectRecord(t, m)
}

func TestNothingIsAskedForWhereNothingIsMissing(t *testing.T) {
	m := newMachine(t, debian, "")
	has(t, m, "prometheus")
	var progress bytes.Buffer
	if err := m.install(t.Context(), &progress, []Need{Prometheus}); err != nil || progress.Len() > 0 {
		t.Errorf("install: %v, and says %q", err, progress.String())
	}
	expectRecord(t, m)
}

func TestEmptyListsOfPackagesAreUpdated(t *testing.T) {
	m := newMachine(t, debian, "")
	if err := m.install(t.Context(), io.Discard, []Need{Prometheus}); err != nil {
		t.Fatal(err)
	}
	expectRecord(t, m, "download", "update", "download", "install", "policy-101", "no-server")
	expectNoTrace(t, m)
}

func TestFreshListsOfPackagesAreNotUpdated(t *testing.T) {
	m := newMachine(t, debian, "")
	write(t, m.in("/lists"), "")
	if err := m.install(t.Context(), io.Discard, []Need{Prometheus}); err != nil {
		t.Fatal(err)
	}
	expectRecord(t, m, "download", "install", "policy-101", "no-server")
}

func TestAFailureShowsWhatAptGetSaidAndLeavesNoTrace(t *testing.T) {
	for asked, words := range map[string]string{
		"update":  "E: no such mirror",
		"install": "E: dpkg was interrupted",
	} {
		t.Run(asked, func(t *testing.T) {
			m := newMachine(t, debian, fmt.Sprintf(`[ $asked != %s ] || { echo "%s"; exit 100; }`, asked, words))
			err := m.install(t.Context(), io.Discard, []Need{Prometheus})
			if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "install the Debian packages prometheus: ") {
				t.Errorf("install says %v, want the packages and %q", err, words)
			}
			expectNoTrace(t, m)
		})
	}
}

func TestAPackageWithoutItsProgramsIsAnError(t *testing.T) {
	m := newMachine(t, debian, `[ $asked = update ] || exit 0`)
	err := m.install(t.Context(), io.Discard, []Need{Prometheus})
	if err == nil || !strings.Contains(err.Error(), "still missing: prometheus") {
		t.Errorf("install says %v", err)
	}
}

// The script waits until the test has interrupted, and for half a second more.
const slow = `[ $asked != %s ] || { touch "$root/begun"; sleep 0.5; }`

func TestAnInterruptEndsTheDownloadAndLetsDpkgFinish(t *testing.T) {
	for asked, want := range map[string][]string{
		"download": {"download"},
		"install":  {"download", "install", "policy-101", "no-server"},
	} {
		t.Run(asked, func(t *testing.T) {
			m := newMachine(t, debian, fmt.Sprintf(slow, asked))
			write(t, m.in("/lists"), "")
			ctx, interrupt := context.WithCancel(t.Context())
			go func() {
				await(m, "/begun")
				interrupt()
			}()
			if err := m.install(ctx, io.Discard, []Need{Prometheus}); !errors.Is(err, context.Canceled) {
				t.Errorf("install says %v, want that it was interrupted", err)
			}
			expectRecord(t, m, want...)
			expectNoTrace(t, m)
			if got := m.exists("/usr/bin/prometheus"); got != (asked == "install") {
				t.Errorf("prometheus is there: %t", got)
			}
		})
	}
}

func await(m machine, file string) {
	for !m.exists(file) {
		time.Sleep(time.Millisecond) //nolint:forbidigo // there is no event for a file
	}
}

func TestAPolicyOfTheMachinesOwnStaysAndCounts(t *testing.T) {
	const policy = "#!/bin/sh\nexit 104\n"
	m := newMachine(t, debian, "")
	write(t, m.in(policyFile), policy)
	if err := m.install(t.Context(), io.Discard, []Need{Prometheus}); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(m.in(policyFile)); err != nil || string(raw) != policy {
		t.Errorf("the policy is %q, %v", raw, err)
	}
	expectRecord(t, m, "download", "update", "download", "install", "policy-104", "no-server")
}

func TestWhatAKilledSetUpLeftForbidsNothingAndIsRemoved(t *testing.T) {
	for name, present := range map[string][]string{"by one that installs": nil, "by one with nothing to install": {"prometheus"}} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, debian, "")
			has(t, m, present...)
			if _, err := m.forbidServices(); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(m.in(policyFile), "prometheus", "start").CombinedOutput(); err != nil {
				t.Errorf("nobody holds the lock, and the policy forbids: %v\n%s", err, out)
			}
			if err := m.install(t.Context(), io.Discard, []Need{Prometheus}); err != nil {
				t.Fatal(err)
			}
			expectNoTrace(t, m)
		})
	}
}

func TestTwoAtOnceInstallOnce(t *testing.T) {
	m := newMachine(t, debian, fmt.Sprintf(slow, "install"))
	write(t, m.in("/lists"), "")
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := m.install(t.Context(), io.Discard, []Need{Prometheus}); err != nil {
			t.Error(err)
		}
	})
	await(m, "/begun")
	var progress bytes.Buffer
	if err := m.install(t.Context(), &progress, []Need{Prometheus}); err != nil {
		t.Error(err)
	}
	wait.Wait()
	if got, want := progress.String(), "waiting for another set-up on this machine\n"; got != want {
		t.Errorf("the second says %q, want %q", got, want)
	}
	expectRecord(t, m, "download", "install", "policy-101", "no-server")
	expectNoTrace(t, m)
}

func TestAnInterruptEndsTheWaitForAnotherSetUp(t *testing.T) {
	m := newMachine(t, debian, "")
	unlock, err := m.lock(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if err := m.install(ctx, io.Discard, []Need{Prometheus}); !errors.Is(err, context.Canceled) {
		t.Errorf("install says %v, want that it was interrupted", err)
	}
	expectRecord(t, m)
}

func TestALockOfAnotherPackageManagerIsWaitedFor(t *testing.T) {
	m := newMachine(t, debian, `[ $asked != update ] || [ -e "$root/twice" ] || {
		[ ! -e "$root/once" ] || touch "$root/twice"
		touch "$root/once"
		echo "E: Could not get lock /var/lib/apt/lists/lock"
		exit 100
	}`)
	var progress bytes.Buffer
	if err := m.install(t.Context(), &progress, []Need{Prometheus}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(progress.String(), "waiting for another package manager\n"); got != 1 {
		t.Errorf("it says so %d times, want once:\n%s", got, progress.String())
	}
	expectRecord(t, m, "download", "update", "update", "update", "download", "install", "policy-101", "no-server")
}

func TestOnlyServicesThatCameAlongAreDisabled(t *testing.T) {
	m := newMachine(t, debian, `[ $asked != install ] || { mkdir -p "$root/lib/systemd/system"; touch "$root/lib/systemd/system/prometheus.service"; }`)
	write(t, m.in("/lib/systemd/system/containerd.service"), "")
	write(t, m.in("/usr/bin/systemctl"), "#!/bin/sh\necho \"$*\" >>\"${0%/usr/bin/systemctl}/record\"\n")
	if err := m.install(t.Context(), io.Discard, []Need{Prometheus}); err != nil {
		t.Fatal(err)
	}
	expectRecord(t, m, "download", "update", "download", "install", "policy-101", "no-server", "--quiet-disable-prometheus.service")
}
