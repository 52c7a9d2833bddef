package pluginchart_test

// This file holds the manifests of every version of every preset.
//
// Whoever pinned a version relies on this: what it renders never changes, as a change restarts their streams. A golden file
// of a version that has been published is therefore never updated. Change the chart in such a way that old versions render as
// before, and put what is new into the next version of the preset (helm-charts/stream-plugin/presets), with files of its own
// here. -update is for the files of a version that has not been published yet.

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arcane-streaming/arcane-operator/test/page"
)

var update = flag.Bool("update", false, "write the golden files anew: for a version that has not been published")

func TestGolden(t *testing.T) {
	for version, files := range golden(t) {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".values.yaml")
			t.Run(version+"/"+name, func(t *testing.T) {
				rendered, err := render(t, load(t), valuesOf(t, file))
				if err != nil {
					t.Fatal(err)
				}
				// The dashboard can be read in the chart; its digest keeps it as well as its text would.
				rendered["dashboard.yaml"] = fmt.Sprintf("sha256: %x", sha256.Sum256([]byte(rendered["dashboard.yaml"])))
				page.HoldWhole(t, strings.TrimSuffix(file, ".values.yaml")+".golden.yaml", manifest(rendered), *update)
			})
		}
	}
}

// golden are the files of values by the version of the preset; every version that the chart has must have some.
func golden(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, file := range load(t).Files {
		if !strings.HasPrefix(file.Name, "presets/") {
			continue
		}
		preset, version := filepath.Base(filepath.Dir(file.Name)), strings.TrimSuffix(filepath.Base(file.Name), ".yaml")
		name := preset + "-" + version
		files, err := filepath.Glob(filepath.Join("testdata", name, "*.values.yaml"))
		if err != nil || len(files) < 2 {
			t.Errorf("testdata/%s holds %d files of values, %v", name, len(files), err)
		}
		for _, file := range files {
			if given := valuesOf(t, file); given["preset"] != preset || given["version"] != version {
				t.Errorf("%s is about preset %v, version %v", file, given["preset"], given["version"])
			}
		}
		all[name] = files
	}
	if len(all) == 0 {
		t.Fatal("the chart has no presets")
	}
	return all
}

func valuesOf(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return values(t, string(text))
}
