package definition

// This file asks which fields of a stream the schema of its class does not have.

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

const named = `{"type":"object","properties":{"source":{"type":"object","properties":{
	"table":{"type":"string"},
	"credentials":{"type":"object","properties":{"name":{"type":"string"}}},
	"columns":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}}}},
	"keys":{"type":"array","items":{"type":"string"}},
	"tags":{"type":"object","additionalProperties":{"type":"object","properties":{"value":{"type":"string"}}}},
	"labels":{"type":"object","additionalProperties":true},
	"own":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"known":{"type":"object","properties":{"a":{"type":"string"}}}}},
	"any":{"type":"object"}}}}}`

func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		name, source, sink string
		schema             string
		want               []string
	}{
		{"nothing", `{"table":"a","credentials":{"name":"b"}}`, "", named, nil},
		{"a field", `{"tabel":"a"}`, "", named, []string{"spec.source.tabel"}},
		{"in order", `{"z":1,"table":"a","b":{"c":1}}`, "", named, []string{"spec.source.b", "spec.source.z"}},
		{"below a field", `{ "credentials" : { "nam" : "b" } }`, "", named, []string{"spec.source.credentials.nam"}},
		{"in a list", `{"columns":[{"name":"a"},{"nam":"b"}]}`, "", named, []string{"spec.source.columns[1].nam"}},
		{"a list of texts", `{"keys":["a"]}`, "", named, nil},
		{"below any name", `{"tags":{"a":{"value":"b"},"c":{"valeu":"d"}}}`, "", named, []string{"spec.source.tags.c.valeu"}},
		{"any name", `{"labels":{"a":{"b":1}}}`, "", named, nil},
		{"open", `{"own":{"a":{"b":1}}}`, "", named, nil},
		{"below what is open", `{"own":{"known":{"b":"c"}}}`, "", named, []string{"spec.source.own.known.b"}},
		{"an object that names nothing", `{"any":{"a":1}}`, "", named, nil},
		{"what is of another type is told by the schema", `{"credentials":"b","columns":{"a":1},"table":{"b":1},"tags":[{"valeu":"d"}]}`, "", named, nil},
		{"a key that may be another one", `{"t\u0061ble":"a"}`, "", named, nil},
		{"a sink that the schema does not name", `{"table":"a"}`, `{"a":1}`, named, nil},
		{"what a Secret is read from", `{"login":{"pg":{"name":"a"}},"logins":{}}`, "", named, []string{"spec.source.logins"}},
		{"no schema", `{"tabel":"a"}`, "", "", nil},
		{"a schema that is none", `{"tabel":"a"}`, "", `{"type":"object","propertys":{}}`, nil},
		{"no JSON", `{"tabel":`, "", named, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			class := &v1.StreamClass{Spec: v1.StreamClassSpec{KindRef: v1.KindStream, SecretRefs: []string{"source.login.pg"}}}
			if c.schema != "" {
				class.Spec.Schema = &v1.StreamSchema{OpenAPIV3Schema: &runtime.RawExtension{Raw: []byte(c.schema)}}
			}
			s := &v1.Stream{}
			if s.Spec.Source = (&runtime.RawExtension{Raw: []byte(c.source)}); c.sink != "" {
				s.Spec.Sink = &runtime.RawExtension{Raw: []byte(c.sink)}
			}
			for _, schema := range []*Schema{nil, SchemaOf(class)} {
				if got := Unknown(s, class, schema); !slices.Equal(got, c.want) {
					t.Errorf("unknown are %q, want %q", got, c.want)
				}
			}
			class.Spec.KindRef = "PgStream"
			if got := Unknown(s, class, nil); got != nil {
				t.Errorf("of a plugin's own kind: %q", got)
			}
			if got := Unknown(s, nil, nil); got != nil {
				t.Errorf("without a class: %q", got)
			}
		})
	}
}
