package main

// This file goes through the mutants and says what became of each.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// mutant is a known bug.
type mutant struct {
	name string
	// harm is what goes wrong for the user, in a sentence.
	harm  string
	edits []edit
	// suites that are expected to notice, in the order in which they are asked.
	suites []suite
}

// hunt first runs every suite on unedited copies of all files that any mutant edits:
// a machinery that is broken would otherwise look as if it caught everything. Then
// it runs the mutants. The error says why not all of them were caught.
func hunt(ctx context.Context, root string, mutants []mutant, out io.Writer) (err error) {
	began := time.Now()
	folder, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return fmt.Errorf("make a folder for the edited copies: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	overlays, err := writeAll(root, folder, mutants)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "Without a bug:")
	if err := control(ctx, root, folder, mutants, out); err != nil {
		return err
	}
	var caught atomic.Int32
	err = inOrder(len(mutants), out, func(i int, out io.Writer) error {
		m := mutants[i]
		fmt.Fprintf(out, "%d. %s\n   %s\n", i+1, m.name, m.harm)
		noticed, err := try(ctx, root, overlays[i], m, out)
		if err != nil {
			return fmt.Errorf("mutant %q: %w", m.name, err)
		}
		if noticed {
			caught.Add(1)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d of %d mutants caught in %s.\n", caught.Load(), len(mutants), spent(began))
	if missed := len(mutants) - int(caught.Load()); missed > 0 || len(mutants) == 0 {
		return fmt.Errorf("%d of %d mutants were not caught", missed, len(mutants))
	}
	return nil
}

// writeAll writes the overlay of each mutant, so that a text that is no longer found
// is told before anything runs.
func writeAll(root, folder string, mutants []mutant) ([]string, error) {
	var overlays []string
	for i, m := range mutants {
		own := filepath.Join(folder, fmt.Sprint(i+1))
		if err := os.Mkdir(own, 0o700); err != nil {
			return nil, fmt.Errorf("make a folder for the edited copies: %w", err)
		}
		overlay, err := writeOverlay(root, own, filesOf(m.edits), m.edits)
		if err != nil {
			return nil, fmt.Errorf("mutant %q: %w", m.name, err)
		}
		overlays = append(overlays, overlay)
	}
	return overlays, nil
}

// control runs each suite once under an overlay that changes nothing.
func control(ctx context.Context, root, folder string, mutants []mutant, out io.Writer) error {
	var edits []edit
	for _, m := range mutants {
		edits = append(edits, m.edits...)
	}
	own := filepath.Join(folder, "control")
	if err := os.Mkdir(own, 0o700); err != nil {
		return fmt.Errorf("make a folder for the copies: %w", err)
	}
	overlay, err := writeOverlay(root, own, filesOf(edits), nil)
	if err != nil {
		return err
	}
	var suites []suite
	for _, m := range mutants {
		for _, s := range m.suites {
			if !slices.ContainsFunc(suites, func(o suite) bool { return o.name == s.name }) {
				suites = append(suites, s)
			}
		}
	}
	return inOrder(len(suites), out, func(i int, out io.Writer) error {
		s := suites[i]
		s.args = append(slices.Clone(s.args), s.brief...)
		began := time.Now()
		c, err := runSuite(ctx, root, overlay, s)
		if err != nil {
			return fmt.Errorf("without a bug: %w", err)
		}
		if c != nil {
			return fmt.Errorf("suite %s fails also without a bug, so it proves nothing: %s: %s", s.name, c.test, c.message)
		}
		fmt.Fprintf(out, "   suite %s passes (%s)\n", s.name, spent(began))
		return nil
	})
}

// try asks a mutant's suites until one notices.
func try(ctx context.Context, root, overlay string, m mutant, out io.Writer) (bool, error) {
	began := time.Now()
	var asked []string
	for _, s := range m.suites {
		c, err := runSuite(ctx, root, overlay, s)
		if err != nil {
			return false, err
		}
		if c != nil {
			fmt.Fprintf(out, "   caught by suite %s, %s (%s):\n   %s\n", s.name, c.test, spent(began), c.message)
			return true, nil
		}
		asked = append(asked, s.name)
	}
	fmt.Fprintf(out, "   SURVIVED suites %s (%s)\n", strings.Join(asked, ", "), spent(began))
	return false, nil
}

func spent(began time.Time) time.Duration { return time.Since(began).Round(100 * time.Millisecond) }
