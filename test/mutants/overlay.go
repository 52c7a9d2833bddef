package main

// This file writes edited copies of source files and the list that makes the compiler read them.

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// edit replaces a text of a file. The text must be there exactly once, so that an
// edit never hits another place than the one that was meant.
type edit struct {
	// file, from the module's root.
	file string
	old  string
	new  string
}

// writeOverlay writes copies of the files, with the edits made, into the folder and
// returns the path of the list that `go -overlay` takes.
func writeOverlay(root, folder string, files []string, edits []edit) (string, error) {
	copies := map[string]string{}
	for _, file := range files {
		source := filepath.Join(root, filepath.FromSlash(file))
		text, err := os.ReadFile(source)
		if err != nil {
			return "", fmt.Errorf("read what is to be edited: %w", err)
		}
		if copies[source], err = apply(string(text), file, edits); err != nil {
			return "", err
		}
	}
	return writeCopies(folder, copies)
}

// writeCopies writes what the compiler is to read in the place of each file, and the
// list of them.
func writeCopies(folder string, copies map[string]string) (string, error) {
	replace := map[string]string{}
	for i, source := range slices.Sorted(maps.Keys(copies)) {
		copied := filepath.Join(folder, fmt.Sprintf("%d-%s", i, filepath.Base(source)))
		if err := os.WriteFile(copied, []byte(copies[source]), 0o600); err != nil {
			return "", fmt.Errorf("write the edited copy: %w", err)
		}
		replace[source] = copied
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	path := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(path, list, 0o600); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return path, nil
}

// apply makes the edits of one file in its text, one after the other.
func apply(text, file string, edits []edit) (string, error) {
	for _, e := range edits {
		if e.file != file {
			continue
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("%s holds the text that is to be replaced %d times, not once:\n\t%s\nThe source has moved on: correct the entry in test/mutants/catalog.go",
				file, n, strings.ReplaceAll(e.old, "\n", "\n\t"))
		}
		text = strings.Replace(text, e.old, e.new, 1)
	}
	return text, nil
}

// filesOf lists the files that edits touch, each once.
func filesOf(edits []edit) []string {
	var files []string
	for _, e := range edits {
		files = append(files, e.file)
	}
	slices.Sort(files)
	return slices.Compact(files)
}
