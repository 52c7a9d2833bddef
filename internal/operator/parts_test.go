package operator

// This file tests the client of some namespaces: whose each call becomes.

import (
	"context"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func streamNamed(namespace, name string) *v1.Stream {
	return &v1.Stream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// threeParts is a client of the namespaces one and two. Each part, and what is in
// neither, is a cluster of its own here, so that it shows where a call went.
func threeParts(t *testing.T) (whole parts, base, one, two client.Client) {
	t.Helper()
	o, err := Options()
	if err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(v1.GroupVersion.WithKind(v1.KindStream), meta.RESTScopeNamespace)
	mapper.Add(v1.GroupVersion.WithKind(v1.KindStreamClass), meta.RESTScopeRoot)
	part := func(objects ...client.Object) client.Client {
		return fake.NewClientBuilder().WithScheme(o.Scheme).WithRESTMapper(mapper).WithObjects(objects...).WithStatusSubresource(&v1.Stream{}).Build()
	}
	template := &v1.StreamingJobTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "t"}}
	class := &v1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
	base, one, two = part(template, class), part(streamNamed("one", "a"), streamNamed("one", "b")), part(streamNamed("two", "c"))
	return parts{Client: base, names: Namespaces{"one", "two"}, clients: map[string]client.Client{"one": one, "two": two}}, base, one, two
}

func names(t *testing.T, c client.Client, opts ...client.ListOption) []string {
	t.Helper()
	var list v1.StreamList
	if err := c.List(t.Context(), &list, opts...); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, s := range list.Items {
		found = append(found, s.Namespace+"/"+s.Name)
	}
	return found
}

func TestPartsRead(t *testing.T) {
	whole, _, _, _ := threeParts(t)
	if got, want := names(t, whole), []string{"one/a", "one/b", "two/c"}; !slices.Equal(got, want) {
		t.Errorf("all are %v, want %v", got, want)
	}
	if got, want := names(t, whole, client.InNamespace("two")), []string{"two/c"}; !slices.Equal(got, want) {
		t.Errorf("those of one namespace are %v, want %v", got, want)
	}
	var classes v1.StreamClassList
	if err := whole.List(t.Context(), &classes); err != nil || len(classes.Items) != 1 {
		t.Errorf("classes are in no namespace and are read once: %d, %v", len(classes.Items), err)
	}
	if err := whole.Get(t.Context(), client.ObjectKey{Name: "c"}, &v1.StreamClass{}); err != nil {
		t.Error(err)
	}
	err := whole.Get(t.Context(), client.ObjectKey{Namespace: "other", Name: "t"}, &v1.StreamingJobTemplate{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("a template outside the namespaces: %v, want that it is not found", err)
	}
}

func TestPartsWrite(t *testing.T) {
	whole, base, one, two := threeParts(t)
	s := streamNamed("two", "d")
	for _, err := range []error{
		whole.Create(t.Context(), s),
		whole.Update(t.Context(), s),
		whole.Patch(t.Context(), s, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`))),
		whole.Status().Patch(t.Context(), s, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"phase":"Running"}}`))),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	s.Status.Phase = v1.StreamFailed
	if err := whole.Status().Update(t.Context(), s); err != nil {
		t.Error(err)
	}
	written := &v1.Stream{}
	if err := two.Get(t.Context(), client.ObjectKeyFromObject(s), written); err != nil || written.Labels["a"] != "b" || written.Status.Phase != v1.StreamFailed {
		t.Errorf("written was %v, %v", written, err)
	}
	if err := whole.Delete(t.Context(), s); err != nil {
		t.Error(err)
	}
	for where, c := range map[string]client.Client{"base": base, "one": one, "two": two} {
		if got := names(t, c); slices.Contains(got, "two/d") {
			t.Errorf("%s still has it: %v", where, got)
		}
	}
}

// listened is an informer that remembers who listens.
type listened struct {
	cache.Informer
	by *toolscache.ResourceEventHandler
}

func (l listened) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	*l.by = h
	return nil, nil
}

// informers are a cache of one informer.
type informers struct {
	cache.Cache
	listened
}

func (i informers) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return i.listened, nil
}

// TestAViewVouchesForItsOwnNamespace: what another watch has seen says nothing of this one.
func TestAViewVouchesForItsOwnNamespace(t *testing.T) {
	var by toolscache.ResourceEventHandler
	i, err := view{informers{listened: listened{by: &by}}, "one"}.GetInformer(t.Context(), &v1.Stream{})
	if err != nil {
		t.Fatal(err)
	}
	var heard []string
	hear := func(o any) { heard = append(heard, o.(client.Object).GetNamespace()) }
	if _, err := i.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: hear, UpdateFunc: func(_, o any) { hear(o) },
		DeleteFunc: func(o any) { hear(o.(toolscache.DeletedFinalStateUnknown).Obj) },
	}); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{"one", "two", ""} {
		o := streamNamed(namespace, "a")
		by.OnAdd(o, false)
		by.OnUpdate(o, o)
		by.OnDelete(toolscache.DeletedFinalStateUnknown{Obj: o})
	}
	if want := []string{"one", "one", "one", "", "", ""}; !slices.Equal(heard, want) {
		t.Errorf("heard of %q, want %q", heard, want)
	}
}

func TestNamespacesInto(t *testing.T) {
	var all, some ctrl.Options
	Namespaces(nil).Into(&all)
	Namespaces{"one", "two"}.Into(&some)
	if all.Cache.DefaultNamespaces != nil || all.NewClient != nil {
		t.Error("an operator of all namespaces is limited")
	}
	if n := len(some.Cache.DefaultNamespaces); n != 2 || some.NewClient == nil {
		t.Errorf("an operator of two namespaces watches %d", n)
	}
}

// asksOne is an API server that answers for one namespace at a time, as to somebody
// who has rights in some only.
type asksOne struct {
	client.Reader
	t *testing.T
}

func (a asksOne) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if (&client.ListOptions{}).ApplyOptions(opts).Namespace == "" {
		a.t.Errorf("%T was asked for in all namespaces", list)
	}
	return a.Reader.List(ctx, list, opts...)
}

// ofTests is a manager that reads live from a client.
type ofTests struct {
	ctrl.Manager
	client client.Client
	t      *testing.T
}

func (m ofTests) GetAPIReader() client.Reader    { return asksOne{m.client, m.t} }
func (m ofTests) GetScheme() *runtime.Scheme     { return m.client.Scheme() }
func (m ofTests) GetRESTMapper() meta.RESTMapper { return m.client.RESTMapper() }

func TestLiveReadsAskOneNamespaceAtATime(t *testing.T) {
	_, base, _, _ := threeParts(t)
	for _, s := range []string{"one", "two", "three"} {
		if err := base.Create(t.Context(), streamNamed(s, "a")); err != nil {
			t.Fatal(err)
		}
	}
	for _, of := range []Namespaces{{"one"}, {"one", "two"}} {
		var list v1.StreamList
		if err := (within{ofTests{client: base, t: t}, of}).GetAPIReader().List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != len(of) {
			t.Errorf("%v: found %d", of, len(list.Items))
		}
	}
}
