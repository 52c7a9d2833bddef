package pluginchart_test

// This file holds the chart itself to what the operator relies on.

import (
	"maps"
	"path"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// TestLint: as `helm lint --strict` does.
func TestLint(t *testing.T) {
	kube, err := chartutil.ParseKubeVersion("1.34.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range lint.AllWithKubeVersion("../../"+folder, values(t, minimal), namespace, kube).Messages {
		if message.Severity >= support.WarningSev {
			t.Error(message)
		}
	}
}

// TestTheObjects: one of each, and nothing else; read refuses what it does not know, such as a Role, a definition of a kind,
// or a List.
func TestTheObjects(t *testing.T) {
	all := install(t, values(t, minimal))
	if all.class == nil || all.streaming == nil || all.backfill == nil || all.account == nil || all.policy == nil || all.monitor == nil || all.dashboard == nil {
		t.Errorf("something is missing: %+v", all)
	}
	for what, name := range map[string]string{
		"class": all.class.Name, "template": all.streaming.Name, "backfill template": strings.TrimSuffix(all.backfill.Name, "-backfill"),
		"account": strings.TrimPrefix(all.account.Name, "arcane-plugin-"), "policy": strings.TrimPrefix(all.policy.Name, "arcane-plugin-"),
		"monitor": strings.TrimPrefix(all.monitor.Name, "arcane-plugin-"), "dashboard": strings.TrimPrefix(all.dashboard.Name, "arcane-plugin-"),
	} {
		if name != "postgres" {
			t.Errorf("the %s is called %s", what, name)
		}
	}
	if token := all.account.AutomountServiceAccountToken; token == nil || *token {
		t.Error("whoever uses the account gets a token")
	}
	if all.class.Namespace != "" {
		t.Errorf("a class has no namespace, and this one has %s", all.class.Namespace)
	}
}

// TestWithoutThePrometheusOperator: no PodMonitor, and all else as with it.
func TestWithoutThePrometheusOperator(t *testing.T) {
	given := values(t, minimal)
	with, err := render(t, load(t), given)
	if err != nil {
		t.Fatal(err)
	}
	at := usual()
	at.kinds = nil
	without, err := renderFor(t, load(t), given, at)
	if err != nil {
		t.Fatal(err)
	}
	delete(with, "podmonitor.yaml")
	if !maps.Equal(with, without) {
		t.Errorf("with:\n%s\nwithout:\n%s", manifest(with), manifest(without))
	}
}

// what a template must not use: each makes a release depend on more than its values, or act beside Helm's own order.
var barred = regexp.MustCompile(`\blookup\b|helm\.sh/(hook|chart)|\.Chart\b|\.Release\.(Revision|IsInstall|IsUpgrade|Service)|\bnow\b|\brand\w*\b|\bgen(CA|Signed|Self|Private)\w*\b|\buuidv4\b|\btpl\b|\bgetHostByName\b|\.Capabilities\.(KubeVersion|HelmVersion)`)

func TestTemplatesDependOnValuesAlone(t *testing.T) {
	for _, template := range load(t).Templates {
		if found := barred.Find(template.Data); found != nil {
			t.Errorf("%s uses %s", template.Name, found)
		}
	}
	if !barred.MatchString(`{{ lookup "v1" "Secret" "a" "b" }}`) || barred.MatchString("unknown") {
		t.Error("the pattern itself is wrong")
	}
}

// TestNoVersionInLabelsOrAnnotations: an upgrade of the operator must not change what is rendered.
func TestNoVersionInLabelsOrAnnotations(t *testing.T) {
	c := load(t)
	c.Metadata.Version, c.Metadata.AppVersion = "77.77.77", "88.88.88"
	rendered, err := render(t, c, values(t, minimal))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"77.77.77", "88.88.88"} {
		if strings.Contains(manifest(rendered), version) {
			t.Errorf("version %s of the chart is rendered", version)
		}
	}
}

// TestEveryValueIsDocumented: values.yaml explains each field of the schema and gives an example of it, and the examples are
// valid together.
func TestEveryValueIsDocumented(t *testing.T) {
	var text string
	for _, file := range load(t).Raw {
		if file.Name == "values.yaml" {
			text = string(file.Data)
		}
	}
	for _, field := range fields(t) {
		// Helm's own, which only a chart of charts has.
		if field != "global" && !regexp.MustCompile(`(?m)^## .+\n(# )?`+field+`:`).MatchString(text) {
			t.Errorf("values.yaml does not explain %s", field)
		}
	}
	// Two signs begin an explanation, one begins an example.
	examples := regexp.MustCompile(`(?m)^# `).ReplaceAllString(text, "")
	given := values(t, examples)
	if _, err := render(t, load(t), given); err != nil {
		t.Errorf("the examples of values.yaml: %v", err)
	}
}

// TestAReleaseFitsAConfigMap: Kubernetes allows one 1 MiB. The release holds the chart, the values and the manifest.
func TestAReleaseFitsAConfigMap(t *testing.T) {
	const limit, wellUnder = 1 << 20, 256 << 10
	given := valuesOf(t, path.Join("testdata", "postgres-v1", "full.values.yaml"))
	rendered, err := render(t, load(t), given)
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset().CoreV1().ConfigMaps("arcane-system")
	stored := &release.Release{
		Name: "release", Namespace: namespace, Version: 1, Info: &release.Info{Status: release.StatusDeployed},
		Chart: load(t), Config: given, Manifest: manifest(rendered),
	}
	if err := driver.NewConfigMaps(client).Create("release", stored); err != nil {
		t.Fatal(err)
	}
	found, err := client.Get(t.Context(), "release", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if size := len(found.Data["release"]); size > wellUnder {
		t.Errorf("a release has %d bytes of %d", size, limit)
	} else {
		t.Logf("a release has %d bytes of %d", size, limit)
	}
}
