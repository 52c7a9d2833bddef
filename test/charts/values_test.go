package charts_test

// This file sets values, right and wrong ones.

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// TestWrongValuesAreRefused: by name, before anything is rendered.
func TestWrongValuesAreRefused(t *testing.T) {
	for flag, says := range map[string][]string{
		"--set=replica=3":                               {"replica"},
		"--set=image.repo=x":                            {"image", "repo"},
		"--set=replicas=many":                           {"replicas", "integer"},
		"--set=replicas=-1":                             {"replicas"},
		"--set=image.pullPolicy=Sometimes":              {"pullPolicy", "Always"},
		"--set=image.digest=latest":                     {"digest"},
		"--set=logLevel=loud":                           {"logLevel", "debug"},
		"--set=workers=0":                               {"workers"},
		"--set=namespaces={Team_A}":                     {"namespaces"},
		"--set=namespaces=team-a":                       {"namespaces", "array"},
		"--set=namespaces={a,a}":                        {"namespaces"},
		"--set=otlpEndpoint=collector:4318":             {"otlpEndpoint"},
		"--set=otlpEndpoint=http://collector:99999":     {"otlpEndpoint"},
		"--set=image.repository=a #b":                   {"repository"},
		"--set=image.repository=registry/Arcane":        {"repository"},
		"--set=certificate.source=vault":                {"source", "cert-manager"},
		"--set=prometheus.interval=often":               {"interval"},
		"--set=crds.keep=no-thanks":                     {"keep", "boolean"},
		"--set=podLabels.a=1":                           {"podLabels"},
		"--set=extraArgs={certificate-lifetime}":        {"extraArgs"},
		"--set-json=tolerations=[{\"keys\":\"x\"}]":     {"tolerations", "keys"},
		"--set-json=resources={\"memory\":\"1Gi\"}":     {"resources", "memory"},
		"--set=ports.webhook=70000":                     {"webhook"},
		"--set=podDisruptionBudget.maxUnavailable=half": {"maxUnavailable"},
		"--set=podDisruptionBudget.maxUnavailable=0":    {"maxUnavailable"},
		"--set=podDisruptionBudget.maxUnavailable=0%":   {"maxUnavailable"},
		"--set=resources.requests.memory=lots":          {"resources", "memory"},
		"--set=resources.limits.cpu=-1":                 {"resources", "cpu"},
		// What the schema cannot say.
		"--set=ports.webhook=8443": {"ports:", "must differ"},
	} {
		for _, helm := range helms {
			out, err := template(t, helm, release, system, flag)
			if err == nil {
				t.Errorf("%s renders %s: %.200s", helm, flag, out)
				continue
			}
			for _, word := range says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%s says of %s: %v; want %q", helm, flag, err, word)
				}
			}
		}
	}
}

