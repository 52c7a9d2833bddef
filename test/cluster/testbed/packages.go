// The Debian packages that a node is made of.

package testbed

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tools lists what a node runs and the package that brings it.
var tools = [][2]string{
	{"containerd", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"iptables", "iptables"},
	{"iptables-restore", "iptables"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"mount", "mount"},
	{"modprobe", "kmod"},
}

// packagesWithinReach says in one message what to install, where it cannot be
// installed from here.
func packagesWithinReach() error {
	if missing := missingPackages(); len(missing) > 0 && !hasAPT() {
		return fmt.Errorf("a node needs these Debian packages, or what your distribution calls them: %s", strings.Join(missing, " "))
	}
	return nil
}

// installPackages gets what is missing.
func installPackages(ctx context.Context, progress io.Writer) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	fmt.Fprintf(progress, "installing %s\n", strings.Join(missing, " "))
	install := append([]string{"install", "-y", "--no-install-recommends"}, missing...)
	if err := apt(ctx, install...); err != nil {
		// The lists of a fresh machine are empty or old.
		if err := apt(ctx, "update"); err != nil {
			return err
		}
		if err := apt(ctx, install...); err != nil {
			return err
		}
	}
	if missing = missingPackages(); len(missing) > 0 {
		return fmt.Errorf("still missing after the installation: %s", strings.Join(missing, " "))
	}
	return nil
}

func missingPackages() []string {
	var missing []string
	add := func(name string) {
		for _, m := range missing {
			if m == name {
				return
			}
		}
		missing = append(missing, name)
	}
	for _, t := range tools {
		if !installed(t[0]) {
			add(t[1])
		}
	}
	if pluginFolder() == "" {
		add("containernetworking-plugins")
	}
	return missing
}

// installed looks where the cluster's processes will look (see plainEnv).
func installed(name string) bool {
	for _, dir := range strings.Split(systemPath, ":") {
		if isExecutable(filepath.Join(dir, name)) {
			return true
		}
	}
	return false
}

func hasAPT() bool {
	raw, err := os.ReadFile("/etc/os-release")
	return err == nil && strings.Contains(string(raw), "debian") && installed("apt-get") && os.Geteuid() == 0
}

func apt(ctx context.Context, args ...string) error {
	args = append([]string{"-q", "-o", "DPkg::Lock::Timeout=300"}, args...)
	cmd := systemCommand(ctx, "apt-get", args...)
	// The user's environment stays: it may hold the proxy through which packages come.
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "PATH="+systemPath)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
