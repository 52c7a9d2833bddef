// The user's own cluster, used only where the environment says CLUSTER=existing.

package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// UseExisting looks at CLUSTER alone: a KUBECONFIG that happens to be set must
// never lead a test into somebody's real cluster. Another value is refused, because
// whoever mistypes this one means a cluster of theirs.
func UseExisting() (bool, error) {
	switch value := os.Getenv("CLUSTER"); value {
	case "":
		return false, nil
	case "existing":
		return true, nil
	default:
		return false, fmt.Errorf("CLUSTER=%s: only CLUSTER=existing is known; without it the testbed starts a cluster of its own", value)
	}
}

// reachable is the existing cluster, if it answers.
func reachable(ctx context.Context) (*Cluster, error) {
	c, err := existing()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := c.apiServerReady(ctx); err != nil {
		return nil, fmt.Errorf("CLUSTER=existing: the cluster of KUBECONFIG %s: %w", c.config, err)
	}
	return c, nil
}

func existing() (*Cluster, error) {
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		return nil, errors.New("CLUSTER=existing needs KUBECONFIG, the path of the cluster's kubeconfig")
	}
	if _, err := clientcmd.LoadFromFile(path); err != nil {
		return nil, fmt.Errorf("CLUSTER=existing: read KUBECONFIG %s: %w", path, err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("CLUSTER=existing: %w", err)
	}
	return &Cluster{name: "existing", external: true, config: absolute, progress: os.Stderr}, nil
}
