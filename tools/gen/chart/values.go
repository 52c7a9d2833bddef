package main

// This file writes values.yaml and the table in README.md from values.schema.json, so that each value has one type, one
// default and one description.

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value is one that a user may set, or a group of them.
type value struct {
	name        string
	path        string
	description string
	// fallback is the default, as YAML on one line; empty for a group.
	fallback string
	// block is the same on several lines, where it is a mapping or a list of something.
	block string
	group []value
}

// breaks are where the encoder wraps a long line.
var breaks = regexp.MustCompile(`\n *`)

func values(chart string) error {
	content, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		return fmt.Errorf("read the schema of the values: %w", err)
	}
	// JSON is YAML, whose reader keeps the order.
	var schema yaml.Node
	if err := yaml.Unmarshal(content, &schema); err != nil {
		return fmt.Errorf("values.schema.json: %w", err)
	}
	all, err := group(schema.Content[0], "")
	if err != nil {
		return fmt.Errorf("values.schema.json: %w", err)
	}
	var file strings.Builder
	file.WriteString("# The values of the chart and their defaults. Generated from values.schema.json: make generate.\n")
	write(&file, all, "")
	if err := os.WriteFile(filepath.Join(chart, "values.yaml"), []byte(file.String()), 0o600); err != nil {
		return fmt.Errorf("write the values: %w", err)
	}
	return table(filepath.Join(chart, "README.md"), all)
}

// group reads the properties of an object's schema.
func group(schema *yaml.Node, path string) ([]value, error) {
	if open := member(schema, "additionalProperties"); open == nil || open.Value != "false" {
		return nil, fmt.Errorf("%q does not say \"additionalProperties\": false, so a misspelt value would be passed over", path)
	}
	var all []value
	properties := member(schema, "properties")
	for i := 0; i+1 < len(properties.Content); i += 2 {
		name, schema := properties.Content[i].Value, properties.Content[i+1]
		if path == "" && name == "global" {
			continue
		}
		v := value{name: name, path: strings.TrimPrefix(path+"."+name, ".")}
		if err := v.read(schema); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// read reads the schema of a value: its description, and its default or the values below it.
func (v *value) read(schema *yaml.Node) (err error) {
	description := member(schema, "description")
	if description == nil {
		return fmt.Errorf("%s has no description", v.path)
	}
	v.description = description.Value
	fallback := member(schema, "default")
	if fallback == nil {
		if member(schema, "properties") == nil {
			return fmt.Errorf("%s has no default", v.path)
		}
		v.group, err = group(schema, v.path)
		return err
	}
	if member(schema, "type") == nil && member(schema, "enum") == nil && member(schema, "anyOf") == nil {
		return fmt.Errorf("%s has no type", v.path)
	}
	if v.fallback, err = render(fallback, yaml.FlowStyle); err != nil {
		return fmt.Errorf("%s: %w", v.path, err)
	}
	v.fallback = breaks.ReplaceAllString(v.fallback, " ")
	if len(fallback.Content) > 0 {
		if v.block, err = render(fallback, 0); err != nil {
			return fmt.Errorf("%s: %w", v.path, err)
		}
	}
	return nil
}

// member is a field of a mapping, nil where there is none.
func member(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// restyle makes what was read as JSON look like YAML: on one line, or on several.
func restyle(n *yaml.Node, style yaml.Style) {
	n.Style = style
	if n.Kind == yaml.ScalarNode {
		n.Style = 0
		if n.Value == "" {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	for _, child := range n.Content {
		restyle(child, style)
	}
}

// render returns a default as YAML, in the order in which the schema has it.
func render(n *yaml.Node, style yaml.Style) (string, error) {
	restyle(n, style)
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(n)
	return strings.TrimSpace(out.String()), err
}

// write prints values as YAML, each below its description.
func write(to *strings.Builder, all []value, indent string) {
	for _, v := range all {
		if indent == "" {
			to.WriteString("\n")
		}
		for _, l := range wrap(v.description, 110-len(indent)) {
			fmt.Fprintf(to, "%s# %s\n", indent, l)
		}
		if v.block != "" {
			inner := "\n" + indent + "  "
			fmt.Fprintf(to, "%s%s:%s%s\n", indent, v.name, inner, strings.ReplaceAll(v.block, "\n", inner))
			continue
		}
		if v.group == nil {
			fmt.Fprintf(to, "%s%s: %s\n", indent, v.name, v.fallback)
			continue
		}
		fmt.Fprintf(to, "%s%s:\n", indent, v.name)
		write(to, v.group, indent+"  ")
	}
}

func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) > width:
			lines = append(lines, word)
		default:
			*last += " " + word
		}
	}
	return lines
}

// Between these the README has its table.
const (
	from = "<!-- The table is generated from values.schema.json: make generate. -->\n"
	to   = "<!-- The end of the table. -->\n"
)

func table(file string, all []value) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the chart's README: %w", err)
	}
	before, rest, ok := strings.Cut(string(content), from)
	_, after, ends := strings.Cut(rest, to)
	if !ok || !ends {
		return errors.New("the chart's README has no place for the table of values")
	}
	var rows strings.Builder
	rows.WriteString("\n| value | default | meaning |\n|---|---|---|\n")
	list(&rows, all)
	if err := os.WriteFile(file, []byte(before+from+rows.String()+"\n"+to+after), 0o600); err != nil {
		return fmt.Errorf("write the chart's README: %w", err)
	}
	return nil
}

func list(to *strings.Builder, all []value) {
	for _, v := range all {
		if v.group != nil {
			list(to, v.group)
			continue
		}
		fmt.Fprintf(to, "| `%s` | `%s` | %s |\n", v.path, v.fallback, strings.ReplaceAll(v.description, "|", `\|`))
	}
}
