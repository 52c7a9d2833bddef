package definition

// This file holds what is seen at a glance against what the whole reading says.

import (
	"reflect"
	"strings"
	"testing"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// glanceAgrees tells whether a glance was enough. Where it was, the whole reading
// says the same.
func glanceAgrees(t *testing.T, s *v1.Stream, class *v1.StreamClass) bool {
	t.Helper()
	return agrees(t, s, class, SchemaOf(class))
}

// agrees is glanceAgrees with the class's schema.
func agrees(t *testing.T, s *v1.Stream, class *v1.StreamClass, schema *Schema) bool {
	t.Helper()
	seen, ok := Glance(s, class, schema)
	if !ok {
		return false
	}
	whole, problems := StreamProblems(s, class, schema)
	if len(problems) > 0 {
		t.Errorf("accepted at a glance: %s\nsource %s\nschema %s", problems[0].Message, s.Spec.Source, class.Spec.Schema.OpenAPIV3Schema)
	}
	if len(whole.Spec) > MaxSpecBytes {
		t.Errorf("a spec of %d bytes accepted at a glance", len(whole.Spec))
	}
	whole.Spec, whole.HashSpec = nil, nil
	if !reflect.DeepEqual(seen, whole) {
		t.Errorf("\n got %+v\nwant %+v", seen, whole)
	}
	return true
}

func TestGlanceIsEnough(t *testing.T) {
	for name, change := range map[string]func(s *v1.Stream){
		"short": func(s *v1.Stream) { s.Spec.Source = raw(`{"table":"orders","credentials":{"name":"pg"}}`) },
		"space": func(s *v1.Stream) {
			s.Spec.Source = raw(" {\n\t\"table\" : \"a , b\" , \"credentials\" : { \"name\" : \"pg\" } } ")
		},
		"escapes elsewhere": func(s *v1.Stream) {
			s.Spec.Source = raw(`{"table":"orders","query":"\"}{][,\\","credentials":{"name":"pg"}}`)
		},
		"a long text": func(s *v1.Stream) {
			s.Spec.Source = raw(`{"table":"orders","credentials":{"name":"pg"},"query":"` + strings.Repeat("x", 20_000) + `"}`)
		},
	} {
		s, class := good(t)
		if change(s); !glanceAgrees(t, s, class) {
			t.Errorf("%s: a glance was not enough", name)
		}
	}
}

func TestGlanceLeavesToTheWholeReading(t *testing.T) {
	for name, change := range map[string]func(s *v1.Stream, class *v1.StreamClass){
		"a name with an escape": func(s *v1.Stream, _ *v1.StreamClass) {
			s.Spec.Source = raw(`{"table":"orders","credentials":{"n\u0061me":"pg"}}`)
		},
		"a name that is there twice": func(s *v1.Stream, _ *v1.StreamClass) {
			s.Spec.Source = raw(`{"table":"orders","credentials":{"name":"pg","name":"other"}}`)
		},
		"a size that has to be measured": func(s *v1.Stream, _ *v1.StreamClass) {
			s.Spec.Source = raw(`{"table":"orders","credentials":{"name":"pg"},"query":"` + strings.Repeat("x", MaxSpecBytes/3) + `"}`)
		},
		"nothing":  func(s *v1.Stream, _ *v1.StreamClass) { s.Spec.Source = raw(``) },
		"null":     func(s *v1.Stream, _ *v1.StreamClass) { s.Spec.Source = raw(`null`) },
		"no JSON":  func(s *v1.Stream, _ *v1.StreamClass) { s.Spec.Source = raw(`{"table":`) },
		"a secret": func(_ *v1.Stream, class *v1.StreamClass) { class.Spec.SecretRefs = []string{"jobTemplateRef"} },
	} {
		s, class := good(t)
		if change(s, class); glanceAgrees(t, s, class) {
			t.Errorf("%s: accepted at a glance", name)
		}
	}
}

// TestShapeAcceptsNoMoreThanTheLibrary asks both about every small schema and every
// small value.
func TestShapeAcceptsNoMoreThanTheLibrary(t *testing.T) {
	s, class := good(t)
	class.Spec.SecretRefs = nil
	values := smallValues()
	plain, accepted := 0, 0
	for _, small := range smallSchemas() {
		class.Spec.Schema.OpenAPIV3Schema = raw(`{"type":"object","properties":{"source":` + small + `}}`)
		schema := SchemaOf(class)
		if schema == nil {
			t.Fatal("no schema: " + small)
		}
		if schema.shape == nil {
			continue
		}
		plain++
		for _, value := range values {
			s.Spec.Source = raw(value)
			if agrees(t, s, class, schema) {
				accepted++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d plain schemas accepted %d values", plain, accepted)
	if plain < 300 || accepted < 5_000 {
		t.Errorf("%d schemas were plain, and %d values accepted: too few to say anything", plain, accepted)
	}
}

// smallSchemas are all of a few keywords, alone, in a list and in an object.
func smallSchemas() []string {
	var leaves []string
	for _, shortest := range []string{"", `,"minLength":1`} {
		for _, longest := range []string{"", `,"maxLength":2`} {
			for _, rest := range []string{"", `,"pattern":"^x"`, `,"enum":["x","","é"]`, `,"format":"date"`} {
				leaves = append(leaves, `{"type":"string"`+shortest+longest+rest+`}`)
			}
		}
	}
	for _, kind := range []string{"integer", "number"} {
		for _, least := range []string{"", `,"minimum":-1`, `,"minimum":0.5`, `,"minimum":-1.5`} {
			for _, most := range []string{"", `,"maximum":1`, `,"maximum":1.5`, `,"maximum":-0.5`} {
				leaves = append(leaves, `{"type":"`+kind+`"`+least+most+`}`)
			}
		}
	}
	leaves = append(leaves, `{"type":"boolean"}`, `{"type":"string","nullable":true}`, `{"type":"object"}`,
		`{"type":"object","properties":{"a":{"type":"array","items":{"type":"string"}}},"required":["a"]}`)
	all := leaves
	for _, leaf := range leaves {
		for _, size := range []string{"", `,"minItems":1`, `,"maxItems":1`, `,"uniqueItems":false,"minItems":2`} {
			all = append(all, `{"type":"array","items":`+leaf+size+`}`)
		}
		for _, required := range []string{"", `,"required":["a"]`, `,"required":["b","a"]`} {
			all = append(all, `{"type":"object","properties":{"a":`+leaf+`}`+required+`}`)
		}
		all = append(all, `{"type":"object","additionalProperties":`+leaf+`}`)
	}
	return all
}

// smallValues are all of a few words, alone, in a list and in an object.
func smallValues() []string {
	leaves := []string{
		"null", "true", `""`, `"x"`, `"xyz"`, `"é"`, `"\u0078"`, "\"\xff\"", "0", "1", "-1", "2", "1.5", "-0.5", "1e1",
		"9007199254740993", "99999999999999999999", "{}", "[]", `["x"]`, `{"a":["x" , "y"]}`,
	}
	all := leaves
	for _, v := range leaves {
		all = append(all, "[ "+v+" ]", "["+v+","+v+"]", `{"a":`+v+`}`, `{ "b" : `+v+` }`, `{"\u0061":`+v+`}`)
		for _, w := range leaves[:9] {
			all = append(all, "["+w+", "+v+"]", `{"a":`+w+`,"b":`+v+`}`, `{"a":`+v+`,"a":`+w+`}`)
		}
	}
	return all
}
