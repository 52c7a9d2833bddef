// What GitOps tools compare: a manifest in git with the object that came of it.

package gitops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// tool is how a GitOps tool applies a manifest, and how it finds that the cluster has something else.
type tool struct {
	apply []string
	// differences are the fields that the tool would change.
	differences func(ctx context.Context, manifest *unstructured.Unstructured) []string
	// keepsOthers tells whether a field that has left the manifest keeps the value that somebody else gave it.
	keepsOthers bool
}

// serverSide is a server-side apply.
var serverSide = []string{"apply", "--server-side", "--force-conflicts", "--field-manager=gitops"}

var (
	// argo is Argo CD as it is installed: it applies on the client's side, and compares what was applied last, the
	// manifest and the object.
	argo = tool{[]string{"apply"}, threeWay, false}
	// flux is Flux, and Argo CD with server-side apply and server-side diff, as far as nobody edits by kubectl: it compares the object with what a dry run
	// of the apply makes of it.
	flux = tool{serverSide, dryRun, true}
)

// lastApplied is the annotation in which a client-side apply keeps what it has applied.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// threeWay computes the patch of a client-side apply, and what it would change.
func threeWay(ctx context.Context, manifest *unstructured.Unstructured) []string {
	GinkgoHelper()
	live := liveOf(ctx, manifest)
	original := live.GetAnnotations()[lastApplied]
	Expect(original).NotTo(BeEmpty())
	modified := manifest.DeepCopy()
	// An apply renews the annotation. That is no difference of the tool's.
	annotations := map[string]string{lastApplied: original}
	maps.Copy(annotations, manifest.GetAnnotations())
	modified.SetAnnotations(annotations)
	typed, err := scheme.Scheme.New(manifest.GroupVersionKind())
	if runtime.IsNotRegisteredError(err) {
		patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch([]byte(original), encoded(modified), encoded(live))
		Expect(err).NotTo(HaveOccurred())
		tree := map[string]any{}
		Expect(json.Unmarshal(patch, &tree)).To(Succeed())
		return leaves("", tree)
	}
	Expect(err).NotTo(HaveOccurred())
	// Kubernetes' own kinds: lists are merged by their keys, and Argo CD completes the result as the API server does.
	lookup, err := strategicpatch.NewPatchMetaFromStruct(typed)
	Expect(err).NotTo(HaveOccurred())
	patch, err := strategicpatch.CreateThreeWayMergePatch([]byte(original), encoded(modified), encoded(live), lookup, true)
	Expect(err).NotTo(HaveOccurred())
	would := live.DeepCopy()
	Expect(stage.Client.Patch(ctx, would, client.RawPatch(types.StrategicMergePatchType, patch), client.DryRunAll)).To(Succeed())
	return differingObjects(live, would)
}

// dryRun compares the object with the answer to a dry run of a server-side apply.
func dryRun(ctx context.Context, manifest *unstructured.Unstructured) []string {
	GinkgoHelper()
	live, would := liveOf(ctx, manifest), &unstructured.Unstructured{}
	cmd := stage.KubectlCommand(ctx, append(slices.Clone(serverSide), "--dry-run=server", "--output=json", "-f", "-")...)
	cmd.Stdin = bytes.NewReader(encoded(manifest))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	Expect(err).NotTo(HaveOccurred(), "%s", said.String())
	Expect(would.UnmarshalJSON(out)).To(Succeed())
	return differingObjects(live, would)
}

// differingObjects are the fields in which what there is differs from what would be, but for what the API server keeps.
func differingObjects(live, would *unstructured.Unstructured) []string {
	for _, o := range []*unstructured.Unstructured{live, would} {
		for _, path := range [][]string{{"metadata", "managedFields"}, {"metadata", "resourceVersion"}, {"metadata", "generation"}, {"status"}} {
			unstructured.RemoveNestedField(o.Object, path...)
		}
	}
	return differing("", live.Object, would.Object)
}

// differing are the fields in which two values differ.
func differing(path string, a, b any) []string {
	left, isMap := a.(map[string]any)
	right, areMaps := b.(map[string]any)
	if !isMap || !areMaps {
		if reflect.DeepEqual(a, b) {
			return nil
		}
		return []string{path}
	}
	both := maps.Clone(left)
	maps.Copy(both, right)
	var all []string
	for _, key := range slices.Sorted(maps.Keys(both)) {
		all = append(all, differing(strings.TrimPrefix(path+"."+key, "."), left[key], right[key])...)
	}
	return all
}

