package main

// This file reads what a release is made from, and refuses what cannot be one.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// source is the commit that is released.
type source struct {
	// revision is the commit, with -dirty behind it where the checkout has changes.
	revision string
	// time is what everything in the release is dated by.
	time time.Time
}

// checkVersion wants a whole semantic version. Build metadata cannot be part of an image's tag.
func checkVersion(version string) error {
	if version == "" || !semver.IsValid(version) || semver.Canonical(version) != version {
		return fmt.Errorf("the version is %q; it must be a semantic version such as v0.9.0 or v0.9.0-rc.1: make release VERSION=v0.9.0", version)
	}
	return nil
}

// registryForm is a host, with a port where it has one, and a path.
var registryForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

// checkRegistry wants a registry that the nodes of others can pull from.
func checkRegistry(registry string) error {
	host, _, _ := strings.Cut(registry, "/")
	name, _, _ := strings.Cut(host, ":")
	switch {
	case !registryForm.MatchString(registry):
		return fmt.Errorf("the registry is %q; it must be a host and a path such as ghcr.io/arcane-streaming: make release REGISTRY=…", registry)
	case name == "localhost" || strings.HasPrefix(name, "127."):
		return fmt.Errorf("the registry is %q, which is another machine on every node; name one that users can pull from: make release REGISTRY=…", registry)
	}
	return nil
}

// readSource asks git for the commit. A release of changes that nobody else has could not be made again.
func readSource(ctx context.Context, root string, allowDirty bool) (source, error) {
	revision, err := git(ctx, root, "rev-parse", "HEAD")
	if err != nil {
		return source{}, err
	}
	changes, err := git(ctx, root, "-c", "core.excludesFile=/dev/null", "status", "--porcelain", "--untracked-files=all")
	if err != nil {
		return source{}, err
	}
	if changes != "" {
		if !allowDirty {
			return source{}, fmt.Errorf("the checkout has changes that are not committed; commit them, or try a release out with ALLOW_DIRTY=yes:\n%s", changes)
		}
		revision += "-dirty"
	}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if seconds == "" {
		if seconds, err = git(ctx, root, "show", "--no-patch", "--format=%ct", "HEAD"); err != nil {
			return source{}, err
		}
	}
	epoch, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || epoch < 0 {
		return source{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q; it must be a number of seconds since 1970", seconds)
	}
	return source{revision: revision, time: time.Unix(epoch, 0).UTC()}, nil
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...) //nolint:gosec // The commands are this program's own.
	command.Dir = root
	// A caller's GIT_DIR would name the commit of another repository.
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "GIT_") })
	out, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
