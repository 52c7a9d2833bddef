// Package monitors reads what config/prometheus says with the Prometheus Operator's
// own types, and compares it with what it is about. It is a module of its own, because
// nothing else needs those types.
package monitors

// This file holds the monitors to the Service, the pods and the names that they speak of.

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// install is what a folder of config/ makes, as far as it is of interest here.
type install struct {
	operator monitoringv1.ServiceMonitor
	plugins  monitoringv1.PodMonitor
	services []corev1.Service
	secrets  []corev1.Secret
	roles    []rbacv1.ClusterRole
	bindings []rbacv1.ClusterRoleBinding
}

// certificate is what matters here of cert-manager's kind, whose types are no part of this module.
type certificate struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		SecretName string `json:"secretName"`
	} `json:"spec"`
}

// folders are those of config/ that bring monitors.
var folders = []string{"with-prometheus", "everything"}

// each holds every install with monitors to what a test says.
func each(t *testing.T, holds func(t *testing.T, i install)) {
	t.Helper()
	for _, folder := range folders {
		t.Run(folder, func(t *testing.T) { holds(t, built(t, folder)) })
	}
}

// documents of a stream of YAML.
func documents(t *testing.T, data []byte, each func(kind metav1.TypeMeta, document []byte)) {
	t.Helper()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		each(kind, document)
	}
}

// read reads a document; a field that the type does not know is an error.
func read[T any](t *testing.T, document []byte) (into T) {
	t.Helper()
	if err := yaml.UnmarshalStrict(document, &into); err != nil {
		t.Fatalf("%v:\n%s", err, document)
	}
	return into
}

func built(t *testing.T, folder string) (i install) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "../../tools/run", "gen", "kustomize", "build", "../../config/"+folder)
	build.Stderr = os.Stderr
	data, err := build.Output()
	if err != nil {
		t.Fatal(err)
	}
	documents(t, data, func(kind metav1.TypeMeta, document []byte) {
		switch kind.Kind {
		case monitoringv1.ServiceMonitorsKind:
			i.operator = read[monitoringv1.ServiceMonitor](t, document)
		case monitoringv1.PodMonitorsKind:
			i.plugins = read[monitoringv1.PodMonitor](t, document)
		case monitoringv1.PrometheusRuleKind:
			read[monitoringv1.PrometheusRule](t, document)
		case "Service":
			i.services = append(i.services, read[corev1.Service](t, document))
		case "Certificate":
			var c certificate
			if err := yaml.Unmarshal(document, &c); err != nil {
				t.Fatal(err)
			}
			// cert-manager makes it.
			i.secrets = append(i.secrets, corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Spec.SecretName}})
		case "Secret":
			i.secrets = append(i.secrets, read[corev1.Secret](t, document))
		case "ClusterRole":
			i.roles = append(i.roles, read[rbacv1.ClusterRole](t, document))
		case "ClusterRoleBinding":
			i.bindings = append(i.bindings, read[rbacv1.ClusterRoleBinding](t, document))
		default:
			if strings.HasPrefix(kind.APIVersion, "monitoring.coreos.com/") {
				t.Errorf("%s is not read here", kind.Kind)
			}
		}
	})
	return i
}

// TestTheOperatorIsFound: the monitor selects exactly the Service of the metrics, whose name is the job's.
func TestTheOperatorIsFound(t *testing.T) { each(t, theOperatorIsFound) }

func theOperatorIsFound(t *testing.T, i install) {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(&i.operator.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, service := range i.services {
		if service.Namespace == i.operator.Namespace && selector.Matches(labels.Set(service.Labels)) {
			found = append(found, service.Name)
			port := i.operator.Spec.Endpoints[0].Port
			if !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port }) {
				t.Errorf("Service %s has no port %q", service.Name, port)
			}
		}
	}
	if !slices.Equal(found, []string{"arcane-metrics"}) || i.operator.Spec.JobLabel != "" {
		t.Errorf("the monitor finds %v with the job's label %q", found, i.operator.Spec.JobLabel)
	}
}

// TestTheOperatorIsTrusted: HTTPS, by a name that the certificate is for, with its own authority and a token.
func TestTheOperatorIsTrusted(t *testing.T) { each(t, theOperatorIsTrusted) }

