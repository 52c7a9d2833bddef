package definition

// This file finds what is no keyword of a schema. Go's reader of JSON takes "maxlength" for "maxLength", and does not look at
// keywords below items and additionalProperties: a misspelt keyword would be a check that never happens, and one in other
// letters would take the place of the right one.

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// keywords are those that Kubernetes knows.
var keywords = func() map[string]bool {
	known := map[string]bool{}
	for f := range reflect.TypeFor[apiextensionsv1.JSONSchemaProps]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
	}
	return known
}()

// misspelt is the path of the first key that stands where a keyword must, and is none, and what it may have meant.
func misspelt(schema any, path string) (at, why string) {
	fields, ok := schema.(map[string]any)
	if !ok {
		return "", "" // A boolean, or what the reader refuses.
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !keywords[key] {
			return path + "." + key, "is no keyword of a schema" + meant(key)
		}
		if at, why := misspeltBelow(key, fields[key], path+"."+key); at != "" {
			return at, why
		}
	}
	return "", ""
}

// misspeltBelow looks into the schemas that a keyword holds.
func misspeltBelow(keyword string, value any, path string) (at, why string) {
	switch keyword {
	case "properties", "patternProperties", "definitions", "dependencies":
		named, _ := value.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(named)) {
			if at, why := misspelt(named[name], fmt.Sprintf("%s[%s]", path, name)); at != "" {
				return at, why
			}
		}
	case "items", "additionalItems", "additionalProperties", "not", "allOf", "anyOf", "oneOf":
		listed, ok := value.([]any)
		if !ok {
			return misspelt(value, path)
		}
		for i, one := range listed {
			if at, why := misspelt(one, fmt.Sprintf("%s[%d]", path, i)); at != "" {
				return at, why
			}
		}
	}
	return "", ""
}

// meant is the keyword that differs in capitals only.
func meant(key string) string {
	for _, name := range slices.Sorted(maps.Keys(keywords)) {
		if strings.EqualFold(name, key) {
			return "; write " + name
		}
	}
	return "; remove it or correct it"
}
