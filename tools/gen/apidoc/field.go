// What a schema says of one field, in words: its type, its meaning, and what the API server checks.
package main

import (
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func typeOf(schema *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case len(schema.Enum) > 0:
		values := make([]string, 0, len(schema.Enum))
		for _, value := range schema.Enum {
			values = append(values, "`"+strings.Trim(string(value.Raw), `"`)+"`")
		}
		return strings.Join(values, " | ")
	case schema.XIntOrString:
		return "integer or string"
	case schema.Items != nil && schema.Items.Schema != nil:
		return "list of " + typeOf(schema.Items.Schema)
	case schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil:
		return "map to " + typeOf(schema.AdditionalProperties.Schema)
	case schema.Type == "object" && len(schema.Properties) == 0:
		return "free object"
	case schema.Format == "date-time":
		return "time"
	case schema.Type == "":
		return "any value"
	default:
		return schema.Type
	}
}

func meaning(schema *apiextensionsv1.JSONSchemaProps) string {
	parts := []string{strings.TrimSpace(schema.Description)}
	if schema.Default != nil {
		parts = append(parts, fmt.Sprintf("Default: `%s`.", schema.Default.Raw))
	}
	if limits := limits(schema); limits != "" {
		parts = append(parts, limits)
	}
	for _, rule := range schema.XValidations {
		parts = append(parts, "Checked: "+rule.Message+".")
	}
	return strings.TrimSpace(strings.Join(parts, "\n\n"))
}

func limits(schema *apiextensionsv1.JSONSchemaProps) string {
	var found []string
	add := func(format string, limit *int64) {
		if limit != nil {
			found = append(found, fmt.Sprintf(format, *limit))
		}
	}
	add("at least %d characters", schema.MinLength)
	add("at most %d characters", schema.MaxLength)
	add("at least %d entries", schema.MinItems)
	add("at most %d entries", schema.MaxItems)
	add("at most %d keys", schema.MaxProperties)
	if schema.Minimum != nil {
		found = append(found, fmt.Sprintf("at least %v", *schema.Minimum))
	}
	if schema.Maximum != nil {
		found = append(found, fmt.Sprintf("at most %v", *schema.Maximum))
	}
	if schema.Pattern != "" {
		found = append(found, "matches `"+schema.Pattern+"`")
	}
	if len(found) == 0 {
		return ""
	}
	return "Limits: " + strings.Join(found, ", ") + "."
}
