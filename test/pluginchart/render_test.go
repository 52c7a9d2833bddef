// Package pluginchart_test renders the chart stream-plugin with Helm's own engine, as the operator does, and holds what
// comes of it to golden manifests, to the API's own validation and to the Pod Security Standards.
package pluginchart_test

// This file renders the chart.

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	arcane "github.com/arcane-streaming/arcane-operator"
	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

const (
	folder     = "helm-charts/stream-plugin"
	namespace  = "sales"
	podMonitor = "monitoring.coreos.com/v1/PodMonitor"
)

// load reads the chart that the operator embeds.
func load(t testing.TB) *chart.Chart {
	t.Helper()
	var files []*loader.BufferedFile
	err := fs.WalkDir(arcane.StreamPluginChart, folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := arcane.StreamPluginChart.ReadFile(file)
		files = append(files, &loader.BufferedFile{Name: strings.TrimPrefix(file, folder+"/"), Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	read, err := loader.LoadFiles(files)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// values reads a document of values, as Helm does.
func values(t testing.TB, text string) chartutil.Values {
	t.Helper()
	read, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// minimal are the values of the smallest StreamPlugin.
const minimal = "{name: postgres, preset: postgres, image: registry.example.com/arcane-plugin-postgres:v0.1.0}"

// with is the smallest StreamPlugin with more values, which replace its own at the first level.
func with(t testing.TB, more string) chartutil.Values {
	t.Helper()
	all := values(t, minimal)
	maps.Copy(all, values(t, more))
	return all
}

// render renders the chart as usual. What it returns are the manifests by the
// files of the chart that they come from.
func render(t testing.TB, of *chart.Chart, given chartutil.Values) (map[string]string, error) {
	t.Helper()
	return renderFor(t, of, given, usual())
}

// usual is the first install of a release, for a cluster that has the Prometheus Operator's kinds.
func usual() target {
	return target{
		release: chartutil.ReleaseOptions{Name: "release", Namespace: namespace, Revision: 1, IsInstall: true},
		kinds:   []string{podMonitor},
	}
}

// target is where the chart is rendered for.
type target struct {
	release chartutil.ReleaseOptions
	kinds   []string
}

func renderFor(t testing.TB, of *chart.Chart, given chartutil.Values, at target) (map[string]string, error) {
	t.Helper()
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.APIVersions = append(slices.Clone(capabilities.APIVersions), at.kinds...)
	// ToRenderValues judges the values by the schema.
	all, err := chartutil.ToRenderValues(of, given, at.release, capabilities)
	if err != nil {
		return nil, fmt.Errorf("judge the values: %w", err)
	}
	rendered, err := engine.Render(of, all)
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	manifests := map[string]string{}
	for file, text := range rendered {
		if strings.TrimSpace(text) != "" && path.Ext(file) == ".yaml" {
			manifests[strings.TrimPrefix(file, "stream-plugin/templates/")] = text
		}
	}
	return manifests, nil
}

// manifest is all that was rendered, in the order of the files.
func manifest(rendered map[string]string) string {
	var all strings.Builder
	for _, file := range slices.Sorted(maps.Keys(rendered)) {
		fmt.Fprintf(&all, "---\n# %s\n%s\n", file, strings.TrimSpace(rendered[file]))
	}
	return all.String()
}

// installed are the objects that were rendered.
type installed struct {
	class     *v1.StreamClass
	streaming *v1.StreamingJobTemplate
	backfill  *v1.StreamingJobTemplate
	account   *corev1.ServiceAccount
	policy    *networkingv1.NetworkPolicy
	monitor   *monitor
	dashboard *corev1.ConfigMap
}

// monitor is a PodMonitor, as far as it is of interest here. (test/monitors reads it with its own type.)
type monitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		NamespaceSelector struct {
			Any bool `json:"any"`
		} `json:"namespaceSelector"`
		Selector            metav1.LabelSelector `json:"selector"`
		PodMetricsEndpoints []map[string]any     `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

// install renders and reads, strictly: a field that a type does not know is an error, and so is an object that is not
// expected.
func install(t testing.TB, given chartutil.Values) installed {
	t.Helper()
	rendered, err := render(t, load(t), given)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, rendered)
}

func read(t testing.TB, rendered map[string]string) (all installed) {
	t.Helper()
	for _, document := range documents(rendered) {
		meta := metav1.TypeMeta{}
		if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		switch meta.APIVersion + " " + meta.Kind {
		case "streaming.sneaksanddata.com/v1 StreamClass":
			decode(t, document, &all.class)
		case "streaming.sneaksanddata.com/v1 StreamingJobTemplate":
			into := &all.streaming
			if all.streaming != nil {
				into = &all.backfill
			}
			decode(t, document, into)
		case "v1 ServiceAccount":
			decode(t, document, &all.account)
		case "networking.k8s.io/v1 NetworkPolicy":
			decode(t, document, &all.policy)
		case "monitoring.coreos.com/v1 PodMonitor":
			decode(t, document, &all.monitor)
		case "v1 ConfigMap":
			decode(t, document, &all.dashboard)
		default:
			t.Fatalf("nothing is known of:\n%s", document)
		}
	}
	return all
}

// documents are the rendered objects, in the order of the files and in the order in each.
func documents(rendered map[string]string) []string {
	var all []string
	for _, file := range slices.Sorted(maps.Keys(rendered)) {
		for document := range strings.SplitSeq(rendered[file], "\n---\n") {
			all = append(all, document)
		}
	}
	return all
}

// decode reads one object, once.
func decode[T any](t testing.TB, document string, into **T) {
	t.Helper()
	if *into != nil {
		t.Fatalf("rendered twice:\n%s", document)
	}
	*into = new(T)
	if err := yaml.UnmarshalStrict([]byte(document), *into); err != nil {
		t.Fatalf("%v:\n%s", err, document)
	}
}
