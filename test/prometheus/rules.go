// Package prometheus lets tests hold our alerts and dashboards to a real Prometheus:
// Debian's package, which brings promtool along.
package prometheus

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// Rule is an alert, or something that is recorded.
type Rule struct {
	Alert       string            `json:"alert,omitempty"`
	Record      string            `json:"record,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Group is evaluated in order.
type Group struct {
	Name string `json:"name"`
	// Interval is Prometheus' own default where empty.
	Interval string `json:"interval,omitempty"`
	Rules    []Rule `json:"rules"`
}

// Groups is a file of rules as Prometheus reads it.
type Groups struct {
	Groups []Group `json:"groups"`
}

// Load takes the rules out of the manifest that wraps them for the Prometheus operator.
func Load() (Groups, error) {
	raw, err := os.ReadFile(filepath.Join(story.Root(), "config", "prometheus", "rules.yaml"))
	if err != nil {
		return Groups{}, fmt.Errorf("read the rules: %w", err)
	}
	var manifest struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       Groups         `json:"spec"`
	}
	if err := yaml.UnmarshalStrict(raw, &manifest); err != nil {
		return Groups{}, fmt.Errorf("read the rules: %w", err)
	}
	if manifest.Kind != "PrometheusRule" {
		return Groups{}, fmt.Errorf("read the rules: a %s, not a PrometheusRule", manifest.Kind)
	}
	return manifest.Spec, nil
}

// All are the rules of all groups.
func (g Groups) All() []Rule {
	var all []Rule
	for _, group := range g.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// Write makes a file that Prometheus and promtool read.
func (g Groups) Write(file string) error {
	raw, err := yaml.Marshal(g)
	if err != nil {
		return fmt.Errorf("write the rules: %w", err)
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return fmt.Errorf("write the rules: %w", err)
	}
	return nil
}

// Tool finds prometheus or promtool.
func Tool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: `make setup` installs Debian's package prometheus; elsewhere install what your distribution calls it", err)
	}
	return path, nil
}
