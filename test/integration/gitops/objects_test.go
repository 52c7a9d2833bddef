// The objects as the operator writes them: what they are made of, and where they are kept.

package gitops_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// folder holds the objects. The tests there read them.
func folder() string { return filepath.Join(story.Root(), "test", "gitops", "testdata", "objects") }

// held are the names of the objects that the specs have held.
var held = map[string]bool{}

var _ = ReportAfterSuite("no object is left that no spec writes", func(report Report) {
	if !report.SuiteSucceeded || report.PreRunStats.SpecsThatWillRun < report.PreRunStats.TotalSpecs {
		return
	}
	files, err := filepath.Glob(filepath.Join(folder(), "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	for _, file := range files {
		Expect(held).To(HaveKey(strings.TrimSuffix(filepath.Base(file), ".yaml")))
	}
})

// hold reads an object and holds the file of that name to it.
func hold(ctx context.Context, w *story.World, name string, o client.Object) {
	GinkgoHelper()
	live := shapeOf(ctx, w, o)
	Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(o), live)).To(Succeed())
	holdAnswer(w, name, live)
}

// shapeOf is an object of the same kind and name without a type that would add fields of its own.
func shapeOf(_ context.Context, w *story.World, o client.Object) *unstructured.Unstructured {
	GinkgoHelper()
	gvk, err := apiutil.GVKForObject(o, w.Client.Scheme())
	Expect(err).NotTo(HaveOccurred())
	shape := &unstructured.Unstructured{}
	shape.SetGroupVersionKind(gvk)
	shape.SetNamespace(o.GetNamespace())
	shape.SetName(o.GetName())
	return shape
}

// manifestOf is an object as its user writes it: without a status.
func manifestOf(ctx context.Context, w *story.World, o client.Object) *unstructured.Unstructured {
	GinkgoHelper()
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	Expect(err).NotTo(HaveOccurred())
	manifest := shapeOf(ctx, w, o)
	manifest.Object["spec"] = tree["spec"]
	if annotations := o.GetAnnotations(); len(annotations) > 0 {
		manifest.SetAnnotations(annotations)
	}
	return manifest
}

// create creates an object, and holds the file of that name to the API server's answer: the operator has not seen it yet.
func create(ctx context.Context, w *story.World, name string, o client.Object) {
	GinkgoHelper()
	answer := manifestOf(ctx, w, o)
	Expect(w.Client.Create(ctx, answer)).To(Succeed())
	holdAnswer(w, name, answer)
}

// change changes an object by a merge patch, and holds the file of that name to the answer.
func change(ctx context.Context, w *story.World, name string, o client.Object, patch string) {
	GinkgoHelper()
	answer := shapeOf(ctx, w, o)
	Expect(w.Client.Patch(ctx, answer, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
	holdAnswer(w, name, answer)
}

// remove deletes an object, and holds the file of that name to what is left while it is being deleted: a finalizer of
// somebody else's, such as that of a foreground deletion, keeps it.
func remove(ctx context.Context, w *story.World, name string, o client.Object) {
	GinkgoHelper()
	const finalizer = `{"metadata":{"finalizers":["example.com/another"]}}`
	leaving := shapeOf(ctx, w, o)
	Expect(w.Client.Patch(ctx, leaving, client.RawPatch("application/merge-patch+json", []byte(finalizer)))).To(Succeed())
	Expect(w.Client.Delete(ctx, leaving)).To(Succeed())
	hold(ctx, w, name, o)
	Expect(w.Client.Patch(ctx, leaving, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
}

func holdAnswer(w *story.World, name string, o *unstructured.Unstructured) {
	GinkgoHelper()
	held[name] = true
	file, text := filepath.Join(folder(), name+".yaml"), printed(w.Namespace, o)
	if *update {
		Expect(os.WriteFile(file, []byte(text), 0o600)).To(Succeed())
	}
	kept, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	Expect(text).To(Equal(string(kept)), "the operator writes another object than test/gitops judges: run this suite with -update if that is meant")
}

// varying is what differs between two runs of one story.
var varying = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "00000000-0000-0000-0000-000000000000"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "2026-01-01T00:00:00Z"},
	{regexp.MustCompile(`orders-[a-z0-9]{12}(-\d+)?(-[a-z0-9]{5})?\b`), "orders-job"},
	{regexp.MustCompile(`(-initial|-gap)-[0-9a-f]+`), "$1-1"},
	{regexp.MustCompile(`"run":\d+`), `"run":1`},
	{regexp.MustCompile(`\b[0-9a-f]{16,64}\b`), "0000000000000000"},
}

// printed is an object without what differs between two runs, and without what has happened on the way: a machine under
// load may show one phase more of it.
func printed(namespace string, o *unstructured.Unstructured) string {
	GinkgoHelper()
	o = o.DeepCopy()
	for _, path := range [][]string{
		{"metadata", "managedFields"},
		{"metadata", "resourceVersion"},
		{"status", "history"},
		{"status", "lastDecision"},
		{"status", "runs"},
		{"status", "streams"},
	} {
		unstructured.RemoveNestedField(o.Object, path...)
	}
	raw, err := json.Marshal(o.Object)
	Expect(err).NotTo(HaveOccurred())
	text := strings.ReplaceAll(string(raw), namespace, "sales")
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	out, err := yaml.JSONToYAML([]byte(text))
	Expect(err).NotTo(HaveOccurred())
	return string(out)
}
