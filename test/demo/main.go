// Command demo shows a PostgreSQL table being backfilled and streamed on real
// Kubernetes on this machine: go run ./test/demo --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/setup/packages"
)

const usage = `Shows Arcane at work on a Kubernetes cluster of its own on this machine.

  go run ./test/demo COMMAND        (make demo packs the images first)

  up       cluster, operator, PostgreSQL and plugin; a stream through backfill, streaming,
           suspension and a lost pod, while pgbench writes; then source and sink are
           compared row by row. Fails if they differ, and leaves the cluster running
  write    run pgbench again, until Ctrl-C
  verify   compare source and sink of the demo's stream once more, also while pgbench writes
  cleanup  drop replication slots and publications whose stream has been deleted
  down     remove all: cluster, PostgreSQL and folders
  check    say what keeps the demo from running here, before anything is built for it
`

// clusterName keeps the demo's cluster apart from everybody else's.
const clusterName = "demo"

// exitInterrupted is what shells expect of a program that SIGINT has ended.
const exitInterrupted = 130

func main() {
	// What the client library would log is told as errors here.
	log.SetLogger(logr.Discard())
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	release()
	switch {
	case err == nil:
	case interrupted:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted. `make demo` goes on from here, `make demo-down` removes all.")
		os.Exit(exitInterrupted)
	default:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, *console) error{
		"up": up, "write": write, "verify": verify, "cleanup": cleanup, "down": down,
		"check": check,
	}
	if len(args) != 1 || commands[args[0]] == nil {
		fmt.Print(usage)
		if len(args) == 1 && (args[0] == "help" || args[0] == "--help" || args[0] == "-h") {
			return nil
		}
		return errors.New("one of the commands above is needed")
	}
	return commands[args[0]](ctx, newConsole(os.Stdout))
}

// check comes before minutes of building, in which the compiler may say nothing.
func check(context.Context, *console) error {
	if err := refuse(); err != nil {
		return err
	}
	if err := packages.Check(packages.Node, packages.Postgres); err != nil {
		return err
	}
	if !testbed.Built() {
		fmt.Println("This is the first run here: operator and plugin are built now, then Kubernetes and etcd.\n" +
			"It takes some 15 to 20 minutes on two cores, and later runs about one.")
	}
	return nil
}

// write lets pgbench write until it is interrupted, which is a good end.
func write(ctx context.Context, out *console) error {
	d, err := find(ctx, out)
	if err != nil {
		return err
	}
	w, err := d.startWriters(ctx)
	if err != nil {
		return err
	}
	out.say("pgbench", "writes %d transactions a second; Ctrl-C ends it", writesPerSecond)
	<-w.ended
	if ctx.Err() == nil {
		return w.err
	}
	out.say("pgbench", "ended")
	return nil
}

func verify(ctx context.Context, out *console) error {
	d, err := find(ctx, out)
	if err != nil {
		return err
	}
	return d.verify(ctx)
}

func cleanup(ctx context.Context, out *console) error {
	d, err := find(ctx, out)
	if err != nil {
		return err
	}
	dropped, err := d.dropOrphans(ctx)
	if err == nil && dropped == 0 {
		out.say("clean-up", "nothing to drop: each replication slot and publication has its stream")
	}
	return err
}

// down also clears what an interrupted up has left.
func down(ctx context.Context, out *console) error {
	if err := refuse(); err != nil {
		return err
	}
	cluster, err := testbed.Find(clusterName)
	switch {
	case err == nil:
		if err := install.StopPostgres(ctx, cluster); err != nil {
			return err
		}
	case !errors.Is(err, testbed.ErrNotRunning):
		return err
	}
	if err := testbed.Down(ctx, clusterName); err != nil {
		return err
	}
	out.say("removed", "cluster %q, its pods, PostgreSQL, the folders of both: nothing is left", clusterName)
	return nil
}

// find returns the demo that an earlier up has set up.
func find(ctx context.Context, out *console) (*demo, error) {
	if err := refuse(); err != nil {
		return nil, err
	}
	cluster, err := testbed.Find(clusterName)
	if errors.Is(err, testbed.ErrNotRunning) {
		return nil, errors.New("the demo's cluster does not run; start it with: make demo")
	}
	if err != nil {
		return nil, err
	}
	d := &demo{out: out, cluster: cluster}
	return d, d.connect(ctx)
}

// refuse says in time where the demo cannot run. It starts PostgreSQL inside the
// cluster's network and removes everything in the end: neither is for a cluster of
// the user's.
func refuse() error {
	if os.Getenv("CLUSTER") != "" {
		return errors.New("the demo uses a cluster of its own: run it without CLUSTER in the environment")
	}
	if os.Geteuid() != 0 {
		return errors.New("the demo needs root: its node has namespaces, mounts and control groups of its own")
	}
	return nil
}

// since is a duration as people like to read it.
func since(start time.Time) string { return fmt.Sprintf("%.1f s", time.Since(start).Seconds()) }
