// Command setup installs the Debian packages that demo and tests need:
// go run ./test/setup --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/arcane-streaming/arcane-operator/test/setup/packages"
)

const usage = `Installs the Debian packages that are missing for the named needs, or for all of them.
Where nothing is missing, it does nothing and asks the network for nothing.

  go run ./test/setup [NEED…]

  checkout    git, make and the certificates of public authorities
  node        containerd and what else a cluster with a node needs (make demo, make e2e)
  postgres    a PostgreSQL server (make demo, make test, make e2e)
  prometheus  Prometheus and promtool (make test)

No service is started or enabled. A program that is there already, from whichever source, is left as it is.
`

// exitInterrupted is what shells expect of a program that SIGINT has ended.
const exitInterrupted = 130

func main() {
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	release()
	switch {
	case err == nil:
	case interrupted:
		fmt.Fprintln(os.Stderr, "setup: interrupted")
		os.Exit(exitInterrupted)
	default:
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if slices.ContainsFunc(args, func(arg string) bool { return arg == "help" || strings.HasPrefix(arg, "-") }) {
		fmt.Print(usage)
		if slices.Contains(args, "help") || slices.Contains(args, "--help") || slices.Contains(args, "-h") {
			return nil
		}
		return errors.New("there are no flags but --help")
	}
	needs, err := parse(args, os.Getenv("CLUSTER") == "existing")
	if err != nil {
		return err
	}
	return packages.Install(ctx, os.Stderr, needs...)
}

// parse reads the needs. A cluster of the user's own has nodes of its own.
func parse(args []string, existingCluster bool) ([]packages.Need, error) {
	needs := packages.All()
	if len(args) > 0 {
		needs = nil
	}
	for _, arg := range args {
		if !slices.Contains(packages.All(), packages.Need(arg)) {
			return nil, fmt.Errorf("unknown need %q (see --help)", arg)
		}
		needs = append(needs, packages.Need(arg))
	}
	if existingCluster {
		needs = slices.DeleteFunc(needs, func(need packages.Need) bool { return need == packages.Node })
	}
	return needs, nil
}
