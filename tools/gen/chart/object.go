package main

// This file reads what kustomize builds. It cuts an object into its top-level fields as text, which works because
// kustomize writes canonical YAML, and keeps numbers and quotes as they are.

import (
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// object is a Kubernetes object.
type object struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`

	// fields are the other top-level fields as text, in the order of the manifest.
	fields []field
}

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type field struct{ name, text string }

// key identifies an object.
func (o object) key() string { return o.Kind + "/" + o.Metadata.Namespace + "/" + o.Metadata.Name }

func parse(manifests string) ([]object, error) {
	var all []object
	for document := range strings.SplitSeq(strings.TrimPrefix(manifests, "---\n"), "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return nil, fmt.Errorf("read a manifest: %w", err)
		}
		for _, f := range split(document, "") {
			switch f.name {
			case "apiVersion", "kind", "metadata":
			default:
				o.fields = append(o.fields, f)
			}
		}
		all = append(all, o)
	}
	return all, nil
}

var fieldName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]*):( |\n)`)

// split cuts a mapping into its fields. Each field begins with the indent and a name.
func split(text, indent string) []field {
	var all []field
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		if name := fieldName.FindStringSubmatch(strings.TrimPrefix(line, indent)); name != nil && strings.HasPrefix(line, indent) {
			all = append(all, field{name: name[1]})
		}
		if len(all) > 0 {
			all[len(all)-1].text += line
		}
	}
	return all
}

// items cuts a sequence of mappings into the fields of its items.
func items(text string) [][]field {
	var all [][]field
	_, list, _ := strings.Cut(text, "\n")
	for item := range strings.SplitSeq("\n"+list, "\n- ") {
		if strings.TrimSpace(item) != "" {
			all = append(all, split("  "+item, "  "))
		}
	}
	return all
}

// find returns the object with the same key, or nil.
func find(all []object, o object) *object {
	for i := range all {
		if all[i].key() == o.key() {
			return &all[i]
		}
	}
	return nil
}

// text returns the text of a field, or nothing if there is no such field.
func text(fields []field, name string) string {
	for _, f := range fields {
		if f.name == name {
			return f.text
		}
	}
	return ""
}
