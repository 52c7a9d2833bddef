// Package packages installs the Debian packages that the Makefile's targets
// need: `make demo`, `make test` and the others, and the testbed's clusters.
//
// A caller names its needs. A program that is installed already, from whichever
// source, is left as it is, and then no package manager runs.
package packages

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Need is a set of programs that some targets need.
type Need string

const (
	// Checkout is what a clone and `make` start from. A target cannot install it for
	// itself; `.ci/run` can, because it starts without make.
	Checkout Need = "checkout"
	// Node is what a cluster's node is made of (see test/cluster/testbed).
	Node Need = "node"
	// Postgres is a PostgreSQL server with its client programs.
	Postgres Need = "postgres"
	// Prometheus is the server and promtool.
	Prometheus Need = "prometheus"
)

// All lists every need.
func All() []Need { return []Need{Checkout, Node, Postgres, Prometheus} }

// SystemPath is where a node's programs are looked for. It is spelled out because
// root's PATH often lacks the sbin folders, where iptables and runc are.
const SystemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// oldestPostgres is the first version whose logical replication the plugin can follow.
const oldestPostgres = 14

// postgresPrograms lists the programs of PostgreSQL that tests and the demo call.
var postgresPrograms = []string{"initdb", "postgres", "psql", "pgbench"}

// requirement is something that a need consists of, and the package that brings it.
type requirement struct {
	pkg string
	// what names it in a message.
	what string
	met  func(machine) bool
}

// requirements of each need.
var requirements = map[Need][]requirement{
	Checkout: {
		{"ca-certificates", "certificates of public authorities", func(m machine) bool { return m.exists("/etc/ssl/certs/ca-certificates.crt") }},
		program("git", "git"),
		program("make", "make"),
	},
	Node: {
		systemProgram("containerd", "containerd"),
		systemProgram("ctr", "containerd"),
		systemProgram("runc", "runc"),
		systemProgram("iptables", "iptables"),
		systemProgram("iptables-restore", "iptables"),
		systemProgram("ip", "iproute2"),
		systemProgram("nsenter", "util-linux"),
		systemProgram("mount", "mount"),
		systemProgram("modprobe", "kmod"),
		{"containernetworking-plugins", "CNI plugins", func(m machine) bool { return m.cniPlugins() != "" }},
	},
	Postgres: {
		{"postgresql", "PostgreSQL " + strconv.Itoa(oldestPostgres) + " or newer", func(m machine) bool { return m.postgresPrograms() != "" }},
	},
	Prometheus: {
		program("prometheus", "prometheus"),
		program("promtool", "prometheus"),
	},
}

// program is one that is found by the user's PATH.
func program(name, pkg string) requirement {
	return requirement{pkg, name, func(m machine) bool { return m.finds(m.path, name) }}
}

// systemProgram is one that the testbed finds by SystemPath.
func systemProgram(name, pkg string) requirement {
	return requirement{pkg, name, func(m machine) bool { return m.finds(SystemPath, name) }}
}

// machine is where programs are looked for and packages are installed.
type machine struct {
	// root is the folder that holds the file system: / but in tests.
	root string
	// path is the user's PATH, and postgresBin the folder that POSTGRES_BIN names.
	path, postgresBin string
	isRoot            bool
}

func thisMachine() machine {
	return machine{root: "/", path: os.Getenv("PATH"), postgresBin: os.Getenv("POSTGRES_BIN"), isRoot: os.Geteuid() == 0}
}

// PostgresPrograms returns the folder with PostgreSQL's programs, or "" where they
// are missing. It prefers the folder that POSTGRES_BIN names, then the newest version
// that is installed.
func PostgresPrograms() string { return thisMachine().postgresPrograms() }

// CNIPlugins returns the folder where the distribution has put the CNI plugins, or
// "" where they are missing.
func CNIPlugins() string { return thisMachine().cniPlugins() }

// missing lists what of the needs is not there.
func (m machine) missing(needs []Need) []requirement {
	var missing []requirement
	for _, need := range needs {
		for _, r := range requirements[need] {
			if !r.met(m) {
				missing = append(missing, r)
			}
		}
	}
	return missing
}

// packagesOf lists the packages that bring the given requirements, each once.
func packagesOf(missing []requirement) []string {
	var names []string
	for _, r := range missing {
		if !slices.Contains(names, r.pkg) {
			names = append(names, r.pkg)
		}
	}
	return names
}

func (m machine) in(path string) string { return filepath.Join(m.root, path) }

func (m machine) exists(path string) bool {
	_, err := os.Stat(m.in(path))
	return err == nil
}

func (m machine) isExecutable(path string) bool {
	info, err := os.Stat(m.in(path))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func (m machine) finds(path, program string) bool {
	for _, folder := range filepath.SplitList(path) {
		if m.isExecutable(filepath.Join(folder, program)) {
			return true
		}
	}
	return false
}

func (m machine) holds(folder string, programs ...string) bool {
	for _, name := range programs {
		if !m.isExecutable(filepath.Join(folder, name)) {
			return false
		}
	}
	return true
}

func (m machine) cniPlugins() string {
	for _, folder := range []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"} {
		if m.holds(folder, "bridge", "host-local") {
			return folder
		}
	}
	return ""
}

func (m machine) postgresPrograms() string {
	if m.postgresBin != "" && m.holds(m.postgresBin, postgresPrograms...) {
		return m.postgresBin
	}
	debian := m.folders("/usr/lib/postgresql/*/bin")
	slices.SortFunc(debian, func(a, b string) int { return majorOf(b) - majorOf(a) })
	debian = slices.DeleteFunc(debian, func(folder string) bool { return majorOf(folder) < oldestPostgres })
	for _, folder := range append(debian, m.folders("/usr/pgsql-*/bin")...) {
		if m.holds(folder, postgresPrograms...) {
			return folder
		}
	}
	return ""
}

// folders lists the paths, as seen from the root, that the pattern matches.
func (m machine) folders(pattern string) []string {
	// The patterns are well formed, and a malformed one is the only error there could be.
	found, _ := filepath.Glob(m.in(pattern))
	for i, folder := range found {
		found[i] = "/" + strings.TrimPrefix(strings.TrimPrefix(folder, m.root), "/")
	}
	return found
}

// majorOf reads the version from a path such as /usr/lib/postgresql/15/bin.
func majorOf(folder string) int {
	version, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	if err != nil {
		return 0
	}
	return version
}
