// A Cluster as its users see it: where its files, its API server and its node are.

package testbed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/arcane-streaming/arcane-operator/test/setup/packages"
)

// Cluster is a Kubernetes cluster that runs on this machine, or an existing one
// that the user pointed to.
type Cluster struct {
	name     string
	dir      string
	id       string
	state    state
	external bool
	config   string
	progress io.Writer
	launched map[string]*launch
}

// locate computes where a cluster of that name lives; it need not exist.
func locate(name string) (*Cluster, error) {
	root, err := stateFolder()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "clusters", name)
	// The folder is part of the identity, so that two users, or two tests with state
	// folders of their own, may both call their cluster "arcane".
	sum := sha256.Sum256([]byte(dir))
	return &Cluster{
		name:     name,
		dir:      dir,
		id:       fmt.Sprintf("arcane-%s-%x", name, sum[:3]),
		progress: io.Discard,
		launched: map[string]*launch{},
	}, nil
}

// Name is the name that the cluster was started under.
func (c *Cluster) Name() string { return c.name }

// Existing tells whether this is a cluster of the user's, which the testbed
// neither started nor ends.
func (c *Cluster) Existing() bool { return c.external }

// HasNode tells whether pods run here.
func (c *Cluster) HasNode() bool { return c.external || c.state.Node }

// Dir is the run folder: configuration, certificates, logs and data.
func (c *Cluster) Dir() string { return c.dir }

// Kubeconfig is the path of an administrator's kubeconfig. It works on the host
// as well as inside the cluster's network namespace (see Command).
func (c *Cluster) Kubeconfig() string {
	if c.external {
		return c.config
	}
	return filepath.Join(c.dir, "kubeconfig")
}

// RESTConfig is the administrator's client configuration, with no client-side
// limit on the rate of requests.
func (c *Cluster) RESTConfig() (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read the cluster's kubeconfig: %w", err)
	}
	cfg.QPS = -1
	return cfg, nil
}

// AuditLog is the path of the API server's audit log: one JSON event per line, for every
// finished request but health checks; see auditPolicy. It is empty
// for an existing cluster.
func (c *Cluster) AuditLog() string {
	if c.external {
		return ""
	}
	return filepath.Join(c.dir, "logs", "audit.log")
}

// LogFile is the path of the log of one of the cluster's processes, for example
// "kube-apiserver".
func (c *Cluster) LogFile(part string) string {
	return filepath.Join(c.dir, "logs", part+".log")
}

// Bin is the path of one of the binaries that the cluster runs on, or of kubectl.
func (c *Cluster) Bin(name string) string { return binary(name) }

// NodeIP is the address of the node inside the cluster's network namespace. What
// Command runs can listen there, and pods reach it there. Without a node it is
// the loopback address.
func (c *Cluster) NodeIP() string {
	if c.state.Node {
		return nodeIP
	}
	return "127.0.0.1"
}

// Command prepares a host command that runs inside the cluster's network
// namespace, as root on the host's own file system. KUBECONFIG is set, and the
// cluster's binaries come first in PATH. Without a node there is no namespace,
// and the command is an ordinary one. Where the cluster is not running, starting
// the command fails.
func (c *Cluster) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path := strings.Join([]string{binFolder(), os.Getenv("PATH"), packages.SystemPath}, ":")
	env := append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "PATH="+path)
	if own := filepath.Join(binFolder(), name); filepath.Base(name) == name && isExecutable(own) {
		name = own
	}
	if !c.state.Node {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = env
		return cmd
	}
	enter, err := c.enter("--net")
	if err != nil {
		return &exec.Cmd{Path: name, Args: append([]string{name}, args...), Err: err}
	}
	argv := append(append(enter, name), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	return cmd
}

// PID is the process of one of the cluster's parts (see Parts), for tests that
// pause or kill it. Restart brings a killed part back.
func (c *Cluster) PID(part string) (int, error) {
	running, err := c.running()
	if err != nil {
		return 0, err
	}
	pid, ok := running[part]
	if !ok {
		return 0, fmt.Errorf("cluster %q: %s is not running", c.name, part)
	}
	return pid, nil
}

// Parts names the processes that the cluster consists of, in the order of their start.
func (c *Cluster) Parts() []string {
	var names []string
	for _, p := range c.parts() {
		names = append(names, p.name)
	}
	return names
}

// Running tells which of the cluster's parts run, by their process ids.
func (c *Cluster) Running() (map[string]int, error) { return c.running() }

// Restart starts whichever of the cluster's parts has ended since, and returns
// when the cluster is ready again.
func (c *Cluster) Restart(ctx context.Context) error {
	if c.external {
		return errors.New("an existing cluster is not restarted by the testbed")
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = c.converge(ctx)
	return err
}

func (c *Cluster) say(format string, args ...any) {
	fmt.Fprintf(c.progress, format+"\n", args...)
}
