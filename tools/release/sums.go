package main

// This file says what is in the binaries, and by which sums the files of the release are known.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// writeBills writes a bill of materials for each program and architecture: the modules differ, if little.
func (r *release) writeBills(ctx context.Context) error {
	for _, p := range r.programs {
		for _, architecture := range architectures {
			file := filepath.Join(r.out, fmt.Sprintf("%s-%s-linux-%s.cdx.json", p.name, r.version, architecture))
			if err := r.bill(ctx, p, architecture, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeBill asks cyclonedx-gomod for the modules of a program, the standard library and their licences.
func (r *release) writeBill(ctx context.Context, p program, architecture, file string) error {
	draft := filepath.Join(r.scratch, filepath.Base(file))
	// Two steps: the tool is a program of this machine, which looks at one of another.
	tool, err := r.command(ctx, nil, "tools/run", "--path", "sbom", "cyclonedx-gomod")
	if err != nil {
		return err
	}
	_, err = r.command(ctx, []string{"GOOS=linux", "GOARCH=" + architecture}, tool, "app",
		"-json", "-licenses", "-std", "-noserial", "-notimestamp", "-main", p.main, "-output", draft, p.module)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(draft)
	if err != nil {
		return fmt.Errorf("read the bill of materials: %w", err)
	}
	settled, err := r.settle(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	if err := os.WriteFile(file, settled, 0o644); err != nil {
		return fmt.Errorf("write the bill of materials: %w", err)
	}
	return nil
}

// settle gives a bill the release's version and time. The tool knows neither: it makes a version of the commit's time and
// hash. It also writes down the hashes of its own binary, which depend on the machine that built it.
func (r *release) settle(raw []byte) ([]byte, error) {
	var bill map[string]any
	if err := json.Unmarshal(raw, &bill); err != nil {
		return nil, fmt.Errorf("read the bill of materials: %w", err)
	}
	metadata, _ := bill["metadata"].(map[string]any)
	component, _ := metadata["component"].(map[string]any)
	version, _ := component["version"].(string)
	reference, _ := component["bom-ref"].(string)
	tools, _ := metadata["tools"].([]any)
	if version == "" || !strings.Contains(reference, "@"+version) || len(tools) == 0 {
		return nil, errors.New("the bill of materials names no component with a version, or no tool that wrote it")
	}
	for _, tool := range tools {
		if tool, ok := tool.(map[string]any); ok {
			delete(tool, "hashes")
		}
	}
	metadata["timestamp"] = r.source.time.Format(time.RFC3339)
	component["version"] = r.version
	for _, field := range []string{"bom-ref", "purl"} {
		text, _ := component[field].(string)
		component[field] = strings.Replace(text, "@"+version, "@"+r.version, 1)
	}
	// The list of who depends on whom knows the component by its reference.
	dependencies, _ := bill["dependencies"].([]any)
	for _, dependency := range dependencies {
		if dependency, ok := dependency.(map[string]any); ok && dependency["ref"] == reference {
			dependency["ref"] = component["bom-ref"]
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(bill); err != nil {
		return nil, fmt.Errorf("write the bill of materials: %w", err)
	}
	return out.Bytes(), nil
}

// writeChecksums writes the sums of all other files, as sha256sum --check reads them.
func (r *release) writeChecksums(context.Context) error {
	files, err := filesBelow(r.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(r.out, file))
		if err != nil {
			return fmt.Errorf("compute the checksums: %w", err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), filepath.ToSlash(file))
	}
	return r.writeFile("SHA256SUMS", sums.String())
}
