package main

// This file switches each rule of the pure core off, and shows which test notices.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// core are the packages whose rules are switched off.
var core = []string{"internal/validation", "internal/definition", "internal/jobspec"}

// judges are the packages whose tests are asked, in this order.
var judges = []string{"test/catalogue", "internal/validation", "internal/jobspec", "internal/definition", "webhooks"}

// switchAll switches off every rule, one at a time. The error says which of them nobody missed.
func switchAll(ctx context.Context, root string, packages, tests []string, excused map[string]string, out io.Writer) (err error) {
	began := time.Now()
	folder, err := os.MkdirTemp("", "switches-")
	if err != nil {
		return fmt.Errorf("make a folder for the copies: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	rules, overlay, err := switchable(root, folder, packages)
	if err != nil {
		return err
	}
	for i, at := range tests {
		build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay="+overlay, "-o", binary(folder, i), "./"+at)
		build.Dir = root
		if told, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the tests of %s with the switches: %w\n%s", at, err, lastLines(string(told)))
		}
	}
	if by := askAll(ctx, root, folder, tests, 0); by != "" {
		return fmt.Errorf("without a rule switched off a test fails, so nothing is proven: %s", by)
	}
	noticed := make([]string, len(rules))
	sideBySide(len(rules), func(i int) { noticed[i] = askAll(ctx, root, folder, tests, i+1) })
	if ctx.Err() != nil {
		return fmt.Errorf("switch off the rules: %w", ctx.Err())
	}
	err = told(rules, noticed, excused, out)
	fmt.Fprintf(out, "%d rules switched off in %s.\n", len(rules), spent(began))
	return err
}

func binary(folder string, i int) string { return filepath.Join(folder, fmt.Sprintf("tests-%d", i)) }

// askAll is the first test that fails with the rule switched off; empty where none does.
func askAll(ctx context.Context, root, folder string, tests []string, number int) string {
	for i, at := range tests {
		run := exec.CommandContext(ctx, binary(folder, i), "-test.failfast", "-test.timeout=2m")
		run.Dir = filepath.Join(root, at)
		run.Env = append(os.Environ(), fmt.Sprintf("ARCANE_RULE_OFF=%d", number))
		output, err := run.CombinedOutput()
		if err == nil {
			continue
		}
		return at + " " + failing(string(output))
	}
	return ""
}

var failed = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// failing is the innermost part of the test that failed first.
func failing(output string) string {
	all := failed.FindAllStringSubmatch(output, -1)
	if len(all) == 0 {
		return lastLines(output)
	}
	name := all[0][1]
	for _, f := range all[1:] {
		if strings.HasPrefix(f[1], name+"/") {
			name = f[1]
		}
	}
	return name
}

// told writes the table. A rule that nobody misses must be excused, and one that is
// excused must not be missed; every excuse must be for a rule that there is.
func told(rules []rule, noticed []string, excused map[string]string, out io.Writer) error {
	var bad []string
	used := map[string]bool{}
	for i, r := range rules {
		reason, isExcused := excused[r.name]
		used[r.name] = used[r.name] || isExcused
		switch by := noticed[i]; {
		case by == "" && isExcused:
			fmt.Fprintf(out, "%-36s %-80.80s excused: %s\n", r.at, r.name, reason)
		case by == "":
			fmt.Fprintf(out, "%-36s %-80.80s NOBODY MISSES IT\n", r.at, r.name)
			bad = append(bad, fmt.Sprintf("%s: %s: nobody misses it", r.at, r.name))
		case isExcused:
			bad = append(bad, fmt.Sprintf("%s: %s: is missed by %s, and excused", r.at, r.name, by))
		default:
			fmt.Fprintf(out, "%-36s %-80.80s %s\n", r.at, r.name, by)
		}
	}
	for name := range excused {
		if !used[name] {
			bad = append(bad, fmt.Sprintf("%s: is excused, and there is no such rule", name))
		}
	}
	if len(rules) == 0 {
		bad = append(bad, "there are no rules")
	}
	slices.Sort(bad)
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, "\n"))
	}
	return nil
}
