package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const definition = `
spec:
  versions:
  - schema:
      openAPIV3Schema:
        description: A kite.
        properties:
          spec:
            description: What you want.
            properties:
              job:
                description: The job that flies it.
                properties:
                  description: {description: Not ours., type: string}
                  list: {items: {description: Not ours., type: string}, type: array}
                  map: {additionalProperties: {description: Not ours., type: string}, type: object}
              boat:
                description: The boat that follows it.
                items: {description: Not ours., type: string}
                type: array
`

func TestShorten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kites.yaml")
	if err := os.WriteFile(file, []byte(definition), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(file, []string{"spec.job", "spec.boat"}, &out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, kept := range []string{"A kite.", "What you want.", "The job that flies it.", "The boat that follows it.", "description:\n                    type: string"} {
		if !strings.Contains(text, kept) {
			t.Errorf("%q is gone:\n%s", kept, text)
		}
	}
	if strings.Contains(text, "Not ours.") {
		t.Errorf("descriptions are left:\n%s", text)
	}
	for _, path := range []string{"spec.balloon", "spec.job.boat"} {
		if err := run(file, []string{"spec.job", path}, &out); err == nil {
			t.Errorf("%s is no field", path)
		}
	}
}
