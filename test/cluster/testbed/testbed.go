// Package testbed starts real Kubernetes on this machine for tests and for the demo.
//
// It builds the binaries of Kubernetes and etcd once, from their Go modules, and
// then runs them as plain processes: a control plane on loopback ports of its
// own or, where a node is asked for, everything inside a network and a mount
// namespace, with a real containerd, kubelet and kube-proxy. Neither a container
// registry nor a container engine is needed.
package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

// DefaultName is the name of the cluster where none is given.
const DefaultName = "arcane"

// ErrNotRunning is returned by Find where no cluster of that name was started.
var ErrNotRunning = errors.New("not running")

// Options say which cluster Up shall start.
type Options struct {
	// Name tells clusters apart that run at the same time. The run folder, the
	// control groups and the lock derive from it. Default: DefaultName.
	Name string
	// Node asks for a real node with real pods. It needs root. Without it only the
	// control plane runs, and the test plays the kubelet by patching pod status.
	Node bool
	// Progress receives what is being built, installed and started, line by line.
	// Default: os.Stderr.
	Progress io.Writer
}

func (o Options) withDefaults() (Options, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	return o, validName(o.Name)
}

// A longer name would not leave enough room for the paths of Unix sockets, which
// the kernel cuts at 108 bytes.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?$`)

func validName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("cluster name %q: want 1 to 24 lower-case letters, digits and dashes, no dash first or last", name)
	}
	return nil
}

// Up returns the running cluster of that name and starts first what of it does
// not run. It is quick where all runs already, and it may be called by several
// processes at once. It returns when the API server is ready, the ServiceAccount
// "default" exists and the node, if there is one, takes pods.
//
// Where the environment says CLUSTER=existing, nothing is started, and the
// cluster that KUBECONFIG points to is returned instead.
func Up(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if use, err := UseExisting(); err != nil {
		return nil, err
	} else if use {
		return reachable(ctx)
	}
	c, err := locate(o.Name)
	if err != nil {
		return nil, err
	}
	c.progress = o.Progress
	unlock, err := c.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := c.prepare(ctx, o); err != nil {
		return nil, err
	}
	started := time.Now()
	if fresh, err := c.converge(ctx); err != nil {
		return nil, err
	} else if fresh {
		c.say("cluster %q is up after %.1f s", c.name, time.Since(started).Seconds())
	}
	return c, nil
}

// Find returns the cluster of that name which an earlier Up started, or
// ErrNotRunning. It starts nothing.
func Find(name string) (*Cluster, error) {
	if name == "" {
		name = DefaultName
	}
	if err := validName(name); err != nil {
		return nil, err
	}
	if use, err := UseExisting(); err != nil {
		return nil, err
	} else if use {
		return existing()
	}
	c, err := locate(name)
	if err != nil {
		return nil, err
	}
	s, err := c.readState()
	if err != nil {
		return nil, err
	}
	if s == nil || s.BootID != bootID() {
		return nil, fmt.Errorf("cluster %q is %w; start it with: go run ./test/cluster up --name %s", name, ErrNotRunning, name)
	}
	c.state = *s
	return c, nil
}

// Down ends the cluster of that name, whatever state it is in, and removes all
// that it left on the machine. It is no error where there is nothing to remove.
func Down(ctx context.Context, name string) error {
	if name == "" {
		name = DefaultName
	}
	if err := validName(name); err != nil {
		return err
	}
	c, err := locate(name)
	if err != nil {
		return err
	}
	return c.Down(ctx)
}
