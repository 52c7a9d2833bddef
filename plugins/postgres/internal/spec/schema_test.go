package spec

// The schema in the StreamClass and the fields that are read must not drift apart.

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type schema struct {
	Properties map[string]schema `yaml:"properties"`
	MaxLength  *int              `yaml:"maxLength"`
}

func TestTheClassKnowsEveryField(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../config/class.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var class struct {
		Spec struct {
			Schema struct {
				OpenAPI schema `yaml:"openAPIV3Schema"`
			} `yaml:"schema"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(data, &class); err != nil {
		t.Fatal(err)
	}
	compare(t, "spec", reflect.TypeFor[Spec](), class.Spec.Schema.OpenAPI)
}

func compare(t *testing.T, path string, typ reflect.Type, known schema) {
	t.Helper()
	var fields, properties []string
	for index := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(index).Tag.Get("json"), ",")
		fields = append(fields, name)
		inner := typ.Field(index).Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			compare(t, path+"."+name, inner, known.Properties[name])
		}
	}
	for name, property := range known.Properties {
		// A field that may not hold anything says at admission where secrets belong.
		if property.MaxLength == nil || *property.MaxLength > 0 {
			properties = append(properties, name)
		}
	}
	slices.Sort(fields)
	slices.Sort(properties)
	if !slices.Equal(fields, properties) {
		t.Errorf("%s: the plugin reads %v, the class knows %v", path, fields, properties)
	}
}
