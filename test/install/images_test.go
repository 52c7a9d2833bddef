// Whatever the packed image is called, it is what runs.

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestImageIsCalledWhatItsFileSays(t *testing.T) {
	for _, want := range []string{"localhost/arcane-operator:dev", "registry.example:5000/team/arcane-operator:1.2", "busybox:1.37"} {
		tag, err := name.NewTag(want)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := tarball.WriteToFile(file, tag, empty.Image); err != nil {
			t.Fatal(err)
		}
		if got, err := imageName(file); got != want || err != nil {
			t.Errorf("imageName = %q, %v; want %q", got, err, want)
		}
	}
}

func TestManifestsRunTheImageThatWasPacked(t *testing.T) {
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	const packed = "registry.example:5000/team/packed:1.2"
	for source, r := range map[string]runs{
		"config/default": {kind: "Deployment", field: operatorImage, image: packed},
	} {
		folder := t.TempDir()
		content, err := kustomization(folder, filepath.Join(root, source), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), filepath.Join(root, "tools", "run"), "gen", "kustomize", "build", folder).Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", source, err, content)
		}
		images := 0
		for _, line := range strings.Split(string(out), "\n") {
			if image, ok := strings.CutPrefix(strings.TrimLeft(line, " -"), "image: "); ok {
				images++
				if image != packed {
					t.Errorf("%s runs %s", source, image)
				}
			}
		}
		if images == 0 {
			t.Errorf("%s runs no image", source)
		}
	}
}
