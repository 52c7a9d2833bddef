package definition

// This file tests what is read from a Stream: golden files for whole values, a table for what is wrong.

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/page"
)

var update = flag.Bool("update", false, "write the golden files anew")

// load reads a Stream and a StreamClass out of one file; either may be missing.
func load(t *testing.T, file string) (*v1.Stream, *v1.StreamClass) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var stream *v1.Stream
	var class *v1.StreamClass
	for _, document := range bytes.Split(content, []byte("\n---\n")) {
		kind := struct {
			Kind string `json:"kind"`
		}{}
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case v1.KindStream:
			stream = &v1.Stream{}
			err = yaml.UnmarshalStrict(document, stream)
		case v1.KindStreamClass:
			class = &v1.StreamClass{}
			err = yaml.UnmarshalStrict(document, class)
		default:
			t.Fatalf("%s: unexpected kind %q", file, kind.Kind)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return stream, class
}

// view is a Definition as a page to read.
func view(d Definition) map[string]any {
	fields := map[string]any{}
	v := reflect.ValueOf(d)
	for i := range v.NumField() {
		value := v.Field(i).Interface()
		if raw, ok := value.([]byte); ok {
			value = string(raw)
		}
		fields[v.Type().Field(i).Name] = value
	}
	return fields
}

func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.input.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".input.yaml")
		t.Run(name, func(t *testing.T) {
			stream, class := load(t, input)
			d, p := FromStream(stream, class, nil)
			got, err := yaml.Marshal(map[string]any{"definition": view(d), "problem": p})
			if err != nil {
				t.Fatal(err)
			}
			page.HoldWhole(t, filepath.Join("testdata", name+".golden.yaml"), string(got), *update)
		})
	}
}

// good is a stream and a class without a problem.
func good(t *testing.T) (*v1.Stream, *v1.StreamClass) {
	t.Helper()
	return load(t, "testdata/full.input.yaml")
}

