package main

// This file runs a suite under an overlay and reads how it went.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// suite is a set of tests that may notice a bug.
type suite struct {
	name string
	// pkg from the module's root, with "./" before it.
	pkg string
	// tests by name. All of them have to be there.
	tests []string
	// args for the tests' program.
	args []string
	// brief are args that come last in the run without a bug.
	brief []string
}

// catch is a test that noticed.
type catch struct {
	test string
	// message is the first line of what it failed with.
	message string
}

// errNothingProven says that a run neither passed nor failed as a test fails.
var errNothingProven = errors.New("neither passed nor caught")

// runSuite runs the suite with the overlay. A nil catch: all tests have passed.
func runSuite(ctx context.Context, root, overlay string, s suite) (*catch, error) {
	args := []string{
		"test", "-json", "-count=1", "-vet=off", "-failfast", "-timeout=5m",
		"-run=^(" + strings.Join(s.tests, "|") + ")$", s.pkg,
	}
	cmd := exec.CommandContext(ctx, "go", append(args, s.args...)...)
	cmd.Dir = root
	// The environment reaches also a `go build` that a suite runs.
	cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run suite %s: %w", s.name, ctx.Err())
	}
	r, readErr := read(out.Bytes())
	if readErr != nil {
		return nil, fmt.Errorf("%w: suite %s: %w\n%s", errNothingProven, s.name, readErr, lastLines(failed.String()))
	}
	return r.verdict(s, err, failed.String())
}

// result is what `go test -json` told.
type result struct {
	passed []string
	failed []string
	// output by test; that of the package itself under "".
	output map[string][]string
	// broken is what the compiler said.
	broken []string
}

func read(stream []byte) (result, error) {
	r := result{output: map[string][]string{}}
	for line := range bytes.Lines(stream) {
		var e struct {
			Action string `json:"Action"`
			Test   string `json:"Test"`
			Output string `json:"Output"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return r, fmt.Errorf("read what go test tells: %w", err)
		}
		switch {
		case e.Action == "build-output":
			r.broken = append(r.broken, strings.TrimRight(e.Output, "\n"))
		case e.Action == "build-fail":
			r.broken = append(r.broken, "the build has failed")
		case e.Action == "output":
			r.output[e.Test] = append(r.output[e.Test], strings.TrimRight(e.Output, "\n"))
		case e.Action == "pass" && e.Test != "":
			r.passed = append(r.passed, e.Test)
		case e.Action == "fail" && e.Test != "":
			r.failed = append(r.failed, e.Test)
		}
	}
	return r, nil
}

// verdict tells a suite that noticed from one that passed, and both from one that
// was never in the position to notice anything.
func (r result) verdict(s suite, exit error, stderr string) (*catch, error) {
	nothing := func(format string, args ...any) (*catch, error) {
		return nil, fmt.Errorf("%w: suite %s %s", errNothingProven, s.name, fmt.Sprintf(format, args...))
	}
	if len(r.broken) > 0 {
		return nothing("does not compile:\n%s", strings.Join(r.broken, "\n"))
	}
	if line := r.panicked(); line != "" {
		return nothing("ends in a panic, which is no law: %s", line)
	}
	if len(r.failed) > 0 {
		// A test's parts end before it, so the first to end says it best.
		first := r.failed[0]
		return &catch{test: first, message: message(r.output[first])}, nil
	}
	if exit != nil {
		return nothing("ended (%s), and no test has failed:\n%s", exit, lastLines(strings.Join(r.output[""], "\n")+"\n"+stderr))
	}
	for _, test := range s.tests {
		if !slices.Contains(r.passed, test) {
			return nothing("has no test %s: correct the entry in test/mutants/suites.go", test)
		}
	}
	return nil, nil
}

// panicked is the line with which a test's program died, or ran out of time.
func (r result) panicked() string {
	for _, lines := range r.output {
		for _, line := range lines {
			if strings.HasPrefix(line, "panic: ") || strings.Contains(line, "[rapid] panic after") {
				return line
			}
		}
	}
	return ""
}

var (
	// place is where a test's message came from.
	place = regexp.MustCompile(`^\s*\S+\.go:\d+: `)
	// draws is how the random model begins its message.
	draws = regexp.MustCompile(`^\[rapid\] (failed|flaky) [^:]*: `)
)

// message is the first line of what a test failed with: of its last message, because
// what it merely logs comes before.
func message(output []string) string {
	last := ""
	for _, line := range output {
		at := place.FindString(line)
		if at != "" && !strings.HasPrefix(line[len(at):], "[rapid] draw ") {
			last = draws.ReplaceAllString(line[len(at):], "")
		}
	}
	if last == "" {
		return strings.TrimSpace(strings.Join(output, " "))
	}
	return last
}

func lastLines(text string) string {
	const kept = 20
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-kept):], "\n")
}