// leaves are the fields that a patch changes.
func leaves(path string, v any) []string {
	tree, ok := v.(map[string]any)
	if !ok {
		return []string{path}
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		all = append(all, leaves(strings.TrimPrefix(path+"."+key, "."), tree[key])...)
	}
	return all
}

func encoded(o *unstructured.Unstructured) []byte {
	GinkgoHelper()
	raw, err := o.MarshalJSON()
	Expect(err).NotTo(HaveOccurred())
	return raw
}

func liveOf(ctx context.Context, manifest *unstructured.Unstructured) *unstructured.Unstructured {
	GinkgoHelper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(manifest.GroupVersionKind())
	Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(manifest), live)).To(Succeed())
	return live
}

// put applies a manifest as the tool does, and returns what is said.
func (t tool) put(ctx context.Context, manifest *unstructured.Unstructured) string {
	GinkgoHelper()
	cmd := stage.KubectlCommand(ctx, append(slices.Clone(t.apply), "-f", "-")...)
	cmd.Stdin = bytes.NewReader(encoded(manifest))
	out, err := cmd.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	return string(out)
}

// manifest parses a document, with the world's namespace and class in the places of NS and CLASS.
func manifest(w *story.World, text string) *unstructured.Unstructured {
	GinkgoHelper()
	return parsed(strings.NewReplacer("NS", w.Namespace, "CLASS", w.Class).Replace(text))
}

func parsed(text string) *unstructured.Unstructured {
	GinkgoHelper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	Expect(err).NotTo(HaveOccurred())
	o := &unstructured.Unstructured{}
	Expect(o.UnmarshalJSON(raw)).To(Succeed())
	return o
}

// As users write them: what the webhooks complete is left out.
const (
	aStream = `
apiVersion: streaming.sneaksanddata.com/v1
kind: Stream
metadata: {name: orders, namespace: NS}
spec:
  streamClass: CLASS
  source: {stream: {runFor: forever}}
  sink: {bucket: "file:///data"}
`
	aRequest = `
apiVersion: streaming.sneaksanddata.com/v1
kind: BackfillRequest
metadata: {name: again, namespace: NS}
spec: {streamId: orders}
`
	aRequestThatSaysMore = `
apiVersion: streaming.sneaksanddata.com/v1
kind: BackfillRequest
metadata: {name: once-more, namespace: NS}
spec: {streamId: orders, completed: false}
`
	aClass = `
apiVersion: streaming.sneaksanddata.com/v1
kind: StreamClass
metadata: {name: CLASS-another}
spec: {apiVersion: v1, kindRef: Stream, pluralName: streams, jobTemplateRef: {name: scripted}}
`
	aTemplate = `
apiVersion: streaming.sneaksanddata.com/v1
kind: StreamingJobTemplate
metadata: {name: another, namespace: NS}
spec:
  spec:
    template:
      spec:
        containers: [{name: plugin, image: registry.example.com/plugin:v1, resources: {limits: {cpu: 1000m, memory: 1024Mi}}}]
`
	aPlugin = `
apiVersion: streaming.sneaksanddata.com/v1
kind: StreamPlugin
metadata: {name: postgres, namespace: NS}
spec: {preset: postgres, image: "registry.example.com/arcane-plugin-postgres:v1", className: CLASS-postgres}
`
)

