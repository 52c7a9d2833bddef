// Package manifests_test holds what kustomize renders of config/ to what the security
// of an install rests on: how the operator's pod is confined, who may speak to it, and
// what it may do.
package manifests_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// What every install names.
const (
	system  = "arcane-system"
	account = "arcane-operator"
)

// served are the namespaces that config/namespaced shows.
var served = []string{"team-a", "team-b"}

// installs are the rendered ones, by their folder.
func installs(t *testing.T) map[string]string {
	t.Helper()
	story.DependOn(t, "config", "tools/gen")
	all, err := rendered()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var rendered = sync.OnceValues(func() (map[string]string, error) {
	all := map[string]string{}
	for _, name := range []string{"default", "with-cert-manager", "with-prometheus", "everything", "namespaced"} {
		// All tests share what the first of them renders, so it is not done in that one's context.
		manifests, err := render(context.Background(), filepath.Join(story.Root(), "config", name))
		if err != nil {
			return nil, err
		}
		all[name] = manifests
	}
	return all, nil
})

// render is what kustomize makes of a folder.
func render(ctx context.Context, folder string) (string, error) {
	var failure bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(story.Root(), "tools", "run"), "gen", "kustomize", "build", folder)
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("render %s: %w\n%s", folder, err, failure.String())
	}
	return string(out), nil
}

// prerequisite is a folder of config/ that is applied before an install.
func prerequisite(t *testing.T, name string) string {
	t.Helper()
	story.DependOn(t, "config", "tools/gen")
	manifests, err := render(t.Context(), filepath.Join(story.Root(), "config", name))
	if err != nil {
		t.Fatal(err)
	}
	return manifests
}

// objects are those of a kind.
func objects[T any](t *testing.T, manifests, kind string) []T {
	t.Helper()
	var found []T
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
			t.Fatal(err)
		}
		if meta.Kind != kind {
			continue
		}
		var o T
		if err := yaml.UnmarshalStrict([]byte(document), &o); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		found = append(found, o)
	}
	return found
}

// only is the one object of a kind.
func only[T any](t *testing.T, manifests, kind string) T {
	t.Helper()
	found := objects[T](t, manifests, kind)
	if len(found) != 1 {
		t.Fatalf("there are %d of kind %s, want one", len(found), kind)
	}
	return found[0]
}

func TestThePodIsRestricted(t *testing.T) {
	for name, manifests := range installs(t) {
		pod := only[appsv1.Deployment](t, manifests, "Deployment").Spec.Template
		if faults := jobspec.Forbidden(&pod, "restricted"); len(faults) > 0 {
			t.Errorf("config/%s: the operator's pod %v", name, faults)
		}
		for _, c := range pod.Spec.Containers {
			if s := c.SecurityContext; s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("config/%s: container %s may write to its root", name, c.Name)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() {
				t.Errorf("config/%s: container %s has no limit or request of memory", name, c.Name)
			}
		}
	}
	namespace := only[corev1.Namespace](t, prerequisite(t, "namespace"), "Namespace")
	if got := namespace.Labels["pod-security.kubernetes.io/enforce"]; namespace.Name != system || got != "restricted" {
		t.Errorf("config/namespace: %s enforces %q", namespace.Name, got)
	}
}

// TestTheNetworkIsConfined: the operator is spoken to at its three ports, nothing else
// of its namespace is, and it speaks to the API server and DNS.
func TestTheNetworkIsConfined(t *testing.T) {
	for name, manifests := range installs(t) {
		pod := only[appsv1.Deployment](t, manifests, "Deployment").Spec.Template
		var into, outOf, denied []string
		for _, p := range objects[networkingv1.NetworkPolicy](t, manifests, "NetworkPolicy") {
			selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
			if err != nil {
				t.Fatal(err)
			}
			if p.Namespace != system || !selector.Matches(labels.Set(pod.Labels)) {
				t.Errorf("config/%s: policy %s/%s does not select the operator's pod", name, p.Namespace, p.Name)
			}
			if len(p.Spec.Ingress) == 0 && selector.Empty() && slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
				denied = append(denied, p.Name)
			}
			for _, rule := range p.Spec.Ingress {
				into = append(into, portsOf(rule.Ports)...)
			}
			for _, rule := range p.Spec.Egress {
				outOf = append(outOf, portsOf(rule.Ports)...)
			}
		}
		if want := []string{"arcane-default-deny"}; !slices.Equal(denied, want) {
			t.Errorf("config/%s: all else is denied by %v, want %v", name, denied, want)
		}
		var named []string
		for _, p := range pod.Spec.Containers[0].Ports {
			named = append(named, "TCP/"+p.Name)
		}
		if !slices.Equal(into, named) {
			t.Errorf("config/%s: spoken to at %v, while the pod has %v", name, into, named)
		}
		if want := []string{"TCP/443", "TCP/6443", "UDP/53", "TCP/53"}; !slices.Equal(outOf, want) {
			t.Errorf("config/%s: speaks to %v, want %v", name, outOf, want)
		}
	}
}

