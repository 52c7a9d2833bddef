package manifests_test

// This file holds an install to its parts: what is deleted for different reasons is applied apart, and nothing in an
// apply stands before another object of it.

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// about is what every object has.
type about struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
}

func (a about) String() string { return a.Kind + " " + a.Name }

func inside(t *testing.T, manifests string) []about {
	t.Helper()
	var all []about
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		var a about
		if err := yaml.Unmarshal([]byte(document), &a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// TestDeletingAnInstallKeepsStreams: whoever deletes what they have applied deletes the operator, and neither a kind, with
// which all its objects would go, nor a namespace, with which all in it would.
func TestDeletingAnInstallKeepsStreams(t *testing.T) {
	for name, manifests := range installs(t) {
		for _, a := range inside(t, manifests) {
			if slices.Contains([]string{"CustomResourceDefinition", "Namespace"}, a.Kind) || strings.Contains(a.APIVersion, "sneaksanddata.com") {
				t.Errorf("config/%s holds %s", name, a)
			}
		}
	}
	for name, kind := range map[string]string{"crd": "CustomResourceDefinition", "namespace": "Namespace"} {
		for _, a := range inside(t, prerequisite(t, name)) {
			if a.Kind != kind {
				t.Errorf("config/%s holds %s", name, a)
			}
		}
	}
}

// TestAnInstallRefusesNoneOfItsOwn: the webhooks and the policy come with an apply, before a pod answers for them, and in
// an upgrade while the pod is replaced. So they stand before no object of that apply.
func TestAnInstallRefusesNoneOfItsOwn(t *testing.T) {
	prerequisites := append(inside(t, prerequisite(t, "crd")), inside(t, prerequisite(t, "namespace"))...)
	for name, manifests := range installs(t) {
		guards := map[string][]admissionregistrationv1.RuleWithOperations{}
		for _, w := range webhooks(t, manifests) {
			guards["webhook "+w.Name] = w.Rules
		}
		for _, p := range objects[admissionregistrationv1.ValidatingAdmissionPolicy](t, manifests, "ValidatingAdmissionPolicy") {
			for _, r := range p.Spec.MatchConstraints.ResourceRules {
				guards["policy "+p.Name] = append(guards["policy "+p.Name], r.RuleWithOperations)
			}
		}
		if len(guards) < 7 {
			t.Fatalf("config/%s: %d webhooks and policies were read", name, len(guards))
		}
		for _, a := range append(inside(t, manifests), prerequisites...) {
			group := schema.FromAPIVersionAndKind(a.APIVersion, a.Kind).Group
			for guard, rules := range guards {
				for _, r := range rules {
					// By the group alone: ours has no other objects than those that it stands before.
					if slices.Contains(r.APIGroups, group) || slices.Contains(r.APIGroups, "*") {
						t.Errorf("config/%s: %s stands before %s", name, guard, a)
					}
				}
			}
		}
	}
}

// run is a command of this repository's, from its root.
func run(t *testing.T, environment []string, command ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = story.Root(), append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestInstallYAML: three files, together the same as the folders, the operator from the image that was asked for.
func TestInstallYAML(t *testing.T) {
	story.DependOn(t, "config", "tools")
	const image = "registry.example:5000/team/arcane-operator:1.2"
	for _, name := range []string{"default", "everything"} {
		folder := t.TempDir()
		if out, err := run(t, []string{"CONFIG=" + name}, "tools/install-yaml", image, folder); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		want := map[string]string{
			"crds.yaml": prerequisite(t, "crd"), "namespace.yaml": prerequisite(t, "namespace"),
			"install.yaml": strings.ReplaceAll(installs(t)[name], "image: localhost/arcane-operator:dev", "image: "+image),
		}
		files, err := os.ReadDir(folder)
		if err != nil || len(files) != len(want) {
			t.Errorf("there are %d files, %v; want %d", len(files), err, len(want))
		}
		for file, manifests := range want {
			text, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil {
				t.Fatal(err)
			}
			head, rest, _ := strings.Cut(string(text), "\napiVersion: ")
			if "apiVersion: "+rest != manifests {
				t.Errorf("%s of CONFIG=%s is not what kustomize makes of the folder", file, name)
			}
			for line := range strings.SplitSeq(head, "\n") {
				if !strings.HasPrefix(line, "#") {
					t.Errorf("%s begins with %q", file, line)
				}
			}
			if deletes := strings.Contains(head, "DELETING THIS FILE'S OBJECT"); deletes == (file == "install.yaml") {
				t.Errorf("%s says of its deletion:\n%s", file, head)
			}
		}
		pod := only[appsv1.Deployment](t, want["install.yaml"], "Deployment").Spec.Template.Spec
		if got := pod.Containers[0].Image; got != image {
			t.Errorf("the operator runs %s", got)
		}
	}
}

func TestAnUnknownCONFIGIsNamed(t *testing.T) {
	out, err := run(t, []string{"CONFIG=standard"}, "tools/render", "localhost/a:b")
	if err == nil || !strings.Contains(out, `CONFIG is "standard"`) || !strings.Contains(out, "with-cert-manager") {
		t.Errorf("%v: %s", err, out)
	}
}
