// The namespaces of a node cluster: everything that kubelet, kube-proxy and CNI do to
// the network and to mounts stays inside and vanishes with the last process.

package testbed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	namespaceHolder = "namespaces"
	forwarder       = "forwarder"
)

const (
	nodeName = "node1"
	nodeIP   = "10.20.0.2"
	nodeNet  = "10.20.0.2/24"
	podCIDR  = "10.244.0.0/16"
)

// mountPoints are folders whose place is fixed in the node's programs. Inside the
// cluster's mount namespace each shows a folder of the run folder, so that two
// clusters on one machine, or the machine's own containerd, do not meet there.
func (c *Cluster) mountPoints() [][2]string {
	return [][2]string{
		{filepath.Join(c.dir, "run"), "/run"},
		{filepath.Join(c.dir, "logs", "pods"), "/var/log"},
		{filepath.Join(c.dir, "kubelet"), "/var/lib/kubelet"},
		{filepath.Join(c.dir, "cni"), "/var/lib/cni"},
	}
}

// createdPoints are the mount points that an ordinary machine lacks.
var createdPoints = []string{"/var/lib/kubelet", "/var/lib/cni"}

// kernelSettings are what kubelet wants to see in /proc/sys and would otherwise set
// for the whole machine. It is shown files with these values instead.
var kernelSettings = [][2]string{
	{"vm/overcommit_memory", "1"},
	{"vm/panic_on_oom", "0"},
	{"kernel/panic", "10"},
	{"kernel/panic_on_oops", "1"},
	{"kernel/keys/root_maxkeys", "1000000"},
	{"kernel/keys/root_maxbytes", "25000000"},
}

// namespacePart holds the namespaces open and does nothing else, so that any other
// part may be killed and started again.
func (c *Cluster) namespacePart() part {
	return part{
		name:  namespaceHolder,
		path:  "sleep",
		args:  []string{"infinity"},
		clone: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		ready: c.furnish,
	}
}

// netInside leads the control plane into the cluster's network, if it has its own.
func (c *Cluster) netInside() []string {
	if !c.state.Node {
		return nil
	}
	return []string{"--net"}
}

var nodeInside = []string{"--net", "--mount"}

// furnish sets the fresh namespaces up.
func (c *Cluster) furnish(ctx context.Context) error {
	if c.furnished() {
		return nil
	}
	unlock, err := lockMountPoints(ctx)
	if err != nil {
		return stop{err}
	}
	defer unlock()
	for _, dir := range createdPoints {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return stop{fmt.Errorf("create a mount point: %w", err)}
		}
	}
	enter, err := c.enter(nodeInside...)
	if err != nil {
		return err
	}
	argv := append(enter, "sh", "-euc", c.furnishScript())
	if out, err := systemCommand(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return stop{fmt.Errorf("set up the cluster's namespaces: %w\n%s", err, out)}
	}
	return nil
}

// furnishedFile tells namespaces that were set up from those in which the setting
// up was interrupted. It goes with the run folder's /run when they are given up.
func (c *Cluster) furnishedFile() string { return filepath.Join(c.dir, "run", "furnished") }

func (c *Cluster) furnished() bool {
	_, err := os.Stat(c.furnishedFile())
	return err == nil
}

func (c *Cluster) furnishScript() string {
	script := []string{
		// Before any mount: none of them may spread to the machine, but the machine's
		// later mounts, of a local volume for example, shall show here.
		"mount --make-rslave /",
	}
	for _, m := range c.mountPoints() {
		script = append(script, fmt.Sprintf("mkdir -p %q && mount --bind %q %q", m[0], m[0], m[1]))
	}
	for _, s := range kernelSettings {
		file := filepath.Join(c.dir, "config", "sys", strings.ReplaceAll(s[0], "/", "."))
		script = append(script, fmt.Sprintf("echo %s >%q && mount --bind %q /proc/sys/%s", s[1], file, file, s[0]))
	}
	return strings.Join(append(script,
		"ip link set lo up",
		// The kernel may lack dummy interfaces; one end of a pair does as well.
		"ip link add node0 type veth peer name node1",
		"ip addr add "+nodeNet+" dev node0",
		"ip link set node0 up && ip link set node1 up",
		// A connection to a Service needs some route before kube-proxy's rules rewrite
		// it. There is no default route: nothing outside can be reached, and whoever
		// tries is told at once.
		"ip route add "+serviceCIDR+" dev node0",
		"echo 1 >/proc/sys/net/ipv4/ip_forward",
		"echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables",
		fmt.Sprintf("touch %q", c.furnishedFile()),
	), "\n")
}

// forwarderPart carries connections from a port on the host's loopback address to
// the same port inside. It is given the host's listener and runs inside, so it
// needs no privileges of its own.
func (c *Cluster) forwarderPart() part {
	return part{
		name:   forwarder,
		path:   filepath.Join(c.dir, "bin", "forward"),
		args:   []string{"127.0.0.1:" + strconv.Itoa(c.state.APIPort)},
		inside: []string{"--net"},
		listen: "127.0.0.1:" + strconv.Itoa(c.state.APIPort),
	}
}

// hostListener is a listener whose descriptor a part inherits.
func hostListener(address string) (*os.File, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for the cluster on the host: %w", err)
	}
	defer l.Close()
	return l.(*net.TCPListener).File()
}

// lockMountPoints guards the mount points that all clusters share: removing a
// folder would unmount what another cluster has there.
func lockMountPoints(ctx context.Context) (func(), error) {
	return lockFile(ctx, filepath.Join(cacheFolder(), "locks", "mountpoints"), nil)
}

// removeMountPoints removes the empty folders that were made on the machine, once no
// other node cluster of anybody's is left.
func removeMountPoints(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return nil
	}
	unlock, err := lockMountPoints(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if inUse, err := mountedSomewhere(createdPoints); err != nil || inUse {
		return err
	}
	for _, dir := range createdPoints {
		err := os.Remove(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return fmt.Errorf("remove a mount point: %w", err)
		}
	}
	return nil
}

// mountedSomewhere looks through the mounts of every process, because those of
// another namespace show nowhere else.
func mountedSomewhere(dirs []string) (bool, error) {
	files, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		return false, fmt.Errorf("look through the mounts: %w", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		space, err := os.Readlink(filepath.Join(filepath.Dir(file), "ns", "mnt"))
		if err != nil || seen[space] {
			continue
		}
		seen[space] = true
		raw, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, dir := range dirs {
			if strings.Contains(string(raw), " "+dir+" ") {
				return true, nil
			}
		}
	}
	return false, nil
}
