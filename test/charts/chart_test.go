package charts_test

// This file holds the chart to what an installation by Helm relies on.

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

const deployment = "Deployment/" + system + "/arcane-operator"

func TestBothHelmsRenderTheSame(t *testing.T) {
	for name, install := range installs {
		var all []map[string]map[string]any
		for _, helm := range helms {
			out, err := template(t, helm, release, system, install.values...)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, objects(t, out))
		}
		if len(all[0]) < 20 || !reflect.DeepEqual(all[0], all[1]) {
			t.Errorf("%s: %d objects of %s, and %d others of %s", name, len(all[0]), helms[0], len(all[1]), helms[1])
			compare(t, all[0], all[1])
		}
	}
}

func TestBothHelmsLintTheChart(t *testing.T) {
	story.DependOn(t, "helm-charts", "tools")
	for _, helm := range helms {
		for name, install := range installs {
			if _, err := run(t.Context(), helm, append([]string{"helm", "lint", "--strict", "--kube-version", oldest, chart()}, install.values...)...); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestAnotherNamespaceAndReleaseChangeNamesOnly: wherever the release lies and whatever it is called, the names are those
// that flags, webhooks and policies know.
func TestAnotherNamespaceAndReleaseChangeNamesOnly(t *testing.T) {
	for name, install := range installs {
		here, err := template(t, helms[0], release, system, install.values...)
		if err != nil {
			t.Fatal(err)
		}
		there, err := template(t, helms[0], "other", "elsewhere", install.values...)
		if err != nil {
			t.Fatal(err)
		}
		moved := strings.ReplaceAll(strings.ReplaceAll(here, system, "elsewhere"), "app.kubernetes.io/instance: "+release, "app.kubernetes.io/instance: other")
		if !reflect.DeepEqual(objects(t, there), objects(t, moved)) {
			t.Errorf("%s: another namespace and release change more than these names", name)
		}
	}
}

// TestHelmOwnsNothingThatTheOperatorWrites: by server-side apply Helm owns what it renders, and resets it.
func TestHelmOwnsNothingThatTheOperatorWrites(t *testing.T) {
	for name, install := range installs {
		for key, o := range rendered(t, install.values...) {
			switch {
			case strings.HasSuffix(text(o, "kind"), "WebhookConfiguration"):
				webhooks, _ := at(o, "webhooks").([]any)
				if len(webhooks) == 0 {
					t.Errorf("%s: %s has no webhooks", name, key)
				}
				for _, w := range webhooks {
					if config, _ := at(w, "clientConfig").(map[string]any); config == nil || config["caBundle"] != nil {
						t.Errorf("%s: %s of %s has the authority %v", name, text(w, "name"), key, config)
					}
				}
			case text(o, "kind") == "Secret":
				if o["data"] != nil || o["stringData"] != nil {
					t.Errorf("%s: %s has data", name, key)
				}
			case o["status"] != nil:
				t.Errorf("%s: %s has a status", name, key)
			}
		}
	}
}

// TestNoObjectOfTheChartWaitsForItsWebhooks: Helm creates webhook configurations before their pods are ready.
func TestNoObjectOfTheChartWaitsForItsWebhooks(t *testing.T) {
	for name, install := range installs {
		all := rendered(t, install.values...)
		judged := map[string]bool{}
		for _, o := range all {
			if strings.HasSuffix(text(o, "kind"), "WebhookConfiguration") {
				for _, w := range as[admissionregistrationv1.ValidatingWebhookConfiguration](t, withoutMutation(o)).Webhooks {
					for _, rule := range w.Rules {
						for _, group := range rule.APIGroups {
							judged[group] = true
						}
					}
				}
			}
		}
		if len(judged) == 0 || judged["*"] || judged[""] {
			t.Errorf("%s: the webhooks judge the groups %v", name, judged)
		}
		for key, o := range all {
			if group, _, _ := strings.Cut(text(o, "apiVersion"), "/"); judged[group] {
				t.Errorf("%s: %s is judged by the webhooks of its own release", name, key)
			}
		}
	}
}

// withoutMutation reads either kind of configuration as a validating one.
func withoutMutation(o map[string]any) map[string]any {
	webhooks, _ := o["webhooks"].([]any)
	for _, w := range webhooks {
		remove(w, "reinvocationPolicy")
	}
	return o
}

// TestPodsAreRestricted: the operator's, and that of helm test.
func TestPodsAreRestricted(t *testing.T) {
	for name, install := range installs {
		all := rendered(t, install.values...)
		check := as[corev1.Pod](t, all["Pod/"+system+"/arcane-check"])
		pods := map[string]corev1.PodTemplateSpec{
			"operator": as[appsv1.Deployment](t, all[deployment]).Spec.Template,
			"check":    {ObjectMeta: check.ObjectMeta, Spec: check.Spec},
		}
		for which, pod := range pods {
			if faults := jobspec.Forbidden(&pod, "restricted"); len(faults) > 0 {
				t.Errorf("%s: the pod of the %s %v", name, which, faults)
			}
			if s := pod.Spec.Containers[0].SecurityContext; s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s: the pod of the %s may write to its root", name, which)
			}
		}
		if pods["operator"].Spec.Containers[0].Image != pods["check"].Spec.Containers[0].Image {
			t.Errorf("%s: helm test runs another image, which the cluster may not be able to pull", name)
		}
	}
}

// TestSelectorsFindTheOperator: and never the pod of helm test.
func TestSelectorsFindTheOperator(t *testing.T) {
	all := rendered(t)
	pod := as[appsv1.Deployment](t, all[deployment])
	check := as[corev1.Pod](t, all["Pod/"+system+"/arcane-check"])
	selectors := map[string]*metav1.LabelSelector{
		"Deployment":          pod.Spec.Selector,
		"PodDisruptionBudget": as[policyv1.PodDisruptionBudget](t, all["PodDisruptionBudget/"+system+"/arcane-operator"]).Spec.Selector,
		"NetworkPolicy":       &[]metav1.LabelSelector{as[networkingv1.NetworkPolicy](t, all["NetworkPolicy/"+system+"/arcane-operator"]).Spec.PodSelector}[0],
		"pod anti-affinity":   pod.Spec.Template.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm.LabelSelector,
	}
	for _, name := range []string{"arcane-webhook-service", "arcane-metrics"} {
		selectors["Service "+name] = &metav1.LabelSelector{MatchLabels: as[corev1.Service](t, all["Service/"+system+"/"+name]).Spec.Selector}
	}
	for name, s := range selectors {
		selector, err := metav1.LabelSelectorAsSelector(s)
		if err != nil {
			t.Fatal(err)
		}
		if selector.Empty() || !selector.Matches(labels.Set(pod.Spec.Template.Labels)) || selector.Matches(labels.Set(check.Labels)) {
			t.Errorf("the selector of the %s is %s", name, selector)
		}
	}
}

// TestTheOperatorKnowsItsFlags: it reads whatever the chart starts it with.
func TestTheOperatorKnowsItsFlags(t *testing.T) {
	story.DependOn(t, "api", "cmd", "internal", "webhooks")
	binary, err := story.BuildOperator(t.Context(), t.TempDir(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	all := rendered(t, append(slices.Clone(installs["namespaced"].values), "--set=certificate.source=cert-manager",
		"--set=logLevel=debug,workers=3,perStreamMetrics=none,otlpEndpoint=https://collector/otlp,ports.webhook=19443,ports.metrics=18443,ports.health=18081",
		"--set=extraArgs={--certificate-lifetime=48h}")...)
	args := as[appsv1.Deployment](t, all[deployment]).Spec.Template.Spec.Containers[0].Args
	for _, want := range []string{
		"--log-level=debug", "--workers=3", "--per-stream-metrics=none", "--otlp-endpoint=https://collector/otlp", "--webhook-port=19443",
		"--metrics-bind-address=:18443", "--health-probe-bind-address=:18081", "--certificate-lifetime=48h", "--namespaces=team-a,team-b",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("the operator is started with %q, without %s", args, want)
		}
	}
	if out, err := exec.CommandContext(t.Context(), binary, append(args, "--version")...).CombinedOutput(); err != nil {
		t.Errorf("the operator does not take %q: %v\n%s", args, err, out)
	}
	checked := as[corev1.Pod](t, all["Pod/"+system+"/arcane-check"]).Spec.Containers[0].Args
	out, err := exec.CommandContext(t.Context(), binary, append(slices.Clone(checked), "--help")...).CombinedOutput()
	if err != nil || checked[0] != "check" || !strings.Contains(string(out), "dry run") {
		t.Errorf("the check does not take %q: %v\n%s", checked, err, out)
	}
}

// TestTheCheckMayLittle: what helm test may do is to create what it asks for, which is a dry run.
func TestTheCheckMayLittle(t *testing.T) {
	for values, want := range map[string]string{
		"--set-json=namespaces=[]":         `ClusterRole//arcane-check [map[apiGroups:[streaming.sneaksanddata.com] resources:[streamclasses] verbs:[create]]]`,
		"--set=namespaces={team-a,team-b}": `Role/team-a/arcane-check [map[apiGroups:[streaming.sneaksanddata.com] resources:[backfillrequests] verbs:[create]] map[apiGroups:[batch] resources:[jobs] verbs:[create]]]`,
	} {
		var got []string
		for key, o := range rendered(t, values) {
			if strings.HasSuffix(text(o, "kind"), "Role") && isHook(o) {
				got = append(got, fmt.Sprintf("%s %v", key, o["rules"]))
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", values, got, want)
		}
	}
}

// TestHelmTestLeavesNothing: what it makes goes when it has passed, and is replaced when it has not.
func TestHelmTestLeavesNothing(t *testing.T) {
	hooks := 0
	for key, o := range rendered(t) {
		if !isHook(o) {
			continue
		}
		hooks++
		if policy := text(o, "metadata", "annotations", "helm.sh/hook-delete-policy"); text(o, "metadata", "annotations", "helm.sh/hook") != "test" || policy != "before-hook-creation,hook-succeeded" {
			t.Errorf("%s: %v", key, at(o, "metadata", "annotations"))
		}
	}
	if hooks != 4 {
		t.Errorf("helm test has %d objects", hooks)
	}
}

// TestDashboardsAreConfigs: the JSON within the chart is that of config/grafana.
func TestDashboardsAreConfigs(t *testing.T) {
	story.DependOn(t, "config", "helm-charts")
	read := func(folder string) map[string]string {
		files := map[string]string{}
		paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(path)] = string(content)
		}
		return files
	}
	want := read(filepath.Join(story.Root(), "config", "grafana"))
	if got := read(filepath.Join(chart(), "files", "dashboards")); len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("the chart has the dashboards %v, or other ones, want %v: make generate", slices.Collect(maps.Keys(got)), slices.Collect(maps.Keys(want)))
	}
}
