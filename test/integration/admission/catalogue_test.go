// The catalogue: what is refused, by whom and in which words, and what is stored.

package admission_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/catalogue"
	"github.com/arcane-streaming/arcane-operator/test/law"
)

// atOnce is how many kubectl run at the same time.
const atOnce = 4

// folder of the files that are applied.
var folder string

var _ = Describe("The catalogue", Ordered, ContinueOnFailure, func() {
	var all *catalogue.Catalogue

	BeforeAll(func(ctx SpecContext) {
		var err error
		all, err = catalogue.Load(".")
		Expect(err).NotTo(HaveOccurred())
		folder = GinkgoT().TempDir()
		Expect(stage.Operator.Start(ctx)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { clear(ctx, all) })
		applyAll(ctx, all.World)
		awaitSeen(ctx, all.World)
		var given []catalogue.Object
		for _, c := range all.Cases {
			given = append(given, c.Given...)
		}
		given = inOrder(given)
		applyAll(ctx, given)
		awaitSeen(ctx, given)
	})

	It("refuses what is wrong, in the words of the catalogue", func(ctx SpecContext) {
		told(ctx, all.Wrong())
	})

	It("stores what is right, completed, with the warnings of the catalogue", func(ctx SpecContext) {
		told(ctx, all.Right())
	})

	It("changes nothing when what is right is applied again, by the client or by the server", func(ctx SpecContext) {
		var manifests []catalogue.Object
		for _, c := range all.Right() {
			manifests = append(manifests, c.Manifest)
		}
		file := write("again", manifests)
		quiet(ctx)
		stored := versions(ctx, manifests)
		kubectl(ctx, "apply", "-f", file)
		Expect(versions(ctx, manifests)).To(Equal(stored), "applied again")
		kubectl(ctx, "apply", "--server-side", "-f", file)
		quiet(ctx)
		taken := versions(ctx, manifests)
		Expect(generations(taken)).To(Equal(generations(stored)), "applied by the server")
		kubectl(ctx, "apply", "--server-side", "-f", file)
		Expect(versions(ctx, manifests)).To(Equal(taken), "applied by the server again")
	})
})

// told applies each case's manifest and compares what is said with the catalogue.
func told(ctx context.Context, cases []*catalogue.Case) {
	GinkgoHelper()
	Expect(cases).NotTo(BeEmpty())
	differences := make([]string, len(cases))
	next := make(chan int)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			defer GinkgoRecover()
			for i := range next {
				differences[i] = difference(ctx, cases[i])
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	workers.Wait()
	AddReportEntry("summary", catalogue.Summary(cases))
	Expect(slices.DeleteFunc(differences, func(d string) bool { return d == "" })).To(BeEmpty())
}

// difference applies a case's manifest; empty where all is as the catalogue has it.
func difference(ctx context.Context, c *catalogue.Case) string {
	job := reach(ctx, c)
	file := write("case", []catalogue.Object{c.Manifest})
	cmd := command(ctx, "apply", "-o", "json", "-f", file)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	failure := cmd.Run()
	if exit := (*exec.ExitError)(nil); failure != nil && !errors.As(failure, &exit) {
		return fmt.Sprintf("%s: %s: %v", c.File, c.Name, failure)
	}
	got := catalogue.Plain(strings.ReplaceAll(said.String(), cmp.Or(job, "{job}"), "{job}"))
	if want := catalogue.Said(c, file); got != want || (failure != nil) != c.Wrong() {
		return fmt.Sprintf("%s: %s: it is said\n%s\nwant\n%s", c.File, c.Name, got, want)
	}
	if c.Wrong() {
		return ""
	}
	if stored := own(parse(out.Bytes())); !reflect.DeepEqual(stored, plain(c.Stored)) {
		text, _ := yaml.Marshal(stored)
		return fmt.Sprintf("%s: %s: stored is\n%s", c.File, c.Name, text)
	}
	return ""
}

// own is an object less what the API server gives it and what the operator adds later.
func own(o catalogue.Object) catalogue.Object {
	delete(o, "status")
	meta, _ := o["metadata"].(map[string]any)
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences"} {
		delete(meta, field)
	}
	annotations, _ := meta["annotations"].(map[string]any)
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	if len(annotations) == 0 {
		delete(meta, "annotations")
	}
	return o
}

// plain is an object as it is read from JSON.
func plain(o catalogue.Object) catalogue.Object {
	GinkgoHelper()
	raw, err := json.Marshal(o)
	Expect(err).NotTo(HaveOccurred())
	return parse(raw)
}

