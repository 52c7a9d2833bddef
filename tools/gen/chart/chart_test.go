package main

// This file writes templates of small builds, and values of small schemas.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const role = `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  labels:
    app.kubernetes.io/name: arcane-operator
    app.kubernetes.io/part-of: arcane
  name: arcane-operator
  namespace: arcane-system
rules:
- apiGroups:
  - ""
  resources:
  - RESOURCE
  verbs:
  - list
`

const webhook = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: arcane-operator
webhooks:
- clientConfig:
    service:
      namespace: arcane-system
  matchConditions:
  - expression: user != 'arcane-system:{{ x }}'
  name: validate.streams
SELECTOR`

const selector = `  namespaceSelector:
    values:
    - team-a
    - team-b
`

const classes = `- clientConfig:
    service:
      namespace: arcane-system
  name: validate.classes
`

func read(t *testing.T, manifests string) []object {
	t.Helper()
	all, err := parse(manifests)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTemplates(t *testing.T) {
	secrets, configmaps := strings.ReplaceAll(role, "RESOURCE", "secrets"), strings.ReplaceAll(role, "RESOURCE", "configmaps")
	for name, c := range map[string]struct {
		builds builds
		file   string
		has    []string
		hasNot []string
	}{
		"the same everywhere": {
			builds: builds{Default: read(t, secrets), CertManager: read(t, secrets), Namespaced: read(t, secrets)}, file: "rbac.yaml",
			has:    []string{"  namespace: {{ $.Release.Namespace | quote }}\n", `{{- include "arcane.labels" $ | nindent 4 }}`, "  - secrets\n"},
			hasNot: []string{"{{- if", "app.kubernetes.io/name"},
		},
		"not with cert-manager": {
			builds: builds{Default: read(t, secrets), Namespaced: read(t, secrets)}, file: "rbac.yaml",
			has: []string{`{{- if ne $.Values.certificate.source "cert-manager" }}`}, hasNot: []string{"$.Values.namespaces"},
		},
		"other rules with cert-manager": {
			builds: builds{Default: read(t, secrets), CertManager: read(t, configmaps), Namespaced: read(t, secrets)}, file: "rbac.yaml",
			has: []string{"{{- if eq $.Values.certificate.source \"cert-manager\" }}\nrules:\n", "{{- else }}\nrules:\n", "  - secrets\n", "  - configmaps\n"},
		},
		"other rules in some namespaces": {
			builds: builds{Default: read(t, secrets), CertManager: read(t, secrets), Namespaced: read(t, configmaps)}, file: "rbac.yaml",
			has: []string{"{{- if $.Values.namespaces }}\nrules:\n", "{{- else }}\nrules:\n"},
		},
		"in the namespaces that are served": {
			builds: builds{Namespaced: read(t, strings.ReplaceAll(secrets, "namespace: arcane-system", "namespace: team-a")+"---\n"+strings.ReplaceAll(secrets, "namespace: arcane-system", "namespace: team-b"))},
			file:   "rbac.yaml", has: []string{"{{- range $.Values.namespaces }}\n---\n", "  namespace: {{ . | quote }}\n"}, hasNot: []string{"team-"},
		},
		"webhooks": {
			builds: builds{
				Default:     read(t, strings.ReplaceAll(webhook, "SELECTOR", "")+classes),
				CertManager: read(t, strings.ReplaceAll(webhook, "SELECTOR", "")+classes),
				Namespaced:  read(t, strings.ReplaceAll(webhook, "SELECTOR", selector)),
			},
			file: "webhooks.yaml",
			has: []string{
				"user != '{{ $.Release.Namespace }}:{{ \"{{\" }} x }}'", "      namespace: {{ $.Release.Namespace | quote }}\n",
				"{{- if $.Values.namespaces }}\n  namespaceSelector:\n    values: {{ toJson $.Values.namespaces }}\n{{- end }}\n",
				"{{- if not $.Values.namespaces }}\n- clientConfig:",
			},
			hasNot: []string{"team-"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := templates(c.builds)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.has {
				if !strings.Contains(files[c.file], want) {
					t.Errorf("%s lacks %q:\n%s", c.file, want, files[c.file])
				}
			}
			for _, unwanted := range c.hasNot {
				if strings.Contains(files[c.file], unwanted) {
					t.Errorf("%s has %q:\n%s", c.file, unwanted, files[c.file])
				}
			}
		})
	}
	_, err := templates(builds{Default: read(t, secrets), CertManager: read(t, configmaps), Namespaced: read(t, strings.ReplaceAll(role, "RESOURCE", "pods"))})
	if err == nil || !strings.Contains(err.Error(), "Role/arcane-system/arcane-operator") {
		t.Errorf("three variants of one field: %v", err)
	}
}

func TestValues(t *testing.T) {
	chart := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(chart, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("README.md", "before\n"+from+"old\n"+to+"after\n")
	write("values.schema.json", `{"additionalProperties": false, "properties": {
		"port": {"description": "The port.", "type": "integer", "default": 65535},
		"image": {"description": "The image.", "type": "object", "additionalProperties": false, "properties": {
			"tag": {"description": "Empty: the newest.", "type": "string", "default": ""},
			"size": {"description": "Its size.", "type": "object", "default": {"b": "1", "a": 2}}}}}}`)
	if err := values(chart); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"values.yaml": "# The values of the chart and their defaults. Generated from values.schema.json: make generate.\n\n# The port.\nport: 65535\n\n" +
			"# The image.\nimage:\n  # Empty: the newest.\n  tag: \"\"\n  # Its size.\n  size:\n    b: \"1\"\n    a: 2\n",
		"README.md": "before\n" + from + "\n| value | default | meaning |\n|---|---|---|\n| `port` | `65535` | The port. |\n| `image.tag` | `\"\"` | Empty: the newest. |\n" +
			"| `image.size` | `{b: \"1\", a: 2}` | Its size. |\n\n" + to + "after\n",
	} {
		got, err := os.ReadFile(filepath.Join(chart, name))
		if err != nil || string(got) != want {
			t.Errorf("%s is\n%s, %v, want\n%s", name, got, err, want)
		}
	}
	for schema, says := range map[string]string{
		`{"properties": {}}`: "additionalProperties",
		`{"additionalProperties": false, "properties": {"port": {"type": "integer", "default": 1}}}`:       "port has no description",
		`{"additionalProperties": false, "properties": {"port": {"description": "x", "default": 1}}}`:      "port has no type",
		`{"additionalProperties": false, "properties": {"port": {"description": "x", "type": "integer"}}}`: "port has no default",
	} {
		write("values.schema.json", schema)
		if err := values(chart); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", schema, err, says)
		}
	}
}
