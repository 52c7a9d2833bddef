// The node: kubelet and kube-proxy beside the container runtime.

package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	kubelet   = "kubelet"
	kubeProxy = "kube-proxy"
)

// prepareNode writes what the node reads and builds the small programs it runs on.
func (c *Cluster) prepareNode(ctx context.Context, configs map[string]string) error {
	for _, dir := range []string{"config/cni", "config/sys", "run", "kubelet", "containerd"} {
		if err := os.MkdirAll(filepath.Join(c.dir, dir), 0o755); err != nil {
			return fmt.Errorf("create the run folder: %w", err)
		}
	}
	configs["containerd.toml"] = c.containerdConfig()
	configs["cni/10-pods.conflist"] = networkConfig
	configs["kubelet.yaml"] = c.kubeletConfig()
	configs["kube-proxy.yaml"] = c.kubeProxyConfig()
	configs["resolv.conf"] = ""
	if err := loadKernelModules(ctx); err != nil {
		return err
	}
	if err := c.createCgroups(); err != nil {
		return err
	}
	if err := c.buildTool(ctx, "forward"); err != nil {
		return err
	}
	return c.packPause(ctx)
}

// loadKernelModules fetches what an ordinary Debian kernel has as modules. Where they
// are built in, modprobe finds nothing, and the facts decide.
func loadKernelModules(ctx context.Context) error {
	for _, module := range []string{"overlay", "br_netfilter"} {
		_ = systemCommand(ctx, "modprobe", module).Run()
	}
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err != nil {
		return errors.New("a node needs the kernel module br_netfilter, and it cannot be loaded here")
	}
	return nil
}

func (c *Cluster) kubeletPart() part {
	return part{
		name: kubelet,
		path: binary(kubelet),
		args: []string{
			"--config=" + c.configFile("kubelet.yaml"),
			"--kubeconfig=" + c.partKubeconfig(kubelet),
			"--hostname-override=" + nodeName,
			"--node-ip=" + nodeIP,
		},
		inside: nodeInside,
	}
}

func (c *Cluster) kubeletConfig() string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://%s
tlsCertFile: %q
tlsPrivateKeyFile: %q
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %q}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /%s
# Version 1 of the control groups is refused otherwise, and many machines have it.
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
oomScoreAdj: 0
# The namespace shows the wanted values (see kernelSettings); the machine keeps its own.
protectKernelDefaults: true
# How full a volume is; after a minute, a story about a limit would be told by then.
volumeStatsAggPeriod: 2s
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, imagefs.available: 1%%}
# Images cannot be pulled again, so none may ever be removed.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxPods: 500
podPidsLimit: -1
# There is no DNS. A lookup is refused at once instead of waiting for an answer.
clusterDNS: ["127.0.0.1"]
clusterDomain: cluster.local
resolvConf: %q
volumePluginDir: %q
kubeAPIQPS: 500
kubeAPIBurst: 1000
eventRecordQPS: 0
`, runtimeSocket, c.pki("kubelet.crt"), c.pki("kubelet.key"), c.pki("ca.crt"), c.id,
		c.configFile("resolv.conf"), filepath.Join(c.dir, "kubelet", "volume-plugins"))
}

func (c *Cluster) kubeProxyPart() part {
	return part{
		name:   kubeProxy,
		path:   binary(kubeProxy),
		args:   []string{"--config=" + c.configFile("kube-proxy.yaml")},
		inside: nodeInside,
	}
}

// kubeProxyConfig leaves connection tracking alone, whose limits are the machine's.
func (c *Cluster) kubeProxyConfig() string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %q}
mode: iptables
clusterCIDR: %s
hostnameOverride: %s
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
oomScoreAdj: 0
`, c.partKubeconfig(kubeProxy), podCIDR, nodeName)
}

// clearNode ends what cannot go on without a part that has ended, and tells what is
// left running.
func (c *Cluster) clearNode(ctx context.Context, running map[string]int) (map[string]int, error) {
	_, spaces := running[namespaceHolder]
	spaces = spaces && c.furnished()
	_, runtime := running[containerd]
	if spaces && runtime {
		return running, nil
	}
	if !spaces {
		if err := c.killCgroups(ctx); err != nil {
			return nil, err
		}
		if err := c.killMarked(ctx, func(string) bool { return true }); err != nil {
			return nil, err
		}
		// Sockets and addresses of pods that no longer exist.
		for _, stale := range []string{"run", "cni"} {
			if err := os.RemoveAll(filepath.Join(c.dir, stale)); err != nil {
				return nil, fmt.Errorf("clear the node: %w", err)
			}
		}
		return map[string]int{}, c.createCgroups()
	}
	// The containers' shims would survive their runtime and hold on to its old state.
	ofRuntime := func(part string) bool { return part == containerd || part == kubelet }
	if err := c.killMarked(ctx, ofRuntime); err != nil {
		return nil, err
	}
	if err := c.killCgroups(ctx, "kubepods"); err != nil {
		return nil, err
	}
	return c.running()
}

// servicesRouted looks for the rules that lead to the API server's own Service, which
// pods need from their first moment on.
func (c *Cluster) servicesRouted(ctx context.Context) error {
	out, err := c.Command(ctx, "iptables", "-t", "nat", "-S", "KUBE-SERVICES").CombinedOutput()
	if err != nil {
		return fmt.Errorf("kube-proxy has written no rules yet: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if !strings.Contains(string(out), serviceIP+"/32") {
		return errors.New("kube-proxy does not route the API server's Service yet")
	}
	return nil
}

func (c *Cluster) nodeReady(ctx context.Context) error {
	client, err := c.clientset()
	if err != nil {
		return stop{err}
	}
	node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("the node has not registered yet: %w", err)
	}
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("the node does not take pods yet: it has the taint %s", node.Spec.Taints[0].Key)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
			return fmt.Errorf("the node is not ready yet: %s", condition.Message)
		}
	}
	return nil
}
