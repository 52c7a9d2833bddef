package schemas

// This file finds the limits and the rules of a schema, each with the way to take it away.

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// Limit is one limit or one rule of a schema.
type Limit struct {
	// Path of the field, and What of it is limited: a keyword, or a rule's text.
	Path, What string
	// Off takes the limit out of the schema that it was found in.
	Off func()
}

// Limits are those of a schema, in a stable order. Nothing is looked for at the paths
// of foreign.
func Limits(schema *apiextensionsv1.JSONSchemaProps, foreign map[string]bool) []Limit {
	f := &finder{foreign: foreign}
	return f.below(schema, "")
}

type finder struct{ foreign map[string]bool }

func (f *finder) below(s *apiextensionsv1.JSONSchemaProps, path string) []Limit {
	all := own(s, path)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		at := strings.TrimPrefix(path+"."+name, ".")
		if f.foreign[at] {
			continue
		}
		property := s.Properties[name]
		all = append(all, written(f.below(&property, at), func() { s.Properties[name] = property })...)
	}
	if s.Items != nil && s.Items.Schema != nil && !f.foreign[path+"[]"] {
		all = append(all, f.below(s.Items.Schema, path+"[]")...)
	}
	return all
}

// written are the limits of a copy, which is written back where one is taken away.
func written(limits []Limit, back func()) []Limit {
	for i, l := range limits {
		limits[i].Off = func() { l.Off(); back() }
	}
	return limits
}

// own are the limits of a field itself.
func own(s *apiextensionsv1.JSONSchemaProps, path string) []Limit {
	var all []Limit
	add := func(is bool, what string, off func()) {
		if is {
			all = append(all, Limit{path, what, off})
		}
	}
	add(s.MinLength != nil, "minLength", func() { s.MinLength = nil })
	add(s.MaxLength != nil, "maxLength", func() { s.MaxLength = nil })
	add(s.Minimum != nil, "minimum", func() { s.Minimum = nil })
	add(s.Maximum != nil, "maximum", func() { s.Maximum = nil })
	add(s.Enum != nil, "enum", func() { s.Enum = nil })
	add(s.Pattern != "", "pattern", func() { s.Pattern = "" })
	add(s.MinItems != nil, "minItems", func() { s.MinItems = nil })
	add(s.MaxItems != nil, "maxItems", func() { s.MaxItems = nil })
	add(s.MaxProperties != nil, "maxProperties", func() { s.MaxProperties = nil })
	list := s.XListType
	add(list != nil && *list != "atomic", "listType", func() { s.XListType, s.XListMapKeys = nil, nil })
	for _, name := range s.Required {
		add(true, "required "+name, func() {
			s.Required = slices.DeleteFunc(slices.Clone(s.Required), func(other string) bool { return other == name })
		})
	}
	for i, rule := range s.XValidations {
		add(true, fmt.Sprintf("rule %q", rule.Rule), func() { s.XValidations = slices.Delete(slices.Clone(s.XValidations), i, i+1) })
	}
	return all
}
