package main

// This file completes a small bundle, and holds the committed one to what a catalog relies on.

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const root = "../../.."

func TestWords(t *testing.T) {
	for field, want := range map[string]string{
		"suspended": "Suspended", "onSpecChange": "On spec change", "streamUID": "Stream UID", "openAPIV3Schema": "OpenAPI v3 schema",
		"ttlSecondsAfterFinished": "TTL seconds after finished", "streamId": "Stream ID", "apiGroupRef": "API group ref", "identity": "Identity",
		"maxConcurrent": "Max concurrent",
	} {
		if got := words(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}

func TestFirstSentence(t *testing.T) {
	for text, want := range map[string]string{
		"Suspended stops\nthe stream. It stays.": "Suspended stops the stream.",
		"In cron format, e.g. five fields. More": "In cron format, e.g. five fields.",
		"Without an end":                         "Without an end",
		"At v1.2 it ends.":                       "At v1.2 it ends.",
	} {
		if got := firstSentence(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDescriptorsOf(t *testing.T) {
	field := func(kind, description string) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: kind, Description: description}
	}
	list := field("array", "Rules of it.")
	item := field("object", "")
	item.Properties = map[string]apiextensionsv1.JSONSchemaProps{"codes": field("array", "Codes of a rule.")}
	list.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &item}
	whole := field("object", "")
	whole.Properties = map[string]apiextensionsv1.JSONSchemaProps{
		"on": field("boolean", "On or off."), "rules": list, "foreign": field("string", ""), "resources": field("object", "What it gets."),
	}
	var paths, kinds []string
	for _, d := range descriptorsOf(whole, hints{"resources": "known"}) {
		d := d.(map[string]any)
		paths = append(paths, d["path"].(string))
		if known, ok := d["x-descriptors"].([]any); ok {
			kinds = append(kinds, known[0].(string))
		}
	}
	if want := []string{"on", "resources", "rules", "rules[0].codes"}; !slices.Equal(paths, want) {
		t.Errorf("paths %v, want %v", paths, want)
	}
	if want := []string{console + "booleanSwitch", "known"}; !slices.Equal(kinds, want) {
		t.Errorf("descriptors %v, want %v", kinds, want)
	}
}

// small is a bundle as operator-sdk leaves it.
func small(t *testing.T) options {
	t.Helper()
	folder := t.TempDir()
	manifests := filepath.Join(folder, "manifests")
	if err := os.MkdirAll(manifests, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("manifests/x.clusterserviceversion.yaml", `
metadata: {annotations: {createdAt: "now"}}
spec:
  replaces: x.v0
  customresourcedefinitions: {owned: [{name: streams.streaming.sneaksanddata.com}]}
  webhookdefinitions: [{type: ValidatingAdmissionWebhook}]
`)
	write("manifests/x-webhook-service_v1_service.yaml", "kind: Service\n")
	write("icon.svg", "<svg/>")
	return options{
		folder: folder, crds: filepath.Join(root, "config", "crd", "bases"), icon: filepath.Join(folder, "icon.svg"),
		objects: filepath.Join(root, "config", "olm", "rights"), image: "registry/x:v1", created: "2026-01-02T03:04:05Z",
	}
}

func TestComplete(t *testing.T) {
	o := small(t)
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	var csv map[string]any
	if err := readYAML(filepath.Join(o.folder, "manifests", "x.clusterserviceversion.yaml"), &csv); err != nil {
		t.Fatal(err)
	}
	spec := object(csv, "spec")
	if annotations := object(object(csv, "metadata"), "annotations"); annotations["createdAt"] != o.created || annotations["containerImage"] != o.image {
		t.Errorf("annotations: %v", annotations)
	}
	if _, ok := spec["replaces"]; ok {
		t.Error("the first version replaces one")
	}
	if _, ok := spec["icon"].([]any); !ok {
		t.Error("no icon")
	}
	files, err := filepath.Glob(filepath.Join(o.folder, "manifests", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if names := strings.Join(files, " "); strings.Contains(names, "webhook-service") || !strings.Contains(names, "arcane-operator-kinds_clusterrolebinding") {
		t.Errorf("files: %s", names)
	}
}

func TestCompleteRefuses(t *testing.T) {
	for name, of := range map[string]struct {
		change func(*options)
		want   string
	}{
		"no icon":            {func(o *options) { o.icon += "x" }, "read the icon"},
		"no definitions":     {func(o *options) { o.crds = o.folder }, "no definitions"},
		"no bundle":          {func(o *options) { o.folder += "x" }, "there are 0 files"},
		"unknown definition": {func(o *options) { o.crds = filepath.Join(root, "test", "install") }, "no definitions"},
		"no Service": {func(o *options) {
			_ = os.Remove(filepath.Join(o.folder, "manifests", "x-webhook-service_v1_service.yaml"))
		}, "there are 0 files"},
	} {
		o := small(t)
		of.change(&o)
		if err := o.complete(); err == nil || !strings.Contains(err.Error(), of.want) {
			t.Errorf("%s: %v, want %q", name, err, of.want)
		}
	}
}

// example is one of those that a console offers.
type example struct {
	Kind string         `json:"kind"`
	Spec map[string]any `json:"spec"`
}

// TestCommitted: what users apply names no image that they cannot pull, every kind has an example, and every field of an example
// is described.
func TestCommitted(t *testing.T) {
	var csv map[string]any
	if err := readYAML(filepath.Join(root, "bundle", "manifests", "arcane-operator.clusterserviceversion.yaml"), &csv); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(csv)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "localhost") {
		t.Error("the bundle names localhost")
	}
	if rights := object(object(csv, "spec"), "install"); strings.Contains(jsonOf(t, rights), "webhookconfigurations") || strings.Contains(jsonOf(t, rights), `"secrets"`) {
		t.Error("the operator has rights to webhook configurations or Secrets")
	}
	var examples []example
	if err := json.Unmarshal([]byte(object(object(csv, "metadata"), "annotations")["alm-examples"].(string)), &examples); err != nil {
		t.Fatal(err)
	}
	described := map[string][]string{}
	for _, owned := range object(object(csv, "spec"), "customresourcedefinitions")["owned"].([]any) {
		owned := owned.(map[string]any)
		kind := owned["kind"].(string)
		described[kind] = []string{}
		for _, d := range owned["specDescriptors"].([]any) {
			described[kind] = append(described[kind], d.(map[string]any)["path"].(string))
		}
		if !slices.ContainsFunc(examples, func(e example) bool { return e.Kind == kind }) {
			t.Errorf("there is no example of a %s", kind)
		}
	}
	for _, e := range examples {
		for key := range e.Spec {
			if !slices.Contains(described[e.Kind], key) {
				t.Errorf("spec.%s of %s is not described", key, e.Kind)
			}
		}
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestChannels: the catalog's channels have the committed version, and it replaces there what it replaces in the bundle.
func TestChannels(t *testing.T) {
	var csv map[string]any
	if err := readYAML(filepath.Join(root, "bundle", "manifests", "arcane-operator.clusterserviceversion.yaml"), &csv); err != nil {
		t.Fatal(err)
	}
	name, spec := object(csv, "metadata")["name"], object(csv, "spec")
	text, err := os.ReadFile(filepath.Join(root, "catalog", "channels.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	channels := map[string]bool{}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var channel struct {
			Name    string              `json:"name"`
			Entries []map[string]string `json:"entries"`
		}
		if err := yaml.Unmarshal([]byte(document), &channel); err != nil {
			t.Fatal(err)
		}
		for _, entry := range channel.Entries {
			if entry["name"] != name {
				continue
			}
			channels[channel.Name] = true
			if replaces, _ := spec["replaces"].(string); entry["replaces"] != replaces {
				t.Errorf("%v replaces %q in channel %s and %q in the bundle", name, entry["replaces"], channel.Name, replaces)
			}
		}
	}
	if !channels["candidate"] {
		t.Errorf("catalog/channels.yaml has %v in %v, and not in candidate", name, channels)
	}
}
