// How a cluster comes up, heals and ends.

package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/setup/packages"
)

// startLimit is generous because a part that cannot start ends, and that is noticed
// at once: it only has to be enough for the slowest machine.
const startLimit = 5 * time.Minute

// parts lists the cluster's processes in the order of their start.
func (c *Cluster) parts() []part {
	if !c.state.Node {
		return []part{c.etcdPart(), c.apiServerPart(), c.controllerManagerPart(), c.schedulerPart()}
	}
	return []part{
		c.namespacePart(), c.forwarderPart(), c.containerdPart(),
		c.etcdPart(), c.apiServerPart(), c.controllerManagerPart(), c.schedulerPart(),
		c.kubeProxyPart(), c.kubeletPart(),
	}
}

// prepare makes sure that a complete run folder exists, of the kind asked for and
// written since the machine was started.
func (c *Cluster) prepare(ctx context.Context, o Options) error {
	s, err := c.readState()
	if err != nil {
		return err
	}
	if s != nil && s.BootID == bootID() {
		if o.Node && !s.Node {
			return fmt.Errorf("cluster %q runs without a node: end it first (go run ./test/cluster down --name %s) or choose another name", c.name, c.name)
		}
		c.state = *s
		return nil
	}
	if err := c.requirements(ctx, o); err != nil {
		return err
	}
	if err := c.remove(ctx); err != nil {
		return fmt.Errorf("clear what an earlier run left: %w", err)
	}
	return c.create(ctx, o)
}

// requirements gets what the cluster needs from outside: packages and binaries.
func (c *Cluster) requirements(ctx context.Context, o Options) error {
	names := controlPlaneBinaries()
	if o.Node {
		if err := packages.Install(ctx, o.Progress, packages.Node); err != nil {
			return err
		}
		names = append(names, nodeBinaries()...)
	}
	return build(ctx, o.Progress, names)
}

// create writes the run folder; the state file comes last and makes it valid.
func (c *Cluster) create(ctx context.Context, o Options) error {
	for _, dir := range []string{"logs", "pki", "config", "bin"} {
		if err := os.MkdirAll(filepath.Join(c.dir, dir), 0o755); err != nil {
			return fmt.Errorf("create the run folder: %w", err)
		}
	}
	c.state = state{Name: c.name, Node: o.Node, BootID: bootID()}
	if err := c.pickPorts(ctx); err != nil {
		return err
	}
	ca, err := c.writeCertificates()
	if err != nil {
		return err
	}
	if err := c.writeKubeconfigs(ca); err != nil {
		return err
	}
	configs := map[string]string{"audit-policy.yaml": auditPolicy, "scheduler.yaml": c.schedulerConfig()}
	if o.Node {
		if err := c.prepareNode(ctx, configs); err != nil {
			return err
		}
	}
	for name, content := range configs {
		if err := os.WriteFile(c.configFile(name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
	}
	return c.writeState()
}

// converge starts whatever does not run and waits until the cluster is usable. It
// tells whether anything had to be started.
func (c *Cluster) converge(ctx context.Context) (bool, error) {
	running, err := c.running()
	if err != nil {
		return false, err
	}
	// What this program started earlier may have been killed and replaced since.
	c.launched = map[string]*launch{}
	missing := 0
	for _, p := range c.parts() {
		if _, ok := running[p.name]; !ok {
			missing++
		}
	}
	if missing > 0 {
		if err := c.startMissing(ctx, running); err != nil {
			return false, err
		}
	}
	return missing > 0, c.waitUsable(ctx)
}

func (c *Cluster) startMissing(ctx context.Context, running map[string]int) error {
	if err := c.awaitExits(ctx); err != nil {
		return err
	}
	if c.state.Node {
		var err error
		if running, err = c.clearNode(ctx, running); err != nil {
			return err
		}
	}
	for _, p := range c.parts() {
		if _, ok := running[p.name]; !ok {
			if err := missingFile(p.path); err != nil {
				return fmt.Errorf("start %s: %w", p.name, err)
			}
			c.say("starting %s", p.name)
			if err := c.start(p); err != nil {
				return err
			}
		}
		// Also for a part that ran already: whoever started it may have been
		// interrupted before it was ready.
		if p.ready != nil {
			if err := c.await(ctx, p.name, p.ready); err != nil {
				return err
			}
		}
	}
	return nil
}

// missingFile tells of a binary that was removed since the cluster was created.
func missingFile(path string) error {
	if !filepath.IsAbs(path) || isExecutable(path) {
		return nil
	}
	return fmt.Errorf("%s is gone; end the cluster and start it again", path)
}

// waitUsable is what every Up ends with, also one that had nothing to start.
func (c *Cluster) waitUsable(ctx context.Context) error {
	if err := c.await(ctx, apiServer, c.apiServerReady); err != nil {
		return err
	}
	if err := c.await(ctx, controllerManager, c.defaultAccountExists); err != nil {
		return err
	}
	if !c.state.Node {
		return nil
	}
	if err := c.await(ctx, kubeProxy, c.servicesRouted); err != nil {
		return err
	}
	return c.await(ctx, kubelet, c.nodeReady)
}

// await waits for a fact, and fails at once when any process that was started for
// it has ended.
func (c *Cluster) await(ctx context.Context, name string, fact func(context.Context) error) error {
	err := poll(ctx, startLimit, func() error {
		for _, p := range c.parts() {
			if err := c.failed(p.name); err != nil {
				return stop{err}
			}
		}
		return fact(ctx)
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w", name, err)
	}
	return nil
}

// Down ends all of the cluster's processes, pods included, and removes what they
// left: namespaces, mounts, control groups and the run folder. A cluster of the
// user's own is left alone.
func (c *Cluster) Down(ctx context.Context) error {
	if c.external {
		return nil
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.remove(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(c.reservation()); err != nil {
		return fmt.Errorf("give the cluster's ports back: %w", err)
	}
	if err := os.Remove(c.lockPath()); err != nil {
		return fmt.Errorf("remove the cluster's lock: %w", err)
	}
	return nil
}

// remove needs no state, so it also clears what an interrupted start left. The
// namespaces, with all mounts and interfaces in them, vanish with the last process.
func (c *Cluster) remove(ctx context.Context) error {
	if err := c.killCgroups(ctx); err != nil {
		return fmt.Errorf("end cluster %q: %w", c.name, err)
	}
	if err := c.killMarked(ctx, func(string) bool { return true }); err != nil {
		return fmt.Errorf("end cluster %q: %w", c.name, err)
	}
	if err := c.removeCgroups(ctx); err != nil {
		return fmt.Errorf("end cluster %q: %w", c.name, err)
	}
	c.launched = map[string]*launch{}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove the run folder: %w", err)
	}
	return removeMountPoints(ctx)
}
