package main

// This file reads the catalog's channels: the one place that says which version comes next, and what it replaces.

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// candidate is the channel that every release enters first.
const candidate = "candidate"

// channel of a file-based catalog.
type channel struct {
	Name    string  `json:"name"`
	Entries []entry `json:"entries"`
}

// entry is a version in a channel, by the name of its ClusterServiceVersion.
type entry struct {
	Name     string `json:"name"`
	Replaces string `json:"replaces"`
}

// readChannels reads all channels of a file.
func readChannels(file string) ([]channel, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the channels: %w", err)
	}
	var all []channel
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var c channel
		if err := yaml.Unmarshal([]byte(document), &c); err != nil {
			return nil, fmt.Errorf("read the channels of %s: %w", file, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// printNext prints the version that the newest entry names, the channels that have it, and the name of what it replaces.
func printNext(file string, out io.Writer) error {
	all, err := readChannels(file)
	if err != nil {
		return err
	}
	var newest entry
	for _, c := range all {
		if c.Name == candidate && len(c.Entries) > 0 {
			newest = c.Entries[len(c.Entries)-1]
		}
	}
	version, ok := strings.CutPrefix(newest.Name, "arcane-operator.v")
	if !ok {
		return fmt.Errorf("%s: the last entry of the channel %s is %q and does not begin with arcane-operator.v", file, candidate, newest.Name)
	}
	var in []string
	for _, c := range all {
		if slices.Contains(c.Entries, newest) {
			in = append(in, c.Name)
		}
	}
	if _, err := fmt.Fprintln(out, version, strings.Join(in, ","), newest.Replaces); err != nil {
		return fmt.Errorf("print the version: %w", err)
	}
	return nil
}
