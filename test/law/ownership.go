// I4 and I7: the operator writes only what is its own.

package law

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Operator is the operator's field manager, and the beginning of its user agent.
const Operator = "arcane-operator"

// usersOwn: of a user's objects the operator owns no field but those that it is
// allowed to write. The API server notes the owner of every field.
func usersOwn(w *world, c change) []Violation {
	switch o := c.Object.(type) {
	case *streamingv1.Stream:
		return ownedBeside(c, UsersOwn, "stream", nothing)
	case *corev1.Pod:
		return ownedBeside(c, UsersOwn, "pod", nothing)
	case *streamingv1.StreamPlugin:
		return ownedBeside(c, UsersOwn, "stream plugin", ofPlugin)
	case *streamingv1.BackfillRequest:
		if !w.request(o.UID).ours {
			return ownedBeside(c, UsersOwn, "request", ofRequest)
		}
	}
	return nil
}

// notOurs: of a job that is no stream's the operator owns nothing.
func notOurs(w *world, c change) []Violation {
	o, ok := c.Object.(*batchv1.Job)
	if !ok || w.job(o.UID).ownerUID != "" {
		return nil
	}
	return ownedBeside(c, NotOurs, "foreign job", nothing)
}

// ownedBeside reports the operator's fields that are not allowed, once, at the
// version where they appear.
func ownedBeside(c change, law Law, kind string, allowed func(path string) bool) []Violation {
	var before []string
	if c.before != nil {
		before = operatorFields(c.before)
	}
	var found []Violation
	for _, path := range operatorFields(c.Object) {
		if !allowed(path) && !slices.Contains(before, path) {
			found = append(found, broken(law, c.RV, "the operator wrote %s of %s %s", path, kind, c.Object.GetName())...)
		}
	}
	return found
}

func nothing(string) bool { return false }

// ofRequest lists what the operator may write on a user's request, beside its status.
func ofRequest(path string) bool {
	return path == "f:spec/f:completed" ||
		path == "f:metadata/f:annotations/f:"+streamingv1.AnnotationCompletedBy ||
		path == "f:metadata/f:ownerReferences" || strings.HasPrefix(path, "f:metadata/f:ownerReferences/")
}

// ofPlugin lists what the operator may write on a StreamPlugin, beside its status.
func ofPlugin(path string) bool {
	return path == "f:metadata/f:finalizers" || strings.HasPrefix(path, "f:metadata/f:finalizers/")
}

func operatorWrote(o client.Object, path ...string) bool {
	return slices.Contains(operatorFields(o), strings.Join(path, "/"))
}

// operatorFields are the fields of an object, status apart, that the operator has
// written last, sorted.
func operatorFields(o client.Object) []string {
	var paths []string
	for _, entry := range o.GetManagedFields() {
		if !strings.HasPrefix(entry.Manager, Operator) || entry.Subresource == "status" || entry.FieldsV1 == nil {
			continue
		}
		paths = append(paths, leaves(entry)...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func leaves(entry metav1.ManagedFieldsEntry) []string {
	var tree map[string]any
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &tree); err != nil {
		// Not to know what was written is as bad as a forbidden field.
		return []string{fmt.Sprintf("(unreadable: %v)", err)}
	}
	var paths []string
	var walk func(prefix string, node map[string]any)
	walk = func(prefix string, node map[string]any) {
		for key, value := range node {
			child, _ := value.(map[string]any)
			switch {
			case key == ".":
				// The parent itself, which came to be with its first child.
			case len(child) == 0:
				paths = append(paths, prefix+key)
			default:
				walk(prefix+key+"/", child)
			}
		}
	}
	walk("", tree)
	return paths
}
