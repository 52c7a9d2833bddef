package main

// This file says which program this is.

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version and commit are set when the binary is built.
var (
	version = "dev"
	commit  = "unknown"
)

// versionCommand is the first argument that asks for them.
const versionCommand = "version"

// mainVersion prints them with what the binary is made of, and returns the program's exit code.
func mainVersion(args []string, out, problems io.Writer) int {
	f := flag.NewFlagSet("arcane-operator version", flag.ContinueOnError)
	f.SetOutput(problems)
	f.Usage = func() {
		fmt.Fprintln(problems, "arcane-operator version prints the operator's version, the commit and the Go version that it was built with, its platform, and the version of Kubernetes' client library.")
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case f.NArg() > 0:
		fmt.Fprintf(problems, "arcane-operator version: unexpected argument %q\n", f.Arg(0))
		return 2
	}
	fmt.Fprintf(out, "Version:    %s\nCommit:     %s\nGo:         %s\nPlatform:   %s/%s\nKubernetes: %s (k8s.io/client-go)\n",
		version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, moduleVersion("k8s.io/client-go"))
	return 0
}

// moduleVersion is the version of a module that this binary is made of.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path != path {
				continue
			}
			if module.Replace != nil {
				return cmp.Or(module.Replace.Version, module.Replace.Path)
			}
			return module.Version
		}
	}
	return "unknown"
}
