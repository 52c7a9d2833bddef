package definition

// This file checks a stream's {source, sink} against the schema of its class.

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	openapierrors "k8s.io/kube-openapi/pkg/validation/errors"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

const schemaField = "spec.schema.openAPIV3Schema"

// Schema is the schema of a class, ready to be asked; by many at once.
type Schema struct {
	validator *validate.SchemaValidator
	// shape is nil where the schema is more than plain.
	shape *shape
	// fields that it names.
	fields *fields
}

// SchemaOf reads the schema of a class; nil where it has none, or one that cannot be read.
func SchemaOf(class *v1.StreamClass) *Schema {
	schema, _ := compile(class)
	return schema
}

// compile reads the schema of a class; nil without a problem where it has none.
func compile(class *v1.StreamClass) (*Schema, []*Problem) {
	if class.Spec.Schema == nil || class.Spec.Schema.OpenAPIV3Schema == nil {
		return nil, nil
	}
	invalid := func(path, text string) []*Problem {
		return []*Problem{classProblem(class, v1.ReasonSchemaInvalid, path, text)}
	}
	props := apiextensionsv1.JSONSchemaProps{}
	// Strict: a misspelt keyword would be a check that never happens.
	reader := json.NewDecoder(bytes.NewReader(class.Spec.Schema.OpenAPIV3Schema.Raw))
	reader.DisallowUnknownFields()
	err := reader.Decode(&props)
	var raw any
	if err == nil {
		err = json.Unmarshal(class.Spec.Schema.OpenAPIV3Schema.Raw, &raw)
	}
	if err != nil {
		return nil, invalid(schemaField, "cannot be read as a schema: "+oneLine(err.Error()))
	}
	if path, text := misspelt(raw, schemaField); path != "" {
		return nil, invalid(path, text)
	}
	inner := apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&props, &inner, nil); err != nil {
		return nil, invalid(schemaField, "cannot be read as a schema: "+oneLine(err.Error()))
	}
	s, err := structural.NewStructural(&inner)
	if err != nil {
		return nil, invalid(schemaField, "must be structural, as in a CustomResourceDefinition: "+oneLine(err.Error()))
	}
	if list := structural.ValidateStructural(field.NewPath("spec", "schema", "openAPIV3Schema"), s); len(list) > 0 {
		var all []*Problem
		for _, e := range list {
			all = append(all, invalid(e.Field, "must be structural, as in a CustomResourceDefinition: "+e.ErrorBody())...)
		}
		return nil, all
	}
	if path, text := unusable(s, schemaField); path != "" {
		return nil, invalid(path, text)
	}
	return &Schema{validator: validate.NewSchemaValidator(s.ToKubeOpenAPI(), nil, "", strfmt.Default), shape: shapeOf(s), fields: fieldsOf(s)}, nil
}

// schemaTypes are those of OpenAPI v3. Kubernetes too refuses others in a CustomResourceDefinition.
var schemaTypes = []string{"array", "boolean", "integer", "number", "object", "string"}

// unusable is the path of the first keyword that no stream could be checked by, and why. A rule in CEL that looks as if
// it were checked and is not would be worse than none. (Where a schema may be structural, such rules stand in no other
// places than these.)
func unusable(s *structural.Structural, path string) (at, why string) {
	if s == nil {
		return "", ""
	}
	if len(s.XValidations) > 0 {
		return path + ".x-kubernetes-validations", "rules in CEL are not evaluated here; remove them and let the plugin check"
	}
	if s.Type != "" && !slices.Contains(schemaTypes, s.Type) {
		return path + ".type", fmt.Sprintf("%q is no type; use one of: %s", s.Type, strings.Join(schemaTypes, ", "))
	}
	if at, why := unusable(s.Items, path+".items"); at != "" {
		return at, why
	}
	if s.AdditionalProperties != nil {
		if at, why := unusable(s.AdditionalProperties.Structural, path+".additionalProperties"); at != "" {
			return at, why
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if at, why := unusable(ptr.To(s.Properties[name]), fmt.Sprintf("%s.properties[%s]", path, name)); at != "" {
			return at, why
		}
	}
	return "", ""
}

// violations are what a class's schema says against the source and sink of a stream.
func violations(schema *Schema, spec map[string]any) []finding {
	if schema == nil {
		return nil
	}
	value := map[string]any{}
	for _, key := range []string{"source", "sink"} {
		if v, ok := spec[key]; ok {
			value[key] = plainNumbers(v)
		}
	}
	result := schema.validator.Validate(value)
	if result.IsValid() {
		return nil
	}
	return findings(result.Errors)
}

// violationProblem is one Problem of all of them; there is at least one.
func violationProblem(class *v1.StreamClass, list []finding) *Problem {
	texts := make([]string, len(list))
	for i, f := range list {
		texts[i] = f.path + ": " + f.text
	}
	return &Problem{
		Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: list[0].path,
		Message: fmt.Sprintf("%s (as the schema of StreamClass %s asks)", strings.Join(shorten(texts), "; "), class.Name),
	}
}

// finding is one violation: where, and what.
type finding struct{ path, text string }

// findings are the violations in a stable order, each once. What names no field
// only repeats what another one says, and is kept where it stands alone.
func findings(list []error) []finding {
	var all []finding
	for _, err := range list {
		var v *openapierrors.Validation
		if errors.As(err, &v) {
			all = append(all, finding{path: join("spec", v.Name), text: told(v)})
		}
	}
	if len(all) == 0 {
		return []finding{{path: "spec", text: oneLine(list[0].Error())}}
	}
	slices.SortFunc(all, func(a, b finding) int {
		return cmp.Or(strings.Compare(a.path, b.path), strings.Compare(a.text, b.text))
	})
	return slices.Compact(all)
}

// told is the violation without the words "in body", which belong to a web form.
func told(v *openapierrors.Validation) string {
	text := oneLine(v.Error())
	if _, after, ok := strings.Cut(text, " in body "); ok {
		return after
	}
	return text
}

func join(path, below string) string {
	below = strings.Trim(below, ".")
	if below == "" {
		return path
	}
	return path + "." + below
}

// shorten keeps a message within what a condition can hold.
func shorten(texts []string) []string {
	const most = 5
	if len(texts) <= most {
		return texts
	}
	return append(slices.Clone(texts[:most]), fmt.Sprintf("and %d more", len(texts)-most))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
