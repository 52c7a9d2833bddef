// Package pluginchart renders the Helm chart stream-plugin for a StreamPlugin. The controller installs what it renders, and
// the webhooks ask for the rights to do so. Both must see the same objects, hence one package. It is pure: it reads the files
// that are embedded in the operator, and has no client. Of the cluster it knows the capabilities that the caller passes.
package pluginchart

// This file loads the chart and what watches.yaml says of it.

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/operator-framework/helm-operator-plugins/pkg/watches"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"

	arcane "github.com/arcane-streaming/arcane-operator"
	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Chart is the chart stream-plugin, with what watches.yaml says of it.
type Chart struct {
	// Chart is the chart as Helm loads it.
	Chart *chart.Chart
	// Period is how often each installed object is compared with what the chart renders.
	Period time.Duration
	// Workers is how many StreamPlugins are reconciled at once.
	Workers int

	versions map[v1.PluginPreset][]string
}

// Load reads the chart and watches.yaml that are embedded in the operator.
func Load() (*Chart, error) { return load(arcane.StreamPluginChart, arcane.Watches) }

// load reads watches.yaml, which must name one kind, and the chart that it names.
func load(files fs.FS, watched []byte) (*Chart, error) {
	var all []watches.Watch
	if err := yaml.UnmarshalStrict(watched, &all); err != nil {
		return nil, fmt.Errorf("read watches.yaml: %w", err)
	}
	want := v1.GroupVersion.WithKind(v1.KindStreamPlugin)
	if len(all) != 1 || all[0].GroupVersionKind != want {
		return nil, fmt.Errorf("read watches.yaml: it must hold one entry, for %s", want)
	}
	w := all[0]
	if w.ReconcilePeriod == nil || w.MaxConcurrentReconciles == nil || w.WatchDependentResources == nil || *w.WatchDependentResources {
		return nil, fmt.Errorf("read watches.yaml: %s needs reconcilePeriod, maxConcurrentReconciles, and watchDependentResources: false", want.Kind)
	}
	c := &Chart{Period: w.ReconcilePeriod.Duration, Workers: *w.MaxConcurrentReconciles}
	content, err := read(files, w.ChartPath)
	if err != nil {
		return nil, err
	}
	if c.Chart, err = loader.LoadFiles(content); err != nil {
		return nil, fmt.Errorf("load the chart %s: %w", w.ChartPath, err)
	}
	c.versions = versionsOf(c.Chart)
	return c, nil
}

// read collects the files of a chart, by their paths within it.
func read(files fs.FS, root string) ([]*loader.BufferedFile, error) {
	var content []*loader.BufferedFile
	err := fs.WalkDir(files, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		content = append(content, &loader.BufferedFile{Name: strings.TrimPrefix(name, root+"/"), Data: data})
		return err //nolint:wrapcheck // The error is wrapped below.
	})
	if err != nil {
		return nil, fmt.Errorf("read the chart %s: %w", root, err)
	}
	return content, nil
}

// presetFile is where the chart keeps a version of a preset: presets/<preset>/v<number>.yaml.
var presetFile = regexp.MustCompile(`^presets/([a-z0-9-]+)/v([1-9][0-9]*)\.yaml$`)

// versionsOf lists the versions of each preset, the oldest first.
func versionsOf(c *chart.Chart) map[v1.PluginPreset][]string {
	numbers := map[v1.PluginPreset][]int{}
	for _, file := range c.Files {
		found := presetFile.FindStringSubmatch(path.Clean(file.Name))
		if found == nil {
			continue
		}
		number, err := strconv.Atoi(found[2])
		if err != nil {
			continue // The number is too large for a version that anybody would publish.
		}
		preset := v1.PluginPreset(found[1])
		numbers[preset] = append(numbers[preset], number)
	}
	versions := map[v1.PluginPreset][]string{}
	for preset, found := range numbers {
		slices.Sort(found)
		for _, number := range found {
			versions[preset] = append(versions[preset], "v"+strconv.Itoa(number))
		}
	}
	return versions
}

// Versions are those of a preset that this operator has, the oldest first.
func (c *Chart) Versions(preset v1.PluginPreset) []string { return slices.Clone(c.versions[preset]) }

// Newest is the newest version of a preset, empty for a preset that this operator does not have.
func (c *Chart) Newest(preset v1.PluginPreset) string {
	versions := c.versions[preset]
	if len(versions) == 0 {
		return ""
	}
	return versions[len(versions)-1]
}
