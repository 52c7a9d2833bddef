package catalogue

// This file proves that the catalogue holds every rule, and each in a case of its own.

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/sentences"
)

const folder = "../integration/admission"

func load(t *testing.T) *Catalogue {
	t.Helper()
	k, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestHowMany: what was promised.
func TestHowMany(t *testing.T) {
	k := load(t)
	if wrong, right := len(k.Wrong()), len(k.Right()); wrong < 120 || right < 40 {
		t.Errorf("%d wrong and %d right manifests, want at least 120 and 40", wrong, right)
	}
	t.Logf("\n%s", Summary(k.Cases))
}

// TestThePureCoreSaysTheSame: what a webhook refuses, for one reason and no other,
// so that without this reason the manifest would pass; what it warns of; and how it
// completes what is new. (What the schema completes, of a StreamClass all, is not
// asked here.) A test over a real API server says all of it again.
func TestThePureCoreSaysTheSame(t *testing.T) {
	k := load(t)
	for _, c := range k.Cases {
		var want []string
		switch {
		case c.Again != "":
			want = []string{c.Again}
		case c.By == Webhook:
			want = []string{c.Refused}
		case c.Wrong() && c.By != DryRun:
			continue // It never comes so far.
		}
		t.Run(c.Name, func(t *testing.T) {
			v, err := k.Judge(c)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range v.Errs {
				got = append(got, e.Error())
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("refused is\n%q, want\n%q", got, want)
			}
			if c.Again == "" && !reflect.DeepEqual(v.Warnings, c.Warnings) {
				t.Errorf("warnings are\n%q, want\n%q", v.Warnings, c.Warnings)
			}
			if !c.Wrong() && !c.over() && c.Manifest["kind"] != v1.KindStreamClass {
				want, err := typed(c.Stored)
				if err != nil {
					t.Fatal(err)
				}
				if !equality.Semantic.DeepEqual(v.Completed, want) {
					t.Errorf("completed is\n%+v, want\n%+v", v.Completed, want)
				}
			}
		})
	}
}

// over tells whether the manifest is applied over an object that is there.
func (c *Case) over() bool {
	for _, object := range c.Given {
		if Name(object) == Name(c.Manifest) {
			return true
		}
	}
	return false
}

// unheard are sentences of the pure core that no manifest brings about.
var unheard = map[string]string{
	"the spec is no object": "a spec that is none cannot be read as a Stream's",

	// What a stream's status says of a Job that a policy has changed, and of an exit code 0 that is
	// not believed: no admission of a kind of ours says so.
	"the controller in metadata.ownerReferences": "internal/jobspec/altered_test.go",
	"the label ":                                 "internal/jobspec/altered_test.go",
	" of its pods":                               "internal/jobspec/altered_test.go",
	"the container ":                             "internal/jobspec/altered_test.go",
	"the restartPolicy of container ":            "internal/jobspec/altered_test.go",
	" of its jobTemplate":                        "internal/jobspec/altered_test.go",
	"a limit on ephemeral-storage of the pod":    "internal/jobspec/killers_test.go",
	"a limit on ephemeral-storage of container ": "internal/jobspec/killers_test.go",
	"a sizeLimit of the emptyDir ":               "internal/jobspec/killers_test.go",
	"a livenessProbe of container ":              "internal/jobspec/killers_test.go",
	"a startupProbe of container ":               "internal/jobspec/killers_test.go",
	"a postStart hook of container ":             "internal/jobspec/killers_test.go",
}

// TestEverySentenceIsHeard: whatever the pure core can say, in a refusal or in a
// warning, some case makes it say. Each refusal is the only one of its case (see
// above), so a rule that is switched off lets its case pass.
func TestEverySentenceIsHeard(t *testing.T) {
	var heard []string
	for _, c := range load(t).Cases {
		if c.By == "" || c.By == Webhook || c.By == DryRun {
			heard = append(append(heard, c.Refused), c.Warnings...)
		}
		heard = append(heard, c.Again)
	}
	all := strings.Join(heard, "\n")
	count := 0
	for _, at := range []string{"validation", "definition", "jobspec"} {
		for _, s := range sentencesOf(t, filepath.Join("../../internal", at)) {
			count++
			if found := pattern(s.text).MatchString(all); found == (unheard[s.text] != "") {
				t.Errorf("%s: %q: heard: %t", s.at, s.text, found)
			}
		}
	}
	if count < 60 {
		t.Errorf("only %d sentences were found", count)
	}
	t.Logf("%d sentences", count)
}

// sentence is a text in the source that can be told to a user.
type sentence struct{ at, text string }

// sentencesOf are the sentences in a package's source, less what only an error or a
// panic of the program itself says.
func sentencesOf(t *testing.T, folder string) []sentence {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all []sentence
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && sentences.Inward(call) {
				return false
			}
			text, ok := n.(*ast.BasicLit)
			if !ok || text.Kind != token.STRING {
				return true
			}
			value, err := strconv.Unquote(text.Value)
			if err != nil {
				t.Fatal(err)
			}
			if sentences.Is(fieldFirst.ReplaceAllString(value, "")) {
				all = append(all, sentence{set.Position(text.Pos()).String(), value})
			}
			return true
		})
	}
	return all
}

