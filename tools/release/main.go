// Command release writes everything that a release publishes into dist/VERSION: make release VERSION=v0.9.0.
//
// It needs no network and no container engine. The same commit gives the same bytes, on any machine that has the same
// version of Go, wherever the checkout lies.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = `Writes everything that a release publishes into dist/VERSION: image archives, YAML files, Helm charts, the
folders of config/, bills of materials and checksums.

  go run ./tools/release --version v0.9.0 --registry registry.example.com/team

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var version, registry string
	var allowDirty bool
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&version, "version", "", "the release's `version`, such as v0.9.0 or v0.9.0-rc.1")
	flags.StringVar(&registry, "registry", "", "`registry` and path that users pull the images from, such as ghcr.io/arcane-streaming")
	flags.BoolVar(&allowDirty, "allow-dirty", false, "release from a checkout with uncommitted changes; its revision then ends in -dirty")
	if err := flags.Parse(args); err != nil {
		return err //nolint:wrapcheck // flag has said it on stderr
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q (see --help)", flags.Arg(0))
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return fmt.Errorf("find the checkout: %w", err)
	}
	r, err := newRelease(ctx, root, version, registry, allowDirty)
	if err != nil {
		return err
	}
	return r.write(ctx, os.Stdout)
}