func portsOf(ports []networkingv1.NetworkPolicyPort) []string {
	if len(ports) == 0 {
		return []string{"any"}
	}
	var all []string
	for _, p := range ports {
		all = append(all, string(*p.Protocol)+"/"+p.Port.String())
	}
	return all
}

// webhooks are those of both configurations.
func webhooks(t *testing.T, manifests string) []admissionregistrationv1.ValidatingWebhook {
	t.Helper()
	all := only[admissionregistrationv1.ValidatingWebhookConfiguration](t, manifests, "ValidatingWebhookConfiguration").Webhooks
	for _, m := range only[admissionregistrationv1.MutatingWebhookConfiguration](t, manifests, "MutatingWebhookConfiguration").Webhooks {
		all = append(all, admissionregistrationv1.ValidatingWebhook{
			Name: m.Name, Rules: m.Rules, FailurePolicy: m.FailurePolicy, MatchPolicy: m.MatchPolicy, SideEffects: m.SideEffects,
			TimeoutSeconds: m.TimeoutSeconds, NamespaceSelector: m.NamespaceSelector,
		})
	}
	return all
}

// TestWebhooksFailClosed: they answer soon, and stand before no writes but those of our own kinds.
func TestWebhooksFailClosed(t *testing.T) {
	for name, manifests := range installs(t) {
		all := webhooks(t, manifests)
		for _, w := range all {
			if *w.FailurePolicy != admissionregistrationv1.Fail || *w.MatchPolicy != admissionregistrationv1.Equivalent ||
				*w.TimeoutSeconds != 5 || *w.SideEffects != admissionregistrationv1.SideEffectClassNone {
				t.Errorf("config/%s: webhook %s: %v, %v, %d s, side effects %v", name, w.Name, *w.FailurePolicy, *w.MatchPolicy, *w.TimeoutSeconds, *w.SideEffects)
			}
			for _, r := range w.Rules {
				if !slices.Equal(r.APIGroups, []string{"streaming.sneaksanddata.com"}) || slices.Contains(r.Resources, "*") {
					t.Errorf("config/%s: webhook %s stands before %v of %v", name, w.Name, r.Resources, r.APIGroups)
				}
			}
		}
		if want := map[string]int{"default": 9, "with-cert-manager": 9, "with-prometheus": 9, "everything": 9, "namespaced": 8}[name]; len(all) != want {
			t.Errorf("config/%s has %d webhooks, want %d", name, len(all), want)
		}
	}
}

// TestTheOperatorMayLittle: what is sensitive only by name, and in its own namespace.
func TestTheOperatorMayLittle(t *testing.T) {
	for name, manifests := range installs(t) {
		rights, err := law.RightsOf(manifests, system, account)
		if err != nil {
			t.Fatalf("config/%s: %v", name, err)
		}
		for _, r := range rights {
			switch {
			case r.Resource == "secrets" || strings.HasSuffix(r.Resource, "webhookconfigurations"):
				if r.Name == "" || r.Resource == "secrets" && r.Namespace != system {
					t.Errorf("config/%s: may %s", name, r)
				}
			case r.Resource == "leases" && r.Namespace != system:
				t.Errorf("config/%s: may %s", name, r)
			case r.Group == rbacv1.GroupName || slices.Contains([]string{"impersonate", "escalate", "bind"}, r.Verb):
				t.Errorf("config/%s: may %s, by which it could give itself rights", name, r)
			case strings.HasPrefix(r.Resource, "pods") && (r.Resource != "pods" || !slices.Contains([]string{"get", "list", "watch", "delete"}, r.Verb)):
				t.Errorf("config/%s: may %s", name, r)
			}
		}
	}
}