// parse reads an object, its numbers as they are written.
func parse(raw []byte) catalogue.Object {
	GinkgoHelper()
	o := catalogue.Object{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	Expect(d.Decode(&o)).To(Succeed())
	return o
}

// reach waits for the phases that a case begins with, and tells the Job that runs then.
func reach(ctx context.Context, c *catalogue.Case) (job string) {
	GinkgoHelper()
	for who, phase := range c.Until {
		kind, name, _ := strings.Cut(who, "/")
		o := catalogue.Object{"kind": kind, "metadata": map[string]any{"namespace": "sales", "name": name}}
		Eventually(ctx, func(g Gomega) {
			there, err := find(ctx, o)
			g.Expect(err).NotTo(HaveOccurred())
			if kind == streamingv1.KindStreamClass {
				count, _, _ := unstructured.NestedInt64(there.Object, "status", "streams", phase)
				g.Expect(count).To(Equal(int64(1)), "%s: streams that are %s", who, phase)
				return
			}
			now, _, _ := unstructured.NestedString(there.Object, "status", "phase")
			g.Expect(now).To(Equal(phase), who)
			job, _, _ = unstructured.NestedString(there.Object, "status", "job", "name")
		}).WithTimeout(time.Minute).Should(Succeed())
	}
	return job
}

// command is a user's, with a cache of its own of which kinds there are.
func command(ctx context.Context, args ...string) *exec.Cmd {
	return stage.KubectlCommand(ctx, args...)
}

func kubectl(ctx context.Context, args ...string) {
	GinkgoHelper()
	out, err := command(ctx, args...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "kubectl %v: %s", args, out)
}

// write puts objects into a file.
func write(name string, objects []catalogue.Object) string {
	GinkgoHelper()
	var text bytes.Buffer
	for _, o := range objects {
		raw, err := yaml.Marshal(o)
		Expect(err).NotTo(HaveOccurred())
		text.WriteString("---\n")
		text.Write(raw)
	}
	file, err := os.CreateTemp(folder, name+"-*.yaml")
	Expect(err).NotTo(HaveOccurred())
	_, err = file.Write(text.Bytes())
	Expect(err).NotTo(HaveOccurred())
	Expect(file.Close()).To(Succeed())
	return file.Name()
}

func applyAll(ctx context.Context, objects []catalogue.Object) {
	GinkgoHelper()
	kubectl(ctx, "apply", "-f", write("given", objects))
}

// find reads one of our objects.
func find(ctx context.Context, o catalogue.Object) (*unstructured.Unstructured, error) {
	there := &unstructured.Unstructured{}
	kind, _ := o["kind"].(string)
	there.SetGroupVersionKind(streamingv1.GroupVersion.WithKind(kind))
	meta, _ := o["metadata"].(map[string]any)
	key := client.ObjectKey{}
	key.Name, _ = meta["name"].(string)
	if kind != streamingv1.KindStreamClass {
		key.Namespace, _ = meta["namespace"].(string)
	}
	return there, stage.Client.Get(ctx, key, there)
}

// inOrder sorts objects as they need each other, so that what is seen of the last was seen of the first.
func inOrder(objects []catalogue.Object) []catalogue.Object {
	order := []any{"Namespace", streamingv1.KindStreamClass, streamingv1.KindStreamingJobTemplate, streamingv1.KindStream, streamingv1.KindBackfillRequest}
	slices.SortStableFunc(objects, func(a, b catalogue.Object) int {
		return slices.Index(order, a["kind"]) - slices.Index(order, b["kind"])
	})
	return objects
}

// awaitSeen waits until the operator has looked at all of them: what it has seen,
// its webhooks have seen, as both read one cache.
func awaitSeen(ctx context.Context, objects []catalogue.Object) {
	GinkgoHelper()
	for _, o := range objects {
		switch o["kind"] {
		case streamingv1.KindStream, streamingv1.KindBackfillRequest, streamingv1.KindStreamClass:
			Eventually(ctx, func(g Gomega) {
				there, err := find(ctx, o)
				g.Expect(err).NotTo(HaveOccurred())
				phase, _, _ := unstructured.NestedString(there.Object, "status", "phase")
				g.Expect(phase).NotTo(BeEmpty(), catalogue.Name(o))
			}).WithTimeout(time.Minute).Should(Succeed())
		}
	}
}

// quiet waits until the operator rests.
func quiet(ctx context.Context) {
	GinkgoHelper()
	audit, err := law.NewAuditLog(stage.Cluster.AuditLog(), "sales")
	Expect(err).NotTo(HaveOccurred())
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	Expect(law.AwaitQuiet(limited, audit, 2*time.Second)).To(Succeed())
}

// version is what changes when an object does.
type version struct {
	Generation int64
	Resource   string
}

func versions(ctx context.Context, objects []catalogue.Object) map[string]version {
	GinkgoHelper()
	all := map[string]version{}
	for _, o := range objects {
		there, err := find(ctx, o)
		Expect(err).NotTo(HaveOccurred())
		all[catalogue.Name(o)] = version{there.GetGeneration(), there.GetResourceVersion()}
	}
	return all
}

func generations(of map[string]version) map[string]int64 {
	all := map[string]int64{}
	for name, v := range of {
		all[name] = v.Generation
	}
	return all
}

// clear removes what the catalogue has made.
func clear(ctx context.Context, all *catalogue.Catalogue) {
	GinkgoHelper()
	for _, name := range []string{"sales", "templates", "elsewhere"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		Expect(client.IgnoreNotFound(stage.Client.Delete(ctx, namespace))).To(Succeed())
	}
	objects := slices.Clone(all.World)
	for _, c := range all.Cases {
		objects = append(append(objects, c.Given...), c.Manifest)
	}
	for _, o := range objects {
		if o["kind"] != streamingv1.KindStreamClass {
			continue
		}
		there, err := find(ctx, o)
		if err == nil {
			err = stage.Client.Delete(ctx, there)
		}
		Expect(client.IgnoreNotFound(err)).To(Succeed())
	}
}
