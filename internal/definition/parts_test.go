package definition

// This file tests the parts: settings, templates, classes, JSON.

import (
	"encoding/json"
	"reflect"
	"testing"
	"testing/quick"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestRestart(t *testing.T) {
	for name, c := range map[string]struct {
		spec *v1.RestartSpec
		want Restart
	}{
		"absent": {nil, Restart{v1.RestartNever, 5, 10 * time.Second, 10 * time.Minute, 10 * time.Minute}},
		"empty":  {&v1.RestartSpec{}, Restart{v1.RestartNever, 5, 10 * time.Second, 10 * time.Minute, 10 * time.Minute}},
		"all": {
			&v1.RestartSpec{
				Policy: v1.RestartOnFailure, MaxRestarts: ptr.To[int32](0),
				Backoff:      &v1.BackoffSpec{Initial: seconds(1), Max: seconds(2)},
				HealthyAfter: seconds(3),
			},
			Restart{v1.RestartOnFailure, 0, time.Second, 2 * time.Second, 3 * time.Second},
		},
		"a first pause beyond the default of the longest": {
			&v1.RestartSpec{Backoff: &v1.BackoffSpec{Initial: seconds(3600)}},
			Restart{v1.RestartNever, 5, time.Hour, time.Hour, 10 * time.Minute},
		},
		"a longest pause below the default of the first": {
			&v1.RestartSpec{Backoff: &v1.BackoffSpec{Max: seconds(2)}},
			Restart{v1.RestartNever, 5, 2 * time.Second, 2 * time.Second, 10 * time.Minute},
		},
		"nonsense that a schema would have refused": {
			&v1.RestartSpec{Backoff: &v1.BackoffSpec{Initial: seconds(-1), Max: seconds(0)}, HealthyAfter: seconds(-1)},
			Restart{v1.RestartNever, 5, 10 * time.Second, 10 * time.Minute, 10 * time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := RestartOf(c.spec); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func seconds(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Second}
}

func TestTemplate(t *testing.T) {
	std := &v1.TemplateReference{Namespace: "sales", Name: "std"}
	big := &v1.TemplateReference{Namespace: "arcane", Name: "big"}
	class := &v1.StreamClass{Spec: v1.StreamClassSpec{BackfillJobTemplateRef: big, AllowedTemplateNamespaces: []string{"open"}}}
	d := Definition{Namespace: "sales", Class: "c", StreamTemplate: std, BackfillTemplate: big}
	asking := func(namespace, name string) *v1.BackfillRequest {
		r := &v1.BackfillRequest{}
		r.Name = "again"
		r.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: namespace, Name: name}
		return r
	}
	for name, c := range map[string]struct {
		d       Definition
		class   *v1.StreamClass
		mode    v1.Mode
		request *v1.BackfillRequest
		want    v1.TemplateReference
		problem *Problem
	}{
		"streaming":                           {d, class, v1.ModeStream, nil, *std, nil},
		"backfill":                            {d, class, v1.ModeBackfill, &v1.BackfillRequest{}, *big, nil},
		"backfill before a request is chosen": {d, class, v1.ModeBackfill, nil, *big, nil},
		"the request's own":                   {d, class, v1.ModeBackfill, asking("", "own"), v1.TemplateReference{Namespace: "sales", Name: "own"}, nil},
		"the request's own, in a namespace that the class allows": {
			d, class, v1.ModeBackfill, asking("open", "own"), v1.TemplateReference{Namespace: "open", Name: "own"}, nil,
		},
		"the request's own, named by the class": {d, class, v1.ModeBackfill, asking("arcane", "big"), *big, nil},
		"the request's own, forbidden": {
			d, class, v1.ModeBackfill, asking("kube-system", "own"),
			v1.TemplateReference{Namespace: "kube-system", Name: "own"},
			&Problem{
				v1.ReasonTemplateForbidden, "BackfillRequest", "spec.jobTemplateRef.namespace",
				"BackfillRequest again: spec.jobTemplateRef.namespace: StreamingJobTemplate kube-system/own lies in another namespace, which StreamClass c does not allow; " +
					"use a template in namespace sales, or have kube-system added to the class's spec.allowedTemplateNamespaces",
			},
		},
		"the request's own, elsewhere, without a class to allow it": {
			d, nil, v1.ModeBackfill, asking("open", "own"),
			v1.TemplateReference{Namespace: "open", Name: "own"},
			&Problem{
				v1.ReasonTemplateForbidden, "BackfillRequest", "spec.jobTemplateRef.namespace",
				"BackfillRequest again: spec.jobTemplateRef.namespace: StreamingJobTemplate open/own lies in another namespace, which StreamClass c does not allow; " +
					"use a template in namespace sales, or have open added to the class's spec.allowedTemplateNamespaces",
			},
		},
		"none": {
			Definition{Class: "c"},
			class, v1.ModeStream, nil,
			v1.TemplateReference{},
			&Problem{
				v1.ReasonSpecInvalid, "Stream", "spec.jobTemplateRef",
				"spec.jobTemplateRef: neither the stream nor its StreamClass c names a StreamingJobTemplate; set it here or there",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, p := Template(c.d, c.class, c.mode, c.request)
			if got != c.want || !reflect.DeepEqual(p, c.problem) {
				t.Errorf("got %+v, %+v\nwant %+v, %+v", got, p, c.want, c.problem)
			}
		})
	}
}

func TestClassProblem(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *v1.StreamClassSpec)
		want   *Problem
	}{
		"good":              {func(*v1.StreamClassSpec) {}, nil},
		"group written out": {func(c *v1.StreamClassSpec) { c.APIGroupRef = "streaming.sneaksanddata.com" }, nil},
		"a plugin's own kind": {
			func(c *v1.StreamClassSpec) { c.KindRef, c.APIGroupRef = "Own", "example.com" },
			classFault(v1.ReasonKindUnsupported, "spec.kindRef",
				`"Own" of group "example.com" is a plugin's own kind, which this version does not serve; write the class for kind Stream of group streaming.sneaksanddata.com`),
		},
		"version": {
			func(c *v1.StreamClassSpec) { c.APIVersion = "v2" },
			classFault(v1.ReasonKindUnsupported, "spec.apiVersion", `kind Stream has no version "v2"; set it to v1`),
		},
		"plural": {
			func(c *v1.StreamClassSpec) { c.PluralName = "stream" },
			classFault(v1.ReasonKindUnsupported, "spec.pluralName", `kind Stream has no plural "stream"; set it to streams`),
		},
		"success as a failure": {
			func(c *v1.StreamClassSpec) { c.FailureClasses = failures([]int32{2, 0}) },
			classFault(v1.ReasonFailureClasses, "spec.failureClasses[0].exitCodes[1]", "0 is success and belongs to no failure class; remove it"),
		},
		"no exit code": {
			func(c *v1.StreamClassSpec) { c.FailureClasses = failures([]int32{256}) },
			classFault(v1.ReasonFailureClasses, "spec.failureClasses[0].exitCodes[0]", "256 is no exit code; use 1 to 255"),
		},
		"twice in one": {
			func(c *v1.StreamClassSpec) { c.FailureClasses = failures([]int32{2, 2}) },
			classFault(v1.ReasonFailureClasses, "spec.failureClasses[0].exitCodes[1]",
				`2 belongs to "a" already; an exit code can mean only one thing, remove it from one of the two`),
		},
		"in two": {
			func(c *v1.StreamClassSpec) { c.FailureClasses = failures([]int32{2}, []int32{3, 2}) },
			classFault(v1.ReasonFailureClasses, "spec.failureClasses[1].exitCodes[1]",
				`2 belongs to "a" already; an exit code can mean only one thing, remove it from one of the two`),
		},
		"one name twice": {
			func(c *v1.StreamClassSpec) {
				c.FailureClasses = failures([]int32{2}, []int32{3})
				c.FailureClasses[1].Name = "a"
			},
			classFault(v1.ReasonFailureClasses, "spec.failureClasses[1].name", `"a" is there twice; merge the two or rename one`),
		},
		"schema: no JSON schema": {
			schema(`{"type":"object","propertees":{}}`),
			classFault(v1.ReasonSchemaInvalid, "spec.schema.openAPIV3Schema",
				`cannot be read as a schema: json: unknown field "propertees"`),
		},
		"schema: not structural": {
			schema(`{"type":"object","properties":{"source":{"minLength":1}}}`),
			classFault(v1.ReasonSchemaInvalid, "spec.schema.openAPIV3Schema.properties[source].type",
				"must be structural, as in a CustomResourceDefinition: Required value: must not be empty for specified object fields"),
		},
		"schema: reference": {
			schema(`{"type":"object","properties":{"source":{"$ref":"#/definitions/x"}}}`),
			classFault(v1.ReasonSchemaInvalid, "spec.schema.openAPIV3Schema",
				"must be structural, as in a CustomResourceDefinition: OpenAPIV3Schema '$ref' is not supported"),
		},
		"schema: pattern, deep within": {
			schema(`{"type":"object","properties":{"source":{"type":"object","additionalProperties":{"type":"array","items":{"type":"string","not":{"pattern":"("}}}}}}`),
			classFault(v1.ReasonSchemaInvalid, "spec.schema.openAPIV3Schema.properties[source].additionalProperties.items.not.pattern",
				"must be structural, as in a CustomResourceDefinition: Invalid value: \"(\": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): `(`"),
		},
		"schema: pattern in an alternative": {
			schema(`{"type":"object","properties":{"sink":{"type":"string","anyOf":[{"minLength":1},{"pattern":"["}]}}}`),
			classFault(v1.ReasonSchemaInvalid, "spec.schema.openAPIV3Schema.properties[sink].anyOf[1].pattern",
				"must be structural, as in a CustomResourceDefinition: Invalid value: \"[\": must be a valid regular expression, but isn't: error parsing regexp: missing closing ]: `[`"),
		},
		"schema: rules in CEL": {
			schema(`{"type":"object","x-kubernetes-validations":[{"rule":"true"}]}`),
			classFault(v1.ReasonSchemaInvalid, "spec.schema.openAPIV3Schema.x-kubernetes-validations",
				"rules in CEL are not evaluated here; remove them and let the plugin check"),
		},
		"schema: rules in CEL, deep within": {
			schema(`{"type":"object","properties":{"source":{"type":"object","additionalProperties":{"type":"array","items":{"type":"string","x-kubernetes-validations":[{"rule":"true"}]}}}}}`),
			classFault(v1.ReasonSchemaInvalid, "spec.schema.openAPIV3Schema.properties[source].additionalProperties.items.x-kubernetes-validations",
				"rules in CEL are not evaluated here; remove them and let the plugin check"),
		},
		"schema: empty": {
			func(c *v1.StreamClassSpec) { c.Schema = &v1.StreamSchema{} }, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			class := &v1.StreamClass{Spec: v1.StreamClassSpec{KindRef: "Stream", APIVersion: "v1", PluralName: "streams"}}
			class.Name = "c"
			c.change(&class.Spec)
			if got := ClassProblem(class); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func classFault(reason v1.Reason, field, text string) *Problem {
	return &Problem{reason, "StreamClass", field, "StreamClass c: " + field + ": " + text}
}

func failures(codes ...[]int32) []v1.FailureClass {
	var list []v1.FailureClass
	for i, c := range codes {
		list = append(list, v1.FailureClass{Name: string(rune('a' + i)), ExitCodes: c, Action: v1.ActionFail})
	}
	return list
}

func schema(s string) func(c *v1.StreamClassSpec) {
	return func(c *v1.StreamClassSpec) { c.Schema = &v1.StreamSchema{OpenAPIV3Schema: raw(s)} }
}

// TestSchemaSpeaksOfFields: what a schema can say, and the words that it becomes.
func TestSchemaSpeaksOfFields(t *testing.T) {
	const rules = `{"type":"object","properties":{"source":{"type":"object","properties":{
		"name":{"type":"string","pattern":"^[a-z]+$","maxLength":3},
		"mode":{"type":"string","enum":["a","b"]},
		"n":{"type":"integer","maximum":5},
		"list":{"type":"array","maxItems":1,"items":{"type":"object","required":["k"],"properties":{"k":{"type":"string"}}}}}}}}`
	for source, want := range map[string]string{
		`{"name":"ab","mode":"a","n":5,"list":[{"k":"x"}],"unknown":true}`: "",
		`{"name":"A"}`:       "spec.source.name: should match '^[a-z]+$'",
		`{"name":"abcd"}`:    "spec.source.name: should be at most 3 chars long",
		`{"mode":"c"}`:       "spec.source.mode: should be one of [a b]",
		`{"n":6}`:            "spec.source.n: should be less than or equal to 5",
		`{"n":"x"}`:          `spec.source.n: must be of type integer: "string"`,
		`{"n":1.5}`:          `spec.source.n: must be of type integer: "number"`,
		`{"n":null}`:         `spec.source.n: must be of type integer: "null"`,
		`{"list":[{}]}`:      "spec.source.list[0].k: is required",
		`{"list":[{"k":1}]}`: `spec.source.list[0].k: must be of type string: "integer"`,
		`{"list":[]}`:        "",
		`"x"`:                `spec.source: must be of type object: "string"`,
	} {
		t.Run(source, func(t *testing.T) {
			s, class := good(t)
			class.Spec.SecretRefs = nil
			class.Spec.Schema.OpenAPIV3Schema = raw(rules)
			s.Spec.Source = raw(source)
			_, p := FromStream(s, class, nil)
			got := ""
			if p != nil {
				got = p.Message
			}
			if want != "" {
				want += " (as the schema of StreamClass postgres asks)"
			}
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`{"b":1,"a":{"d":[3,1,2],"c":null}}`:  `{"a":{"c":null,"d":[3,1,2]},"b":1}`,
		`{"n":12345678901234567890,"f":1.50}`: `{"f":1.50,"n":12345678901234567890}`,
		`{"html":"<a href='x'>&</a>"}`:        `{"html":"<a href='x'>&</a>"}`,
		`{"unicode":"æ😀"}`:                    `{"unicode":"æ😀"}`,
		` [ ] `:                               `[]`,
	} {
		got, err := Canonical(json.RawMessage(in))
		if err != nil || string(got) != want {
			t.Errorf("Canonical(%s) = %s, %v, want %s", in, got, err, want)
		}
	}
	if got, err := Canonical(json.RawMessage(`{`)); err == nil {
		t.Errorf("half an object became %s", got)
	}
}

// TestPolicyHash: the fields that are written by hand are all there are, in
// Canonical's order.
func TestPolicyHash(t *testing.T) {
	if err := quick.CheckEqual(
		PolicyHash,
		func(p *batchv1.PodFailurePolicy) string {
			b, err := Canonical(p)
			if err != nil {
				t.Fatal(err)
			}
			return Digest(b)
		},
		&quick.Config{MaxCount: 500},
	); err != nil {
		t.Error(err)
	}
}

func TestEssence(t *testing.T) {
	const in = `{"metadata":{"creationTimestamp":null},"a":{"resources":{},"emptyDir":{},"labels":null,"list":[{"status":{}},null]}}`
	const want = `{"a":{"emptyDir":{},"list":[{},null]}}`
	got, err := Essence(json.RawMessage(in))
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
