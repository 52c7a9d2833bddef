// The page's layout: one section for each kind, one table row for each field.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// embedded is how deep a kind that holds another API's type is shown: below that it is told elsewhere.
const embedded = 2

func writeKind(page *bytes.Buffer, crd *apiextensionsv1.CustomResourceDefinition) error {
	for _, version := range crd.Spec.Versions {
		if version.Schema == nil || version.Schema.OpenAPIV3Schema == nil {
			return errors.New("a version without schema")
		}
		schema := version.Schema.OpenAPIV3Schema
		fmt.Fprintf(page, "\n## %s\n\n`%s/%s`, %s", crd.Spec.Names.Kind, crd.Spec.Group, version.Name, scope(crd))
		if short := crd.Spec.Names.ShortNames; len(short) > 0 {
			fmt.Fprintf(page, ", short name `%s`", strings.Join(short, "`, `"))
		}
		if categories := crd.Spec.Names.Categories; len(categories) > 0 {
			fmt.Fprintf(page, ", listed by `kubectl get %s`", strings.Join(categories, ","))
		}
		page.WriteString(".\n")
		if schema.Description != "" {
			fmt.Fprintf(page, "\n%s\n", strings.TrimSpace(schema.Description))
		}
		writeRules(page, schema)
		writeSelectable(page, version)
		writeFields(page, schema)
	}
	return nil
}

func scope(crd *apiextensionsv1.CustomResourceDefinition) string {
	if crd.Spec.Scope == apiextensionsv1.ClusterScoped {
		return "of the whole cluster"
	}
	return "in a namespace"
}

// writeRules tells the rules over the whole object; a field's own stand in its row.
func writeRules(page *bytes.Buffer, schema *apiextensionsv1.JSONSchemaProps) {
	if len(schema.XValidations) > 0 {
		page.WriteString("\n")
	}
	for _, rule := range schema.XValidations {
		fmt.Fprintf(page, "- %s\n", rule.Message)
	}
}

func writeSelectable(page *bytes.Buffer, version apiextensionsv1.CustomResourceDefinitionVersion) {
	paths := make([]string, 0, len(version.SelectableFields))
	for _, field := range version.SelectableFields {
		paths = append(paths, "`"+strings.TrimPrefix(field.JSONPath, ".")+"`")
	}
	if len(paths) > 0 {
		fmt.Fprintf(page, "\nField selectors: %s.\n", strings.Join(paths, ", "))
	}
}

func writeFields(page *bytes.Buffer, schema *apiextensionsv1.JSONSchemaProps) {
	depth := -1
	if embeds(schema) {
		depth = embedded
		page.WriteString("\nThe fields below these are those of Kubernetes' own Job, and carry no descriptions here " +
			"(with them the definition would be too large for `kubectl apply`): `kubectl explain job.spec`.\n")
	}
	page.WriteString("\n| field | type | meaning |\n|---|---|---|\n")
	for _, name := range names(schema) {
		if name == "apiVersion" || name == "kind" || name == "metadata" {
			continue
		}
		property := schema.Properties[name]
		writeField(page, name, &property, slices.Contains(schema.Required, name), depth)
	}
}

// embeds tells whether a kind's spec has a field that is another API's type: none of its own fields is described.
func embeds(schema *apiextensionsv1.JSONSchemaProps) bool {
	for _, field := range schema.Properties["spec"].Properties {
		described := len(field.Properties) == 0
		for _, inner := range field.Properties {
			described = described || inner.Description != ""
		}
		if !described {
			return true
		}
	}
	return false
}

// writeField writes one row and those of the fields within; depth counts down to zero, below zero it never ends.
func writeField(page *bytes.Buffer, path string, schema *apiextensionsv1.JSONSchemaProps, required bool, depth int) {
	kind := typeOf(schema)
	if required {
		kind += ", required"
	}
	fmt.Fprintf(page, "| `%s` | %s | %s |\n", path, cell(kind), cell(meaning(schema)))
	if depth == 1 {
		return
	}
	inner, suffix := within(schema)
	if inner == nil {
		return
	}
	for _, name := range names(inner) {
		property := inner.Properties[name]
		writeField(page, path+suffix+"."+name, &property, slices.Contains(inner.Required, name), depth-1)
	}
}

// within is the object whose fields come below a field, and what its path gains on the way.
func within(schema *apiextensionsv1.JSONSchemaProps) (*apiextensionsv1.JSONSchemaProps, string) {
	switch {
	case schema.Items != nil && schema.Items.Schema != nil:
		return schema.Items.Schema, "[]"
	case schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil:
		return schema.AdditionalProperties.Schema, ".*"
	case len(schema.Properties) > 0:
		return schema, ""
	default:
		return nil, ""
	}
}

func names(schema *apiextensionsv1.JSONSchemaProps) []string {
	found := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		found = append(found, name)
	}
	sort.Strings(found)
	return found
}

// cell keeps a text of any shape inside one cell of a Markdown table.
func cell(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "|", `\|`)
	text = strings.ReplaceAll(text, "\n\n", "<br>")
	return strings.ReplaceAll(text, "\n", " ")
}
