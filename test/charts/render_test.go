// Package charts_test holds helm-charts/ to config/: a chart with the values that stand for a folder of config/ installs
// the same objects, whichever Helm renders it, and refuses values that make no sense.
package charts_test

// This file renders charts and kustomizations, and reads what came of it.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// What every rendering names, unless its test is about that.
const (
	system  = "arcane-system"
	release = "arcane"
	// oldest is the oldest Kubernetes that the chart takes; Helm has to be told which one it renders for.
	oldest = "1.34.0"
)

// helms are the modules in tools/ that have a helm.
var helms = []string{"helm3", "helm4"}

// chart is the folder of the operator's chart.
func chart() string { return filepath.Join(story.Root(), "helm-charts", "arcane-operator") }

// run runs one of the repository's tools.
func run(ctx context.Context, module string, args ...string) (string, error) {
	var failure bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(story.Root(), "tools", "run"), append([]string{module}, args...)...)
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s%s", module, strings.Join(args, " "), err, out, failure.String())
	}
	return string(out), nil
}

// template is what a helm makes of the chart with these values, as --set, --set-json and the like.
func template(t *testing.T, helm, name, namespace string, flags ...string) (string, error) {
	t.Helper()
	story.DependOn(t, "config", "helm-charts", "tools")
	args := append([]string{"helm", "template", name, chart(), "--namespace", namespace, "--kube-version", oldest}, flags...)
	return run(t.Context(), helm, args...)
}

// rendered are the objects of the chart with these values.
func rendered(t *testing.T, flags ...string) map[string]map[string]any {
	t.Helper()
	out, err := template(t, helms[0], release, system, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, out)
}

// kustomized are the objects that config/ has for these resources and components.
func kustomized(t *testing.T, resources, components []string) map[string]map[string]any {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	below := func(names []string) []string {
		var all []string
		for _, name := range names {
			// kustomize takes relative paths only.
			path, err := filepath.Rel(folder, filepath.Join(story.Root(), "config", name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, path)
		}
		return all
	}
	content, err := yaml.Marshal(map[string]any{"resources": below(resources), "components": below(components)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t.Context(), "gen", "kustomize", "build", folder)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, out)
}

// objects are those of a stream of manifests, by kind, namespace and name.
func objects(t *testing.T, manifests string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for document := range strings.SplitSeq("\n"+manifests, "\n---\n") {
		var o map[string]any
		if err := yaml.UnmarshalStrict([]byte(document), &o); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		if len(o) == 0 {
			continue
		}
		key := strings.Join([]string{text(o, "kind"), text(o, "metadata", "namespace"), text(o, "metadata", "name")}, "/")
		if _, twice := all[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		all[key] = o
	}
	return all
}

// at is the field of an object, nil where there is none.
func at(o any, path ...string) any {
	for _, name := range path {
		switch v := o.(type) {
		case map[string]any:
			o = v[name]
		case []any:
			o = named(v, name)
		default:
			return nil
		}
	}
	return o
}

// named is the item of a list with a name, or at an index.
func named(list []any, name string) any {
	for i, item := range list {
		if fields, ok := item.(map[string]any); ok && fields["name"] == name || fmt.Sprint(i) == name {
			return item
		}
	}
	return nil
}

func text(o any, path ...string) string {
	s, _ := at(o, path...).(string)
	return s
}

// as reads an object as its type.
func as[T any](t *testing.T, o map[string]any) T {
	t.Helper()
	var typed T
	content, err := yaml.Marshal(o)
	if err == nil {
		err = yaml.UnmarshalStrict(content, &typed)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", text(o, "kind"), text(o, "metadata", "name"), err)
	}
	return typed
}

// isHook tells what Helm runs (helm test) from what it installs.
func isHook(o map[string]any) bool { return at(o, "metadata", "annotations", "helm.sh/hook") != nil }
