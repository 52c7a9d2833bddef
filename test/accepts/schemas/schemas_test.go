package schemas

// This file holds the catalogue against the schemas, whole and each with one limit less.

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/catalogue"
)

// world is what the tests ask about.
type world struct {
	schemas map[string]*apiextensionsv1.JSONSchemaProps
	kinds   map[string]*Kind
	cases   []*catalogue.Case
}

func enter(t *testing.T) *world {
	t.Helper()
	crds, err := Definitions("../../../config/crd/bases")
	if err != nil {
		t.Fatal(err)
	}
	k, err := catalogue.Load("../../integration/admission")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{schemas: map[string]*apiextensionsv1.JSONSchemaProps{}, kinds: map[string]*Kind{}, cases: k.Cases}
	for kind, crd := range crds {
		w.schemas[kind] = crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		if w.kinds[kind], err = KindOf(w.schemas[kind]); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// asked is a manifest as a schema is asked about it: with what it is applied over.
type asked struct {
	name, kind  string
	old, object map[string]any
	unknown     []string
}

// ask reads a case's manifest, with the defaults of the schema.
func (w *world) ask(t *testing.T, c *catalogue.Case) asked {
	t.Helper()
	kind, _ := c.Manifest["kind"].(string)
	a := asked{name: c.Name, kind: kind}
	read := func(o catalogue.Object) (map[string]any, []string) {
		object, err := Object(o)
		if err != nil {
			t.Fatal(err)
		}
		unknown := w.kinds[kind].Unknown(object)
		w.kinds[kind].Complete(object)
		return object, unknown
	}
	for _, given := range c.Given {
		if catalogue.Name(given) == catalogue.Name(c.Manifest) {
			a.old, _ = read(given)
		}
	}
	a.object, a.unknown = read(c.Manifest)
	return a
}

// refusals are what a schema says against a manifest.
func refusals(t *testing.T, k *Kind, a asked) []string {
	t.Helper()
	var all []string
	for _, e := range k.Judge(t.Context(), a.old, a.object) {
		all = append(all, e.Error())
	}
	return all
}

// TestTheDefinitionsAreValid: as the API server judges them, with what their rules in
// CEL may cost.
func TestTheDefinitionsAreValid(t *testing.T) {
	crds, err := Definitions("../../../config/crd/bases")
	if err != nil {
		t.Fatal(err)
	}
	for kind, crd := range crds {
		apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
		inner := &apiextensions.CustomResourceDefinition{}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, inner, nil); err != nil {
			t.Fatal(err)
		}
		inner.Status.StoredVersions = []string{crd.Spec.Versions[0].Name}
		for _, e := range crdvalidation.ValidateCustomResourceDefinition(t.Context(), inner) {
			t.Errorf("%s: %s", kind, e)
		}
	}
}

// alone are the words of the schema for manifests that elsewhere a defaulting webhook
// completes before it: then less is missing.
var alone = map[string]string{
	"stream without a spec":   "spec: Required value",
	"template without a spec": "spec: Required value",
	"template without a Job":  "spec.spec: Required value",
	"a Job without a pod":     "spec.spec.template: Required value",
}

// TestTheSchemasSayTheSame as the catalogue: what a schema or a rule in CEL refuses is
// refused for one reason and in the same words; what a later layer judges, or what is
// stored, comes through; and a StreamClass, which no webhook completes, is stored as
// it is said.
func TestTheSchemasSayTheSame(t *testing.T) {
	w := enter(t)
	for _, c := range w.cases {
		t.Run(c.Name, func(t *testing.T) {
			a := w.ask(t, c)
			if c.By == catalogue.Decoding {
				for _, path := range a.unknown {
					if !strings.Contains(c.Refused, fmt.Sprintf("unknown field %q", path)) {
						t.Errorf("unknown is %q, want %q", path, c.Refused)
					}
				}
				return
			}
			if len(a.unknown) > 0 {
				t.Errorf("unknown are %q", a.unknown)
			}
			var want []string
			if c.By == catalogue.Schema || c.By == catalogue.CEL {
				want = []string{cmp.Or(alone[c.Name], c.Refused)}
			}
			if got := refusals(t, w.kinds[a.kind], a); !reflect.DeepEqual(got, want) {
				t.Errorf("refused is\n%q, want\n%q", got, want)
			}
			if a.kind == v1.KindStreamClass && !c.Wrong() {
				stored, err := Object(c.Stored)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(a.object, stored) {
					t.Errorf("stored is\n%v, want\n%v", a.object, stored)
				}
			}
		})
	}
}

// unmissed are limits that nothing but another limit beside them ever meets.
var unmissed = map[string]string{
	"StreamClass spec.failureClasses[].exitCodes maxItems":     "256 different ones do not lie between 1 and 255",
	"StreamClass spec.failureClasses[].name minLength":         "an empty name does not match the pattern either; this one says so in better words",
	"StreamClass spec.completion.terminationMessage minLength": "likewise",
	"StreamPlugin spec.className minLength":                    "likewise",
	"StreamPlugin spec.image minLength":                        "likewise",
	"StreamPlugin spec.preset rule \"self == oldSelf\"":        "there is one preset, so that the enum refuses any other",
	"StreamPlugin  required spec":                              "the defaulting webhook completes it; spec.preset and spec.image are what is missing",
}

// TestEveryLimitIsMissed: taken away by itself, each limit and each rule lets a
// manifest through that is refused otherwise.
func TestEveryLimitIsMissed(t *testing.T) {
	w := enter(t)
	var wrong []asked
	for _, c := range w.cases {
		if c.By == catalogue.Schema || c.By == catalogue.CEL {
			wrong = append(wrong, w.ask(t, c))
		}
	}
	count := 0
	for kind, schema := range w.schemas {
		for i, l := range Limits(schema, catalogue.Foreign) {
			count++
			name := fmt.Sprintf("%s %s %s", kind, l.Path, l.What)
			k := without(t, schema, i)
			by := slices.IndexFunc(wrong, func(a asked) bool { return a.kind == kind && len(refusals(t, k, a)) == 0 })
			if missed := by >= 0; missed == (unmissed[name] != "") {
				t.Errorf("%s: missed: %t", name, missed)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d limits were found", count)
	}
	t.Logf("%d limits and rules", count)
}

// without is the kind of a schema less its i-th limit.
func without(t *testing.T, schema *apiextensionsv1.JSONSchemaProps, i int) *Kind {
	t.Helper()
	less := schema.DeepCopy()
	l := Limits(less, catalogue.Foreign)[i]
	l.Off()
	if reflect.DeepEqual(less, schema) {
		t.Fatalf("%s: %s could not be taken away", l.Path, l.What)
	}
	k, err := KindOf(less)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var (
	// changes are the words in which a field says what a change of it causes.
	changes = regexp.MustCompile(`(?i)chang|immutable|setting it|lowering it`)
	// absence are those in which it says what holds where it is left out.
	absence = regexp.MustCompile(`(?i)default|required|absent means`)
)

// TestEveryFieldIsExplained to a user of kubectl explain: what it means, what holds
// where it is left out, and, by itself or by a field around it, what changing it
// causes. (Of a template's Job that is left to Kubernetes.)
func TestEveryFieldIsExplained(t *testing.T) {
	count := 0
	for kind, schema := range enter(t).schemas {
		spec, status := schema.Properties["spec"], schema.Properties["status"]
		count += explained(t, kind+" spec", &spec, func(path string, s *apiextensionsv1.JSONSchemaProps, around string) {
			if !changes.MatchString(around + s.Description) {
				t.Errorf("%s does not say what changing it causes", path)
			}
			if len(s.Properties) == 0 && !absence.MatchString(s.Description) && !strings.HasSuffix(path, "Ref.name") && !strings.HasSuffix(path, "spec.apiVersion") && !strings.HasSuffix(path, "spec.kind") {
				t.Errorf("%s does not say what holds where it is left out", path)
			}
		}, schema.Description)
		count += explained(t, kind+" status", &status, func(string, *apiextensionsv1.JSONSchemaProps, string) {}, "")
	}
	if count < 80 {
		t.Errorf("only %d fields were found", count)
	}
	t.Logf("%d fields", count)
}

// explained asks about each field below one; around is what those around it say.
func explained(t *testing.T, path string, s *apiextensionsv1.JSONSchemaProps, ask func(string, *apiextensionsv1.JSONSchemaProps, string), around string) int {
	t.Helper()
	count := 0
	for name, property := range s.Properties {
		at := path + "." + name
		if count++; len(property.Description) < 10 || !strings.HasSuffix(property.Description, ".") {
			t.Errorf("%s is explained by %q", at, property.Description)
		}
		ask(at, &property, around)
		if slices.Contains([]string{"podFailurePolicy", "conditions", "metadata", "spec"}, name) {
			continue // Kubernetes' own
		}
		_, field, _ := strings.Cut(at, " ")
		if catalogue.Foreign[field] {
			continue
		}
		within := around + property.Description
		if property.Items != nil && !catalogue.Foreign[field+"[]"] {
			count += explained(t, at+"[]", property.Items.Schema, ask, within)
		}
		count += explained(t, at, &property, ask, within)
	}
	return count
}