var (
	// verb is what Printf fills in.
	verb = regexp.MustCompile(`%[a-z]`)
	// field before a sentence: of an error it stands elsewhere.
	fieldFirst = regexp.MustCompile(`^(BackfillRequest )?(%s)*(: )?(spec[a-zA-Z.]*|%s): `)
)

// pattern finds a sentence where it is told.
func pattern(text string) *regexp.Regexp {
	parts := verb.Split(fieldFirst.ReplaceAllString(text, ""), -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(strings.Join(parts, "[^\n]+"))
}

// crd is as much of a CustomResourceDefinition as is asked about here.
type crd struct {
	Spec struct {
		Names    struct{ Kind string }
		Versions []struct {
			Schema struct{ OpenAPIV3Schema *schema }
		}
	}
}

// schema is a schema's limits.
type schema struct {
	Properties           map[string]*schema
	Items                *schema
	Required             []string
	Enum                 []any
	Pattern              string
	MinLength, MaxLength *int64
	MinItems, MaxItems   *int64
	MaxProperties        *int64
	Minimum, Maximum     *float64
	ListType             string                     `json:"x-kubernetes-list-type"`
	Rules                []struct{ Message string } `json:"x-kubernetes-validations"`
}

// limit is one limit of a schema: at a path, and the words of its refusal.
type limit struct{ kind, path, words string }

// walk lists limits and rules below a path.
func (s *schema) walk(kind, path string, limits *[]limit, rules *[]string) {
	add := func(is bool, at, words string) {
		if is {
			*limits = append(*limits, limit{kind, at, words})
		}
	}
	add(s.MinLength != nil, path, "chars long")
	add(s.MaxLength != nil, path, "Too long")
	add(s.Minimum != nil, path, "greater than or equal to")
	add(s.Maximum != nil, path, "less than or equal to")
	add(s.Enum != nil, path, "Unsupported value")
	add(s.Pattern != "", path, "should match")
	add(s.MinItems != nil, path, "should have at least")
	add(s.MaxItems != nil || s.MaxProperties != nil, path, "must have at most")
	add(s.ListType == "set" || s.ListType == "map", path+"[]", "Duplicate value")
	for _, name := range s.Required {
		add(true, strings.TrimPrefix(path+"."+name, "."), "Required value")
	}
	for _, rule := range s.Rules {
		*rules = append(*rules, rule.Message)
	}
	for name, property := range s.Properties {
		at := strings.TrimPrefix(path+"."+name, ".")
		if !Foreign[at] {
			property.walk(kind, at, limits, rules)
		}
	}
	if s.Items != nil && !Foreign[path+"[]"] {
		s.Items.walk(kind, path+"[]", limits, rules)
	}
}

// unbroken are rules in CEL that no manifest breaks yet.
var unbroken = map[string]string{
	"preset is immutable; create another StreamPlugin": "there is one preset, so that the schema refuses any other",
}

// unreachable are limits that no manifest meets first.
var unreachable = map[limit]string{
	{"Stream", "spec", "Required value"}:                                    "the defaulting webhook has completed it; spec.streamClass is what is missing",
	{"StreamPlugin", "spec", "Required value"}:                              "likewise; spec.preset and spec.image are what is missing",
	{"StreamingJobTemplate", "spec", "Required value"}:                      "the defaulting webhook has completed it; the containers are what is missing",
	{"StreamingJobTemplate", "spec.spec", "Required value"}:                 "likewise",
	{"StreamingJobTemplate", "spec.spec.template", "Required value"}:        "likewise",
	{"StreamClass", "spec.failureClasses[].exitCodes", "must have at most"}: "256 different ones do not lie between 1 and 255",
}

// TestEveryLimitOfTheSchemas is met by a wrong manifest, and so is every rule in CEL.
func TestEveryLimitOfTheSchemas(t *testing.T) {
	k := load(t)
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var limits []limit
	var rules []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c crd
		if err := yaml.Unmarshal(content, &c); err != nil {
			t.Fatal(err)
		}
		for _, version := range c.Spec.Versions {
			version.Schema.OpenAPIV3Schema.walk(c.Spec.Names.Kind, "", &limits, &rules)
		}
	}
	if len(limits) < 110 || len(rules) < 13 {
		t.Errorf("only %d limits and %d rules were found", len(limits), len(rules))
	}
	for _, l := range limits {
		if met := k.meets(l); met == (unreachable[l] != "") {
			t.Errorf("%s: %s: %q: met: %t", l.kind, l.path, l.words, met)
		}
	}
	for _, rule := range rules {
		if met := k.breaks(rule); (len(met) == 0) == (unbroken[rule] == "") {
			t.Errorf("%q: cases that break it: %q", rule, met)
		}
	}
	t.Logf("%d limits, %d rules in CEL", len(limits), len(rules))
}

