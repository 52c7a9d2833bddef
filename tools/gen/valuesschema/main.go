// Command valuesschema prints the JSON Schema of a Helm chart's values, whose values are the spec of a custom resource.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: valuesschema DEFINITION")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "valuesschema:", err)
		os.Exit(1)
	}
}

// more are the values that are not in the spec.
var more = map[string]any{
	"name": map[string]any{
		"description": "Name of the StreamPlugin. The names of the installed objects derive from it. The operator gives it. Default: the name of the Helm release.",
		"type":        "string",
		"minLength":   1,
		"maxLength":   50,
		"pattern":     `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`,
	},
	"global": map[string]any{
		"description": "Helm gives it to every chart that is a part of another one. Nothing here reads it.",
		"type":        "object",
	},
}

func run(file string, out io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the definition: %w", err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties map[string]map[string]any `json:"properties"`
					} `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if len(crd.Spec.Versions) != 1 {
		return fmt.Errorf("%s has %d versions; the values can be those of one", file, len(crd.Spec.Versions))
	}
	schema, err := values(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"])
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(schema) //nolint:wrapcheck // main says whose it is
}

// values are the schema of the spec, and what a chart has besides.
func values(spec map[string]any) (map[string]any, error) {
	schema, err := convert(spec, "spec")
	if err != nil {
		return nil, err
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return nil, errors.New("spec has no fields")
	}
	for name, value := range more {
		if _, taken := properties[name]; taken {
			return nil, fmt.Errorf("spec.%s: the chart has a value of that name; rename the field", name)
		}
		properties[name] = value
	}
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	return schema, nil
}

// same are the keywords that mean the same in both kinds of schema and hold no schema.
var same = []string{
	"type", "description", "required", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
	"minimum", "maximum",
}

// left are the keywords that are left out: the API server fills defaults in, formats only tell the size of a number here, and
// no other chart reads Kubernetes' own extensions.
var left = []string{"default", "format"}

const preserve = "x-kubernetes-preserve-unknown-fields"

// convert makes a JSON Schema of a structural schema. An object that names its fields has no others: Helm would take a
// misspelt one without a word.
func convert(structural map[string]any, path string) (map[string]any, error) {
	schema := map[string]any{}
	for _, keyword := range slices.Sorted(maps.Keys(structural)) {
		value := structural[keyword]
		var err error
		switch {
		case slices.Contains(same, keyword):
			schema[keyword] = value
		case keyword == "properties":
			schema[keyword], err = each(value, path)
		case keyword == "items", keyword == "additionalProperties":
			schema[keyword], err = one(value, path+"."+keyword)
		case keyword == "anyOf":
			schema[keyword], err = alternatives(value, path)
		case slices.Contains(left, keyword), strings.HasPrefix(keyword, "x-kubernetes-"):
		default:
			err = fmt.Errorf("%s: nothing is known of the keyword %s; add it to tools/gen/valuesschema", path, keyword)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, names := schema["properties"]; names && structural[preserve] != true {
		schema["additionalProperties"] = false
	}
	return schema, nil
}

func one(value any, path string) (map[string]any, error) {
	structural, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: is no schema", path)
	}
	return convert(structural, path)
}

func each(value any, path string) (map[string]any, error) {
	fields, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: the fields are no object", path)
	}
	all := map[string]any{}
	for name, field := range fields {
		schema, err := one(field, path+"."+name)
		if err != nil {
			return nil, err
		}
		all[name] = schema
	}
	return all, nil
}

func alternatives(value any, path string) ([]any, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: the alternatives are no list", path)
	}
	var all []any
	for _, alternative := range list {
		schema, err := one(alternative, path)
		if err != nil {
			return nil, err
		}
		all = append(all, schema)
	}
	return all, nil
}
