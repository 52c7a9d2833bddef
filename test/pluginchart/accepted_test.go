package pluginchart_test

// This file holds what is rendered to the operator's own validation, to the Pod Security Standards, and to the manifests of
// the plugin itself.

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

const plugin = "../../plugins/postgres/config"

// each renders all golden values.
func each(t *testing.T, judge func(t *testing.T, all installed)) {
	t.Helper()
	for version, files := range golden(t) {
		for _, file := range files {
			t.Run(version+"/"+filepath.Base(file), func(t *testing.T) { judge(t, install(t, valuesOf(t, file))) })
		}
	}
}

// sample is the plugin's own sample of a Stream, of the class.
func sample(t *testing.T, class *v1.StreamClass) *v1.Stream {
	t.Helper()
	text, err := os.ReadFile(plugin + "/samples/stream.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := &v1.Stream{}
	if err := yaml.UnmarshalStrict(text, s); err != nil {
		t.Fatal(err)
	}
	s.Namespace, s.Spec.StreamClass = namespace, class.Name
	var source map[string]any
	if err := json.Unmarshal(s.Spec.Source.Raw, &source); err != nil {
		t.Fatal(err)
	}
	// A schema of the values may ask for more than the sample has.
	for _, field := range required(t, class) {
		if source[field] == nil {
			source[field] = "given"
		}
	}
	if s.Spec.Source.Raw, err = json.Marshal(source); err != nil {
		t.Fatal(err)
	}
	return s
}

// required are the fields of the source that the class asks for.
func required(t *testing.T, class *v1.StreamClass) []string {
	t.Helper()
	var schema struct {
		Properties struct {
			Source struct {
				Required []string `json:"required"`
			} `json:"source"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(class.Spec.Schema.OpenAPIV3Schema.Raw, &schema); err != nil {
		t.Fatal(err)
	}
	return schema.Properties.Source.Required
}

// jobs are those that come of a Stream of the class: streaming, or a run of its schedule, and backfill.
func jobs(t *testing.T, all installed, schedule string) []*batchv1.Job {
	t.Helper()
	s := sample(t, all.class)
	if schedule != "" {
		s.Spec.Schedule = &schedule
	}
	around := validation.StreamSurroundings{Class: all.class, Template: all.streaming, BackfillTemplate: all.backfill}
	validation.DefaultStream(s, true, around)
	none(t, func() ([]string, field.ErrorList) { return validation.Stream(nil, s, around) })
	stream, backfill := validation.Templates(s, all.class)
	if want := (v1.TemplateReference{Namespace: namespace, Name: all.streaming.Name}); *stream != want {
		t.Errorf("streaming jobs are built from %v, want %v", *stream, want)
	}
	if want := (v1.TemplateReference{Namespace: namespace, Name: all.backfill.Name}); *backfill != want {
		t.Errorf("backfills are built from %v, want %v", *backfill, want)
	}
	built := validation.StreamJobs(s, around)
	if len(built) != 2 {
		t.Fatalf("%d jobs", len(built))
	}
	return built
}

// none fails where a judgement refuses or warns.
func none(t *testing.T, judge func() ([]string, field.ErrorList)) {
	t.Helper()
	if warnings, errs := judge(); len(warnings)+len(errs) > 0 {
		t.Errorf("refused: %v, warned: %q", errs, warnings)
	}
}

// TestItIsAccepted: by all that the webhooks ask, without a warning, at level restricted.
func TestItIsAccepted(t *testing.T) { each(t, accepted) }

func accepted(t *testing.T, all installed) {
	t.Helper()
	none(t, func() ([]string, field.ErrorList) {
		return validation.Class(nil, all.class, validation.ClassSurroundings{})
	})
	users := []validation.TemplateUser{{Stream: sample(t, all.class), Class: all.class}}
	for _, template := range []*v1.StreamingJobTemplate{all.streaming, all.backfill} {
		none(t, func() ([]string, field.ErrorList) {
			return validation.Template(nil, template, validation.TemplateSurroundings{Users: users})
		})
		if template.Namespace != namespace {
			t.Errorf("template %s lies in %q", template.Name, template.Namespace)
		}
	}
	if all.class.Spec.PodSecurityLevel != "restricted" {
		t.Errorf("level %s", all.class.Spec.PodSecurityLevel)
	}
	for _, job := range append(jobs(t, all, ""), jobs(t, all, "0 3 * * *")...) {
		if bad := jobspec.Forbidden(&job.Spec.Template, "restricted"); len(bad) > 0 {
			t.Errorf("level restricted forbids: %q", bad)
		}
	}
}

// TestEveryPodIsTheirs: each pod of the class runs as the ServiceAccount without a token of its own, the NetworkPolicy selects
// it, and exactly one PodMonitor does: the plugin's own, and not the one of all streams.
func TestEveryPodIsTheirs(t *testing.T) {
	text, err := os.ReadFile("../../config/prometheus/plugins.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var general *monitor
	decode(t, string(text), &general)
	selects := func(selector metav1.LabelSelector, pod map[string]string) bool {
		s, err := metav1.LabelSelectorAsSelector(&selector)
		if err != nil {
			t.Fatal(err)
		}
		return s.Matches(labels.Set(pod))
	}
	each(t, func(t *testing.T, all installed) {
		t.Helper()
		for _, job := range append(jobs(t, all, ""), jobs(t, all, "0 3 * * *")...) {
			pod := job.Spec.Template
			if token := pod.Spec.AutomountServiceAccountToken; pod.Spec.ServiceAccountName != all.account.Name || token == nil || *token {
				t.Errorf("a pod runs as %q", pod.Spec.ServiceAccountName)
			}
			if !selects(all.policy.Spec.PodSelector, pod.Labels) {
				t.Errorf("the NetworkPolicy leaves a pod with %v out", pod.Labels)
			}
			if !selects(all.monitor.Spec.Selector, pod.Labels) || selects(general.Spec.Selector, pod.Labels) {
				t.Errorf("of a pod with %v, the plugin's monitor: %t, that of all streams: %t", pod.Labels,
					selects(all.monitor.Spec.Selector, pod.Labels), selects(general.Spec.Selector, pod.Labels))
			}
			// The pod of a plugin that somebody installed by hand has no such label.
			byHand := maps.Clone(pod.Labels)
			delete(byHand, "streaming.sneaksanddata.com/plugin")
			if selects(all.monitor.Spec.Selector, byHand) || !selects(general.Spec.Selector, byHand) {
				t.Errorf("of a pod with %v, the plugin's monitor: %t, that of all streams: %t", byHand,
					selects(all.monitor.Spec.Selector, byHand), selects(general.Spec.Selector, byHand))
			}
			open := all.policy.Spec.Ingress[0].Ports
			if port := pod.Spec.Containers[0].Ports[0]; len(open) != 1 || *open[0].Port != intstr.FromInt32(port.ContainerPort) || port.Name != "metrics" {
				t.Errorf("open: %+v, the pod's: %+v", open, port)
			}
		}
		if all.monitor.Spec.NamespaceSelector.Any || all.monitor.Namespace != namespace || all.policy.Namespace != namespace {
			t.Error("the plugin's monitor or its policy is about other namespaces, too")
		}
		// What the samples are called must not depend on which of the two monitors scraped them.
		if !reflect.DeepEqual(all.monitor.Spec.PodMetricsEndpoints, general.Spec.PodMetricsEndpoints) {
			t.Errorf("the plugin's monitor scrapes %v, that of all streams %v", all.monitor.Spec.PodMetricsEndpoints, general.Spec.PodMetricsEndpoints)
		}
	})
}

// TestThePluginsOwnManifestsSayTheSame: plugins/postgres/config, for those who install the plugin without a StreamPlugin, is
// what the newest version of the preset renders, but for the ServiceAccount and the label that belong to a StreamPlugin.
func TestThePluginsOwnManifestsSayTheSame(t *testing.T) {
	given := valuesOf(t, "testdata/postgres-v1/volume.values.yaml")
	delete(given, "version")
	all := install(t, given)

	var class *v1.StreamClass
	text, err := os.ReadFile(plugin + "/class.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decode(t, string(text), &class)
	same(t, "StreamClass", class.Spec, all.class.Spec)

	text, err = os.ReadFile(plugin + "/templates.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(text, []byte("\n---\n"))
	for i, rendered := range []*v1.StreamingJobTemplate{all.streaming, all.backfill} {
		pod := &rendered.Spec.Spec.Template
		pod.Spec.ServiceAccountName = ""
		pod.Labels = nil
		var written *v1.StreamingJobTemplate
		decode(t, string(documents[i]), &written)
		if written.Name != rendered.Name {
			t.Errorf("%s is called %s", written.Name, rendered.Name)
		}
		same(t, "StreamingJobTemplate "+written.Name, written.Spec, rendered.Spec)
	}
	if len(documents) != 2 {
		t.Errorf("the plugin has %d templates", len(documents))
	}
}

// same compares what is written of two values.
func same(t *testing.T, of string, written, rendered any) {
	t.Helper()
	a, err := yaml.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	b, err := yaml.Marshal(rendered)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s: in plugins/postgres/config\n%s\nfrom the chart\n%s", of, a, b)
	}
}

// TestTheDashboardIsTheClasss: valid JSON about the one class, under a UID that Grafana takes and no other class has.
func TestTheDashboardIsTheClasss(t *testing.T) {
	uids := map[string]string{}
	each(t, func(t *testing.T, all installed) {
		t.Helper()
		if all.dashboard.Labels["grafana_dashboard"] != "1" || all.dashboard.Annotations["grafana_folder"] == "" {
			t.Errorf("labels %v, annotations %v", all.dashboard.Labels, all.dashboard.Annotations)
		}
		text, ok := all.dashboard.Data["arcane-plugin-"+all.class.Name+".json"]
		if !ok || len(all.dashboard.Data) != 1 {
			t.Fatalf("the dashboards are called otherwise")
		}
		var board struct {
			UID        string `json:"uid"`
			Title      string `json:"title"`
			Templating struct {
				List []struct {
					Name  string          `json:"name"`
					Type  string          `json:"type"`
					Query json.RawMessage `json:"query"`
				} `json:"list"`
			} `json:"templating"`
		}
		if err := json.Unmarshal([]byte(text), &board); err != nil {
			t.Fatal(err)
		}
		if class, taken := uids[board.UID]; taken && class != all.class.Name || len(board.UID) > 40 || len(board.UID) < 20 {
			t.Errorf("UID %q, which is also that of class %q", board.UID, class)
		}
		uids[board.UID] = all.class.Name
		fixed := false
		for _, v := range board.Templating.List {
			fixed = fixed || v.Name == "class" && v.Type == "constant" && string(v.Query) == `"`+all.class.Name+`"`
		}
		if !fixed || strings.Contains(text, "PLUGIN_") || board.Title != "Arcane / Plugin "+all.class.Name {
			t.Errorf("title %q, the variable says the class: %t", board.Title, fixed)
		}
	})
}
