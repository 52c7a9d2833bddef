package page

// This file reads out of a page what a test runs as it stands there.

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Block is the code of a page that stands, fenced, below the marker <!-- tested: NAME -->: commands that the page tells its
// reader to run, so that a test runs these and no others.
func Block(path, name string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read a page: %w", err)
	}
	marker := "<!-- tested: " + name + " -->\n```"
	switch strings.Count(string(raw), marker) {
	case 0:
		return "", fmt.Errorf("%s has no code below the marker <!-- tested: %s -->", path, name)
	case 1:
	default:
		return "", fmt.Errorf("%s has the marker <!-- tested: %s --> more than once", path, name)
	}
	_, rest, _ := strings.Cut(string(raw), marker)
	_, rest, _ = strings.Cut(rest, "\n")
	code, _, ended := strings.Cut(rest, "```\n")
	if !ended || strings.TrimSpace(code) == "" {
		return "", fmt.Errorf("%s: the code below <!-- tested: %s --> is empty or does not end", path, name)
	}
	return code, nil
}

var marked = regexp.MustCompile(`<!-- tested: (.+) -->`)

// Blocks are the names of all code of a page that a test runs.
func Blocks(path string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a page: %w", err)
	}
	var names []string
	for _, match := range marked.FindAllStringSubmatch(string(raw), -1) {
		names = append(names, match[1])
	}
	return names, nil
}
