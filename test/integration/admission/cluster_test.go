// What the catalogue's cases do in the cluster: apply, wait, read, and clear away.

package admission_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
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

// quiet waits until the operator rests, with StreamClasses as well, which lie in no namespace.
func quiet(ctx context.Context) {
	GinkgoHelper()
	audit, err := law.NewAuditLog(stage.Cluster.AuditLog(), "")
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

// changed lists the objects that have another generation now, or, where even that is asked, another resource version.
func changed(before, now map[string]version, even bool) []string {
	var all []string
	for name, was := range before {
		is := now[name]
		if is.Generation != was.Generation || even && is.Resource != was.Resource {
			all = append(all, fmt.Sprintf("%s: from %+v to %+v", name, was, is))
		}
	}
	return all
}

// removeAll removes what the catalogue has made.
func removeAll(ctx context.Context, all *catalogue.Catalogue) {
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
