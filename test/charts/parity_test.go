package charts_test

// This file compares the chart with config/, object by object.

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// installs are the folders of config/, and the values that stand for them.
var installs = map[string]struct {
	resources, components, values []string
}{
	"default":           {resources: []string{"default"}},
	"with-cert-manager": {resources: []string{"with-cert-manager"}, values: []string{"--set=certificate.source=cert-manager"}},
	"with-prometheus":   {resources: []string{"with-prometheus"}, values: []string{"--set=prometheus.enabled=true"}},
	"namespaced":        {resources: []string{"namespaced"}, values: []string{"--set=namespaces={team-a,team-b}"}},
	"grafana":           {resources: []string{"default"}, components: []string{"grafana"}, values: []string{"--set=grafana.enabled=true"}},
	"namespaced, with monitoring": {
		resources: []string{"namespaced"}, components: []string{"prometheus", "grafana"},
		values: []string{"--set=namespaces={team-a,team-b},prometheus.enabled=true,grafana.enabled=true"},
	},
	"namespaced, with cert-manager": {
		resources: []string{"namespaced"}, components: []string{"cert-manager"},
		values: []string{"--set=namespaces={team-a,team-b},certificate.source=cert-manager"},
	},
}

// difference is a field in which the chart means to differ, or a whole object, with the reason.
type difference struct {
	object string
	path   []string
	reason string
}

// differences are all that there may be.
var differences = []difference{
	{"Deployment/arcane-system/arcane-operator", []string{"spec", "replicas"}, "Helm's users expect no gap while a node is drained: 2, with a PodDisruptionBudget"},
	{"Deployment/arcane-system/arcane-operator", []string{"spec", "template", "spec", "affinity"}, "of two replicas each has a node of its own where there are two"},
	{"Deployment/arcane-system/arcane-operator", []string{"spec", "template", "spec", "containers", "operator", "image"}, "the tag is the chart's appVersion"},
	{"Deployment/arcane-system/arcane-operator", []string{"metadata", "annotations", "kube-score/ignore"}, "with two replicas kube-score has nothing to say of their number"},
	{"PodDisruptionBudget/arcane-system/arcane-operator", nil, "a drain leaves one of the two replicas"},
	{"NetworkPolicy/arcane-system/arcane-default-deny", nil, "Helm installs into any namespace, where others may run: networkPolicy.denyOthers"},
}

// ofTheChart are the labels that Helm's users look for; all objects have them.
var ofTheChart = []string{"helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"}

func TestTheChartInstallsWhatConfigDoes(t *testing.T) {
	unused := maps.Collect(maps.All(indexed(differences)))
	for name, install := range installs {
		t.Run(name, func(t *testing.T) {
			want := kustomized(t, install.resources, install.components)
			got := rendered(t, install.values...)
			maps.DeleteFunc(want, func(key string, _ map[string]any) bool {
				// The CRDs are compared below; the namespace is made by helm install --create-namespace.
				return strings.HasPrefix(key, "CustomResourceDefinition/") || strings.HasPrefix(key, "Namespace/")
			})
			maps.DeleteFunc(got, func(key string, o map[string]any) bool {
				return strings.HasPrefix(key, "CustomResourceDefinition/") || isHook(o)
			})
			for _, o := range got {
				for _, label := range ofTheChart {
					if !remove(o, "metadata", "labels", label) {
						t.Errorf("%s has no label %s", text(o, "metadata", "name"), label)
					}
				}
			}
			for key, o := range got {
				// Components label only what is selected by labels.
				for _, label := range []string{"app.kubernetes.io/name", "app.kubernetes.io/part-of"} {
					if want[key] != nil && at(want[key], "metadata", "labels", label) == nil {
						remove(o, "metadata", "labels", label)
					}
				}
			}
			for i, d := range differences {
				if allow(d, got, want) {
					delete(unused, i)
				}
			}
			compare(t, got, want)
		})
	}
	for _, d := range unused {
		t.Errorf("nothing differs in %s %v any more: remove it from the list", d.object, d.path)
	}
}

func indexed(all []difference) map[int]difference { return maps.Collect(slices.All(all)) }

// allow removes what may differ from both, and tells whether it did.
func allow(d difference, got, want map[string]map[string]any) bool {
	if len(d.path) == 0 {
		_, here := got[d.object]
		_, there := want[d.object]
		delete(got, d.object)
		delete(want, d.object)
		return here != there
	}
	differ := !reflect.DeepEqual(at(got[d.object], d.path...), at(want[d.object], d.path...))
	remove(got[d.object], d.path...)
	remove(want[d.object], d.path...)
	return differ
}

// remove removes a field, and tells whether it was there. A mapping that is empty then goes as well.
func remove(o any, path ...string) bool {
	last := len(path) - 1
	fields, ok := at(o, path[:last]...).(map[string]any)
	if _, there := fields[path[last]]; !ok || !there {
		return false
	}
	delete(fields, path[last])
	if len(fields) == 0 && last > 0 {
		remove(o, path[:last]...)
	}
	return true
}

func compare(t *testing.T, got, want map[string]map[string]any) {
	t.Helper()
	for key := range got {
		if want[key] == nil {
			t.Errorf("only the chart has %s", key)
		}
	}
	for key, wanted := range want {
		switch o := got[key]; {
		case o == nil:
			t.Errorf("only config/ has %s", key)
		case !reflect.DeepEqual(o, wanted):
			here, _ := yaml.Marshal(o)
			there, _ := yaml.Marshal(wanted)
			t.Errorf("%s of the chart is\n%s\nwant\n%s", key, here, there)
		}
	}
}

// TestTheChartHasTheKinds compares the CRDs, which stay when the release goes.
func TestTheChartHasTheKinds(t *testing.T) {
	want := kustomized(t, []string{"crd"}, nil)
	kinds := func(values ...string) map[string]map[string]any {
		all := rendered(t, values...)
		maps.DeleteFunc(all, func(key string, _ map[string]any) bool { return !strings.HasPrefix(key, "CustomResourceDefinition/") })
		return all
	}
	got := kinds()
	if len(want) == 0 {
		t.Fatal("config/crd has no kinds")
	}
	for key, crd := range got {
		if text(crd, "metadata", "annotations", "helm.sh/resource-policy") != "keep" {
			t.Errorf("helm uninstall would delete %s", key)
		}
		remove(crd, "metadata", "annotations", "helm.sh/resource-policy")
		remove(crd, "metadata", "labels")
		remove(want[key], "metadata", "labels")
	}
	compare(t, got, want)
	for key, crd := range kinds("--set=crds.keep=false") {
		if at(crd, "metadata", "annotations", "helm.sh/resource-policy") != nil {
			t.Errorf("crds.keep=false keeps %s", key)
		}
	}
	if left := kinds("--set=crds.install=false"); len(left) != 0 {
		t.Errorf("crds.install=false installs %v", slices.Collect(maps.Keys(left)))
	}
}
