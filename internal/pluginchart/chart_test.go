package pluginchart

// This file loads charts and watches.yaml, right and wrong ones, and renders StreamPlugins.

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestLoad(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.Period != 10*time.Minute || c.Workers < 1 {
		t.Errorf("period %s, %d workers", c.Period, c.Workers)
	}
	if c.Newest(v1.PresetPostgres) == "" || c.Newest("unknown") != "" {
		t.Errorf("newest versions: %q, %q", c.Newest(v1.PresetPostgres), c.Newest("unknown"))
	}
}

const watched = `- {group: streaming.sneaksanddata.com, version: v1, kind: StreamPlugin, chart: c, reconcilePeriod: 1m, maxConcurrentReconciles: 1, watchDependentResources: false}`

var files = fstest.MapFS{
	"c/Chart.yaml":                {Data: []byte("apiVersion: v2\nname: c\nversion: 0.1.0\n")},
	"c/presets/postgres/v9.yaml":  {Data: []byte("{}")},
	"c/presets/postgres/v10.yaml": {Data: []byte("{}")},
	"c/presets/postgres/v01.yaml": {Data: []byte("{}")},
	"c/presets/README.md":         {Data: []byte("")},
}

func TestVersionsAreNumbers(t *testing.T) {
	c, err := load(files, []byte(watched))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Versions(v1.PresetPostgres), " "); got != "v9 v10" {
		t.Errorf("versions %s, want v9 v10", got)
	}
	p := &v1.StreamPlugin{Spec: v1.StreamPluginSpec{Preset: v1.PresetPostgres}}
	if got := c.Version(p); got != "v10" {
		t.Errorf("a new StreamPlugin gets %s, want the newest", got)
	}
	p.Status.Version = "v9"
	if got := c.Version(p); got != "v9" {
		t.Errorf("one that is installed gets %s, want what is installed", got)
	}
	p.Spec.Version = "v10"
	if got := c.Version(p); got != "v10" {
		t.Errorf("one that names a version gets %s, want that", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a: b": "watches.yaml",
		"[]":   "one entry",
		strings.Replace(watched, "StreamPlugin", "Stream", 1):                                          "one entry",
		strings.Replace(watched, "reconcilePeriod: 1m, ", "", 1):                                       "reconcilePeriod",
		strings.Replace(watched, "watchDependentResources: false", "kind2: x", 1):                      "watches.yaml",
		strings.Replace(watched, ", watchDependentResources: false", "", 1):                            "watchDependentResources: false",
		strings.Replace(watched, "chart: c", "chart: none", 1):                                         "none",
		strings.Replace(watched, "maxConcurrentReconciles: 1, ", "", 1):                                "maxConcurrentReconciles",
		strings.Replace(watched, "watchDependentResources: false", "watchDependentResources: true", 1): "watchDependentResources: false",
	} {
		if _, err := load(files, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func plugin(change func(*v1.StreamPluginSpec)) *v1.StreamPlugin {
	p := &v1.StreamPlugin{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: "orders", UID: "u-1"},
		Spec:       v1.StreamPluginSpec{Preset: v1.PresetPostgres, Image: "i:1"},
	}
	if change != nil {
		change(&p.Spec)
	}
	return p
}

// TestRenderIsAboutTheRightObjects: each is named after the StreamPlugin, and all but the class lie in its namespace.
func TestRenderIsAboutTheRightObjects(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, kinds := range [][]string{nil, {PodMonitor}} {
		objects, err := c.Render(plugin(nil), Capabilities(kinds...))
		if err != nil {
			t.Fatal(err)
		}
		monitors := 0
		for _, o := range objects {
			want := "sales"
			if o.GetKind() == v1.KindStreamClass {
				want = ""
			}
			if o.GetNamespace() != want || !strings.Contains(o.GetName(), "orders") {
				t.Errorf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
			}
			if o.GetKind() == "PodMonitor" {
				monitors++
			}
		}
		if monitors != len(kinds) {
			t.Errorf("%d PodMonitors with %v", monitors, kinds)
		}
	}
}

// cluster answers which kinds of a group it has.
type cluster struct {
	kinds []string
	err   error
}

func (c cluster) ServerResourcesForGroupVersion(groupVersion string) (*metav1.APIResourceList, error) {
	if c.err != nil || groupVersion != "monitoring.coreos.com/v1" {
		return nil, c.err
	}
	list := &metav1.APIResourceList{GroupVersion: groupVersion}
	for _, kind := range c.kinds {
		list.APIResources = append(list.APIResources, metav1.APIResource{Kind: kind})
	}
	return list, nil
}

// TestCapabilitiesOf: a cluster that does not answer is not one without PodMonitors.
func TestCapabilitiesOf(t *testing.T) {
	for name, of := range map[string]struct {
		cluster cluster
		want    bool
	}{
		"with":              {cluster{kinds: []string{"ServiceMonitor", "PodMonitor"}}, true},
		"without":           {cluster{kinds: []string{"ServiceMonitor"}}, false},
		"without the group": {cluster{err: apierrors.NewNotFound(schema.GroupResource{}, "")}, false},
	} {
		capabilities, err := CapabilitiesOf(of.cluster)
		if err != nil || capabilities.APIVersions.Has(PodMonitor) != of.want {
			t.Errorf("%s: %v, %v", name, capabilities, err)
		}
	}
	silent := errors.New("no answer")
	if _, err := CapabilitiesOf(cluster{err: silent}); !errors.Is(err, silent) {
		t.Errorf("a cluster that does not answer: %v", err)
	}
}

// TestRenderRefuses: the error names the field, and nothing of how Helm came to it.
func TestRenderRefuses(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]struct {
		change func(*v1.StreamPluginSpec)
		wants  []string
	}{
		"preset":  {func(s *v1.StreamPluginSpec) { s.Preset = "oracle" }, []string{"spec.preset", `"postgres"`}},
		"version": {func(s *v1.StreamPluginSpec) { s.Version = "v99" }, []string{"spec.version", `"v1"`, "upgrade the operator"}},
		"label":   {func(s *v1.StreamPluginSpec) { s.PodLabels = map[string]string{"arcane/x": "y"} }, []string{"spec.podLabels[arcane/x]: Forbidden: is set by"}},
		"number":  {func(s *v1.StreamPluginSpec) { s.MaxConcurrent = ptr.To(int32(0)) }, []string{"maxConcurrent"}},
	} {
		_, err := c.Render(plugin(of.change), Capabilities())
		if err == nil {
			t.Errorf("%s: it was rendered", name)
			continue
		}
		for _, want := range of.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		for _, inner := range []string{".tpl", ".yaml:", "error calling"} {
			if strings.Contains(err.Error(), inner) {
				t.Errorf("%s: %v tells how Helm came to it", name, err)
			}
		}
	}
}

// TestNoValueBecomesAField: a character that YAML takes for a line break would end the value within the text.
func TestNoValueBecomesAField(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\u2028", "\u2029", "\u0085", "\ufeff", "\ufffe", "\x7f", "\x00", "\r", "\x1b"} {
		text := "a\n" + bad + "hostPID: true"
		for name, change := range map[string]func(*v1.StreamPluginSpec){
			"tolerations":  func(s *v1.StreamPluginSpec) { s.Tolerations = []corev1.Toleration{{Key: "k", Value: text}} },
			"env":          func(s *v1.StreamPluginSpec) { s.Env = []corev1.EnvVar{{Name: "A", Value: text}} },
			"nodeSelector": func(s *v1.StreamPluginSpec) { s.NodeSelector = map[string]string{"k": text} },
			"annotations": func(s *v1.StreamPluginSpec) {
				s.ServiceAccount = &v1.PluginServiceAccount{Annotations: map[string]string{"k": text}}
			},
			"annotations's key": func(s *v1.StreamPluginSpec) {
				s.ServiceAccount = &v1.PluginServiceAccount{Annotations: map[string]string{"k" + bad: "v"}}
			},
		} {
			if o, err := c.Render(plugin(change), Capabilities()); err == nil {
				t.Errorf("%q in %s is rendered: %v", bad, name, o)
			} else if !strings.HasPrefix(err.Error(), "spec") {
				t.Errorf("%q in %s: %v, want the field", bad, name, err)
			}
		}
	}
	merged := func(s *v1.StreamPluginSpec) {
		s.Schema = &v1.PluginSchema{OpenAPIV3Schema: &runtime.RawExtension{Raw: []byte(`{"type":"object","properties":{"source":{"<<":{"nullable":true}}}}`)}}
	}
	if _, err := c.Render(plugin(merged), Capabilities()); err == nil || !strings.Contains(err.Error(), "<<") {
		t.Errorf("a merge key: %v", err)
	}
	deep := func(s *v1.StreamPluginSpec) {
		s.Schema = &v1.PluginSchema{OpenAPIV3Schema: &runtime.RawExtension{Raw: []byte(strings.Repeat(`{"properties":`, 8000) + "{}" + strings.Repeat("}", 8000))}}
	}
	if _, err := c.Render(plugin(deep), Capabilities()); err == nil || !strings.Contains(err.Error(), "levels deep") {
		t.Errorf("a deep schema: %v", err)
	}
	large := func(s *v1.StreamPluginSpec) {
		s.Env = []corev1.EnvVar{{Name: "A", Value: strings.Repeat("x", maxSpec)}}
	}
	if _, err := c.Render(plugin(large), Capabilities()); err == nil || !strings.Contains(err.Error(), "spec") {
		t.Errorf("a large spec: %v", err)
	}
}

// TestInstallsWhatIsRendered: whatever the chart renders is a kind that the uninstall takes from the status.
func TestInstallsWhatIsRendered(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Render(plugin(nil), Capabilities(PodMonitor))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if !Installs(o.GetAPIVersion(), o.GetKind()) {
			t.Errorf("%s %s is rendered, and would not be removed", o.GetKind(), o.GetName())
		}
	}
	if Installs("v1", "Secret") {
		t.Error("a Secret is installed by no chart")
	}
}

// TestIntegersStayWhole: a float64 would spoil them beyond 2^53.
func TestIntegersStayWhole(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Render(plugin(func(s *v1.StreamPluginSpec) {
		s.Tolerations = []corev1.Toleration{{Key: "k", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: ptr.To(int64(9223372036854775807))}}
	}), Capabilities())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		tolerations, found, err := unstructured.NestedSlice(o.Object, "spec", "spec", "template", "spec", "tolerations")
		if !found || err != nil {
			continue
		}
		if got := tolerations[0].(map[string]any)["tolerationSeconds"]; got != int64(9223372036854775807) {
			t.Errorf("%s %s has %v (%T)", o.GetKind(), o.GetName(), got, got)
		}
	}
}
