// Command applysize tells whether the objects of manifests fit the annotation in which client-side kubectl apply keeps
// what it applied.
package main

import (
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// The API server's limit for all annotations of an object together.
const limit = 262144

func main() {
	tooLarge := false
	for _, file := range os.Args[1:] {
		size, err := largest(file)
		if err != nil {
			fmt.Fprintf(os.Stderr, "applysize: %s: %v\n", file, err)
			os.Exit(1)
		}
		fmt.Printf("%s: the largest object is %d bytes, %d %% of the limit\n", file, size, 100*size/limit)
		if size >= limit {
			tooLarge = true
		}
	}
	if tooLarge {
		fmt.Fprintf(os.Stderr, "applysize: kubectl apply takes less than %d bytes\n", limit)
		os.Exit(1)
	}
}

// largest is the size of the largest of a file's objects, as the JSON that kubectl writes into the annotation.
func largest(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller says which file
	}
	size := 0
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		json, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			return 0, fmt.Errorf("not YAML: %w", err)
		}
		size = max(size, len(json))
	}
	return size, nil
}
