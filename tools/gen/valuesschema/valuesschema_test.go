package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) (read map[string]any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func TestConvert(t *testing.T) {
	for name, c := range map[string]struct{ structural, want string }{
		"named fields allow no others": {
			`{type: object, required: [a], properties: {a: {type: string, description: An a.}}}`,
			`{type: object, required: [a], additionalProperties: false, properties: {a: {type: string, description: An a.}}}`,
		},
		"in lists and in values, too": {
			`{type: array, items: {type: object, properties: {a: {type: object, additionalProperties: {type: object, properties: {b: {type: string}}}}}}}`,
			`{type: array, items: {type: object, additionalProperties: false, properties: {a: {type: object, additionalProperties: {type: object, additionalProperties: false, properties: {b: {type: string}}}}}}}`,
		},
		"an object that keeps unknown fields allows any": {
			`{type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: string}}}`,
			`{type: object, properties: {a: {type: string}}}`,
		},
		"a quantity is a number or a text": {
			`{anyOf: [{type: integer}, {type: string}], pattern: "^[0-9]+$", x-kubernetes-int-or-string: true}`,
			`{anyOf: [{type: integer}, {type: string}], pattern: "^[0-9]+$"}`,
		},
		"Kubernetes' own extensions, formats and defaults go": {
			`{type: object, x-kubernetes-map-type: atomic, properties: {a: {type: integer, format: int32, default: 1, minimum: 0}}}`,
			`{type: object, additionalProperties: false, properties: {a: {type: integer, minimum: 0}}}`,
		},
		"fields may be called as keywords are": {
			`{type: object, properties: {format: {type: string}, default: {type: string}, items: {type: array, items: {type: string}}}}`,
			`{type: object, additionalProperties: false, properties: {format: {type: string}, default: {type: string}, items: {type: array, items: {type: string}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := convert(object(t, c.structural), "spec")
			if err != nil {
				t.Fatal(err)
			}
			if want := object(t, c.want); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestAnUnknownKeywordIsNoticed: one that is left out would be a check that never happens.
func TestAnUnknownKeywordIsNoticed(t *testing.T) {
	_, err := convert(object(t, `{type: object, properties: {a: {type: string, not: {enum: [b]}}}}`), "spec")
	if err == nil || !strings.Contains(err.Error(), "spec.a: nothing is known of the keyword not") {
		t.Error(err)
	}
}

func TestTheChartsOwnValues(t *testing.T) {
	if _, err := values(object(t, `{type: object, properties: {name: {type: string}}}`)); err == nil || !strings.Contains(err.Error(), "spec.name") {
		t.Errorf("a field of the name of a value: %v", err)
	}
	if _, err := values(object(t, `{type: object}`)); err == nil {
		t.Error("a spec without fields is taken")
	}
}

// TestTheDefinition: the one that this is for.
func TestTheDefinition(t *testing.T) {
	var out strings.Builder
	if err := run("../../../config/crd/bases/streaming.sneaksanddata.com_streamplugins.yaml", &out); err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Schema     string                     `json:"$schema"`
		Required   []string                   `json:"required"`
		Properties map[string]json.RawMessage `json:"properties"`
		Additional bool                       `json:"additionalProperties"`
	}
	if err := json.Unmarshal([]byte(out.String()), &schema); err != nil {
		t.Fatal(err)
	}
	if schema.Schema != "http://json-schema.org/draft-07/schema#" || schema.Additional || !reflect.DeepEqual(schema.Required, []string{"image", "preset"}) {
		t.Errorf("%+v", schema)
	}
	for _, name := range []string{"name", "preset", "schema"} {
		if schema.Properties[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if strings.Contains(out.String(), "x-kubernetes") {
		t.Error("an extension of Kubernetes is left")
	}
}
