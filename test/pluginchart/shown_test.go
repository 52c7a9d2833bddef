package pluginchart_test

// This file holds the StreamPlugins that users are shown to the chart.

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

var block = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// shown are the StreamPlugins of the sample and of docs/plugins.md.
func shown(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range []string{"../../config/samples/streaming_v1_streamplugin.yaml", "../../docs/plugins.md"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".yaml") {
			all[filepath.Base(file)] = string(raw)
			continue
		}
		for i, found := range block.FindAllStringSubmatch(string(raw), -1) {
			all[fmt.Sprintf("%s, example %d", filepath.Base(file), i+1)] = found[1]
		}
	}
	return all
}

// TestWhatIsShown: every StreamPlugin is one, and what it installs is accepted without a warning. Together they show every
// field.
func TestWhatIsShown(t *testing.T) {
	var used []string
	for name, text := range shown(t) {
		t.Run(name, func(t *testing.T) {
			p := v1.StreamPlugin{}
			if err := yaml.UnmarshalStrict([]byte(text), &p); err != nil {
				t.Fatal(err)
			}
			if p.Kind != "StreamPlugin" || p.APIVersion != v1.GroupVersion.String() {
				t.Fatalf("%s %s", p.APIVersion, p.Kind)
			}
			spec, err := yaml.Marshal(p.Spec)
			if err != nil {
				t.Fatal(err)
			}
			given := ofSpec(t, string(spec))
			for field := range given {
				used = append(used, field)
			}
			given["name"] = p.Name
			accepted(t, install(t, given))
		})
	}
	for _, field := range fields(t) {
		if !slices.Contains(append(used, "name", "global"), field) {
			t.Errorf("nothing shows %s", field)
		}
	}
}
