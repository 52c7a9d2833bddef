// Package install puts onto a testbed cluster what the stories and the demo need:
// the operator, a PostgreSQL server, and the postgres plugin with a sink.
package install

// This file installs the operator as docs/install.md says: kinds, namespace, then config/default.

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

// OperatorNamespace and OperatorDeployment are what config/default names.
const (
	OperatorNamespace  = "arcane-system"
	OperatorDeployment = "arcane-operator"

	// operatorImage is where the Deployment names its image.
	operatorImage = "/spec/template/spec/containers/0/image"
)

// Operator loads the operator's image, as `make image` packs it, applies config/crd,
// config/namespace and config/default with that image, and waits until the Deployment is ready.
// Where an older image runs already, it is replaced.
func Operator(ctx context.Context, cluster *testbed.Cluster, progress io.Writer) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	tar := filepath.Join(root, "bin", "arcane-operator.tar")
	image, err := loadImage(ctx, cluster, tar)
	if err != nil {
		return err
	}
	config, err := withImage(cluster, filepath.Join(root, "config", "default"), runs{kind: "Deployment", field: operatorImage, image: image})
	if err != nil {
		return err
	}
	for _, folder := range []string{filepath.Join(root, "config", "crd"), filepath.Join(root, "config", "namespace"), config} {
		if err := kubectl(ctx, cluster, "apply", "--server-side", "--force-conflicts", "--kustomize", folder); err != nil {
			return fmt.Errorf("apply %s: %w", folder, err)
		}
	}
	if err := replaceOlder(ctx, cluster, tar); err != nil {
		return err
	}
	fmt.Fprintf(progress, "waiting for deployment %s/%s\n", OperatorNamespace, OperatorDeployment)
	if err := kubectl(ctx, cluster, "--namespace", OperatorNamespace, "rollout", "status", "deployment/"+OperatorDeployment, "--timeout=120s"); err != nil {
		return fmt.Errorf("wait for the operator: %w", err)
	}
	return AwaitAdmission(ctx, cluster)
}

// AwaitAdmission waits until the API server reaches the webhooks: their Service
// learns of a ready pod a moment after everybody else.
func AwaitAdmission(ctx context.Context, cluster *testbed.Cluster) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := kubectl(ctx, cluster, "create", "--dry-run=server", "--filename", filepath.Join(root, "config", "samples", "streaming_v1_streamclass.yaml"))
		// It may have been made for real, which only a webhook that was reached lets the API server say.
		if err == nil || strings.Contains(err.Error(), "already exists") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the webhooks: %w", err)
		case <-ticker.C:
		}
	}
}

// replaceOlder restarts the Deployment where its pods run another image of the same
// name, which the Deployment itself cannot see. A file in the run folder remembers
// the image that was last installed.
func replaceOlder(ctx context.Context, cluster *testbed.Cluster, tar string) error {
	raw, err := os.ReadFile(tar)
	if err != nil {
		return fmt.Errorf("read the operator's image: %w", err)
	}
	file, present := filepath.Join(cluster.Dir(), "operator-image"), fmt.Sprintf("%x", sha256.Sum256(raw))
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read which image was installed before: %w", err)
	}
	if len(before) > 0 && string(before) != present {
		if err := kubectl(ctx, cluster, "--namespace", OperatorNamespace, "rollout", "restart", "deployment/"+OperatorDeployment); err != nil {
			return fmt.Errorf("restart the operator with its new image: %w", err)
		}
	}
	if err := os.WriteFile(file, []byte(present), 0o600); err != nil {
		return fmt.Errorf("remember which image is installed: %w", err)
	}
	return nil
}

func kubectl(ctx context.Context, cluster *testbed.Cluster, args ...string) error {
	if out, err := cluster.Command(ctx, "kubectl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", args[0], err, out)
	}
	return nil
}