var _ = DescribeTableSubtree("Between git and the cluster", func(t tool) {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = enter(ctx) })

	It("is no difference, once all is at rest", func(ctx SpecContext) {
		manifests := []string{aStream, aClass, aTemplate, aPlugin, aRequest}
		for _, text := range manifests {
			t.put(ctx, manifest(w, text))
		}
		DeferCleanup(func(ctx context.Context) { Expect(stage.Client.Delete(ctx, manifest(w, aClass))).To(Succeed()) })
		w.AwaitCompleted(ctx, "again")
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		awaitPlugin(ctx, w, plugin(w.Namespace, w.Class+"-postgres"), streamingv1.ReasonInstalled)
		w.AwaitQuiet(ctx)
		for _, text := range manifests {
			Expect(t.differences(ctx, manifest(w, text))).To(BeEmpty(), text)
		}
	})

	It("is the end of a request whose manifest says that it has not completed; applied again, it changes nothing", func(ctx SpecContext) {
		says := manifest(w, aRequestThatSaysMore)
		t.put(ctx, manifest(w, aStream))
		t.put(ctx, says)
		ended := w.AwaitCompleted(ctx, "once-more")
		pod := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(t.differences(ctx, says)).To(ConsistOf("spec.completed"))

		Expect(t.put(ctx, says)).To(ContainSubstring("Warning: spec.completed"))
		Expect(t.differences(ctx, says)).To(BeEmpty())
		Expect(t.put(ctx, says)).NotTo(ContainSubstring("Warning"), "it has nothing to change any more")
		w.AwaitQuiet(ctx)
		request := w.AwaitRequest(ctx, "once-more", streamingv1.RequestCompleted)
		Expect(request.Spec.Completed).To(BeFalse(), "and so it stays")
		Expect(request.Generation).To(Equal(ended.Generation+1), "by one change of the user's, and none of the operator's")
		Expect(request.Status.ObservedGeneration).To(Equal(request.Generation))
		said := ended.Status.DeepCopy()
		said.ObservedGeneration = request.Generation
		for i := range said.Conditions {
			said.Conditions[i].ObservedGeneration = request.Generation
		}
		Expect(request.Status).To(Equal(*said), "what it says of the end is as it was")
		Expect(w.AwaitPod(ctx, "orders", streamingv1.ModeStream).UID).To(Equal(pod.UID))

		out, err := w.Kubectl(ctx, "wait", "--namespace="+w.Namespace, "--for=condition=Ready", "--timeout=30s", "backfillrequest/once-more")
		Expect(err).NotTo(HaveOccurred(), out)
		out, err = w.Kubectl(ctx, "get", "--namespace="+w.Namespace, "--no-headers", "backfillrequest/once-more")
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(strings.Fields(out)[:6]).To(Equal([]string{"once-more", w.Class, "orders", "Completed", "True", "1"}))
	})

	It("is the suspension of a person, where the manifest names the field, and nowhere else", func(ctx SpecContext) {
		silent := manifest(w, aStream)
		t.put(ctx, silent)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		Expect(t.differences(ctx, silent)).To(BeEmpty())
		t.put(ctx, silent)
		Expect(w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended).Spec.Suspended).To(BeTrue())

		says := silent.DeepCopy()
		Expect(unstructured.SetNestedField(says.Object, false, "spec", "suspended")).To(Succeed())
		Expect(t.differences(ctx, says)).To(ConsistOf("spec.suspended"))
		t.put(ctx, says)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)

		By("and where a manifest ceases to name the field, a client-side apply undoes the suspension")
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		t.put(ctx, silent)
		Expect(w.Stream(ctx, "orders").Spec.Suspended).To(Equal(t.keepsOthers))
	})

	It("goes with the suspension that leaves the manifest", func(ctx SpecContext) {
		silent := manifest(w, aStream)
		says := silent.DeepCopy()
		Expect(unstructured.SetNestedField(says.Object, true, "spec", "suspended")).To(Succeed())
		t.put(ctx, says)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		t.put(ctx, silent)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	})

	It("is no default that the class gives, nor another one that it gives when it is changed", func(ctx SpecContext) {
		stream := manifest(w, aStream)
		t.put(ctx, stream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.Stream(ctx, "orders").Spec.PodFailurePolicy).NotTo(BeNil())
		w.EditClass(ctx, given.FailureClass("final", streamingv1.ActionFail, 20))
		w.Await(ctx, func(g Gomega) {
			probe := given.Stream(w.Namespace, "probe", w.Class)
			g.Expect(w.Client.Create(ctx, probe, client.DryRunAll)).To(Succeed())
			g.Expect(probe.Spec.PodFailurePolicy.Rules).To(HaveLen(3))
		})
		Expect(t.differences(ctx, stream)).To(BeEmpty())
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	})
},
	Entry("as Argo CD compares them", argo),
	Entry("as Flux compares them", flux),
)

