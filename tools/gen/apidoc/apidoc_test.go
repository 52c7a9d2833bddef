// The page for a definition with every shape that a field can have.
package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: kites.toys.example}
spec:
  group: toys.example
  names: {kind: Kite, plural: kites, singular: kite, shortNames: [kt], categories: [toys]}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    selectableFields: [{jsonPath: .spec.colour}]
    schema:
      openAPIV3Schema:
        description: A Kite flies.
        type: object
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          metadata: {type: object}
          spec:
            type: object
            required: [colour]
            properties:
              colour:
                description: "Seen from\nafar.\n\nOr a|b."
                type: string
                default: red
                enum: [red, blue]
                x-kubernetes-validations: [{rule: self == oldSelf, message: colour is immutable}]
              tail:
                type: array
                maxItems: 9
                items: {type: object, properties: {length: {type: integer, minimum: 1}}}
              any: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

const want = preamble + `
## Kite

` + "`toys.example/v1`, in a namespace, short name `kt`, listed by `kubectl get toys`." + `

A Kite flies.

Field selectors: ` + "`spec.colour`" + `.

| field | type | meaning |
|---|---|---|
| ` + "`spec`" + ` | object |  |
| ` + "`spec.any`" + ` | free object |  |
| ` + "`spec.colour` | `red` \\| `blue`, required | Seen from afar.<br>Or a\\|b.<br>Default: `\"red\"`.<br>Checked: colour is immutable." + ` |
| ` + "`spec.tail`" + ` | list of object | Limits: at most 9 entries. |
| ` + "`spec.tail[].length`" + ` | integer | Limits: at least 1. |
`

func folder(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kites.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPage(t *testing.T) {
	var out bytes.Buffer
	if err := run(folder(t, definition), &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPageStopsAtTheEmbeddedType(t *testing.T) {
	holding := definition + "              job: {description: Flies it., type: object, properties: {wind: {type: integer}}}\n"
	var out bytes.Buffer
	if err := run(folder(t, holding), &out); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	if !strings.Contains(page, "carry no descriptions") || !strings.Contains(page, "| `spec.job` | object | Flies it. |") {
		t.Errorf("the page says neither why nor what:\n%s", page)
	}
	if strings.Contains(page, "wind") {
		t.Errorf("a field of the embedded type is listed:\n%s", page)
	}
}

func TestNothingIsWrittenForABrokenDefinition(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field": definition + "nonsense: 1\n",
		"no schema":     strings.Split(definition, "    schema:")[0],
		"no version":    strings.Split(definition, "  versions:")[0],
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(folder(t, text), &out); err == nil {
				t.Error("no error")
			}
			if out.Len() > 0 {
				t.Errorf("wrote %q", out.String())
			}
		})
	}
	if err := run(t.TempDir(), &bytes.Buffer{}); err == nil {
		t.Error("an empty folder is no error")
	}
}
