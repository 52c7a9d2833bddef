package main

// This file describes the fields of a kind for consoles: https://github.com/openshift/console/blob/main/frontend/packages/operator-lifecycle-manager/src/components/descriptors/reference/reference.md

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// The descriptors that consoles know.
const (
	console    = "urn:alm:descriptor:com.tectonic.ui:"
	kubernetes = "urn:alm:descriptor:io.kubernetes:"
)

// hints override what follows from a type of a field.
type hints map[string]string

// specHints are by the field's path below spec.
var specHints = hints{
	"streamClass":        kubernetes + "StreamClass",
	"suspended":          console + "booleanSwitch",
	"resources":          console + "resourceRequirements",
	"backfillResources":  console + "resourceRequirements",
	"serviceAccountName": kubernetes + "ServiceAccount",
}

// statusHints are by the field's path below status.
var statusHints = hints{
	"conditions": "urn:alm:descriptor:io.kubernetes.conditions",
	"phase":      "urn:alm:descriptor:io.kubernetes.phase",
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
		all[crd.Name] = crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	return all, nil
}

// descriptorsOf describes the fields below one, in the order of their paths. It descends as far as the fields have descriptions:
// those of another API's type, such as a pod's, have none.
func descriptorsOf(top apiextensionsv1.JSONSchemaProps, by hints) []any {
	all := []any{}
	var walk func(schema apiextensionsv1.JSONSchemaProps, prefix string)
	walk = func(schema apiextensionsv1.JSONSchemaProps, prefix string) {
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			field := schema.Properties[name]
			if field.Description == "" {
				continue
			}
			path := prefix + name
			descriptor := map[string]any{"path": path, "displayName": words(name), "description": firstSentence(field.Description)}
			if known := cmp.Or(by[path], ofType(field)); known != "" {
				descriptor["x-descriptors"] = []any{known}
			}
			all = append(all, descriptor)
			if by[path] != "" {
				continue
			}
			walk(field, path+".")
			if field.Items != nil && field.Items.Schema != nil {
				walk(*field.Items.Schema, path+"[0].")
			}
		}
	}
	walk(top, "")
	return all
}

// ofType is how a console edits a field of that type; empty where it has nothing of its own for it.
func ofType(field apiextensionsv1.JSONSchemaProps) string {
	switch field.Type {
	case "boolean":
		return console + "booleanSwitch"
	case "integer", "number":
		return console + "number"
	case "string":
		return console + "text"
	default:
		return ""
	}
}