func raw(s string) *runtime.RawExtension { return &runtime.RawExtension{Raw: []byte(s)} }

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass
		want   *Problem
	}{
		"nothing wrong": {
			change: func(_ *v1.Stream, c *v1.StreamClass) *v1.StreamClass { return c },
		},
		"class missing": {
			change: func(_ *v1.Stream, _ *v1.StreamClass) *v1.StreamClass { return nil },
			want: &Problem{
				v1.ReasonClassNotFound, "Stream", "spec.streamClass",
				"spec.streamClass: there is no StreamClass postgres; install the plugin that brings it",
			},
		},
		"class of a plugin's own kind": {
			change: func(_ *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				c.Spec.KindRef, c.Spec.APIGroupRef = "SqlServerStream", "streaming.example.com"
				return c
			},
			want: &Problem{
				v1.ReasonClassKind, "Stream", "spec.streamClass",
				`spec.streamClass: StreamClass postgres is for kind SqlServerStream of group "streaming.example.com", not for Streams; create the stream as that kind, or with another class`,
			},
		},
		"class of a foreign kind that is called Stream too": {
			change: func(_ *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				c.Spec.APIGroupRef = "example.com"
				return c
			},
			want: &Problem{
				v1.ReasonClassKind, "Stream", "spec.streamClass",
				`spec.streamClass: StreamClass postgres is for kind Stream of group "example.com", not for Streams; create the stream as that kind, or with another class`,
			},
		},
		"class that is itself wrong": {
			change: func(_ *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				c.Spec.FailureClasses[1].ExitCodes = []int32{143}
				return c
			},
			want: &Problem{
				v1.ReasonClassNotReady, "StreamClass", "spec.failureClasses[1].exitCodes[0]",
				`StreamClass postgres: spec.failureClasses[1].exitCodes[0]: 143 belongs to "graceful" already; an exit code can mean only one thing, remove it from one of the two`,
			},
		},
		"template elsewhere": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				s.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "kube-system", Name: "root"}
				return c
			},
			want: &Problem{
				v1.ReasonTemplateForbidden, "Stream", "spec.jobTemplateRef.namespace",
				"spec.jobTemplateRef.namespace: StreamingJobTemplate kube-system/root lies in another namespace, which StreamClass postgres does not allow; " +
					"use a template in namespace sales, or have kube-system added to the class's spec.allowedTemplateNamespaces",
			},
		},
		"backfill's template elsewhere": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				s.Spec.BackfillJobTemplateRef = &v1.TemplateReference{Namespace: "kube-system", Name: "root"}
				return c
			},
			want: &Problem{
				v1.ReasonTemplateForbidden, "Stream", "spec.backfillJobTemplateRef.namespace",
				"spec.backfillJobTemplateRef.namespace: StreamingJobTemplate kube-system/root lies in another namespace, which StreamClass postgres does not allow; " +
					"use a template in namespace sales, or have kube-system added to the class's spec.allowedTemplateNamespaces",
			},
		},
		"template elsewhere that the class allows": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				c.Spec.AllowedTemplateNamespaces = []string{"templates"}
				s.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "templates", Name: "any"}
				return c
			},
		},
		"template elsewhere that the class names itself": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				s.Spec.JobTemplateRef = c.Spec.BackfillJobTemplateRef
				return c
			},
		},
		"another template beside the one that the class names": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				s.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "arcane", Name: "other"}
				return c
			},
			want: &Problem{
				v1.ReasonTemplateForbidden, "Stream", "spec.jobTemplateRef.namespace",
				"spec.jobTemplateRef.namespace: StreamingJobTemplate arcane/other lies in another namespace, which StreamClass postgres does not allow; " +
					"use a template in namespace sales, or have arcane added to the class's spec.allowedTemplateNamespaces",
			},
		},
		"secret missing": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				s.Spec.Source = raw(`{"table":"orders"}`)
				return c
			},
			want: &Problem{
				v1.ReasonSpecInvalid, "Stream", "spec.source.credentials.name",
				"spec.source.credentials.name: is missing; set it to the name of the Secret with the plugin's credentials (StreamClass postgres reads a Secret from there)",
			},
		},
		"secret is no object": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				c.Spec.Schema = nil
				s.Spec.Source = raw(`{"credentials":"pg"}`)
				return c
			},
			want: &Problem{
				v1.ReasonSpecInvalid, "Stream", "spec.source.credentials.name",
				"spec.source.credentials.name: must lie in an object of the form {name: ...}; write it so (StreamClass postgres reads a Secret from there)",
			},
		},
		"secret's name is no string": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				c.Spec.Schema = nil
				s.Spec.Source = raw(`{"credentials":{"name":7}}`)
				return c
			},
			want: &Problem{
				v1.ReasonSpecInvalid, "Stream", "spec.source.credentials.name",
				"spec.source.credentials.name: must be the name of a Secret in the stream's namespace (StreamClass postgres reads a Secret from there)",
			},
		},
		"schema violated": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				s.Spec.Source = raw(`{"table":"","chunkRows":0,"credentials":{"name":"pg"}}`)
				s.Spec.Sink = nil
				return c
			},
			want: &Problem{
				v1.ReasonSpecInvalid, "Stream", "spec.sink",
				"spec.sink: is required; spec.source.chunkRows: should be greater than or equal to 1; spec.source.table: should be at least 1 chars long (as the schema of StreamClass postgres asks)",
			},
		},
		"too large": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				c.Spec.Schema = nil
				s.Spec.Source = raw(`{"credentials":{"name":"pg"},"x":"` + strings.Repeat("x", MaxSpecBytes) + `"}`)
				return c
			},
			want: &Problem{
				v1.ReasonSpecInvalid, "Stream", "spec",
				"spec: is 98628 bytes of JSON, and a job can be given at most 98304; make it smaller",
			},
		},
		"unreadable": {
			change: func(s *v1.Stream, c *v1.StreamClass) *v1.StreamClass {
				s.Spec.Source = raw(`{`)
				return c
			},
			want: &Problem{
				v1.ReasonSpecInvalid, "Stream", "spec",
				"spec: write as JSON: json: error calling MarshalJSON for type *runtime.RawExtension: unexpected end of JSON input; correct it",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, class := good(t)
			class = c.change(s, class)
			d, got := FromStream(s, class, nil)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("problem\n got %+v\nwant %+v", got, c.want)
			}
			if who := identity(s); d.Name != who.Name || d.UID != who.UID || d.Suspended != who.Suspended || d.Class != who.Class {
				t.Errorf("a problem hides who the stream is: %+v", d)
			}
		})
	}
}

// TestHashSpec says which changes make a job another job.
func TestHashSpec(t *testing.T) {
	s, class := good(t)
	before, p := FromStream(s, class, nil)
	if p != nil {
		t.Fatal(p)
	}
	for name, c := range map[string]struct {
		change func(s *v1.Stream)
		same   bool
	}{
		"suspended":             {func(s *v1.Stream) { s.Spec.Suspended = true }, true},
		"restart":               {func(s *v1.Stream) { s.Spec.Restart = nil }, true},
		"backfill":              {func(s *v1.Stream) { s.Spec.Backfill = nil }, true},
		"template of backfills": {func(s *v1.Stream) { s.Spec.BackfillJobTemplateRef = &v1.TemplateReference{Name: "x"} }, true},
		"labels and status":     {func(s *v1.Stream) { s.Labels = map[string]string{"a": "b"}; s.Status.Runs = 7; s.ResourceVersion = "9" }, true},
		"order of keys": {func(s *v1.Stream) {
			s.Spec.Source = raw(`{"credentials": {"name": "pg"}, "chunkRows": 12345678901234567890, "table": "orders"}`)
		}, true},
		"a default policy": {func(s *v1.Stream) { mark(s, policy(1)) }, true},
		"a policy that was the default and is not any more": {func(s *v1.Stream) {
			mark(s, policy(1))
			s.Spec.PodFailurePolicy.Rules[0].Action = batchv1.PodFailurePolicyActionIgnore
		}, false},
		"a policy of the user's own": {func(s *v1.Stream) { s.Spec.PodFailurePolicy = policy(2) }, false},
		"source":                     {func(s *v1.Stream) { s.Spec.Source = raw(`{"table":"other","credentials":{"name":"pg"}}`) }, false},
		"a large number's last digit": {func(s *v1.Stream) {
			s.Spec.Source = raw(`{"table":"orders","chunkRows":12345678901234567891,"credentials":{"name":"pg"}}`)
		}, false},
		"sink": {func(s *v1.Stream) { s.Spec.Sink = raw(`{"url":"file:///other"}`) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, class := good(t)
			c.change(s)
			after, p := FromStream(s, class, nil)
			if p != nil {
				t.Fatal(p)
			}
			if same := bytes.Equal(before.HashSpec, after.HashSpec); same != c.same {
				t.Errorf("same = %v\nbefore %s\nafter  %s", same, before.HashSpec, after.HashSpec)
			}
			if old, _ := good(t); SameHashSpec(old, s) != c.same {
				t.Error("SameHashSpec says otherwise")
			}
		})
	}
}

