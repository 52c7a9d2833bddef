package main

// This file writes the templates. Where an object differs between the builds of config/, its template depends on the
// values that stand for these builds.

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Names in config/ that the chart replaces, or that have a hand-written template.
const (
	system   = "arcane-system"
	team     = "team-a"
	operator = "arcane-operator"

	// own is the release's namespace in a field, where a name of digits must not become a number.
	own = "{{ $.Release.Namespace | quote }}"
)

// The conditions that stand for the builds.
const (
	certManager = `eq $.Values.certificate.source "cert-manager"`
	selfSigned  = `ne $.Values.certificate.source "cert-manager"`
	someOnly    = `$.Values.namespaces`
	everywhere  = `not $.Values.namespaces`
)

// byHand are the objects that have a hand-written template, because many values change them.
var byHand = []string{
	"Deployment/" + system + "/" + operator,
	"ServiceAccount/" + system + "/" + operator,
	"NetworkPolicy/" + system + "/" + operator,
	"NetworkPolicy/" + system + "/arcane-default-deny",
}

// notOfTheChart are kinds that have templates elsewhere (CRDs), or that Helm makes (--create-namespace).
var notOfTheChart = []string{"CustomResourceDefinition", "Namespace"}

// fileOf says which template an object stands in.
func fileOf(o object) string {
	switch {
	case strings.HasPrefix(o.APIVersion, "rbac."):
		return "rbac.yaml"
	case strings.HasSuffix(o.Kind, "WebhookConfiguration"):
		return "webhooks.yaml"
	case strings.HasPrefix(o.Kind, "ValidatingAdmissionPolicy"), strings.HasPrefix(o.Kind, "MutatingAdmissionPolicy"):
		return "policy.yaml"
	default:
		return "core.yaml"
	}
}

func templates(b builds) (map[string]string, error) {
	files := map[string]string{}
	for _, crd := range b.CRDs {
		plural, _, _ := strings.Cut(crd.Metadata.Name, ".")
		files["crd-"+plural+".yaml"] = definition(crd)
	}
	for _, o := range generated(b.Default) {
		template, err := base(b, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.key(), err)
		}
		files[fileOf(o)] += template
	}
	for _, o := range generated(b.Namespaced) {
		if find(b.Default, o) != nil {
			continue
		}
		files[fileOf(o)] += narrow(o)
	}
	for _, o := range generated(b.Prometheus) {
		if find(b.Default, o) == nil {
			files["prometheus.yaml"] += monitor(o)
		}
	}
	return files, nil
}

func generated(all []object) []object {
	return slices.DeleteFunc(slices.Clone(all), func(o object) bool {
		return slices.Contains(byHand, o.key()) || slices.Contains(notOfTheChart, o.Kind)
	})
}

// definition is the template of a CRD.
func definition(crd object) string {
	var t strings.Builder
	head(&t, crd, nil, "")
	t.WriteString("  annotations:\n")
	for _, name := range slices.Sorted(maps.Keys(crd.Metadata.Annotations)) {
		fmt.Fprintf(&t, "    %s: %s\n", name, crd.Metadata.Annotations[name])
	}
	t.WriteString("    {{- if $.Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}\n")
	for _, f := range crd.fields {
		t.WriteString(escape(f.text))
	}
	return when(`$.Values.crds.install`, t.String())
}

// base is the template of an object of config/default.
func base(b builds, o object) (string, error) {
	certified, narrowed := find(b.CertManager, o), find(b.Namespaced, o)
	var t strings.Builder
	head(&t, o, nil, "")
	var extra map[string]string
	if certified != nil {
		extra = certified.Metadata.Annotations
	}
	annotations(&t, o.Metadata.Annotations, extra)
	for _, name := range names(o, certified, narrowed) {
		here := text(o.fields, name)
		there, narrow := here, here
		if certified != nil {
			there = text(certified.fields, name)
		}
		if narrowed != nil {
			narrow = text(narrowed.fields, name)
		}
		switch {
		case here == there && here == narrow:
			t.WriteString(fill(here))
		case here == there && name == "webhooks":
			t.WriteString(webhooks(here, narrow))
		case here == there:
			t.WriteString(either(someOnly, narrow, here))
		case here == narrow:
			t.WriteString(either(certManager, there, here))
		default:
			return "", errors.New("both cert-manager and some namespaces change the field " + name + "; the generator does not know how they combine")
		}
	}
	template := t.String()
	if certified == nil {
		template = when(selfSigned, template)
	}
	if narrowed == nil {
		template = when(everywhere, template)
	}
	return separated(template), nil
}

// names returns the fields of all variants of an object.
func names(o object, variants ...*object) []string {
	var all []string
	for _, v := range append([]*object{&o}, variants...) {
		if v == nil {
			continue
		}
		for _, f := range v.fields {
			if !slices.Contains(all, f.name) {
				all = append(all, f.name)
			}
		}
	}
	return all
}

