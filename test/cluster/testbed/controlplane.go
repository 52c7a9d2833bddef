// The control plane: etcd, API server, controller manager and scheduler.

package testbed

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// The names of the parts, which are those of their binaries.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
)

const (
	serviceCIDR = "10.96.0.0/16"
	// The first address of the range is the API server's own Service.
	serviceIP = "10.96.0.1"
)

// auditPolicy records who did what, once per request, and the bodies only of creations
// of what the operator creates: no other line shows the UID that a new object got. Leases
// of the cluster's own parts and health checks would only bury the rest.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: ["RequestReceived"]
rules:
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version*", "/openapi/*"]
- level: None
  userGroups: ["system:nodes"]
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: None
  users: ["system:apiserver"]
- level: RequestResponse
  omitManagedFields: true
  verbs: [create]
  resources:
  - {group: batch, resources: [jobs, cronjobs]}
  - {group: streaming.sneaksanddata.com, resources: [backfillrequests]}
- level: Metadata
`

// schedulerConfig lifts the limits on the scheduler's requests, which would show in
// the figures of a bench.
func (c *Cluster) schedulerConfig() string {
	return `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: ` + strconv.Quote(c.partKubeconfig(scheduler)) + `, qps: 1000, burst: 2000}
`
}

func (c *Cluster) configFile(name string) string { return filepath.Join(c.dir, "config", name) }

func (c *Cluster) etcdPart() part {
	client := fmt.Sprintf("http://127.0.0.1:%d", c.state.EtcdPort)
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.state.EtcdPeer)
	return part{
		name: etcd,
		path: binary(etcd),
		args: []string{
			"--name=default",
			"--data-dir=" + filepath.Join(c.dir, "etcd"),
			"--listen-client-urls=" + client,
			"--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=default=" + peer,
			// Nothing here must survive the machine, and fsync costs most of each write.
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
		inside: c.netInside(),
	}
}

func (c *Cluster) apiServerPart() part {
	args := append(c.servingArgs(), c.identityArgs()...)
	args = append(args,
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", c.state.EtcdPort),
		"--service-cluster-ip-range="+serviceCIDR,
		"--allow-privileged=true",
		// Webhooks are called at their pod's address, so they work before kube-proxy does.
		"--enable-aggregator-routing=true",
		"--audit-policy-file="+c.configFile("audit-policy.yaml"),
		"--audit-log-path="+c.AuditLog(),
		// In megabytes. Whoever counts requests reads one file, so it must not rotate.
		"--audit-log-maxsize=100000",
		"--profiling=false",
	)
	return part{name: apiServer, path: binary(apiServer), args: args, inside: c.netInside(), ready: c.apiServerReady}
}

func (c *Cluster) servingArgs() []string {
	args := []string{
		fmt.Sprintf("--secure-port=%d", c.state.APIPort),
		"--tls-cert-file=" + c.pki("apiserver.crt"),
		"--tls-private-key-file=" + c.pki("apiserver.key"),
	}
	if c.state.Node {
		return append(args, "--bind-address=0.0.0.0", "--advertise-address="+nodeIP)
	}
	// Endpoints may not hold a loopback address, so the Service "kubernetes" has none.
	return append(args, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none")
}

func (c *Cluster) identityArgs() []string {
	return []string{
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--client-ca-file=" + c.pki("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pki("sa.pub"),
		"--service-account-signing-key-file=" + c.pki("sa.key"),
		"--kubelet-certificate-authority=" + c.pki("ca.crt"),
		"--kubelet-client-certificate=" + c.pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + c.pki("apiserver-kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--requestheader-client-ca-file=" + c.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + c.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.pki("front-proxy-client.key"),
	}
}

func (c *Cluster) controllerManagerPart() part {
	return part{
		name: controllerManager,
		path: binary(controllerManager),
		args: []string{
			"--kubeconfig=" + c.partKubeconfig(controllerManager),
			"--controllers=" + strings.Join(c.controllers(), ","),
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + c.pki("sa.key"),
			"--root-ca-file=" + c.pki("ca.crt"),
			"--cluster-signing-cert-file=" + c.pki("ca.crt"),
			"--cluster-signing-key-file=" + c.pki("ca.key"),
			"--leader-elect=false",
			"--secure-port=0",
			// The defaults would limit what a bench measures.
			"--kube-api-qps=1000",
			"--kube-api-burst=2000",
			"--concurrent-job-syncs=50",
			"--concurrent-gc-syncs=50",
		},
		inside: c.netInside(),
	}
}

// controllers leaves out what needs a cloud and, where the test plays the kubelet,
// whatever deletes pods because their node is unknown or silent.
func (c *Cluster) controllers() []string {
	list := []string{"*", "-node-ipam-controller"}
	if !c.state.Node {
		list = append(list, "-node-lifecycle-controller", "-taint-eviction-controller", "-pod-garbage-collector-controller")
	}
	return list
}

func (c *Cluster) schedulerPart() part {
	return part{
		name:   scheduler,
		path:   binary(scheduler),
		args:   []string{"--config=" + c.configFile("scheduler.yaml"), "--secure-port=0"},
		inside: c.netInside(),
	}
}

func (c *Cluster) apiServerReady(ctx context.Context) error {
	client, err := c.clientset()
	if err != nil {
		return stop{err}
	}
	code := 0
	err = client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&code).Error()
	if err != nil || code != http.StatusOK {
		return fmt.Errorf("the API server is not ready (status %d): %w", code, err)
	}
	return nil
}

// defaultAccountExists is what the first pod of a namespace waits for.
func (c *Cluster) defaultAccountExists(ctx context.Context) error {
	client, err := c.clientset()
	if err != nil {
		return stop{err}
	}
	_, err = client.CoreV1().ServiceAccounts(corev1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("the ServiceAccount \"default\" does not exist yet: %w", err)
	}
	return nil
}

func (c *Cluster) clientset() (*kubernetes.Clientset, error) {
	cfg, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return client, nil
}
