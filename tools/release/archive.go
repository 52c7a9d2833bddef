package main

// This file packs folders so that the same files give the same bytes.

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// pack writes the files of a folder into a tar archive, below prefix; one whose name ends in gz is compressed. Owners,
// times and modes are the same on every machine. Where the folder is a chart, Chart.yaml comes first, as Helm has it.
func (r *release) pack(folder, prefix, archive string) (err error) {
	files, err := filesBelow(folder)
	if err != nil {
		return err
	}
	out, err := os.Create(archive)
	if err != nil {
		return fmt.Errorf("make the archive: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var target io.Writer = out
	if strings.HasSuffix(archive, "gz") {
		zipped, err := gzip.NewWriterLevel(out, gzip.BestCompression)
		if err != nil {
			return fmt.Errorf("compress the archive: %w", err)
		}
		// The names of the file and its time stay out of the header.
		target = zipped
		defer func() { err = errors.Join(err, zipped.Close()) }()
	}
	w := tar.NewWriter(target)
	for _, file := range chartFirst(files) {
		if err := r.add(w, filepath.Join(folder, file), path.Join(prefix, filepath.ToSlash(file))); err != nil {
			return fmt.Errorf("pack %s: %w", file, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("pack %s: %w", archive, err)
	}
	return nil
}

// chartFirst moves Chart.yaml to the front.
func chartFirst(files []string) []string {
	var first, rest []string
	for _, file := range files {
		if file == "Chart.yaml" {
			first = append(first, file)
		} else {
			rest = append(rest, file)
		}
	}
	return append(first, rest...)
}

func (r *release) add(w *tar.Writer, file, name string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err //nolint:wrapcheck // the caller names the file
	}
	err = w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644, ModTime: r.source.time, Format: tar.FormatUSTAR,
	})
	if err != nil {
		return err //nolint:wrapcheck // the caller names the file
	}
	_, err = w.Write(content)
	return err //nolint:wrapcheck // the caller names the file
}
