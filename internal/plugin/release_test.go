package plugin

// This file asks what the operator remembers of revisions, and what it takes for a difference.

import (
	"slices"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	helmstorage "helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// TestUnfinishedRevisionsAreNotForgotten: Helm keeps the latest few, and each failed attempt adds two, of which the rollback
// repeats what is deployed.
func TestUnfinishedRevisionsAreNotForgotten(t *testing.T) {
	config := &action.Configuration{Releases: helmstorage.Init(driver.NewMemory()), Log: func(string, ...any) {}}
	config.Releases.MaxHistory = history
	record := func(version int, status release.Status, manifest string) {
		t.Helper()
		r := &release.Release{Name: "r", Namespace: "default", Version: version, Manifest: manifest, Info: &release.Info{Status: status}}
		if err := config.Releases.Create(r); err != nil {
			t.Fatal(err)
		}
	}
	record(1, release.StatusSuperseded, "former")
	record(2, release.StatusDeployed, "deployed")
	record(3, release.StatusFailed, "interrupted")
	for range 3 * history {
		deployed, unfinished, err := compactRevisions(config, "r")
		if err != nil || deployed != 2 || !slices.Contains(unfinished, "interrupted") {
			t.Fatalf("deployed is %d, unfinished %q, %v", deployed, unfinished, err)
		}
		last, err := config.Releases.Last("r")
		if err != nil {
			t.Fatal(err)
		}
		record(last.Version+1, release.StatusFailed, "refused")
		record(last.Version+2, release.StatusFailed, "deployed")
	}
	_, unfinished, err := compactRevisions(config, "r")
	if want := []string{"refused", "interrupted"}; err != nil || !slices.Equal(unfinished, want) {
		t.Errorf("unfinished is %q, %v; want %q, the latest first", unfinished, err, want)
	}
	if all, err := config.Releases.History("r"); err != nil || len(all) > 4 {
		t.Errorf("%d revisions are left, %v", len(all), err)
	}
}

// TestAnnotationsOfTheUserAreDifferences: of those that begin like the library's, only its two are not.
func TestAnnotationsOfTheUserAreDifferences(t *testing.T) {
	chart, err := pluginchart.Load()
	if err != nil {
		t.Fatal(err)
	}
	render := func(key, value string) []*unstructured.Unstructured {
		p := plugin()
		p.Spec = v1.StreamPluginSpec{Preset: v1.PresetPostgres, Image: "i:1", ServiceAccount: &v1.PluginServiceAccount{Annotations: map[string]string{key: value}}}
		all, err := chart.Render(p, pluginchart.Capabilities())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for key, ignored := range map[string]bool{"operator-sdk/team": false, "operator-sdk/primary-resource": true} {
		if equalObjects(render(key, "a"), render(key, "b")) != ignored {
			t.Errorf("a change of %s: ignored should be %t", key, ignored)
		}
	}
}

// TestALostFinalizerWakes: kubectl replace with a manifest without finalizers takes it away.
func TestALostFinalizerWakes(t *testing.T) {
	with := plugin()
	with.Finalizers = []string{v1.FinalizerUninstall}
	without := with.DeepCopy()
	without.Finalizers = nil
	wakes := func(before, after *v1.StreamPlugin) bool {
		return specOrDeletionChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
	}
	if !wakes(with, without) {
		t.Error("the finalizer is gone, and nobody puts it back")
	}
	if wakes(without, with) {
		t.Error("the controller's own finalizer wakes it")
	}
}
