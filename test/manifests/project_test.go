package manifests_test

// This file holds PROJECT, which operator-sdk goes by, to the kinds, their controllers and their webhooks.

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// project is operator-sdk's file, as far as this repository uses it.
type project struct {
	Domain      string              `json:"domain"`
	Layout      []string            `json:"layout"`
	Plugins     map[string]struct{} `json:"plugins"`
	ProjectName string              `json:"projectName"`
	Repo        string              `json:"repo"`
	Resources   []resource          `json:"resources"`
	Version     string              `json:"version"`
}

type resource struct {
	API        api     `json:"api"`
	Controller bool    `json:"controller"`
	Domain     string  `json:"domain"`
	Group      string  `json:"group"`
	Kind       string  `json:"kind"`
	Path       string  `json:"path"`
	Version    string  `json:"version"`
	Webhooks   answers `json:"webhooks"`
}

type api struct {
	CRDVersion string `json:"crdVersion"`
	Namespaced bool   `json:"namespaced"`
}

type answers struct {
	Defaulting bool   `json:"defaulting"`
	Validation bool   `json:"validation"`
	Version    string `json:"webhookVersion"`
}

// reconciled are the kinds that have a controller: a template has none of its own.
var reconciled = map[string]bool{streamingv1.KindStream: true, streamingv1.KindBackfillRequest: true, streamingv1.KindStreamClass: true, streamingv1.KindStreamPlugin: true}

func TestPROJECT(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(story.Root(), "PROJECT"))
	if err != nil {
		t.Fatal(err)
	}
	var p project
	if err := yaml.UnmarshalStrict(content, &p); err != nil {
		t.Fatal(err)
	}
	const repo = "github.com/arcane-streaming/arcane-operator"
	want := project{
		Domain: "sneaksanddata.com", ProjectName: "arcane-operator", Repo: repo, Version: "3",
		Layout:  []string{"go.kubebuilder.io/v4"},
		Plugins: map[string]struct{}{"manifests.sdk.operatorframework.io/v2": {}, "scorecard.sdk.operatorframework.io/v2": {}},
	}
	manifests := installs(t)["default"]
	for _, crd := range objects[apiextensionsv1.CustomResourceDefinition](t, prerequisite(t, "crd"), "CustomResourceDefinition") {
		group, domain, _ := strings.Cut(crd.Spec.Group, ".")
		kind, plural := crd.Spec.Names.Kind, crd.Spec.Names.Plural
		want.Resources = append(want.Resources, resource{
			API:        api{CRDVersion: "v1", Namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped},
			Controller: reconciled[kind], Domain: domain, Group: group, Kind: kind, Version: crd.Spec.Versions[0].Name,
			Path: repo + "/api/" + crd.Spec.Versions[0].Name,
			Webhooks: answers{
				Defaulting: strings.Contains(manifests, "/default/"+plural+"\n"), Validation: strings.Contains(manifests, "/validate/"+plural+"\n"), Version: "v1",
			},
		})
	}
	if len(p.Resources) != len(want.Resources) {
		t.Errorf("PROJECT has %d kinds, there are %d", len(p.Resources), len(want.Resources))
	}
	for _, wanted := range want.Resources {
		found := false
		for _, r := range p.Resources {
			found = found || reflect.DeepEqual(r, wanted)
		}
		if !found {
			t.Errorf("PROJECT lacks %+v", wanted)
		}
	}
	p.Resources, want.Resources = nil, nil
	if !reflect.DeepEqual(p, want) {
		t.Errorf("PROJECT is %+v, want %+v", p, want)
	}
}
