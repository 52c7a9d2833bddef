// Command namespacedroles splits the operator's ClusterRole in three: a Role for each namespace that the operator serves, a
// ClusterRole that reads StreamClasses, and a ClusterRole for webhooks and metrics.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const generated = "# Generated from config/rbac/role.yaml: make generate.\n"

type rule struct {
	Groups    []string `json:"apiGroups"`
	Names     []string `json:"resourceNames,omitempty"`
	Resources []string `json:"resources"`
	Verbs     []string `json:"verbs"`
}

type role struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Rules      []rule            `json:"rules"`
}

// inNoNamespace are the cluster-scoped resources of the operator's role.
var inNoNamespace = []string{
	"streamclasses", "mutatingwebhookconfigurations", "validatingwebhookconfigurations", "tokenreviews", "subjectaccessreviews",
}

// unused is what an operator of some namespaces leaves alone: the status of classes, and the kinds themselves, by which
// the operator finds out whether a request may be from an earlier Arcane.
var unused = []string{"streamclasses/status", "customresourcedefinitions"}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: namespacedroles ROLE.yaml FOLDER")
		os.Exit(2)
	}
	if err := split(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "namespacedroles:", err)
		os.Exit(1)
	}
}

func split(file, folder string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the role: %w", err)
	}
	_, first, _ := bytes.Cut(text, []byte("---\n"))
	first, _, _ = bytes.Cut(first, []byte("\n---\n"))
	var whole role
	if err := yaml.UnmarshalStrict(first, &whole); err != nil {
		return fmt.Errorf("read the role: %w", err)
	}
	if whole.Kind != "ClusterRole" {
		return fmt.Errorf("%s begins with a %s, not with the ClusterRole", file, whole.Kind)
	}
	inside, classes, admission := whole, whole, whole
	inside.Kind, inside.Rules = "Role", only(whole.Rules, func(r string) bool { return !slices.Contains(unused, r) && !slices.Contains(inNoNamespace, r) })
	classes.Rules = only(whole.Rules, func(r string) bool { return r == "streamclasses" })
	admission.Rules = only(whole.Rules, func(r string) bool { return r != "streamclasses" && slices.Contains(inNoNamespace, r) })
	for path, part := range map[string]role{"rights/role.yaml": inside, "classes/role.yaml": classes, "admission/role.yaml": admission} {
		// No name of config/default's: kustomize's patches and references select by kind and name.
		name := "arcane-operator-streams"
		if part.Kind == "ClusterRole" {
			name = "arcane-operator-" + strings.TrimSuffix(path, "/role.yaml")
		}
		part.Metadata = map[string]string{"name": name}
		out, err := yaml.Marshal(part)
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if err := os.WriteFile(filepath.Join(folder, path), append([]byte(generated), out...), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// only keeps of the rules the resources that are wanted.
func only(rules []rule, wanted func(resource string) bool) []rule {
	var kept []rule
	for _, r := range rules {
		r.Resources = slices.DeleteFunc(slices.Clone(r.Resources), func(resource string) bool { return !wanted(resource) })
		if len(r.Resources) > 0 {
			kept = append(kept, r)
		}
	}
	return kept
}
