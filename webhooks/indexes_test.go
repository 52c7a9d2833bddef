package webhooks

// This file looks up who uses a template, and who else asks for a stream.

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

// narrow answers only who asks by an index.
type narrow struct {
	client.Reader
	t *testing.T
}

func (n narrow) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(options)
	if o.FieldSelector == nil {
		n.t.Errorf("all objects of a %T are gone through", list)
	}
	return n.Reader.List(ctx, list, options...)
}

// using is a stream of a class, with templates of its own where they are named.
func using(in, name, class string, refs ...v1.TemplateReference) *v1.Stream {
	s := given.Stream(in, name, class)
	for i := range refs {
		if i == 0 {
			s.Spec.JobTemplateRef = &refs[i]
		} else {
			s.Spec.BackfillJobTemplateRef = &refs[i]
		}
	}
	return s
}

// TestWhoUsesATemplate: whoever names it, and whoever leaves it to a class that does;
// in the class's namespace, or in the stream's own where the class names none.
func TestWhoUsesATemplate(t *testing.T) {
	far := func(c *v1.StreamClass) { c.Spec.JobTemplateRef.Namespace = "sales" }
	later := func(c *v1.StreamClass) { c.Spec.BackfillJobTemplateRef = &v1.TemplateReference{Name: "big"} }
	s := newServer(t, &apiServer{},
		given.Class("near", "big"), given.Class("far", "big", far), given.Class("later", "std", later),
		using("sales", "by-its-class", "near"), using("elsewhere", "by-its-class", "near"),
		using("sales", "by-a-class-in-sales", "far"), using("elsewhere", "by-a-class-in-sales", "far"),
		using("sales", "for-backfills", "later"),
		using("sales", "by-name", "pg", v1.TemplateReference{Name: "big"}),
		using("sales", "by-name-and-class", "near", v1.TemplateReference{Name: "big"}),
		using("elsewhere", "by-full-name", "pg", v1.TemplateReference{Name: "std"}, v1.TemplateReference{Namespace: "sales", Name: "big"}),
		using("sales", "of-no-class", "none", v1.TemplateReference{Name: "big"}),
		using("sales", "another-than-its-class", "near", v1.TemplateReference{Name: "std"}, v1.TemplateReference{Name: "std"}),
		using("elsewhere", "another-of-that-name", "pg", v1.TemplateReference{Name: "big"}),
	)
	s.cache = narrow{s.cache, t}
	around, err := s.aroundTemplate(t.Context(), given.Template("sales", "big"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range around.Users {
		got = append(got, u.Stream.Namespace+"/"+u.Stream.Name)
		if (u.Class == nil) != (u.Stream.Spec.StreamClass == "none") || u.Class != nil && u.Class.Name != u.Stream.Spec.StreamClass {
			t.Errorf("%s: class %v", u.Stream.Name, u.Class)
		}
	}
	want := []string{
		"elsewhere/by-a-class-in-sales", "elsewhere/by-full-name",
		"sales/by-a-class-in-sales", "sales/by-its-class", "sales/by-name", "sales/by-name-and-class", "sales/for-backfills", "sales/of-no-class",
	}
	if !slices.Equal(got, want) {
		t.Errorf("used by\n%q, want\n%q", got, want)
	}
}

// TestWhoElseAsks: the other requests for the stream, in its namespace.
func TestWhoElseAsks(t *testing.T) {
	s := newServer(t, &apiServer{},
		given.Request(namespace, "before", "orders"), given.Request(namespace, "this", "orders"),
		given.Request(namespace, "another", "accounts"), given.Request("elsewhere", "far", "orders"))
	s.cache = narrow{s.cache, t}
	around, err := s.aroundRequest(t.Context(), given.Request(namespace, "this", "orders"))
	if err != nil {
		t.Fatal(err)
	}
	if len(around.Others) != 1 || around.Others[0].Name != "before" {
		t.Errorf("the others are %v", around.Others)
	}
}

// TestIndexesAreMade: a field that is looked up by and not indexed is an error at every write.
func TestIndexesAreMade(t *testing.T) {
	made := indexer{}
	if err := indexes(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if len(made) != len(indexed) || len(made) == 0 {
		t.Errorf("made are %v", made)
	}
	for _, i := range indexed {
		if values := i.values(&v1.StreamingJobTemplate{}); values != nil {
			t.Errorf("%s of another kind: %v", i.field, values)
		}
	}
}

type indexer map[string]bool

func (i indexer) IndexField(_ context.Context, o client.Object, field string, _ client.IndexerFunc) error {
	i[fmt.Sprintf("%T by %s", o, field)] = true
	return nil
}
