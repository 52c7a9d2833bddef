package main

// This file tests what the program says about itself.

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestVersionNamesWhatTheBinaryIsMadeOf(t *testing.T) {
	var out, problems strings.Builder
	if code := mainVersion(nil, &out, &problems); code != 0 || problems.Len() > 0 {
		t.Fatalf("exit %d: %s", code, problems.String())
	}
	for _, want := range []string{
		`(?m)^Version: +dev$`, `(?m)^Commit: +unknown$`, `(?m)^Go: +` + regexp.QuoteMeta(runtime.Version()) + `$`,
		`(?m)^Platform: +` + runtime.GOOS + "/" + runtime.GOARCH + `$`, `(?m)^Kubernetes: .*\(k8s\.io/client-go\)$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no line %s in\n%s", want, out.String())
		}
	}
}

func TestVersionRefusesArguments(t *testing.T) {
	for args, code := range map[string]int{"short": 2, "--short": 2, "--help": 0} {
		var out, problems strings.Builder
		if got := mainVersion([]string{args}, &out, &problems); got != code || out.Len() > 0 || problems.Len() == 0 {
			t.Errorf("%s: exit %d, %q, %q", args, got, out.String(), problems.String())
		}
	}
}

// TestTheBuiltBinaryKnowsItsVersion builds as a release does. A binary tells nothing of the machine that built it: whoever
// builds it elsewhere gets the same bytes.
func TestTheBuiltBinaryKnowsItsVersion(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "arcane-operator")
	build := exec.CommandContext(t.Context(), "make", "--no-print-directory", binary, "BIN="+filepath.Dir(binary), "VERSION=v7.8.9", "COMMIT=0123abc")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, want := range []string{`(?m)^Version: +v7\.8\.9$`, `(?m)^Commit: +0123abc$`, `(?m)^Kubernetes: v0\.\d+\.\d+ \(`} {
		if !regexp.MustCompile(want).Match(said) {
			t.Errorf("no line %s in\n%s", want, said)
		}
	}
	if said, err := exec.CommandContext(t.Context(), binary, "--version").CombinedOutput(); err != nil || string(said) != "v7.8.9\n" {
		t.Errorf("--version: %v, %q", err, said)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{"GOROOT", "GOMODCACHE", "GOCACHE"} {
		value, err := exec.CommandContext(t.Context(), "go", "env", of).Output()
		if err != nil {
			t.Fatal(err)
		}
		if path := strings.TrimSpace(string(value)); strings.Contains(string(content), path) {
			t.Errorf("the binary holds %s, %s", of, path)
		}
	}
	if strings.Contains(string(content), root) {
		t.Errorf("the binary holds the checkout's path %s", root)
	}
}
