// Command chart writes the generated half of helm-charts/arcane-operator: the templates of all objects that config/
// defines and that depend on few values, and values.yaml and the README's table from values.schema.json. Written
// by hand are the templates that many values change (byHand), and those that config/default does not have.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// builds are the folders of config/ that the templates come from.
type builds struct {
	Default     []object
	CertManager []object
	Namespaced  []object
	Prometheus  []object
	CRDs        []object
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: chart BUILDS CHART\n\nBUILDS is a folder with default.yaml, with-cert-manager.yaml, namespaced.yaml, with-prometheus.yaml and crd.yaml,\neach what kustomize builds of that folder of config/.")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func generate(folder, chart string) error {
	var b builds
	for name, into := range map[string]*[]object{
		"default": &b.Default, "with-cert-manager": &b.CertManager, "namespaced": &b.Namespaced, "with-prometheus": &b.Prometheus, "crd": &b.CRDs,
	} {
		content, err := os.ReadFile(filepath.Join(folder, name+".yaml"))
		if err != nil {
			return fmt.Errorf("read what kustomize built: %w", err)
		}
		if *into, err = parse(string(content)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	files, err := templates(b)
	if err != nil {
		return err
	}
	if err := replaceAll(filepath.Join(chart, "templates", "generated"), files); err != nil {
		return err
	}
	return values(chart)
}

// replaceAll makes a folder hold these files and no others.
func replaceAll(folder string, files map[string]string) error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove the generated templates: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the generated templates: %w", err)
	}
	for name, content := range files {
		header := "{{- /* Generated from config/: make generate. */ -}}\n"
		if err := os.WriteFile(filepath.Join(folder, name), []byte(header+strings.TrimLeft(content, "\n")), 0o600); err != nil {
			return fmt.Errorf("write a generated template: %w", err)
		}
	}
	return nil
}
