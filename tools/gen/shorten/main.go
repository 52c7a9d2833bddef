// Command shorten prints a custom resource definition without the descriptions of another API's type in it: with those of a
// whole Job it would be too large for the annotation in which client-side kubectl apply keeps what it applied.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: shorten DEFINITION PATH-OF-A-FIELD...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shorten:", err)
		os.Exit(1)
	}
}

// run removes the descriptions below each field, and keeps those of the fields themselves.
func run(file string, paths []string, out io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the definition: %w", err)
	}
	var crd map[string]any
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	spec, _ := crd["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	if len(versions) == 0 {
		return errors.New("a definition without versions")
	}
	for _, version := range versions {
		for _, path := range paths {
			field := at(version, append([]string{"schema", "openAPIV3Schema"}, steps(path)...))
			if field == nil {
				return fmt.Errorf("there is no field %s", path)
			}
			said := field["description"]
			strip(field)
			if said != nil {
				field["description"] = said
			}
		}
	}
	shorter, err := yaml.Marshal(crd)
	if err != nil {
		return fmt.Errorf("write the definition: %w", err)
	}
	_, err = fmt.Fprintf(out, "---\n%s", shorter)
	return err //nolint:wrapcheck // main says whose it is
}

// steps are the keys that lead to a field of an object.
func steps(path string) []string {
	var all []string
	for name := range strings.SplitSeq(path, ".") {
		all = append(all, "properties", name)
	}
	return all
}

func at(node any, steps []string) map[string]any {
	for _, step := range steps {
		parent, _ := node.(map[string]any)
		node = parent[step]
	}
	found, _ := node.(map[string]any)
	return found
}

// strip takes descriptions out of a schema; a field may itself be called description.
func strip(schema map[string]any) {
	delete(schema, "description")
	for key, value := range schema {
		switch child, _ := value.(map[string]any); {
		case child == nil:
		case key == "properties":
			for _, property := range child {
				if s, ok := property.(map[string]any); ok {
					strip(s)
				}
			}
		case key == "items" || key == "additionalProperties":
			strip(child)
		}
	}
}
