package definition

// This file turns JSON as it was written into the plain values that a schema is checked against.

import "encoding/json"

// plainNumbers copies a tree with every json.Number as int64 where it is one, else as float64.
func plainNumbers(tree any) any {
	switch t := tree.(type) {
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i
		}
		// A number beyond float64 becomes infinite, which no maximum allows.
		f, _ := t.Float64()
		return f
	case map[string]any:
		m := make(map[string]any, len(t))
		for k, v := range t {
			m[k] = plainNumbers(v)
		}
		return m
	case []any:
		l := make([]any, len(t))
		for i, v := range t {
			l[i] = plainNumbers(v)
		}
		return l
	default:
		return tree
	}
}
