// How the demo's world is set up: cluster, PostgreSQL, operator, plugin.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/install"
)

const (
	namespace  = "default"
	streamName = "accounts"
	table      = "pgbench_accounts"
	// scale is pgbench's: 100,000 accounts each.
	scale = 3
)

// demo is the demo's world.
type demo struct {
	out      *console
	cluster  *testbed.Cluster
	database *install.Database
	plugin   *install.Plugin
	api      client.WithWatch
	pods     *kubernetes.Clientset
}

// setUp brings the world up, whatever an earlier run has left of it.
func setUp(ctx context.Context, out *console) (*demo, error) {
	if err := refuse(); err != nil {
		return nil, err
	}
	d := &demo{out: out}
	var err error
	if d.cluster, err = testbed.Up(ctx, testbed.Options{Name: clusterName, Node: true, Progress: out.lines("cluster")}); err != nil {
		return nil, fmt.Errorf("start Kubernetes: %w", err)
	}
	out.say("cluster", "Kubernetes %s, with one node, in a network of its own", testbed.KubernetesVersion)
	if err := d.reach(); err != nil {
		return nil, err
	}
	// The operator's image takes a while to load; PostgreSQL needs no cluster objects.
	operator := make(chan error, 1)
	go func() { operator <- d.installOperator(ctx) }()
	errDatabase := d.fillDatabase(ctx)
	if err := errors.Join(<-operator, errDatabase); err != nil {
		return nil, err
	}
	if d.plugin, err = install.PostgresPlugin(ctx, d.cluster, d.database, namespace, install.PostgresClass); err != nil {
		return nil, fmt.Errorf("install the postgres plugin: %w", err)
	}
	out.say("plugin", "StreamPlugin %s has installed StreamClass and job templates; beside it a Secret and a volume for the sink", install.PostgresClass)
	return d, nil
}

// connect finds the parts of a world that is up.
func (d *demo) connect(ctx context.Context) (err error) {
	if err := d.reach(); err != nil {
		return err
	}
	if d.database, err = install.Postgres(ctx, d.cluster, d.out.lines("postgres")); err != nil {
		return err
	}
	d.plugin, err = install.FindPostgresPlugin(d.cluster, d.database, namespace, install.PostgresClass)
	return err
}

// reach makes the clients.
func (d *demo) reach() error {
	config, err := d.cluster.RESTConfig()
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), streamingv1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("build the scheme: %w", err)
	}
	if d.api, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	if d.pods, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	return nil
}

func (d *demo) installOperator(ctx context.Context) error {
	if err := install.Operator(ctx, d.cluster, d.out.lines("operator")); err != nil {
		return fmt.Errorf("install the operator: %w", err)
	}
	d.out.say("operator", "its kinds, its role and its Deployment, ready in namespace arcane-system")
	return nil
}

// fillDatabase makes pgbench's tables, unless an earlier run has: other streams of
// the user's may be reading them.
func (d *demo) fillDatabase(ctx context.Context) error {
	var err error
	if d.database, err = install.Postgres(ctx, d.cluster, d.out.lines("postgres")); err != nil {
		return err
	}
	// pgbench makes the primary keys last.
	complete, err := d.database.Query(ctx, fmt.Sprintf("SELECT 1 FROM pg_constraint WHERE conname = '%s_pkey'", table))
	if err != nil {
		return err
	}
	if complete == "" {
		if out, err := d.database.Command(ctx, "pgbench", "--initialize", "--quiet", fmt.Sprint("--scale=", scale)).CombinedOutput(); err != nil {
			return fmt.Errorf("pgbench --initialize: %w\n%s", err, out)
		}
	}
	rows, err := d.count(ctx)
	if err != nil {
		return err
	}
	d.out.say("postgres", "listens on %s:%d; table %s has %s rows", d.database.Host(), install.DatabasePort, table, thousands(rows))
	return nil
}

// lock keeps a second demo from pulling the stream away under the first.
func (d *demo) lock() (release func(), err error) {
	file, err := os.OpenFile(filepath.Join(d.cluster.Dir(), "demo.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the demo's lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, errors.New("another demo is running; wait for its end, or interrupt it")
	}
	return func() { _ = file.Close() }, nil
}

// forget removes what an earlier run left of its stream: writers, the stream, its
// files, its slot.
func (d *demo) forget(ctx context.Context) error {
	if err := d.endForeignWriters(ctx); err != nil {
		return err
	}
	s := &streamingv1.Stream{}
	err := d.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: streamName}, s)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("look for an earlier stream: %w", err)
	}
	if err == nil {
		d.out.say("clean-up", "deleting the stream of an earlier run, its files and its replication slot")
		if err := d.deleteStream(ctx, s); err != nil {
			return err
		}
	}
	_, err = d.dropOrphans(ctx)
	return err
}

func (d *demo) deleteStream(ctx context.Context, s *streamingv1.Stream) error {
	if err := client.IgnoreNotFound(d.api.Delete(ctx, s, client.PropagationPolicy("Foreground"))); err != nil {
		return fmt.Errorf("delete the earlier stream: %w", err)
	}
	err := poll(ctx, 90*time.Second, func(ctx context.Context) (bool, error) {
		pods, err := d.podsOf(ctx, s.Name)
		if err != nil || len(pods) > 0 {
			return false, err
		}
		err = d.api.Get(ctx, client.ObjectKeyFromObject(s), &streamingv1.Stream{})
		return err != nil, client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("wait until the earlier stream is gone: %w", err)
	}
	if err := os.RemoveAll(d.plugin.StreamFolder(s)); err != nil {
		return fmt.Errorf("remove the earlier stream's files: %w", err)
	}
	return nil
}

// errTimeout is returned by poll where the fact did not come about.
var errTimeout = errors.New("it takes too long")

// poll asks until the answer is yes.
func poll(ctx context.Context, patience time.Duration, ask func(context.Context) (bool, error)) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		done, err := ask(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("%w (more than %s)", errTimeout, patience)
		case <-ticker.C:
		}
	}
}
