// The user's own cluster, used only where the environment says CLUSTER=existing.

package testbed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
)

// useExisting looks at CLUSTER alone: a KUBECONFIG that happens to be set must
// never lead a test into somebody's real cluster.
func useExisting() bool { return os.Getenv("CLUSTER") == "existing" }

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
