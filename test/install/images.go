// The images that `make image` has packed, under whatever name IMG gave them.

package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

// loadImage gives the node an image that `make image` has packed, and returns its name.
func loadImage(ctx context.Context, cluster *testbed.Cluster, tar string) (string, error) {
	if err := packed(tar); err != nil {
		return "", err
	}
	if err := cluster.Load(ctx, tar); err != nil {
		return "", err
	}
	return imageName(tar)
}

// packed says what to do about a file that `make image` makes and that is not there.
func packed(file string) error {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing: run make image first", file)
	}
	return nil
}

func imageName(tar string) (string, error) {
	images, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(tar) })
	if err != nil {
		return "", fmt.Errorf("read the image's name from %s: %w", tar, err)
	}
	if len(images) != 1 || len(images[0].RepoTags) != 1 {
		return "", fmt.Errorf("read the image's name from %s: it has none, or several", tar)
	}
	return images[0].RepoTags[0], nil
}

// runs says which field of a folder's manifests names the image, and which image it
// shall be.
type runs struct {
	kind, field, image string
}

// withImage makes a folder for kubectl's --kustomize that is another one but for the
// image: whoever has written a registry of their own into the manifests, or packed
// under another name, runs what was packed all the same.
func withImage(cluster *testbed.Cluster, source string, r runs) (string, error) {
	folder := filepath.Join(cluster.Dir(), "kustomize", r.kind)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("name the image for %s: %w", source, err)
	}
	content, err := kustomization(folder, source, r)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "kustomization.yaml"), content, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("name the image for %s: %w", source, err)
	}
	return folder, nil
}

func kustomization(folder, source string, r runs) ([]byte, error) {
	// kustomize takes relative paths only, between where the folders really are.
	var err error
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return nil, err
	}
	if source, err = filepath.EvalSymlinks(source); err != nil {
		return nil, err
	}
	base, err := filepath.Rel(folder, source)
	if err != nil {
		return nil, err
	}
	patch, err := yaml.Marshal([]any{map[string]any{"op": "replace", "path": r.field, "value": r.image}})
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
		"resources": []any{base},
		"patches":   []any{map[string]any{"target": map[string]any{"kind": r.kind}, "patch": string(patch)}},
	})
}
