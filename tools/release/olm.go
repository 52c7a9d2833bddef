package main

// This file makes the OLM bundle and the catalog that holds it.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// channelsFile says which version follows which.
const channelsFile = "channels.yaml"

// checkChannels fails early if no channel lists the version: OLM would never offer it.
func (r *release) checkChannels() error {
	file := filepath.Join(r.catalog, channelsFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the catalog's channels: %w", err)
	}
	listed := false
	for line := range strings.Lines(string(text)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "- name: ")
		if !ok {
			continue
		}
		if name == "arcane-operator."+r.version {
			listed = true
			continue
		}
		// The bundle of an older version cannot be made again from this commit.
		if _, err := os.Stat(filepath.Join(r.catalog, name+".yaml")); err != nil {
			return fmt.Errorf("%s lists %s, whose bundle is not in that folder; commit the one that its release published: %w", file, name, err)
		}
	}
	if listed {
		return nil
	}
	return fmt.Errorf("%s has no entry arcane-operator.%s; add it as the last one of candidate, with the version that it replaces", file, r.version)
}

// writeOLM packs the bundle and the catalog, each as a folder to unpack.
func (r *release) writeOLM(ctx context.Context) error {
	bundle, catalog := filepath.Join(r.scratch, "bundle"), filepath.Join(r.scratch, "catalog")
	if err := r.olm(ctx, bundle, catalog); err != nil {
		return err
	}
	for name, folder := range map[string]string{"arcane-operator-bundle-": bundle, "arcane-operator-catalog-": catalog} {
		name += r.version
		if err := r.pack(folder, name, filepath.Join(r.out, name+".tar.gz")); err != nil {
			return err
		}
	}
	return nil
}

// makeOLM writes both by the same programs as make bundle and make catalog.
func (r *release) makeOLM(ctx context.Context, bundle, catalog string) error {
	environment := []string{"BUNDLE_VERSION=" + r.version, "BUNDLE_CREATED=" + r.source.time.UTC().Format(time.RFC3339)}
	if _, err := r.command(ctx, environment, "tools/bundle", r.imageName(operatorImage), bundle); err != nil {
		return err
	}
	_, err := r.command(ctx, []string{"CATALOG=" + r.catalog}, "tools/catalog", catalog, filepath.Join(bundle, "bundle"))
	return err
}
