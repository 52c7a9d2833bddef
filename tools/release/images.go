package main

// This file builds the binaries and packs them as images.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/image/pack"
)

const home = "https://github.com/arcane-streaming/arcane-operator"

// imageName is the name under which users pull an image.
func (r *release) imageName(image string) string {
	return r.registry + "/" + image + ":" + r.version
}

// makeBinary builds by the Makefile's own rule, so that a release's binary is no other than a checkout's.
func (r *release) makeBinary(ctx context.Context, p program, architecture, folder string) error {
	_, err := r.command(ctx, []string{"GOOS=linux", "GOARCH=" + architecture},
		"make", "--no-print-directory", filepath.Join(folder, p.name), "BIN="+folder, "VERSION="+r.version, "COMMIT="+r.source.revision)
	return err
}

// writeImages writes an OCI archive for each program, and the list of the images.
func (r *release) writeImages(ctx context.Context) error {
	for _, p := range r.programs {
		var images []pack.Image
		for _, architecture := range architectures {
			folder := filepath.Join(r.scratch, "linux_"+architecture)
			if err := r.build(ctx, p, architecture, folder); err != nil {
				return err
			}
			images = append(images, pack.Image{
				Binary: filepath.Join(folder, p.name), Name: r.imageName(p.image), Architecture: architecture,
				Labels: r.labels(p), Created: r.source.time,
			})
		}
		layout := filepath.Join(r.scratch, p.image)
		digest, err := pack.WriteLayout(images, layout)
		if err != nil {
			return fmt.Errorf("%s: %w", p.image, err)
		}
		r.images = append(r.images, r.imageName(p.image)+"@"+digest)
		if err := r.pack(layout, "", filepath.Join(r.out, fmt.Sprintf("%s-%s.oci.tar", p.image, r.version))); err != nil {
			return err
		}
	}
	return r.writeFile("images.txt", strings.Join(r.images, "\n")+"\n")
}

// labels are those that OCI has agreed on.
func (r *release) labels(p program) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":         p.title,
		"org.opencontainers.image.description":   p.description,
		"org.opencontainers.image.version":       r.version,
		"org.opencontainers.image.revision":      r.source.revision,
		"org.opencontainers.image.created":       r.source.time.Format(time.RFC3339),
		"org.opencontainers.image.source":        home,
		"org.opencontainers.image.documentation": home + "/blob/" + r.version + "/docs/install.md",
		"org.opencontainers.image.licenses":      "Apache-2.0",
	}
}

// writeFile writes a file of the release.
func (r *release) writeFile(name, content string) error {
	if err := os.WriteFile(filepath.Join(r.out, name), []byte(content), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
