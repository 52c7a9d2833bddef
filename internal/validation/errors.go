package validation

// This file turns problems into errors of fields and into warnings.

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// verdict is what an object is told.
type verdict struct {
	kind     string
	object   any
	warnings []string
	errs     field.ErrorList

	// tree is the object as JSON: read once, and only where there is an error.
	tree any
}

func (v *verdict) answer() ([]string, field.ErrorList) { return v.warnings, v.errs }

// problems refuses what is wrong with the object itself. What is missing beside
// it, or wrong with another object, is a warning: that one can still come, or be
// corrected.
func (v *verdict) problems(list ...*definition.Problem) {
	for _, p := range list {
		if p.Kind != v.kind || p.Reason == v1.ReasonClassNotFound || p.Reason == v1.ReasonTemplateNotFound {
			v.warn(p.Message)
			continue
		}
		_, text, found := strings.Cut(p.Message, p.Field+": ")
		if !found {
			text = p.Message
		}
		v.refuse(p.Field, text, p.Reason == v1.ReasonTemplateForbidden)
	}
}

// faults refuses fields of the object itself.
func (v *verdict) faults(list []jobspec.Fault) {
	for _, f := range list {
		v.refuse(f.Field, f.Text, false)
	}
}

func (v *verdict) warn(text string) {
	if !slices.Contains(v.warnings, text) {
		v.warnings = append(v.warnings, text)
	}
}

// refuse names the field, its value, and what is wrong with it.
func (v *verdict) refuse(path, text string, forbidden bool) {
	at := field.NewPath(path)
	err := field.Forbidden(at, text)
	if !forbidden {
		err = v.invalid(at, path, text)
	}
	if !slices.ContainsFunc(v.errs, func(e *field.Error) bool { return e.Field == err.Field && e.Detail == err.Detail }) {
		v.errs = append(v.errs, err)
	}
}

func (v *verdict) invalid(at *field.Path, path, text string) *field.Error {
	if v.tree == nil {
		v.tree = treeOf(v.object)
	}
	value, found := valueAt(v.tree, path)
	if !found {
		return field.Required(at, text)
	}
	return field.Invalid(at, shown(value), text)
}

// treeOf is an object as plain JSON; nothing where it cannot be written.
func treeOf(object any) any {
	tree := any(map[string]any{})
	raw, err := json.Marshal(object)
	if err != nil {
		return tree
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	// 2 is shown as 2, and an integer beyond 2^53 as it was written.
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return map[string]any{}
	}
	return tree
}

// shown is a value as a message can hold it: none of an object or a list, and
// only the beginning of a long text.
func shown(value any) any {
	const most = 64
	switch v := value.(type) {
	case string:
		if len(v) > most {
			return strings.ToValidUTF8(v[:most], "") + "..."
		}
		return v
	case bool, json.Number:
		return v
	default:
		return field.OmitValueType{}
	}
}

// valueAt follows a path such as spec.failureClasses[1].exitCodes[0] or
// spec.metadata.labels[app.kubernetes.io/name].
func valueAt(tree any, path string) (value any, found bool) {
	node := tree
	for path != "" {
		step, rest, inBrackets := nextStep(path)
		path = rest
		switch parent := node.(type) {
		case map[string]any:
			if node, found = parent[step]; !found {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || !inBrackets || i < 0 || i >= len(parent) {
				return nil, false
			}
			node = parent[i]
		default:
			return nil, false
		}
	}
	return node, node != nil
}

// nextStep cuts the first step off a path: a name before a dot, or a key in brackets.
func nextStep(path string) (step, rest string, inBrackets bool) {
	path = strings.TrimPrefix(path, ".")
	if key, ok := strings.CutPrefix(path, "["); ok {
		step, rest, _ = strings.Cut(key, "]")
		return step, rest, true
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		return path, "", false
	}
	return path[:end], path[end:], false
}
