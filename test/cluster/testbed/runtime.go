// The container runtime and everything that knows which one it is: kubelet 1.38 will
// want containerd 2, and then only this file changes.

package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arcane-streaming/arcane-operator/test/image/pack"
	"github.com/arcane-streaming/arcane-operator/test/setup/packages"
)

const (
	containerd = "containerd"
	pauseImage = "localhost/pause:dev"
	// As seen by the node; on the host it is below the run folder.
	runtimeSocket = "/run/containerd/containerd.sock"
)

func (c *Cluster) containerdPart() part {
	return part{
		name:   containerd,
		path:   "containerd",
		args:   []string{"--config", c.configFile("containerd.toml")},
		inside: nodeInside,
		ready:  c.runtimeReady,
	}
}

func (c *Cluster) containerdConfig() string {
	return fmt.Sprintf(`version = 2
root = %q
state = "/run/containerd"

[grpc]
address = %q

[plugins."io.containerd.internal.v1.opt"]
path = %q

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
# Root without CAP_SYS_RESOURCE, as in many virtual machines and containers, may not
# lower the score, and no sandbox would start.
restrict_oom_score_adj = true
# The profile would be loaded into the machine's kernel and stay there.
disable_apparmor = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = %q
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %q
conf_dir = %q
`, filepath.Join(c.dir, "containerd"), runtimeSocket, filepath.Join(c.dir, "containerd", "opt"),
		pauseImage, snapshotter(filepath.Dir(c.dir)), packages.CNIPlugins(), c.configFile("cni"))
}

// snapshotter avoids overlayfs where the run folder lies on one already, as it does
// inside a container: the kernel does not stack them.
func snapshotter(dir string) string {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

// networkConfig is the pods' network: a bridge inside the cluster's namespace.
// Addresses are kept in the run folder.
const networkConfig = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [{
    "type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true,
    "ipam": {"type": "host-local", "dataDir": "/var/lib/cni/networks", "ranges": [[{"subnet": "` + podCIDR + `"}]]}
  }]
}
`

// runtimeReady waits for the runtime and gives it the image that every pod needs.
func (c *Cluster) runtimeReady(ctx context.Context) error {
	if _, err := c.ctr(ctx, "version"); err != nil {
		return err
	}
	if err := c.load(ctx, filepath.Join(c.dir, "bin", "pause.tar")); err != nil {
		return stop{err}
	}
	return nil
}

// packPause builds the program that holds a pod's namespaces, and its image.
func (c *Cluster) packPause(ctx context.Context) error {
	binary := filepath.Join(c.dir, "bin", "pause")
	if err := c.buildTool(ctx, "pause"); err != nil {
		return err
	}
	_, err := pack.Write(pack.Image{Binary: binary, Name: pauseImage}, binary+".tar")
	return err
}

// Load imports container images from a tar file, as test/image or "docker save"
// writes them, and returns when the node can start pods with them. Pods must use
// the imagePullPolicy Never or IfNotPresent.
func (c *Cluster) Load(ctx context.Context, tar string) error {
	if !c.state.Node {
		return errors.New("load an image: this cluster has no node of the testbed's")
	}
	// Whoever imports it works in a folder of its own.
	tar, err := filepath.Abs(tar)
	if err != nil {
		return fmt.Errorf("load %s: %w", tar, err)
	}
	return c.load(ctx, tar)
}

func (c *Cluster) load(ctx context.Context, tar string) error {
	out, err := c.ctr(ctx, "images", "import", "--no-unpack=false", tar)
	if err != nil {
		return fmt.Errorf("load %s: %w", tar, err)
	}
	names := importedNames(out)
	if len(names) == 0 {
		return fmt.Errorf("load %s: it holds no image with a name", tar)
	}
	// The part of the runtime that kubelet asks learns of the image by an event, and
	// labels it then.
	return poll(ctx, 30*time.Second, func() error {
		for _, name := range names {
			known, err := c.ctr(ctx, "images", "list", "name=="+name)
			if err != nil {
				return stop{err}
			}
			if !strings.Contains(known, "io.cri-containerd.image=managed") {
				return fmt.Errorf("the node does not know the image %s yet", name)
			}
		}
		return nil
	})
}

// importedNames reads lines such as "unpacking localhost/pause:dev (sha256:…)...done".
func importedNames(output string) []string {
	var names []string
	for _, line := range strings.Split(output, "\n") {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "unpacking" {
			names = append(names, fields[1])
		}
	}
	return names
}

// ctr talks to the cluster's containerd. It enters the namespaces because the
// socket's path on the host may be too long for the kernel.
func (c *Cluster) ctr(ctx context.Context, args ...string) (string, error) {
	enter, err := c.enter(nodeInside...)
	if err != nil {
		return "", err
	}
	argv := append(append(enter, "ctr", "--address", runtimeSocket, "--namespace", "k8s.io"), args...)
	out, err := systemCommand(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ctr %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

func (c *Cluster) buildTool(ctx context.Context, name string) error {
	source, err := sourceFolder(name)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(c.dir, "bin", name), ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return nil
}
