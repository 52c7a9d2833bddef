package main

// This file completes a small bundle, and holds the committed one to what a catalog relies on.

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const root = "../../.."

func TestDisplayName(t *testing.T) {
	for field, want := range map[string]string{
		"suspended": "Suspended", "onSpecChange": "On spec change", "streamUID": "Stream UID", "openAPIV3Schema": "OpenAPI v3 schema",
		"ttlSecondsAfterFinished": "TTL seconds after finished", "streamId": "Stream ID", "apiGroupRef": "API group", "jobTemplateRef": "Job template", "identity": "Identity",
		"maxConcurrent": "Max concurrent",
	} {
		if got := displayName(field); got != want {
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

func TestDescribe(t *testing.T) {
	field := func(kind, description string) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: kind, Description: description}
	}
	list := field("array", "Rules of it.")
	item := field("object", "")
	action := field("string", "What to do.")
	action.Enum = []apiextensionsv1.JSON{{Raw: []byte(`"Fail"`)}, {Raw: []byte(`"Ignore"`)}}
	item.Properties = map[string]apiextensionsv1.JSONSchemaProps{"action": action, "jobUID": field("string", "The Job's UID.")}
	list.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &item}
	whole := field("object", "")
	whole.Properties = map[string]apiextensionsv1.JSONSchemaProps{
		"on": field("boolean", "On or off."), "rules": list, "foreign": field("string", ""), "count": field("integer", "How many."),
		"jobUID": field("string", "The Job's UID."), "name": field("string", "A name."),
	}
	for name, c := range map[string]struct {
		part part
		want string
	}{
		"spec": {specPart, `count "Count" [` + console + `number]
jobUID "Job UID" [` + console + `text]
name "Name" [` + console + `text]
on "On" [` + console + `booleanSwitch]
rules "Rules" []
rules[0].action "Rules action" [` + console + `select:Fail ` + console + `select:Ignore]
rules[0].jobUID "Rules job UID" [` + console + `text]
`},
		"status": {statusPart, `count "Count" []
name "Name" [urn:alm:descriptor:text]
on "On" []
rules "Rules" []
`},
	} {
		var got strings.Builder
		for _, d := range c.part.describe(whole) {
			d := d.(map[string]any)
			known, _ := d["x-descriptors"].([]string)
			fmt.Fprintf(&got, "%s %q %v\n", d["path"], d["displayName"], known)
		}
		if got.String() != c.want {
			t.Errorf("%s:\n%swant\n%s", name, got.String(), c.want)
		}
	}
}

