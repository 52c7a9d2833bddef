// Package story tells what users do with streams, over a real cluster: the same
// sentences with played pods in test/integration and with real ones in test/e2e.
//
// A Stage is a cluster with everything that stories need. A World is one story's
// own part of it: a namespace, a class, an operator that can be stopped, and a
// witness that holds the whole history to the laws when the story ends.
package story

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/player"
)

// user is the name under which the story's own requests go to the API server.
const user = "arcane-story"

// Stage is a cluster on which stories are told.
type Stage struct {
	// Cluster that all happens in.
	Cluster *testbed.Cluster
	// Client is the user's.
	Client client.WithWatch
	// Kube is the same for what Client cannot do: evictions, scales, logs.
	Kube kubernetes.Interface
	// Player plays the pods; nil where a node runs them.
	Player *player.Player
	// Operator is what is being tested; it belongs to one story at a time.
	Operator Operator
	// Patience is how long a fact may take that has no limit of its own.
	Patience time.Duration
}

// NewStage makes the clients of a cluster that is up.
func NewStage(cluster *testbed.Cluster) (*Stage, error) {
	cfg, err := cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	cfg = rest.AddUserAgent(cfg, user)
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	s := &Stage{Cluster: cluster}
	if s.Client, err = client.NewWithWatch(cfg, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("make the user's client: %w", err)
	}
	if s.Kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("make the user's client: %w", err)
	}
	return s, nil
}

// InstallKinds applies the CRDs as a user does, and waits until they are served.
func (s *Stage) InstallKinds(ctx context.Context) error {
	crds := filepath.Join(Root(), "config", "crd")
	if _, err := s.Kubectl(ctx, "apply", "-k", crds); err != nil {
		return err
	}
	if err := s.awaitServed(ctx); err != nil {
		return err
	}
	// kubectl remembers for hours which kinds there are, from before there were these.
	return os.RemoveAll(s.kubectlCache())
}

// awaitServed waits until the API server answers for each kind.
func (s *Stage) awaitServed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for _, kind := range []client.ObjectList{
		&streamingv1.StreamList{}, &streamingv1.BackfillRequestList{},
		&streamingv1.StreamClassList{}, &streamingv1.StreamingJobTemplateList{},
		&streamingv1.StreamPluginList{},
	} {
		for err := s.Client.List(ctx, kind); err != nil; err = s.Client.List(ctx, kind) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait until the kinds are served: %w", err)
			case <-ticker.C:
			}
		}
	}
	return nil
}

// kubectlCache is apart from the user's own: a port that an earlier cluster had
// would bring its kinds back to mind.
func (s *Stage) kubectlCache() string { return filepath.Join(s.Cluster.Dir(), "kubectl-cache") }

// Kubectl runs a command of the user's and returns what it prints.
func (s *Stage) Kubectl(ctx context.Context, args ...string) (string, error) {
	out, err := s.KubectlCommand(ctx, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
	}
	return string(out), nil
}

// KubectlCommand is a command of the user's that has not been run yet.
func (s *Stage) KubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := s.Cluster.Command(ctx, "kubectl", args...)
	if !s.Cluster.Existing() {
		cmd.Env = append(cmd.Env, "KUBECACHEDIR="+s.kubectlCache())
	}
	return cmd
}

// podMonitors is the kind PodMonitor, as far as a cluster needs to have it here.
const podMonitors = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: podmonitors.monitoring.coreos.com, annotations: {api-approved.kubernetes.io: unapproved}}
spec:
  group: monitoring.coreos.com
  names: {kind: PodMonitor, listKind: PodMonitorList, plural: podmonitors, singular: podmonitor}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// AddPodMonitors adds the Prometheus Operator's kind PodMonitor to the cluster.
func (s *Stage) AddPodMonitors(ctx context.Context) error {
	cmd := s.KubectlCommand(ctx, "apply", "--server-side", "-f", "-")
	cmd.Stdin = strings.NewReader(podMonitors)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("add the kind PodMonitor: %w\n%s", err, out)
	}
	return nil
}

// Play lets a player take the node's place.
func (s *Stage) Play(ctx context.Context) error {
	var err error
	s.Player, err = player.Start(ctx, s.Kube)
	return err
}

func newScheme() (*kruntime.Scheme, error) {
	scheme := kruntime.NewScheme()
	for _, add := range []func(*kruntime.Scheme) error{
		corev1.AddToScheme, batchv1.AddToScheme, eventsv1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme, streamingv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("make the scheme: %w", err)
		}
	}
	return scheme, nil
}

// Root is the folder of this module's source.
func Root() string {
	_, file, _, ok := runtime.Caller(0)
	if ok && filepath.IsAbs(file) {
		return filepath.Dir(filepath.Dir(filepath.Dir(file)))
	}
	// Built with -trimpath the program does not know; then it is run inside the checkout.
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, missing := os.Stat(filepath.Join(dir, "PROJECT")); missing == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return "."
}

// BuildOperator builds the operator's program into a folder.
func BuildOperator(ctx context.Context, folder string, progress io.Writer) (string, error) {
	// The name is part of how the API server knows the operator: its user agent.
	binary := filepath.Join(folder, "arcane-operator")
	// The Makefile's own flags, so that both share one build cache.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "./cmd/arcane-operator")
	cmd.Dir, cmd.Stdout, cmd.Stderr = Root(), progress, progress
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the operator: %w", err)
	}
	return binary, nil
}
