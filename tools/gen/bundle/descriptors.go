package main

// This file describes the fields of a kind for consoles: https://github.com/openshift/console/blob/main/frontend/packages/operator-lifecycle-manager/src/components/descriptors/reference/reference.md

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// The descriptors that consoles know.
const (
	console    = "urn:alm:descriptor:com.tectonic.ui:"
	kubernetes = "urn:alm:descriptor:io.kubernetes:"
	ours       = kubernetes + "streaming.sneaksanddata.com:v1:"
	hidden     = console + "hidden"
)

// part is what one half of an object needs: spec, which consoles edit, or status, which they show.
type part struct {
	// known overrides, by the field's path, what follows from its type.
	known map[string]string
	// ofType is how a console handles a field of that type; none where it has nothing of its own for it.
	ofType func(field apiextensionsv1.JSONSchemaProps) []string
	// lists: whether the fields of a list's entries are described. A console would show the first entry alone, which in a status
	// is the oldest one.
	lists bool
	// skipped are fields that mean nothing to their reader.
	skipped func(name string) bool
}

// specPart is what users set.
var specPart = part{
	known: map[string]string{
		"streamClass":                 ours + "StreamClass",
		"jobTemplateRef.name":         ours + "StreamingJobTemplate",
		"backfillJobTemplateRef.name": ours + "StreamingJobTemplate",
		"streaming.resources":         console + "resourceRequirements",
		"backfill.resources":          console + "resourceRequirements",
		"imagePullPolicy":             console + "imagePullPolicy",
		"imagePullSecrets[0].name":    kubernetes + "Secret",
		"completed":                   hidden, // The operator sets it.
	},
	ofType: edited, lists: true, skipped: func(string) bool { return false },
}

// statusPart is what the operator writes.
var statusPart = part{
	known: map[string]string{
		"conditions": "urn:alm:descriptor:io.kubernetes.conditions",
		"phase":      "urn:alm:descriptor:io.kubernetes.phase",
	},
	ofType: shown,
	skipped: func(name string) bool {
		return strings.HasSuffix(name, "UID") || strings.HasSuffix(name, "Hash") || name == "uid" || name == "lastDecision"
	},
}

// readDefinitions reads the schemas by the names of the definitions.
func readDefinitions(folder string) (map[string]*apiextensionsv1.JSONSchemaProps, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list definitions: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("no definitions in " + folder)
	}
	all := map[string]*apiextensionsv1.JSONSchemaProps{}
	for _, file := range files {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := readYAML(file, &crd); err != nil {
			return nil, err
		}
		if len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Schema == nil {
			return nil, fmt.Errorf("%s is no definition of one version with a schema", file)
		}
		all[crd.Name] = crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	return all, nil
}

// describe describes the fields below one, in the order of their paths. It descends as far as the fields have descriptions:
// those of another API's type, such as a pod's, have none.
func (p part) describe(top apiextensionsv1.JSONSchemaProps) []any {
	all := []any{}
	var walk func(schema apiextensionsv1.JSONSchemaProps, path, title string)
	walk = func(schema apiextensionsv1.JSONSchemaProps, above, title string) {
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			field := schema.Properties[name]
			if field.Description == "" || p.skipped(name) {
				continue
			}
			path, title := above+name, titled(title, name)
			descriptor := map[string]any{"path": path, "displayName": title, "description": firstSentence(field.Description)}
			known := p.known[path]
			if kinds := p.ofType(field); known != "" {
				descriptor["x-descriptors"] = []string{known}
			} else if len(kinds) > 0 {
				descriptor["x-descriptors"] = kinds
			}
			all = append(all, descriptor)
			if strings.HasSuffix(known, "resourceRequirements") {
				continue // One widget edits all of it.
			}
			walk(field, path+".", title)
			if p.lists && field.Items != nil && field.Items.Schema != nil {
				walk(*field.Items.Schema, path+"[0].", title)
			}
		}
	}
	walk(top, "", "")
	return all
}

// titled is a field's title, which begins with that of the field above it: "Name" alone says little.
func titled(above, name string) string {
	own := displayName(name)
	if above == "" {
		return own
	}
	first, rest, _ := strings.Cut(own, " ")
	if first != strings.ToUpper(first) {
		first = strings.ToLower(first)
	}
	return strings.TrimSpace(above + " " + first + " " + rest)
}

// edited is how a console edits a field of that type.
func edited(field apiextensionsv1.JSONSchemaProps) []string {
	switch {
	case len(field.Enum) > 0:
		var choices []string
		for _, value := range field.Enum {
			choices = append(choices, console+"select:"+strings.Trim(string(value.Raw), `"`))
		}
		return choices
	case field.Type == "boolean":
		return []string{console + "booleanSwitch"}
	case field.Type == "integer" || field.Type == "number":
		return []string{console + "number"}
	case field.Type == "string":
		return []string{console + "text"}
	default:
		return nil
	}
}

// shown is how a console shows a field of that type.
func shown(field apiextensionsv1.JSONSchemaProps) []string {
	if field.Type == "string" {
		return []string{"urn:alm:descriptor:text"}
	}
	return nil
}
