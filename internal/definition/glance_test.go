package definition

// This file holds what is seen at a glance against what the whole reading says.

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// glanceAgrees tells whether a glance was enough. Where it was, the whole reading
// says the same.
func glanceAgrees(t *testing.T, s *v1.Stream, class *v1.StreamClass) bool {
	t.Helper()
	schema := SchemaOf(class)
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

// TestShapeAcceptsNoMoreThanTheLibrary asks both about schemas and values that are
// drawn so that they nearly fit.
func TestShapeAcceptsNoMoreThanTheLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	plain, accepted := 0, 0
	for range 4_000 {
		s, class := good(t)
		class.Spec.SecretRefs = nil
		text, err := json.Marshal(map[string]any{"type": "object", "properties": map[string]any{"source": drawSchema(r, 3)}})
		if err != nil {
			t.Fatal(err)
		}
		class.Spec.Schema.OpenAPIV3Schema = raw(string(text))
		if schema := SchemaOf(class); schema == nil || schema.shape == nil {
			continue
		}
		plain++
		for range 5 {
			s.Spec.Source = raw(drawValue(r, 3))
			if glanceAgrees(t, s, class) {
				accepted++
			}
		}
		if t.Failed() {
			return
		}
	}
	if plain < 1_000 || accepted < 1_000 {
		t.Errorf("%d schemas were plain, and %d values accepted: too few to say anything", plain, accepted)
	}
}

// The words that schemas and values are drawn from.
var (
	names = []string{"a", "b", "c"}
	texts = []string{"", "x", "xy", "xyz", "é", "1"}
)

func drawSchema(r *rand.Rand, depth int) map[string]any {
	kinds := []string{"string", "integer", "number", "boolean", "object", "array"}
	if depth == 0 {
		kinds = kinds[:4]
	}
	kind := kinds[r.IntN(len(kinds))]
	s := map[string]any{"type": kind}
	sometimes := func(key string, value any) {
		if r.IntN(4) == 0 {
			s[key] = value
		}
	}
	switch kind {
	case "string":
		sometimes("minLength", r.IntN(3))
		sometimes("maxLength", r.IntN(4))
		sometimes("pattern", "^x")
		sometimes("enum", texts[:2+r.IntN(3)])
	case "integer", "number":
		sometimes("minimum", float64(r.IntN(6)-3)/float64(1+r.IntN(2)))
		sometimes("maximum", float64(r.IntN(6)-3)/float64(1+r.IntN(2)))
	case "array":
		s["items"] = drawSchema(r, depth-1)
		sometimes("minItems", r.IntN(3))
		sometimes("maxItems", r.IntN(3))
	case "object":
		if r.IntN(3) == 0 {
			s["additionalProperties"] = drawSchema(r, depth-1)
			break
		}
		properties := map[string]any{}
		for _, name := range names[:r.IntN(4)] {
			properties[name] = drawSchema(r, depth-1)
		}
		s["properties"] = properties
		sometimes("required", slices.Clone(names[:1+r.IntN(3)]))
	}
	return s
}

func drawValue(r *rand.Rand, depth int) string {
	most := 12
	if depth == 0 {
		most = 8
	}
	switch n := r.IntN(most); {
	case n == 0:
		return []string{"null", "true", "false"}[r.IntN(3)]
	case n < 4:
		return fmt.Sprintf("%q", texts[r.IntN(len(texts))])
	case n < 7:
		return []string{"0", "1", "-1", "-2", "2", "1.5", "-0.5", "1e1", "9007199254740993", "99999999999999999999"}[r.IntN(10)]
	case n == 7:
		return `"\u0078"`
	case n < 10:
		var members []string
		for _, name := range names[:r.IntN(4)] {
			members = append(members, fmt.Sprintf("%q : %s", name, drawValue(r, depth-1)))
		}
		return "{" + strings.Join(members, " , ") + "}"
	default:
		var elements []string
		for range r.IntN(3) {
			elements = append(elements, drawValue(r, depth-1))
		}
		return "[ " + strings.Join(elements, ", ") + "]"
	}
}