// webhooks writes the webhooks of a configuration. For an operator of some namespaces, each of them has a selector or is
// left out.
func webhooks(wide, narrow string) string {
	var t strings.Builder
	t.WriteString("webhooks:\n")
	narrowed := map[string][]field{}
	for _, w := range items(narrow) {
		narrowed[text(w, "name")] = w
	}
	for _, w := range items(wide) {
		var item strings.Builder
		for _, f := range w {
			item.WriteString(fill(f.text))
		}
		other, there := narrowed[text(w, "name")]
		for _, f := range other {
			if text(w, f.name) == "" {
				item.WriteString(when(someOnly, fill(f.text)))
			}
		}
		entry := "- " + strings.TrimPrefix(item.String(), "  ")
		if !there {
			entry = when(everywhere, entry)
		}
		t.WriteString(entry)
	}
	return t.String()
}

// narrow is the template of an object that exists only for an operator of some namespaces. An object in the example's
// first namespace stands for one in each namespace.
func narrow(o object) string {
	namespace := o.Metadata.Namespace
	if namespace != "" && namespace != system && namespace != team {
		return ""
	}
	var t strings.Builder
	if namespace == team {
		head(&t, o, nil, "{{ . | quote }}")
	} else {
		head(&t, o, nil, "")
	}
	annotations(&t, o.Metadata.Annotations, nil)
	for _, f := range o.fields {
		t.WriteString(fill(f.text))
	}
	if namespace == team {
		return "{{- range " + someOnly + " }}\n---\n" + t.String() + "{{- end }}\n"
	}
	return separated(when(someOnly, t.String()))
}

// monitor is the template of an object for the Prometheus Operator.
func monitor(o object) string {
	var t strings.Builder
	switches := map[string]string{"PodMonitor": "podMonitor", "PrometheusRule": "rules"}
	with := switches[o.Kind]
	if with == "" {
		with = "serviceMonitor"
	}
	more := map[string]string{}
	if strings.HasPrefix(o.APIVersion, "monitoring.coreos.com/") {
		more["prometheus"] = "labels"
	}
	head(&t, o, more, "")
	annotations(&t, o.Metadata.Annotations, nil)
	for _, f := range o.fields {
		t.WriteString(strings.ReplaceAll(fill(f.text), "interval: 15s", "interval: {{ $.Values.prometheus.interval }}"))
	}
	return separated(when("and $.Values.prometheus.enabled $.Values.prometheus."+with, t.String()))
}

// head writes kind, name and labels.
func head(t *strings.Builder, o object, more map[string]string, namespace string) {
	fmt.Fprintf(t, "apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n", o.APIVersion, o.Kind, o.Metadata.Name)
	switch {
	case namespace != "":
		fmt.Fprintf(t, "  namespace: %s\n", namespace)
	case o.Metadata.Namespace != "":
		t.WriteString("  namespace: " + own + "\n")
	}
	t.WriteString("  labels:\n    {{- include \"arcane.labels\" $ | nindent 4 }}\n")
	for _, name := range slices.Sorted(maps.Keys(o.Metadata.Labels)) {
		if name != "app.kubernetes.io/name" && name != "app.kubernetes.io/part-of" {
			fmt.Fprintf(t, "    %s: %q\n", name, o.Metadata.Labels[name])
		}
	}
	for group, value := range more {
		fmt.Fprintf(t, "    {{- with $.Values.%s.%s }}\n    {{- toYaml . | nindent 4 }}\n    {{- end }}\n", group, value)
	}
}

// annotations writes the annotations of config/default, and those that only cert-manager needs.
func annotations(t *strings.Builder, always, certified map[string]string) {
	write := func(which map[string]string, but map[string]string) string {
		var lines string
		for _, name := range slices.Sorted(maps.Keys(which)) {
			if _, there := but[name]; !there {
				lines += fill(fmt.Sprintf("    %s: %q\n", name, which[name]))
			}
		}
		return lines
	}
	plain, more := write(always, nil), write(certified, always)
	switch {
	case plain != "":
		t.WriteString("  annotations:\n" + plain)
		if more != "" {
			t.WriteString(when(certManager, more))
		}
	case more != "":
		t.WriteString(when(certManager, "  annotations:\n"+more))
	}
}

// escape makes Helm print text that looks like an action, such as the templates of alerts.
func escape(text string) string { return strings.ReplaceAll(text, "{{", `{{ "{{" }}`) }

var served = regexp.MustCompile(`values:\n +- team-a\n +- team-b\n`)

// fill replaces the namespaces that config/ has as examples: by the release's, and by those in the values.
func fill(text string) string {
	text = strings.ReplaceAll(escape(text), "namespace: "+system+"\n", "namespace: "+own+"\n")
	text = strings.ReplaceAll(text, system, "{{ $.Release.Namespace }}")
	return served.ReplaceAllString(text, "values: {{ toJson $.Values.namespaces }}\n")
}

func either(condition, yes, no string) string {
	return "{{- if " + condition + " }}\n" + fill(yes) + "{{- else }}\n" + fill(no) + "{{- end }}\n"
}

func when(condition, text string) string {
	return "{{- if " + condition + " }}\n" + text + "{{- end }}\n"
}

// separated begins a document. An empty document does no harm.
func separated(template string) string { return "---\n" + template }