// effects are, for each value, another one than the default, what else it needs, and what then is in the rendering.
var effects = map[string]struct {
	set, with string
	object    string
	path      []string
	want      any
}{
	"replicas":                           {set: "3", object: deployment, path: []string{"spec", "replicas"}, want: 3.0},
	"image.repository":                   {set: "r.example/a", object: deployment, path: pod("containers", "operator", "image"), want: "r.example/a:0.9.0"},
	"image.tag":                          {set: "v9", object: deployment, path: pod("containers", "operator", "image"), want: "localhost/arcane-operator:v9"},
	"image.digest":                       {set: digest, object: deployment, path: pod("containers", "operator", "image"), want: "localhost/arcane-operator@" + digest},
	"image.pullPolicy":                   {set: "Never", object: deployment, path: pod("containers", "operator", "imagePullPolicy"), want: "Never"},
	"image.pullSecrets":                  {set: `[{"name":"regcred"}]`, object: deployment, path: pod("imagePullSecrets", "0", "name"), want: "regcred"},
	"namespaces":                         {set: `["team-a"]`, object: "Role/team-a/arcane-operator-streams", path: []string{"kind"}, want: "Role"},
	"logLevel":                           {set: "debug", object: deployment, path: argument(4), want: "--log-level=debug"},
	"workers":                            {set: "1000000", object: deployment, path: argument(4), want: "--workers=1000000"},
	"perStreamMetrics":                   {set: "none", object: deployment, path: argument(4), want: "--per-stream-metrics=none"},
	"otlpEndpoint":                       {set: "http://c.o:4318/x", object: policy, path: []string{"spec", "egress", "1", "ports", "0", "port"}, want: 4318.0},
	"extraArgs":                          {set: `["--certificate-lifetime=48h"]`, object: deployment, path: argument(4), want: "--certificate-lifetime=48h"},
	"extraEnv":                           {set: `[{"name":"A","value":"b"}]`, object: deployment, path: pod("containers", "operator", "env", "A", "value"), want: "b"},
	"ports.webhook":                      {set: "1", object: deployment, path: pod("containers", "operator", "ports", "webhook", "containerPort"), want: 1.0},
	"ports.metrics":                      {set: "2", object: deployment, path: pod("containers", "operator", "ports", "metrics", "containerPort"), want: 2.0},
	"ports.health":                       {set: "3", object: deployment, path: pod("containers", "operator", "ports", "health", "containerPort"), want: 3.0},
	"hostNetwork":                        {set: "true", object: deployment, path: pod("hostNetwork"), want: true},
	"certificate.source":                 {set: "cert-manager", object: deployment, path: pod("volumes", "certificate", "secret", "secretName"), want: "arcane-webhook-certificate"},
	"certificate.issuerRef.name":         {set: "ca", with: certified, object: certificate, path: []string{"spec", "issuerRef", "name"}, want: "ca"},
	"certificate.issuerRef.kind":         {set: "ClusterIssuer", with: certified + ",certificate.issuerRef.name=ca", object: certificate, path: []string{"spec", "issuerRef", "kind"}, want: "ClusterIssuer"},
	"certificate.issuerRef.group":        {set: "example.com", with: certified + ",certificate.issuerRef.name=ca", object: certificate, path: []string{"spec", "issuerRef", "group"}, want: "example.com"},
	"crds.install":                       {set: "false", object: streams, path: []string{"kind"}, want: nil},
	"crds.keep":                          {set: "false", object: streams, path: []string{"metadata", "annotations", "helm.sh/resource-policy"}, want: nil},
	"prometheus.enabled":                 {set: "true", object: monitor, path: []string{"kind"}, want: "ServiceMonitor"},
	"prometheus.serviceMonitor":          {set: "false", with: monitored, object: monitor, path: []string{"kind"}, want: nil},
	"prometheus.podMonitor":              {set: "false", with: monitored, object: "PodMonitor/" + system + "/arcane-plugins", path: []string{"kind"}, want: nil},
	"prometheus.rules":                   {set: "false", with: monitored, object: "PrometheusRule/" + system + "/arcane-operator", path: []string{"kind"}, want: nil},
	"prometheus.interval":                {set: "1m", with: monitored, object: monitor, path: []string{"spec", "endpoints", "0", "interval"}, want: "1m"},
	"prometheus.labels":                  {set: `{"release":"p"}`, with: monitored, object: monitor, path: []string{"metadata", "labels", "release"}, want: "p"},
	"grafana.enabled":                    {set: "true", object: dashboard, path: []string{"kind"}, want: "ConfigMap"},
	"grafana.namespace":                  {set: "grafana", with: "grafana.enabled=true", object: "ConfigMap/grafana/arcane-dashboard-fleet", path: []string{"kind"}, want: "ConfigMap"},
	"grafana.labels":                     {set: `{"board":"2"}`, with: "grafana.enabled=true", object: dashboard, path: []string{"metadata", "labels", "board"}, want: "2"},
	"grafana.annotations":                {set: `{"folder":"F"}`, with: "grafana.enabled=true", object: dashboard, path: []string{"metadata", "annotations", "folder"}, want: "F"},
	"networkPolicy.enabled":              {set: "false", object: policy, path: []string{"kind"}, want: nil},
	"networkPolicy.extraEgress":          {set: `[{"ports":[{"port":16443}]}]`, object: policy, path: []string{"spec", "egress", "1", "ports", "0", "port"}, want: 16443.0},
	"networkPolicy.denyOthers":           {set: "true", object: "NetworkPolicy/" + system + "/arcane-default-deny", path: []string{"kind"}, want: "NetworkPolicy"},
	"podDisruptionBudget.enabled":        {set: "false", object: budget, path: []string{"kind"}, want: nil},
	"podDisruptionBudget.maxUnavailable": {set: "50%", object: budget, path: []string{"spec", "maxUnavailable"}, want: "50%"},
	"resources.requests":                 {set: `{"cpu":"1"}`, object: deployment, path: pod("containers", "operator", "resources", "requests", "cpu"), want: "1"},
	"resources.limits":                   {set: `{"memory":"1Gi"}`, object: deployment, path: pod("containers", "operator", "resources", "limits", "memory"), want: "1Gi"},
	"affinity":                           {set: `{"nodeAffinity":{"x":"y"}}`, object: deployment, path: pod("affinity"), want: map[string]any{"nodeAffinity": map[string]any{"x": "y"}}},
	"topologySpreadConstraints": {
		set: `[{"topologyKey":"zone","maxSkew":1,"whenUnsatisfiable":"ScheduleAnyway"}]`, object: deployment,
		path: pod("topologySpreadConstraints", "0", "labelSelector", "matchLabels", "app.kubernetes.io/component"), want: "operator",
	},
	"nodeSelector":               {set: `{"disk":"ssd"}`, object: deployment, path: pod("nodeSelector", "disk"), want: "ssd"},
	"tolerations":                {set: `[{"operator":"Exists"}]`, object: deployment, path: pod("tolerations", "0"), want: map[string]any{"operator": "Exists"}},
	"priorityClassName":          {set: "system-cluster-critical", object: deployment, path: pod("priorityClassName"), want: "system-cluster-critical"},
	"podSecurityContext":         {set: `{"runAsUser":null}`, object: deployment, path: pod("securityContext", "runAsUser"), want: nil},
	"commonLabels":               {set: `{"team":"x","app.kubernetes.io/component":"y"}`, object: monitorService, path: []string{"metadata", "labels", "team"}, want: "x"},
	"podLabels":                  {set: `{"a":"b","app.kubernetes.io/name":"other"}`, object: deployment, path: []string{"spec", "template", "metadata", "labels"}, want: map[string]any{"a": "b", "app.kubernetes.io/name": "arcane-operator", "app.kubernetes.io/component": "operator", "app.kubernetes.io/part-of": "arcane"}},
	"podAnnotations":             {set: `{"a":"b"}`, object: deployment, path: []string{"spec", "template", "metadata", "annotations", "a"}, want: "b"},
	"serviceAccount.labels":      {set: `{"a":"b"}`, object: account, path: []string{"metadata", "labels", "a"}, want: "b"},
	"serviceAccount.annotations": {set: `{"a":"b"}`, object: account, path: []string{"metadata", "annotations", "a"}, want: "b"},
}