// TestNamespacedIsTheSameWithin holds config/namespaced to config/default: in the
// namespaces that it names the operator has the same rights, and beyond them it changes
// nothing but its own two webhook configurations, and reads no kinds. It has none of the rights of the Helm half, which it does not run.
func TestNamespacedIsTheSameWithin(t *testing.T) {
	all := installs(t)
	wide, err := law.RightsOf(withoutHelmHalf(t, all["default"]), system, account)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := law.RightsOf(all["namespaced"], system, account)
	if err != nil {
		t.Fatal(err)
	}
	everywhere := []string{"streamclasses", "mutatingwebhookconfigurations", "validatingwebhookconfigurations", "tokenreviews", "subjectaccessreviews"}
	var got, want []string
	for _, r := range wide {
		switch {
		case r.Resource == "streamclasses/status", r.Resource == "customresourcedefinitions":
		case r.Namespace != "" || slices.Contains(everywhere, r.Resource):
			want = append(want, r.String())
		default:
			for _, r.Namespace = range served {
				want = append(want, r.String())
			}
		}
	}
	for _, r := range narrow {
		got = append(got, r.String())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("config/namespaced gives\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// withoutHelmHalf leaves out the roles of the Helm half, and their bindings: two of each.
func withoutHelmHalf(t *testing.T, manifests string) string {
	t.Helper()
	documents := strings.Split(manifests, "\n---\n")
	kept := slices.DeleteFunc(slices.Clone(documents), func(document string) bool {
		return strings.Contains(document, "\n  name: arcane-operator-plugins\n")
	})
	if len(documents)-len(kept) != 4 {
		t.Fatalf("%d objects are the Helm half's, want two roles and two bindings", len(documents)-len(kept))
	}
	return strings.Join(kept, "\n---\n")
}

func TestNamespacedNamesItsNamespacesEverywhere(t *testing.T) {
	all := installs(t)
	wide := only[appsv1.Deployment](t, all["default"], "Deployment").Spec.Template.Spec.Containers[0].Args
	args := only[appsv1.Deployment](t, all["namespaced"], "Deployment").Spec.Template.Spec.Containers[0].Args
	if want := append(slices.Clone(wide), "--namespaces="+strings.Join(served, ",")); !slices.Equal(args, want) {
		t.Errorf("the operator is started with %q, want %q", args, want)
	}
	want := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: served},
	}}
	for _, w := range webhooks(t, all["namespaced"]) {
		if !reflect.DeepEqual(w.NamespaceSelector, want) {
			t.Errorf("webhook %s selects %v", w.Name, w.NamespaceSelector)
		}
		if strings.Contains(w.Name, "streamclasses") {
			t.Errorf("webhook %s stands before the whole cluster's classes", w.Name)
		}
	}
	for _, w := range webhooks(t, all["default"]) {
		if w.NamespaceSelector != nil {
			t.Errorf("webhook %s of config/default selects %v", w.Name, w.NamespaceSelector)
		}
	}
	policy := only[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, all["namespaced"], "ValidatingAdmissionPolicyBinding")
	if policy.Spec.MatchResources == nil || !reflect.DeepEqual(policy.Spec.MatchResources.NamespaceSelector, want) {
		t.Errorf("the policy is bound to %v", policy.Spec.MatchResources)
	}
}

// TestAnotherNamespaceIsWrittenOnce: an install in another namespace is this one with
// that name in every place, also within texts and in what other folders add.
func TestAnotherNamespaceIsWrittenOnce(t *testing.T) {
	story.DependOn(t, "config", "tools/gen")
	config := filepath.Join(t.TempDir(), "config")
	if err := os.CopyFS(config, os.DirFS(filepath.Join(story.Root(), "config"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(config, "default", "kustomization.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if line := "\nnamespace: " + system + "\n"; strings.Count(string(content), line) != 1 {
		t.Fatalf("config/default does not name its namespace")
	}
	if err := os.WriteFile(file, bytes.Replace(content, []byte("namespace: "+system), []byte("namespace: elsewhere"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"default", "with-cert-manager", "with-prometheus", "everything", "namespaced"} {
		here, err := render(t.Context(), filepath.Join(story.Root(), "config", name))
		if err != nil {
			t.Fatal(err)
		}
		there, err := render(t.Context(), filepath.Join(config, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(here, system) || there != strings.ReplaceAll(here, system, "elsewhere") {
			t.Errorf("config/%s in another namespace is not the same with another name", name)
		}
	}
}
