// The PostgreSQL plugin of Arcane: carries a table's rows and changes to files in a bucket.
package main

import (
	"os"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/cli"
)

// version is set when the binary is built.
var version = "dev"

func main() {
	os.Exit(cli.Main(version, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}
