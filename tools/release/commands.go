package main

// This file runs the programs that make parts of a release.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// ownVariables are variables that a caller's environment may set and that would change what is built, or tell make of
// the make that runs this program.
var ownVariables = []string{
	"BUNDLE_CHANNELS", "BUNDLE_CREATED", "BUNDLE_REPLACES", "BUNDLE_VERSION", "CATALOG",
	"CGO_ENABLED", "CONFIG", "GOAMD64", "GOARCH", "GOARM64", "GOENV", "GOEXPERIMENT", "GOFIPS140", "GOFLAGS", "GOOS", "GOPROXY", "GOTOOLCHAIN", "GOWORK",
	"GNUMAKEFLAGS", "GO111MODULE", "MAKEFILES", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS",
}

// environment is the caller's with everything in it settled that decides what comes out, and without a way to a network.
// GOENV is off so that no `go env -w` of this user's counts; what finds the caches is asked for before and kept.
func environment(ctx context.Context, more ...string) ([]string, error) {
	var all []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.Contains(ownVariables, name) {
			all = append(all, variable)
		}
	}
	for _, cache := range []string{"GOCACHE", "GOMODCACHE"} {
		value, err := exec.CommandContext(ctx, "go", "env", cache).Output() //nolint:gosec // One of these two names.
		if err != nil {
			return nil, fmt.Errorf("go env %s: %w", cache, err)
		}
		all = append(all, cache+"="+strings.TrimSpace(string(value)))
	}
	all = append(all, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOENV=off", "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOTOOLCHAIN=local", "GOWORK=off")
	return append(all, more...), nil
}

// command runs a program in a folder of the checkout and returns what it prints. What else it says is only of interest where
// it fails.
func (r *release) command(ctx context.Context, environ []string, name string, args ...string) (string, error) {
	all, err := environment(ctx, environ...)
	if err != nil {
		return "", err
	}
	var out, problems bytes.Buffer
	command := exec.CommandContext(ctx, name, args...) //nolint:gosec // The commands are this program's own.
	command.Dir, command.Env = r.root, all
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		hint := ""
		if strings.Contains(problems.String(), "GOPROXY=off") {
			hint = "A release uses no network. Download the modules first: make release-modules"
		}
		return "", fmt.Errorf("%s %s: %w\n%s%s%s", name, strings.Join(args, " "), err, out.String(), problems.String(), hint)
	}
	return strings.TrimSpace(out.String()), nil
}
