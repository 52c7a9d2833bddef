package main

// This file writes what users apply with kubectl.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// installs are the folders of config/ that are released as one file each. config/namespaced is none of them: users have to
// write their own namespaces into it, so they take it from the kustomizations.
var installs = []struct{ config, file string }{
	{"with-cert-manager", "install-with-cert-manager.yaml"},
	{"with-prometheus", "install-with-prometheus.yaml"},
	{"everything", "install-everything.yaml"},
	// The last one: the files of the kinds and of the namespace, which each of them writes, refer to it.
	{"default", "install.yaml"},
}

func (r *release) writeManifests(ctx context.Context) error {
	for _, install := range installs {
		_, err := r.command(ctx, []string{"CONFIG=" + install.config},
			"tools/install-yaml", r.imageName(operatorImage), r.out, install.file)
		if err != nil {
			return err
		}
	}
	sample, err := r.read("config/samples/streaming_v1_streamplugin.yaml")
	if err != nil {
		return err
	}
	return r.writeFile("streamplugin-postgres.yaml", streamPluginHeader+withoutHeader(sample))
}

const streamPluginHeader = `# The PostgreSQL plugin: one object that makes the operator install it, in the namespace of its streams. Set the namespace,
# and the volume of the sink or none for a bucket, then: kubectl apply -f streamplugin-postgres.yaml
`

// withoutHeader leaves out the comment that a file begins with.
func withoutHeader(content string) string {
	for strings.HasPrefix(content, "#") {
		_, content, _ = strings.Cut(content, "\n")
	}
	return content
}

// kustomizations are the folders that users build upon.
var kustomizations = []string{"config", "plugins/postgres/config"}

// writeKustomizations packs them. A checkout names images of its own, so those who build upon its folders name theirs; in
// these the release's are named.
func (r *release) writeKustomizations(ctx context.Context) error {
	folder := filepath.Join(r.scratch, "kustomizations")
	for _, path := range kustomizations {
		if err := r.copyFiles(ctx, path, folder); err != nil {
			return err
		}
	}
	name := "arcane-config-" + r.version
	return r.pack(folder, name, filepath.Join(r.out, name+".tar.gz"))
}

// charts are the two Helm charts, each in a folder of helm-charts.
var charts = []string{"arcane-operator", "stream-plugin"}

// writeCharts packs the charts with the release's version. Not `helm package`, which writes the time of day into the
// archive; tests hold the archives to both Helms' linters.
func (r *release) writeCharts(ctx context.Context) error {
	folder := filepath.Join(r.scratch, "charts")
	// Helm wants versions without the v. The appVersion is also the tag of the operator's image.
	version := strings.TrimPrefix(r.version, "v")
	for _, chart := range charts {
		path := "helm-charts/" + chart
		if err := r.copyFiles(ctx, path, folder); err != nil {
			return err
		}
		source := filepath.Join(folder, filepath.FromSlash(path))
		if err := setVersions(filepath.Join(source, "Chart.yaml"), version, r.version); err != nil {
			return err
		}
		if err := r.pack(source, chart, filepath.Join(r.out, chart+"-"+version+".tgz")); err != nil {
			return err
		}
	}
	return nil
}

// setVersions writes the versions into a Chart.yaml, and leaves the rest as it is, comments included.
func setVersions(file, version, appVersion string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the chart: %w", err)
	}
	set := map[string]int{}
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		key, _, _ := strings.Cut(line, ":")
		switch key {
		case "version":
			lines[i] = "version: " + version
		case "appVersion":
			lines[i] = "appVersion: " + appVersion
		default:
			continue
		}
		set[key]++
	}
	if set["version"] != 1 || set["appVersion"] != 1 {
		return fmt.Errorf("%s must have one version and one appVersion", file)
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	return nil
}