var index = regexp.MustCompile(`\[\d+\]`)

// meets tells whether a case is refused for a limit.
func (k *Catalogue) meets(l limit) bool {
	for _, c := range k.Wrong() {
		path, text, _ := strings.Cut(c.Refused, ": ")
		if c.By == Schema && c.Manifest["kind"] == l.kind && index.ReplaceAllString(path, "[]") == l.path && strings.Contains(text, l.words) {
			return true
		}
	}
	return false
}

// breaks are the cases that are refused by a rule in CEL.
func (k *Catalogue) breaks(rule string) []string {
	var all []string
	for _, c := range k.Wrong() {
		if c.By == CEL && strings.Contains(c.Refused, rule) {
			all = append(all, c.Name)
		}
	}
	return all
}

// TestALoaderThatIsStrict: what is misspelt or said twice is no case.
func TestALoaderThatIsStrict(t *testing.T) {
	good := "case: a\nmanifest: {kind: Stream}\nstored: {}\n"
	for _, c := range []struct{ name, text, says string }{
		{"good", good, ""},
		{"a key that is none", good + "warning: [a]\n", `unknown field "warning"`},
		{"a key twice", good + "stored: {}\n", `key "stored" already set`},
		{"a name twice", good + "---\n" + good, "have the same name"},
		{"no name", "manifest: {kind: Stream}\nstored: {}\n", "can have no such name"},
		{"no manifest", "case: a\nrefused: b\nby: schema\n", "has no manifest"},
		{"neither", "case: a\nmanifest: {kind: Stream}\n", "either refused or stored"},
		{"both", good + "refused: b\nby: schema\n", "either refused or stored"},
		{"a layer that is none", "case: a\nmanifest: {kind: Stream}\nrefused: b\nby: fate\n", "which is no layer"},
		{"again after the last", "case: a\nmanifest: {kind: Stream}\nrefused: b\nby: webhook\nagain: c\n", "nobody to say it again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"world.yaml": "kind: StreamClass\nmetadata: {name: free}\n", "cases.yaml": c.text} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(dir)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("an empty folder is a catalogue")
	}
}
