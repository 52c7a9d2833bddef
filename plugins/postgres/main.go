// The PostgreSQL plugin of Arcane: carries a table's rows and changes to files in a bucket.
package main

import (
	"os"
	_ "time/tzdata" // for a pod that sets TZ, as an image without a system has no database of time zones

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/cli"
)

// version and commit are set when the binary is built.
var (
	version = "dev"
	commit  = "unknown"
)

func main() {
	os.Exit(cli.Main(cli.Build{Version: version, Commit: commit}, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}
