package pluginchart_test

// This file shows what pinning a version of a preset means.

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
)

// later is the chart of some later day: it has more versions, each with another backoffLimit.
func later(t *testing.T, versions ...int) *chart.Chart {
	t.Helper()
	c := load(t)
	for _, file := range c.Files {
		if file.Name != "presets/postgres/v1.yaml" {
			continue
		}
		for _, version := range versions {
			c.Files = append(c.Files, &chart.File{
				Name: fmt.Sprintf("presets/postgres/v%d.yaml", version),
				Data: bytes.Replace(file.Data, []byte("backoffLimit: 3"), fmt.Appendf(nil, "backoffLimit: %d", version), 1),
			})
		}
		return c
	}
	t.Fatal("the chart has no preset postgres v1")
	return nil
}

// TestTheNewestVersionIsTheDefault: by number, not by text.
func TestTheNewestVersionIsTheDefault(t *testing.T) {
	for _, c := range []struct {
		versions []int
		version  string
		want     int32
	}{
		{nil, "", 3}, {[]int{2}, "", 2}, {[]int{9, 10, 2}, "", 10}, {[]int{10, 100, 20}, "", 100}, {[]int{9, 10}, "v9", 9}, {[]int{9, 10}, "v1", 3},
	} {
		given := values(t, minimal)
		if c.version != "" {
			given["version"] = c.version
		}
		rendered, err := render(t, later(t, c.versions...), given)
		if err != nil {
			t.Fatal(err)
		}
		if got := *read(t, rendered).streaming.Spec.Spec.BackoffLimit; got != c.want {
			t.Errorf("versions 1 and %v, %q wanted: backoffLimit %d, want %d", c.versions, c.version, got, c.want)
		}
	}
	_, err := render(t, later(t, 10, 9), with(t, "version: v3"))
	if err == nil || !strings.Contains(err.Error(), `version: preset postgres has no version "v3"; use one of: v1, v9, v10`) {
		t.Error(err)
	}
}

// TestAnUnknownPresetIsRefused: the schema does it first, and has to be of the chart's own version.
func TestAnUnknownPresetIsRefused(t *testing.T) {
	c := load(t)
	c.Schema = nil
	_, err := render(t, c, with(t, "preset: oracle"))
	if err == nil || !strings.Contains(err.Error(), `preset: there is no preset "oracle"; use one of: postgres`) {
		t.Error(err)
	}
}

// TestAnUpgradeOfTheOperatorChangesNothing: a pinned version renders the same from a chart that has a newer one and another
// version of its own, as a later revision.
func TestAnUpgradeOfTheOperatorChangesNothing(t *testing.T) {
	given := with(t, "version: v1")
	before, err := render(t, load(t), given)
	if err != nil {
		t.Fatal(err)
	}
	c := later(t, 2)
	c.Metadata.Version, c.Metadata.AppVersion = "9.9.9", "9.9.9"
	at := usual()
	at.release.Revision, at.release.IsInstall, at.release.IsUpgrade = 7, false, true
	for range 20 {
		after, err := renderFor(t, c, given, at)
		if err != nil {
			t.Fatal(err)
		}
		if manifest(before) != manifest(after) {
			t.Fatalf("rendered\n%s\nafter\n%s", manifest(after), manifest(before))
		}
	}
}