func policy(code int32) *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action: batchv1.PodFailurePolicyActionFailJob,
		OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{code},
		},
	}}}
}

// mark does what the defaulting webhook does.
func mark(s *v1.Stream, p *batchv1.PodFailurePolicy) {
	s.Spec.PodFailurePolicy = p
	s.Annotations = map[string]string{v1.AnnotationDefaultPodFailurePolicy: PolicyHash(p)}
}

func TestPodFailurePolicy(t *testing.T) {
	s, class := good(t)
	mark(s, policy(1))
	if d, _ := FromStream(s, class, nil); d.PodFailurePolicy != nil {
		t.Errorf("the default passes for the user's own: %+v", d.PodFailurePolicy)
	}
	s.Spec.PodFailurePolicy = policy(2)
	if d, _ := FromStream(s, class, nil); !reflect.DeepEqual(d.PodFailurePolicy, policy(2)) {
		t.Errorf("the user's own is lost: %+v", d.PodFailurePolicy)
	}
	s.Annotations = nil
	if d, _ := FromStream(s, class, nil); !reflect.DeepEqual(d.PodFailurePolicy, policy(2)) {
		t.Errorf("the user's own is lost without the mark: %+v", d.PodFailurePolicy)
	}
}

// TestInputsAreNotTouched: what comes out of a cache belongs to everybody.
func TestInputsAreNotTouched(t *testing.T) {
	s, class := good(t)
	sBefore, classBefore := s.DeepCopy(), class.DeepCopy()
	first, _ := FromStream(s, class, nil)
	second, _ := FromStream(s, class, nil)
	if !reflect.DeepEqual(s, sBefore) || !reflect.DeepEqual(class, classBefore) {
		t.Error("FromStream changed its input")
	}
	if !reflect.DeepEqual(first, second) {
		t.Error("equal inputs gave different definitions")
	}
}

func FuzzFromStream(f *testing.F) {
	f.Add(`{"table":"orders","credentials":{"name":"pg"}}`, `{"type":"object","properties":{"source":{"type":"object","properties":{"table":{"type":"string","pattern":"^o"}}}}}`, "source.credentials")
	f.Add(`{"n":1e400}`, `{"type":"object","properties":{"source":{"type":"object","additionalProperties":{"type":"number","multipleOf":0}}}}`, "")
	f.Add(`[]`, `{"type":"object","x-kubernetes-preserve-unknown-fields":true}`, "..")
	f.Fuzz(func(t *testing.T, source, schema, ref string) {
		if !json.Valid([]byte(source)) || !json.Valid([]byte(schema)) {
			return // the API server stores JSON
		}
		s, class := good(t)
		s.Spec.Source = raw(source)
		class.Spec.Schema.OpenAPIV3Schema = raw(schema)
		class.Spec.SecretRefs = []string{ref}
		d, p := FromStream(s, class, nil)
		if p != nil && (p.Reason == "" || p.Kind == "" || p.Field == "" || !strings.Contains(p.Message, p.Field)) {
			t.Errorf("a problem that does not name its field: %+v", p)
		}
		if !json.Valid(d.Spec) || !json.Valid(d.HashSpec) {
			t.Errorf("no JSON: %s, %s", d.Spec, d.HashSpec)
		}
		glanceAgrees(t, s, class)
	})
}

// BenchmarkFromStream: it runs in every pass of a reconcile; the schema is compiled once for a class.
func BenchmarkFromStream(b *testing.B) {
	content, err := os.ReadFile("testdata/full.input.yaml")
	if err != nil {
		b.Fatal(err)
	}
	documents := bytes.Split(content, []byte("\n---\n"))
	s, class := &v1.Stream{}, &v1.StreamClass{}
	if err := yaml.Unmarshal(documents[0], s); err != nil {
		b.Fatal(err)
	}
	if err := yaml.Unmarshal(documents[1], class); err != nil {
		b.Fatal(err)
	}
	for name, schema := range map[string]*Schema{"schema kept": SchemaOf(class), "schema compiled": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, p := FromStream(s, class, schema); p != nil {
					b.Fatal(p)
				}
			}
		})
	}
}