var _ = Describe("Flux", func() {
	It("takes over what kubectl has set, and with it the suspension that its manifest does not name", func(ctx SpecContext) {
		w := enter(ctx)
		silent := manifest(w, aStream)
		flux.put(ctx, silent)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		_, err := w.Kubectl(ctx, "patch", "stream", "orders", "--namespace="+w.Namespace, "--type=merge", "-p", `{"spec":{"suspended":true}}`)
		Expect(err).NotTo(HaveOccurred())
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		// As Flux does (fluxcd/pkg/ssa): the fields of managers whose names begin with kubectl become its own.
		patch, err := csaupgrade.UpgradeManagedFieldsPatch(liveOf(ctx, silent), sets.New("kubectl-patch"), "gitops")
		Expect(err).NotTo(HaveOccurred())
		Expect(patch).NotTo(BeEmpty())
		Expect(stage.Client.Patch(ctx, liveOf(ctx, silent), client.RawPatch(types.JSONPatchType, patch))).To(Succeed())
		flux.put(ctx, silent)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		Expect(w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning).Spec.Suspended).To(BeFalse())
	})
})

var _ = DescribeTable("What the operator writes into its own install is no difference", func(ctx SpecContext, t tool) {
	w := enter(ctx)
	all, err := w.Render(ctx, "default")
	Expect(err).NotTo(HaveOccurred())
	kinds, err := w.Kubectl(ctx, "kustomize", story.Root()+"/config/crd")
	Expect(err).NotTo(HaveOccurred())
	seen := map[string]bool{}
	for document := range strings.SplitSeq(all+"\n---\n"+kinds, "\n---\n") {
		o := parsed(document)
		switch o.GetKind() {
		case "NetworkPolicy", "Deployment":
			// The stage has neither; nobody writes into a NetworkPolicy, and the Deployment is written by Kubernetes alone.
			continue
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			pointAsLive(ctx, o)
		}
		seen[o.GetKind()] = true
		t.put(ctx, o)
		Expect(t.differences(ctx, o)).To(BeEmpty(), "%s %s", o.GetKind(), o.GetName())
		expectFilled(ctx, o)
	}
	Expect(seen).To(And(HaveKey("Secret"), HaveKey("MutatingWebhookConfiguration"), HaveKey("ValidatingWebhookConfiguration"), HaveKey("CustomResourceDefinition")))
},
	Entry("to Argo CD", argo),
	Entry("to Flux", flux),
)

// pointAsLive points a webhook configuration at the operator beside the test, where it names a Service.
func pointAsLive(ctx context.Context, o *unstructured.Unstructured) {
	GinkgoHelper()
	there, _, err := unstructured.NestedSlice(liveOf(ctx, o).Object, "webhooks")
	Expect(err).NotTo(HaveOccurred())
	urls := map[string]any{}
	for _, webhook := range there {
		tree, _ := webhook.(map[string]any)
		urls[fmt.Sprint(tree["name"])], _, _ = unstructured.NestedString(tree, "clientConfig", "url")
	}
	webhooks, _, err := unstructured.NestedSlice(o.Object, "webhooks")
	Expect(err).NotTo(HaveOccurred())
	for _, webhook := range webhooks {
		tree, _ := webhook.(map[string]any)
		Expect(unstructured.SetNestedMap(tree, map[string]any{"url": urls[fmt.Sprint(tree["name"])]}, "clientConfig")).To(Succeed())
	}
	Expect(unstructured.SetNestedSlice(o.Object, webhooks, "webhooks")).To(Succeed())
}

// expectFilled expects that an apply has taken away neither an authority nor the certificate.
func expectFilled(ctx context.Context, o *unstructured.Unstructured) {
	GinkgoHelper()
	live := liveOf(ctx, o)
	switch o.GetKind() {
	case "Secret":
		data, _, err := unstructured.NestedMap(live.Object, "data")
		Expect(err).NotTo(HaveOccurred())
		Expect(data).To(HaveKey("tls.crt"))
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		webhooks, _, err := unstructured.NestedSlice(live.Object, "webhooks")
		Expect(err).NotTo(HaveOccurred())
		Expect(webhooks).NotTo(BeEmpty())
		for _, webhook := range webhooks {
			tree, _ := webhook.(map[string]any)
			authority, _, _ := unstructured.NestedString(tree, "clientConfig", "caBundle")
			Expect(authority).NotTo(BeEmpty(), "%s", tree["name"])
		}
	}
}
