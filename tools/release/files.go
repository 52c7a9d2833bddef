package main

// This file takes files of the checkout into the release, with the names of the release's images in them.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// naming is a place in the checkout that names an image. A checkout's names are those of images that it builds itself,
// which no registry serves. Every place is found exactly, so that a release fails where one has moved.
type naming struct {
	file string
	// old is what stands there, and new what a release puts there: {operator} and {postgres} are the images without, {tag}
	// is, their tag.
	old, new string
}

var namings = []naming{
	{"config/manager/kustomization.yaml", "newName: localhost/arcane-operator\n", "newName: {operator}\n"},
	{"config/manager/kustomization.yaml", "newTag: dev\n", "newTag: {tag}\n"},
	{"config/manager/kustomization.yaml", "The image named here is the Makefile's IMG.", "The image is that of the release."},
	{"config/samples/streaming_v1_streamplugin.yaml", "image: registry.example.com/arcane-plugin-postgres:v0.1.0\n", "image: {postgres}:{tag}\n"},
	{"plugins/postgres/config/templates.yaml", "image: localhost/arcane-plugin-postgres:dev\n", "image: {postgres}:{tag}\n"},
	{"helm-charts/arcane-operator/values.schema.json", `"default": "localhost/arcane-operator"`, `"default": "{operator}"`},
	{"helm-charts/arcane-operator/values.yaml", "repository: localhost/arcane-operator\n", "repository: {operator}\n"},
	{"helm-charts/arcane-operator/README.md", "| `image.repository` | `localhost/arcane-operator` |", "| `image.repository` | `{operator}` |"},
	{"helm-charts/stream-plugin/values.yaml", "# image: registry.example.com/arcane-plugin-postgres:v0.1.0\n", "# image: {postgres}:{tag}\n"},
}

// copyFiles copies what git knows of a path of the checkout into a folder, under the same names, with the release's images.
func (r *release) copyFiles(ctx context.Context, path, into string) error {
	list, err := git(ctx, r.root, "ls-files", "--cached", "--others", "--exclude-standard", "--", path)
	if err != nil {
		return err
	}
	if list == "" {
		return fmt.Errorf("git knows no file of %s", path)
	}
	for file := range strings.SplitSeq(list, "\n") {
		// What a link points to may be this machine's.
		if info, err := os.Lstat(filepath.Join(r.root, filepath.FromSlash(file))); err != nil || !info.Mode().IsRegular() {
			return errors.Join(fmt.Errorf("%s is no regular file, and a release holds no other", file), err)
		}
		content, err := r.read(file)
		if err != nil {
			return err
		}
		target := filepath.Join(into, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("copy %s: %w", file, err)
		}
		if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
			return fmt.Errorf("copy %s: %w", file, err)
		}
	}
	return nil
}

// read reads a file of the checkout and puts the release's images into it.
func (r *release) read(file string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(file)))
	if err != nil {
		return "", fmt.Errorf("read a file of the checkout: %w", err)
	}
	content := string(raw)
	images := strings.NewReplacer("{operator}", r.registry+"/"+operatorImage, "{postgres}", r.registry+"/"+postgresImage, "{tag}", r.version)
	for _, n := range namings {
		if n.file != file {
			continue
		}
		if !strings.Contains(content, n.old) {
			return "", fmt.Errorf("%s does not say %q any more; correct tools/release/files.go", file, n.old)
		}
		content = strings.ReplaceAll(content, n.old, images.Replace(n.new))
	}
	return content, nil
}
