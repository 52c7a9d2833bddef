// Package jsontree merges patches into objects as an API server does (RFC 7386), for servers in memory.
package jsontree

import (
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

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

// Refused is what an API server says of a patch that names another version of the
// object than there is, or another object: the version is compared first and is a
// conflict, the UID is taken for a change of what cannot be changed.
func Refused(patch map[string]any, there metav1.Object) error {
	metadata, _ := patch["metadata"].(map[string]any)
	if version, ok := metadata["resourceVersion"]; ok && version != there.GetResourceVersion() {
		return apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, there.GetName(), errors.New("another version"))
	}
	if uid, ok := metadata["uid"]; ok && uid != string(there.GetUID()) {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Object"}, there.GetName(), field.ErrorList{
			field.Invalid(field.NewPath("metadata", "uid"), fmt.Sprint(uid), "field is immutable"),
		})
	}
	return nil
}
