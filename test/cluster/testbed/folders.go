// The folders of the testbed: what is built once, and what one run leaves behind.

package testbed

import (
	"fmt"
	"os"
	"path/filepath"
)

// cacheFolder holds what is built once and used by every cluster.
func cacheFolder() string {
	if base := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "arcane")
	}
	return filepath.Join(home(), ".cache", "arcane")
}

// stateFolder holds the run folders of all clusters. Below /run it could not be
// seen by the node, which gets a /run of its own.
func stateFolder() (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		base = filepath.Join(home(), ".local", "state")
	}
	dir := filepath.Join(base, "arcane")
	if resolved, err := filepath.EvalSymlinks(base); err == nil {
		dir = filepath.Join(resolved, "arcane")
	}
	for _, covered := range []string{"/run", "/var/log", "/var/lib/kubelet", "/var/lib/cni"} {
		if rel, err := filepath.Rel(covered, dir); err == nil && filepath.IsLocal(rel) {
			return "", fmt.Errorf("the clusters' folder %s is below %s, which a node covers with its own: set XDG_STATE_HOME", dir, covered)
		}
	}
	return dir, nil
}

// home falls back to the folder for temporary files: a service's environment may
// lack HOME, and a test must not fail for that.
func home() string {
	if dir, err := os.UserHomeDir(); err == nil {
		return dir
	}
	return os.TempDir()
}