const (
	digest         = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	certified      = "certificate.source=cert-manager"
	monitored      = "prometheus.enabled=true"
	certificate    = "Certificate/" + system + "/arcane-webhook"
	streams        = "CustomResourceDefinition//streams.streaming.sneaksanddata.com"
	monitor        = "ServiceMonitor/" + system + "/arcane-metrics"
	monitorService = "Service/" + system + "/arcane-metrics"
	dashboard      = "ConfigMap/" + system + "/arcane-dashboard-fleet"
	policy         = "NetworkPolicy/" + system + "/arcane-operator"
	budget         = "PodDisruptionBudget/" + system + "/arcane-operator"
	account        = "ServiceAccount/" + system + "/arcane-operator"
)

// pod is a path within the operator's pod.
func pod(path ...string) []string { return append([]string{"spec", "template", "spec"}, path...) }

// argument is the path of one of the operator's flags.
func argument(i int) []string { return pod("containers", "operator", "args", string(rune('0'+i))) }

// TestEveryValueHasItsEffect: what values.yaml has, and nothing that it has not, comes to the cluster.
func TestEveryValueHasItsEffect(t *testing.T) {
	names := leaves(t)
	if listed := slices.Sorted(maps.Keys(effects)); !slices.Equal(listed, names) {
		t.Errorf("the effects are of\n%v\nvalues.yaml has\n%v", listed, names)
	}
	for name, e := range effects {
		var flags []string
		if e.with != "" {
			flags = append(flags, "--set="+e.with)
		}
		before := at(rendered(t, flags...)[e.object], e.path...)
		set := "--set="
		if strings.ContainsAny(e.set, "[{") {
			set = "--set-json="
		}
		got := at(rendered(t, append(flags, set+name+"="+e.set)...)[e.object], e.path...)
		if !reflect.DeepEqual(got, e.want) || reflect.DeepEqual(before, got) {
			t.Errorf("%s=%s: %s %v becomes %v from %v, want %v", name, e.set, e.object, e.path, got, before, e.want)
		}
	}
}

// leaves are the values of values.yaml that can be set. A mapping without a schema of its own for its fields is one.
func leaves(t *testing.T) []string {
	t.Helper()
	story.DependOn(t, "helm-charts")
	read := func(file string, into any) {
		content, err := os.ReadFile(filepath.Join(chart(), file))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(content, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	var values, schema map[string]any
	read("values.yaml", &values)
	read("values.schema.json", &schema)
	var all []string
	var walk func(path string, values, schema map[string]any)
	walk = func(path string, values, schema map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		for name, value := range values {
			below, _ := properties[name].(map[string]any)
			if below == nil {
				t.Errorf("values.yaml has %s%s, which the schema does not know", path, name)
				continue
			}
			fallback, isLeaf := below["default"]
			if group, ok := value.(map[string]any); ok && !isLeaf {
				walk(path+name+".", group, below)
				continue
			}
			if !reflect.DeepEqual(fallback, value) {
				t.Errorf("values.yaml has %s%s: %v, the schema's default is %v: make generate", path, name, value, fallback)
			}
			all = append(all, path+name)
		}
		for name := range properties {
			if _, there := values[name]; !there && path+name != "global" {
				t.Errorf("values.yaml lacks %s%s", path, name)
			}
		}
	}
	walk("", values, schema)
	slices.Sort(all)
	return all
}

// TestTheReadmeListsEveryValue: one row for each.
func TestTheReadmeListsEveryValue(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(chart(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(content), "\n## Values\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var rows []string
	for line := range strings.Lines(table) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` | `"); ok && strings.HasPrefix(line, "| `") {
			rows = append(rows, name)
		}
	}
	slices.Sort(rows)
	if want := leaves(t); !slices.Equal(rows, want) {
		t.Errorf("README.md has rows for\n%v\nwant\n%v", rows, want)
	}
}
