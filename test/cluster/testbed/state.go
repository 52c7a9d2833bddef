// What a cluster has to remember between two commands.

package testbed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// state is written once, when all other files of the run folder are complete: a
// folder without it is what an interrupted start left behind.
type state struct {
	Name string `json:"name"`
	Node bool   `json:"node"`
	// BootID tells a restart of the machine: etcd runs without fsync, so what it
	// wrote before a restart is not trusted.
	BootID   string `json:"bootID"`
	APIPort  int    `json:"apiPort"`
	EtcdPort int    `json:"etcdPort"`
	EtcdPeer int    `json:"etcdPeerPort"`
}

func (c *Cluster) stateFile() string { return filepath.Join(c.dir, "cluster.json") }

// readState returns nil where there is no cluster.
func (c *Cluster) readState() (*state, error) {
	raw, err := os.ReadFile(c.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the cluster's state: %w", err)
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("read the cluster's state in %s: %w", c.stateFile(), err)
	}
	return &s, nil
}

func (c *Cluster) writeState() error {
	raw, err := json.MarshalIndent(c.state, "", "  ")
	if err != nil {
		return fmt.Errorf("write the cluster's state: %w", err)
	}
	if err := replaceFile(c.stateFile(), append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the cluster's state: %w", err)
	}
	return nil
}

// replaceFile never leaves half a file, whenever it is interrupted.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	next := path + ".next"
	if err := os.WriteFile(next, content, mode); err != nil {
		return err
	}
	return os.Rename(next, path)
}

func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}