// TestKnownPaths: each path that has a descriptor of its own is one of some kind.
func TestKnownPaths(t *testing.T) {
	definitions, err := readDefinitions(filepath.Join(root, "config", "crd", "bases"))
	if err != nil {
		t.Fatal(err)
	}
	for half, p := range map[string]part{"spec": specPart, "status": statusPart} {
		paths := map[string]bool{}
		for _, definition := range definitions {
			for _, d := range p.describe(definition.Properties[half]) {
				paths[d.(map[string]any)["path"].(string)] = true
			}
		}
		for path := range p.known {
			if !paths[path] {
				t.Errorf("no kind has %s.%s", half, path)
			}
		}
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
metadata: {name: x.v1, annotations: {createdAt: "now"}}
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

// folderWith is a folder with one manifest.
func folderWith(t *testing.T, text string) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "one.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestCompleteRefuses(t *testing.T) {
	for name, of := range map[string]struct {
		change func(*options)
		want   string
	}{
		"no icon":        {func(o *options) { o.icon += "x" }, "read the icon"},
		"no definitions": {func(o *options) { o.crds = o.folder }, "no definitions"},
		"no bundle":      {func(o *options) { o.folder += "x" }, "found 0 files"},
		"unknown definition": {func(o *options) {
			o.crds = folderWith(t, "kind: CustomResourceDefinition\nmetadata: {name: x}\nspec: {versions: [{schema: {openAPIV3Schema: {}}}]}\n")
		}, "there is no definition of streams."},
		"not a definition": {func(o *options) { o.crds = folderWith(t, "kind: ConfigMap\n") }, "is no definition of one version"},
		"no Service": {func(o *options) {
			_ = os.Remove(filepath.Join(o.folder, "manifests", "x-webhook-service_v1_service.yaml"))
		}, "found 0 files"},
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
	if strings.Contains(object(object(csv, "metadata"), "annotations")["alm-examples"].(string), "example.com/arcane") {
		t.Error("an example names an image that nobody serves")
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

// TestChannels: the committed bundle is that of the newest entry, and replaces what that does; stable is a part of candidate.
func TestChannels(t *testing.T) {
	var csv map[string]any
	if err := readYAML(filepath.Join(root, "bundle", "manifests", "arcane-operator.clusterserviceversion.yaml"), &csv); err != nil {
		t.Fatal(err)
	}
	replaces, _ := object(csv, "spec")["replaces"].(string)
	want := strings.TrimPrefix(object(csv, "metadata")["name"].(string), "arcane-operator.v") + " stable,candidate " + replaces + "\n"
	file := filepath.Join(root, "catalog", "channels.yaml")
	var next strings.Builder
	if err := printNext(file, &next); err != nil || next.String() != want {
		t.Errorf("next is %q, %v; the bundle is %q: make bundle", next.String(), err, want)
	}
	all, err := readChannels(file)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, c := range all {
		for _, e := range c.Entries {
			names[c.Name] = append(names[c.Name], e.Name)
		}
	}
	for _, name := range names["stable"] {
		if !slices.Contains(names[candidate], name) {
			t.Errorf("%s is in stable and was never a candidate", name)
		}
	}
}

func TestNext(t *testing.T) {
	for text, want := range map[string]string{
		"name: stable\nentries: [{name: arcane-operator.v9.9.9}]\n---\nname: candidate\nentries: [{name: arcane-operator.v0.9.0}, {name: arcane-operator.v0.9.1-rc.1, replaces: arcane-operator.v0.9.0}]\n": "0.9.1-rc.1 candidate arcane-operator.v0.9.0\n",
		"name: candidate\nentries: [{name: arcane-operator.v0.9.0}]\n": "0.9.0 candidate \n",
		"name: candidate\nentries: [{name: other.v0.9.0}]\n":           "does not begin with",
		"name: stable\nentries: [{name: arcane-operator.v0.9.0}]\n":    "does not begin with",
		"[": "read the channels of",
	} {
		var out strings.Builder
		err := printNext(filepath.Join(folderWith(t, text), "one.yaml"), &out)
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && out.String() != want {
			t.Errorf("%q: %q, %v, want %q", text, out.String(), err, want)
		}
	}
	if err := printNext(filepath.Join(t.TempDir(), "none"), &strings.Builder{}); err == nil {
		t.Error("no file of channels is no error")
	}
}

// TestVersionsAreOne: the tools' versions stand in go.mod, and every other place that names them says the same.
func TestVersionsAreOne(t *testing.T) {
	for module, places := range map[string][]string{
		"sdk:github.com/operator-framework/operator-sdk":               {"tools/sdk/build.flags", "config/scorecard/config.yaml"},
		"olm:github.com/operator-framework/operator-lifecycle-manager": {"docs/install.md", "docs/compatibility.md"},
	} {
		folder, path, _ := strings.Cut(module, ":")
		mod := read(t, "tools/"+folder+"/go.mod")
		_, version, found := strings.Cut(mod, path+" v")
		if !found {
			t.Fatalf("%s requires no %s", folder, path)
		}
		version = "v" + strings.Fields(version)[0]
		for _, place := range places {
			if !strings.Contains(read(t, place), version) {
				t.Errorf("%s does not name %s, which tools/%s/go.mod requires", place, version, folder)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
