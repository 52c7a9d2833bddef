package webhooks

// This file counts what an answer costs.

import (
	"context"
	"fmt"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

// held answers at once, as a cache does and as an API server that allows everything.
type held struct {
	client.Client
	class    *v1.StreamClass
	template *v1.StreamingJobTemplate
}

func (h held) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	switch o := o.(type) {
	case *v1.StreamClass:
		*o = *h.class
	case *v1.StreamingJobTemplate:
		*o = *h.template
	}
	return nil
}

func (held) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func (held) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	if review, ok := o.(*authorizationv1.SubjectAccessReview); ok {
		review.Status.Allowed = true
	}
	return nil
}

// schemaOfClass is one of a plugin's.
const schemaOfClass = `{"type":"object","required":["source","sink"],"properties":{
	"source":{"type":"object","required":["table","credentials"],"properties":{
		"table":{"type":"string","minLength":1},"query":{"type":"string"},"credentials":{"type":"object","properties":{"name":{"type":"string"}}},
		"columns":{"type":"array","items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"type":{"type":"string","enum":["int","text"]}}}}}},
	"sink":{"type":"object","required":["url"],"properties":{"url":{"type":"string","pattern":"^(file|s3)://"}}}}}`

// tenKB are sources of 10 kB: in one long text, as a query is, and in many small fields.
func tenKB() map[string]string {
	columns := make([]string, 280)
	for i := range columns {
		columns[i] = fmt.Sprintf(`{"name":"column_%03d","type":"int"}`, i)
	}
	return map[string]string{
		"texts":  `{"table":"orders","credentials":{"name":"creds"},"query":"` + strings.Repeat("select 1, ", 1000) + `"}`,
		"fields": `{"table":"orders","credentials":{"name":"creds"},"columns":[` + strings.Join(columns, ",") + `]}`,
	}
}

// priced is a write and whoever answers it.
type priced struct {
	// streams is made once, as where it is served.
	streams kind[*v1.Stream, validation.StreamSurroundings]
	req     admission.Request
}

// price makes a stream of 10 kB that has its defaults. The update is of its sink
// while its job runs; the adapter warns of it.
func price(t testing.TB, source string, update bool) priced {
	t.Helper()
	class := given.Class("pg", "std", given.SecretRefs("source.credentials"), given.FailureClass("config", v1.ActionFail, 20, 21))
	class.Spec.Schema = &v1.StreamSchema{OpenAPIV3Schema: &runtime.RawExtension{Raw: []byte(schemaOfClass)}}
	if p := definition.ClassProblem(class); p != nil {
		t.Fatal(p.Message)
	}
	h := held{class: class, template: given.Template(namespace, "std")}
	s := stream()
	s.Spec.Source = &runtime.RawExtension{Raw: []byte(source)}
	s.Spec.Sink = &runtime.RawExtension{Raw: []byte(`{"url":"file:///data"}`)}
	validation.DefaultStream(s, true, validation.StreamSurroundings{Class: class, Template: h.template})
	var old any
	if update {
		before := s.DeepCopy()
		before.Spec.Sink = &runtime.RawExtension{Raw: []byte(`{"url":"file:///other"}`)}
		before.Status.Job = &v1.JobRecord{Mode: v1.ModeStream, Name: "job"}
		old = before
	}
	server := &server{user: operator, cache: h, live: h}
	return priced{server.streams(), request(t, old, s)}
}

func (p priced) judge(t testing.TB, calls bool) {
	t.Helper()
	k := p.streams
	if !calls {
		k.needs, k.try = nil, nil
	}
	if got := k.judge(t.Context(), p.req); !got.Allowed {
		t.Fatal(got.Result.Message)
	}
}

// TestCost is P14's count: an answer to a stream of 10 kB allocates at most 150
// times beside what it asks the API server; to an update too, which has two objects to read.
func TestCost(t *testing.T) {
	const most = 150.0
	for name, source := range tenKB() {
		for _, update := range []bool{false, true} {
			p := price(t, source, update)
			if got := testing.AllocsPerRun(20, func() { p.judge(t, false) }); got > most {
				t.Errorf("%s, update %t: %.0f allocations, more than %.0f", name, update, got, most)
			}
		}
	}
}

// BenchmarkJudge is P14: a stream of 10 kB, without what is asked of the API
// server and with it, answered at once.
func BenchmarkJudge(b *testing.B) {
	for name, source := range tenKB() {
		for write, update := range map[string]bool{"create": false, "update": true} {
			for asking, calls := range map[string]bool{"alone": false, "asking": true} {
				b.Run(strings.Join([]string{name, write, asking}, "/"), func(b *testing.B) {
					p := price(b, source, update)
					b.ReportAllocs()
					for b.Loop() {
						p.judge(b, calls)
					}
				})
			}
		}
	}
}