func theOperatorIsTrusted(t *testing.T, i install) {
	t.Helper()
	e := i.operator.Spec.Endpoints[0]
	if e.Scheme == nil || !strings.EqualFold(e.Scheme.String(), "https") || e.Path != "/metrics" {
		t.Errorf("scheme %v, path %s", e.Scheme, e.Path)
	}
	tls := e.TLSConfig
	if tls == nil || tls.ServerName == nil || tls.CA.Secret == nil || tls.InsecureSkipVerify != nil && *tls.InsecureSkipVerify {
		t.Fatalf("TLS is %+v", tls)
	}
	if want := "arcane-metrics." + i.operator.Namespace + ".svc"; *tls.ServerName != want {
		t.Errorf("server name %s, want %s", *tls.ServerName, want)
	}
	if tls.CA.Secret.Name != "arcane-webhook-certificate" || tls.CA.Secret.Key != "ca.crt" {
		t.Errorf("the authority is in %+v", tls.CA.Secret)
	}
	if e.Authorization == nil || e.Authorization.Credentials == nil {
		t.Fatal("no token is shown")
	}
	for _, of := range []corev1.SecretKeySelector{*tls.CA.Secret, *e.Authorization.Credentials} {
		// The Prometheus Operator reads Secrets in the monitor's own namespace.
		if !slices.ContainsFunc(i.secrets, func(s corev1.Secret) bool { return s.Name == of.Name && s.Namespace == i.operator.Namespace }) {
			t.Errorf("there is no Secret %s", of.Name)
		}
	}
	if err := e.HTTPConfigWithProxyAndTLSFiles.Validate(); err != nil {
		t.Error(err)
	}
}

// TestTheScraperMayScrapeOnly: what its account may do is to get /metrics.
func TestTheScraperMayScrapeOnly(t *testing.T) { each(t, theScraperMayScrapeOnly) }

func theScraperMayScrapeOnly(t *testing.T, i install) {
	t.Helper()
	var token corev1.Secret
	for _, s := range i.secrets {
		if s.Name == i.operator.Spec.Endpoints[0].Authorization.Credentials.Name {
			token = s
		}
	}
	account := token.Annotations[corev1.ServiceAccountNameKey]
	var may []rbacv1.PolicyRule
	for _, b := range i.bindings {
		if !slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool { return s.Name == account && s.Namespace == token.Namespace }) {
			continue
		}
		for _, r := range i.roles {
			if r.Name == b.RoleRef.Name {
				may = append(may, r.Rules...)
			}
		}
	}
	if token.Type != corev1.SecretTypeServiceAccountToken || len(may) != 1 || len(may[0].Resources) != 0 ||
		!slices.Equal(may[0].NonResourceURLs, []string{"/metrics"}) || !slices.Equal(may[0].Verbs, []string{"get"}) {
		t.Errorf("account %q of a Secret of type %q may %+v", account, token.Type, may)
	}
}

// metaLabel is what Prometheus calls a pod's label.
func metaLabel(label string) monitoringv1.LabelName {
	return monitoringv1.LabelName("__meta_kubernetes_pod_label_" + regexp.MustCompile(`[^a-zA-Z0-9_]`).ReplaceAllString(label, "_"))
}

// TestPluginsAreFound: pods of streams in all namespaces, told apart by what their labels say.
func TestPluginsAreFound(t *testing.T) { each(t, pluginsAreFound) }

func pluginsAreFound(t *testing.T, i install) {
	t.Helper()
	spec := i.plugins.Spec
	selector, err := metav1.LabelSelectorAsSelector(&spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	if !selector.Matches(labels.Set{v1.LabelManagedBy: v1.ManagedBy, v1.LabelStreamID: "orders"}) || selector.Matches(labels.Set{v1.LabelStreamID: "orders"}) ||
		selector.Matches(labels.Set{v1.LabelManagedBy: v1.ManagedBy}) || !spec.NamespaceSelector.Any {
		t.Errorf("the selector is %s, of any namespace: %t", selector, spec.NamespaceSelector.Any)
	}
	got := map[string][]monitoringv1.LabelName{}
	for _, r := range spec.PodMetricsEndpoints[0].RelabelConfigs {
		got[r.TargetLabel] = r.SourceLabels
	}
	for label, of := range map[string]string{"stream": v1.LabelStreamID, "stream_class": v1.LabelStreamClass} {
		if !slices.Equal(got[label], []monitoringv1.LabelName{metaLabel(of)}) {
			t.Errorf("%s comes from %v, want %s", label, got[label], metaLabel(of))
		}
	}
}

// TestTemplatesNameThePort: those of the plugin that serves metrics do, as the monitor calls it.
func TestTemplatesNameThePort(t *testing.T) {
	want := built(t, "with-prometheus").plugins.Spec.PodMetricsEndpoints[0].Port
	data, err := os.ReadFile("../../plugins/postgres/config/templates.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var templates int
	documents(t, data, func(_ metav1.TypeMeta, document []byte) {
		template := read[v1.StreamingJobTemplate](t, document)
		spec := template.Spec.Spec
		ports := spec.Template.Spec.Containers[0].Ports
		if want == nil || !slices.ContainsFunc(ports, func(p corev1.ContainerPort) bool { return p.Name == *want }) {
			t.Errorf("template %s has the ports %+v, want one that is called %v", template.Name, ports, want)
		}
		templates++
	})
	if templates != 2 {
		t.Errorf("%d templates", templates)
	}
}
