package main

// This file holds what a release consists of, in the order in which it is made.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// architectures are those that the images run on, as Go calls them.
var architectures = []string{"amd64", "arm64"}

// release is one release while it is made.
type release struct {
	// root is the checkout, and dist the folder of releases in it.
	root, dist string

	version  string
	registry string
	source   source
	// out is the folder that is filled; it becomes dist/VERSION when it is complete. scratch is for what nobody gets.
	out, scratch string
	// programs are what is built and shipped as images.
	programs []program
	// build writes the binary of a program for an architecture. Tests replace it where they are not about binaries.
	build func(ctx context.Context, p program, architecture, folder string) error
	// bill writes the bill of materials of a program for an architecture, likewise.
	bill func(ctx context.Context, p program, architecture, file string) error
	// catalog is the folder of the catalog's channels, and olm writes the bundle and the catalog, likewise.
	catalog string
	olm     func(ctx context.Context, bundle, catalog string) error
	// images are the names of the images that were written, with their digests.
	images []string
}

// program is a binary of this repository that users run.
type program struct {
	// name of the binary.
	name string
	// image is the last part of the image's name.
	image string
	// module and main are the folders of its module and, below that, of its main package.
	module, main       string
	title, description string
}

var programs = []program{
	{
		name: "arcane-operator", image: operatorImage, module: ".", main: "cmd/arcane-operator",
		title: "Arcane operator", description: "Kubernetes operator that runs data streams as Jobs",
	},
	{
		name: "plugin-postgres", image: postgresImage, module: "plugins/postgres", main: ".",
		title: "Arcane plugin for PostgreSQL", description: "Carries PostgreSQL tables and their changes to files in a bucket",
	},
}

const (
	operatorImage = "arcane-operator"
	postgresImage = "arcane-plugin-postgres"
)

// step is one part of a release.
type step struct {
	name string
	do   func(context.Context) error
}

// steps are what a release consists of. The checksums come last, since they are of everything else.
func (r *release) steps() []step {
	return []step{
		{"binaries and images", r.writeImages},
		{"YAML files", r.writeManifests},
		{"kustomizations", r.writeKustomizations},
		{"Helm charts", r.writeCharts},
		{"OLM bundle and catalog", r.writeOLM},
		{"bills of materials", r.writeBills},
		{"checksums", r.writeChecksums},
	}
}

// newRelease checks what a release cannot do without, before minutes of building.
func newRelease(ctx context.Context, root, version, registry string, allowDirty bool) (*release, error) {
	if err := checkVersion(version); err != nil {
		return nil, err
	}
	if err := checkRegistry(registry); err != nil {
		return nil, err
	}
	from, err := readSource(ctx, root, allowDirty)
	if err != nil {
		return nil, err
	}
	r := &release{root: root, dist: filepath.Join(root, "dist"), version: version, registry: registry, source: from, programs: programs}
	r.build, r.bill, r.olm, r.catalog = r.makeBinary, r.writeBill, r.makeOLM, filepath.Join(root, "catalog")
	return r, nil
}

// write makes the release. A folder that is there already is replaced once the new one is complete.
func (r *release) write(ctx context.Context, progress io.Writer) (err error) {
	start := time.Now()
	if err := r.checkChannels(); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dist, 0o755); err != nil {
		return fmt.Errorf("make the folder of releases: %w", err)
	}
	work, err := os.MkdirTemp(r.dist, ".release-")
	if err != nil {
		return fmt.Errorf("make the folder of the release: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	r.out, r.scratch = filepath.Join(work, "out"), filepath.Join(work, "scratch")
	for _, folder := range []string{r.out, r.scratch} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return fmt.Errorf("make the folder of the release: %w", err)
		}
	}
	fmt.Fprintf(progress, "Arcane %s of commit %s (%s), images in %s\n", r.version, r.source.revision, r.source.time.Format(time.RFC3339), r.registry)
	for i, step := range r.steps() {
		fmt.Fprintf(progress, "%4.0f s  %d/%d %s\n", time.Since(start).Seconds(), i+1, len(r.steps()), step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	final := filepath.Join(r.dist, r.version)
	if err := os.RemoveAll(final); err != nil {
		return fmt.Errorf("remove the release that was there: %w", err)
	}
	if err := os.Rename(r.out, final); err != nil {
		return fmt.Errorf("put the release into its place: %w", err)
	}
	fmt.Fprintf(progress, "%4.0f s  complete: %s\n\n", time.Since(start).Seconds(), final)
	return r.table(progress, final)
}

// table lists what the release consists of.
func (r *release) table(out io.Writer, folder string) error {
	files, err := filesBelow(folder)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, file := range files {
		info, err := os.Stat(filepath.Join(folder, file))
		if err != nil {
			return fmt.Errorf("list the release: %w", err)
		}
		fmt.Fprintf(table, "%s\t  %s\n", size(info.Size()), file)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("list the release: %w", err)
	}
	fmt.Fprintln(out)
	for _, image := range r.images {
		fmt.Fprintln(out, image)
	}
	return nil
}

// size is a number of bytes for people.
func size(bytes int64) string {
	const unit = 1024
	switch {
	case bytes < unit:
		return fmt.Sprintf("%d B", bytes)
	case bytes < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/unit)
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/unit/unit)
}

// filesBelow are the files of a folder and of those in it, by their relative paths, sorted.
func filesBelow(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files = append(files, strings.TrimPrefix(path, folder+string(filepath.Separator)))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	return files, nil
}
