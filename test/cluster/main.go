// Command cluster starts and ends real Kubernetes on this machine:
// go run ./test/cluster --help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

//nolint:dupword // "build" is a command of its own in a list of commands
const usage = `Runs real Kubernetes on this machine, without a container registry or a container engine.

  go run ./test/cluster COMMAND [flags]

  up          start the cluster, or what of it does not run; builds Kubernetes the first time
  down        end it and remove all that it left
  status      show its processes, addresses and files
  kubeconfig  print the path of the administrator's kubeconfig
  load FILE   import a container image (a tar file, see test/image) into the node
  exec -- CMD run a host command in the cluster's network, with KUBECONFIG set and kubectl in PATH
  build       build the binaries of Kubernetes and etcd, and start nothing

  --name NAME  which cluster (default "arcane"); several run side by side
  --node       up: with a real node and real pods (needs root)

Where CLUSTER=existing is set, the cluster that KUBECONFIG points to is used instead.

  go run ./test/cluster up --node
  export KUBECONFIG=$(go run ./test/cluster kubeconfig)
  go run ./test/cluster exec -- kubectl get nodes
  go run ./test/cluster down
`

// command is one invocation, parsed.
type command struct {
	name string
	node bool
	args []string
}

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	release()
	if exit := (exited{}); errors.As(err, &exit) {
		os.Exit(max(1, exit.ExitCode()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Print(usage)
		return nil
	}
	verbs := map[string]func(context.Context, command) error{
		"up": up, "down": down, "status": status, "kubeconfig": kubeconfig,
		"load": load, "exec": execute, "build": build,
	}
	verb, ok := verbs[args[0]]
	if !ok {
		return fmt.Errorf("unknown command %q (see --help)", args[0])
	}
	c, err := parse(args[0], args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return nil
	}
	if err != nil {
		return err
	}
	return verb(ctx, c)
}

func parse(verb string, args []string) (command, error) {
	var c command
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	// What is wrong is said once, by main; the usage is for who asks for it.
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.name, "name", testbed.DefaultName, "which cluster")
	if verb == "up" {
		flags.BoolVar(&c.node, "node", false, "with a node")
	}
	if err := flags.Parse(args); err != nil {
		return c, fmt.Errorf("%s: %w (see --help)", verb, err)
	}
	c.args = flags.Args()
	return c, c.complete(verb)
}

// complete tells whether the verb has got what it works on, and nothing else.
func (c command) complete(verb string) error {
	switch given := len(c.args); {
	case verb == "exec" && given == 0:
		return errors.New("exec: which command? (exec -- CMD…)")
	case verb == "load" && given == 0:
		return errors.New("load: which file? (load FILE)")
	case verb == "load" && given > 1:
		return fmt.Errorf("load: one file, and flags before it, not %q (see --help)", strings.Join(c.args, " "))
	case verb != "exec" && verb != "load" && given > 0:
		return fmt.Errorf("%s: what is %q? (see --help)", verb, strings.Join(c.args, " "))
	}
	return nil
}

func up(ctx context.Context, c command) error {
	cluster, err := testbed.Up(ctx, testbed.Options{Name: c.name, Node: c.node})
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", cluster.Kubeconfig())
	return nil
}

func down(ctx context.Context, c command) error {
	existing, err := testbed.UseExisting()
	if err != nil {
		return err
	}
	if existing {
		return errors.New("CLUSTER=existing: a cluster of yours is not ended here; unset CLUSTER to end one of the testbed's")
	}
	return testbed.Down(ctx, c.name)
}

func build(ctx context.Context, _ command) error { return testbed.BuildAll(ctx, os.Stderr) }

func kubeconfig(_ context.Context, c command) error {
	cluster, err := testbed.Find(c.name)
	if err != nil {
		return err
	}
	fmt.Println(cluster.Kubeconfig())
	return nil
}

func load(ctx context.Context, c command) error {
	cluster, err := testbed.Find(c.name)
	if err != nil {
		return err
	}
	return cluster.Load(ctx, c.args[0])
}

// exited is the end of the user's own command, which has said itself what is wrong.
type exited struct{ *exec.ExitError }

// execute hands the terminal over; an interrupt reaches the command itself, so it
// is not ended a second time from here.
func execute(ctx context.Context, c command) error {
	cluster, err := testbed.Find(c.name)
	if err != nil {
		return err
	}
	cmd := cluster.Command(context.WithoutCancel(ctx), c.args[0], c.args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exited{exit}
	}
	return err
}

func status(_ context.Context, c command) error {
	cluster, err := testbed.Find(c.name)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "cluster\t%s\n", cluster.Name())
	fmt.Fprintf(out, "kubeconfig\t%s\n", cluster.Kubeconfig())
	if cluster.Existing() {
		return out.Flush()
	}
	fmt.Fprintf(out, "kubernetes\t%s\n", testbed.KubernetesVersion)
	fmt.Fprintf(out, "folder\t%s\n", cluster.Dir())
	fmt.Fprintf(out, "audit log\t%s\n", cluster.AuditLog())
	fmt.Fprintf(out, "node\t%s\n", nodeLine(cluster))
	running, err := cluster.Running()
	if err != nil {
		return err
	}
	var ended []string
	for _, part := range cluster.Parts() {
		state := "ended; its log is " + cluster.LogFile(part)
		if pid, ok := running[part]; ok {
			state = fmt.Sprintf("process %d, %d MiB", pid, residentMiB(pid))
		} else {
			ended = append(ended, part)
		}
		fmt.Fprintf(out, "%s\t%s\n", part, state)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	if len(ended) > 0 {
		return fmt.Errorf("not running: %s; start what is missing with: go run ./test/cluster up --name %s", strings.Join(ended, ", "), cluster.Name())
	}
	return nil
}

func nodeLine(cluster *testbed.Cluster) string {
	if !cluster.HasNode() {
		return "none: no pods run here"
	}
	return cluster.NodeIP() + " in the cluster's own network"
}

func residentMiB(pid int) int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var total, resident int
	if _, err := fmt.Sscan(string(raw), &total, &resident); err != nil {
		return 0
	}
	return resident * os.Getpagesize() >> 20
}
