// Package e2e tests the whole program, as processes of its own, over a real PostgreSQL.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/cli"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/pgserver"
)

// asPlugin makes this test binary behave as the program itself: the processes
// that are killed here are it, with buckets that fail on demand.
const asPlugin = "ARCANE_TEST_AS_PLUGIN"

// server is shared by all tests that do not stop or reconfigure it.
var server *pgserver.Server

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		registerTestBuckets()
		os.Exit(cli.Main(cli.Build{Version: "test"}, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
	}
	os.Exit(run(m))
}

// parallel is how many tests run at once. They mostly wait for each other's disk and clock, not for the processor.
const parallel = "6"

func run(m *testing.M) int {
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	folder, err := os.MkdirTemp("", "arcane-postgres-")
	if err == nil {
		defer func() { _ = os.RemoveAll(folder) }()
		server, err = pgserver.Start(context.Background(), folder, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
