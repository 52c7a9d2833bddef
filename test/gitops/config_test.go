package gitops

// This file holds the forms in which the health checks are offered to the scripts.

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/page"
)

var update = flag.Bool("update", false, "write config/argocd/argocd-cm.yaml and the table of docs/gitops.md anew")

// folder holds the health checks.
var folder = filepath.Join("..", "..", "config", "argocd")

// keys are those of Argo CD's ConfigMap, with the scripts.
func keys(t *testing.T) map[string]string {
	t.Helper()
	data := map[string]string{}
	for kind := range definitions(t) {
		data["resource.customizations.health."+v1.GroupVersion.Group+"_"+kind] = script(t, kind)
	}
	return data
}

func TestPatchHoldsEveryScript(t *testing.T) {
	data, err := yaml.Marshal(map[string]any{"data": keys(t)})
	if err != nil {
		t.Fatal(err)
	}
	page.HoldWhole(t, filepath.Join(folder, "argocd-cm.yaml"), `# Argo CD's health checks for Arcane's kinds, as a patch of its ConfigMap argocd-cm:
#
#   kubectl --namespace argocd patch configmap argocd-cm --type=merge --patch-file=config/argocd/argocd-cm.yaml
#
# Written from the scripts beside it: make generate
`+string(data), *update)
}

func TestEveryScriptIsOfAKind(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.lua"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := definitions(t)
	if len(files) != len(kinds) {
		t.Errorf("%d scripts for %d kinds: %v", len(files), len(kinds), files)
	}
}

// The component adds the checks to a ConfigMap that holds something already.
func TestComponentAddsEveryScript(t *testing.T) {
	built := build(t, "component", map[string]string{
		"install.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, labels: {app.kubernetes.io/part-of: argocd}}\ndata: {url: https://argocd.example.com}\n",
	})
	if len(built) != 1 {
		t.Fatalf("the component makes %d objects", len(built))
	}
	o := built[0]
	data, _, err := unstructured.NestedStringMap(o.Object, "data")
	if err != nil {
		t.Fatal(err)
	}
	want := keys(t)
	want["url"] = "https://argocd.example.com"
	if o.GetName() != "argocd-cm" || o.GetNamespace() != "argocd" || !maps.Equal(data, want) {
		t.Errorf("the component makes %s/%s with the keys %s", o.GetNamespace(), o.GetName(), strings.Join(slices.Sorted(maps.Keys(data)), ", "))
	}
}

func TestKeptKindsAreKept(t *testing.T) {
	built := build(t, "kept kinds", nil)
	if len(built) != len(definitions(t)) {
		t.Errorf("%d kinds are built", len(built))
	}
	for _, o := range built {
		annotations := o.GetAnnotations()
		if annotations["argocd.argoproj.io/sync-options"] != "Prune=false,Delete=false" || annotations["kustomize.toolkit.fluxcd.io/prune"] != "disabled" {
			t.Errorf("%s is annotated with %v", o.GetName(), annotations)
		}
	}
}

// build builds a kustomization of docs/gitops.md, with files beside it, in a folder beside a checkout called arcane-operator.
func build(t *testing.T, block string, files map[string]string) []*unstructured.Unstructured {
	t.Helper()
	text, err := page.Block(filepath.Join("..", "..", "docs", "gitops.md"), block)
	if err != nil {
		t.Fatal(err)
	}
	checkout, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	// kustomize takes folders by a relative path only, and follows no link.
	relative, err := filepath.Rel(scratch, checkout)
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{"kustomization.yaml": strings.ReplaceAll(text, "../arcane-operator", relative)}
	maps.Copy(written, files)
	for name, text := range written {
		if err := os.WriteFile(filepath.Join(scratch, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), filepath.Join("..", "..", "tools", "run"), "gen", "kustomize", "build", scratch)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(out), "\n---\n") {
		all = append(all, parse(t, document))
	}
	return all
}
