// Package jsontree merges patches into objects as an API server does (RFC 7386), for servers in memory.
package jsontree

import "encoding/json"

// Encoded is a value as JSON. One that has none is a mistake of the caller's.
func Encoded(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// Decoded is an object in JSON as a tree.
func Decoded(data []byte) map[string]any {
	tree := map[string]any{}
	if err := json.Unmarshal(data, &tree); err != nil {
		panic(err)
	}
	return tree
}

// Merged is a tree, which is changed, with what the patch says.
func Merged(into, patch map[string]any) map[string]any {
	for k, v := range patch {
		object, isObject := v.(map[string]any)
		was, wasObject := into[k].(map[string]any)
		switch {
		case v == nil:
			delete(into, k)
		case isObject && wasObject:
			into[k] = Merged(was, object)
		case isObject:
			into[k] = Merged(map[string]any{}, object)
		default:
			into[k] = v
		}
	}
	return into
}
