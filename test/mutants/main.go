// Mutants switches twenty known bugs into the operator, one at a time, and shows that
// the laws and the stories notice each of them. None of the bugs is in the product's
// source: each is a small edit, made on a copy that the compiler reads instead.
// With -rules it switches off each rule of internal/validation, internal/definition
// and internal/jobspec, one at a time: a case of the catalogue or a unit test must miss it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:])) }

// run is the program; its result is the exit code.
func run(args []string) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	only := flags.String("only", "", "switch in only the bugs whose name holds this text")
	rules := flags.Bool("rules", false, "switch off the rules of the pure core instead, one at a time: a case or a test must miss each")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root, err := moduleRoot()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		return 1
	}
	if *rules {
		if err := switchAll(ctx, root, core, judges, excused, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "mutants:", err)
			return 1
		}
		return 0
	}
	var chosen []mutant
	for _, m := range catalog {
		if strings.Contains(m.name, *only) {
			chosen = append(chosen, m)
		}
	}
	if err := hunt(ctx, root, chosen, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		return 1
	}
	return 0
}

// moduleRoot is the folder of the go.mod that the program is run under.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the module: no go.mod in %s or above", dir)
		}
		dir = parent
	}
}
