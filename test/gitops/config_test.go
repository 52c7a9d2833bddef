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

var update = flag.Bool("update", false, "write config/argocd/argocd-cm.yaml anew")

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
# Written from the scripts beside it: in test/gitops, go test . -update
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
	scratch := t.TempDir()
	component, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	// kustomize takes resources from outside of the folder by a relative path only.
	relative, err := filepath.Rel(scratch, component)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"kustomization.yaml": "namespace: argocd\nresources: [install.yaml]\ncomponents: [" + relative + "]\n",
		"install.yaml":       "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, labels: {app.kubernetes.io/part-of: argocd}}\ndata: {url: https://argocd.example.com}\n",
	} {
		if err := os.WriteFile(filepath.Join(scratch, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), filepath.Join("..", "..", "tools", "run"), "gen", "kustomize", "build", scratch)
	build.Stderr = os.Stderr
	built, err := build.Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(scratch, "built.yaml")
	if err := os.WriteFile(file, built, 0o600); err != nil {
		t.Fatal(err)
	}
	o := read(t, file)
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
