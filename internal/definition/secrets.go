package definition

// This file finds the Secrets that a stream's spec names.

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// secrets resolves the class's secretRefs in a spec: each is a path below spec to {name: secret}.
func secrets(class *v1.StreamClass, spec map[string]any) ([]string, *Problem) {
	var names []string
	for _, ref := range class.Spec.SecretRefs {
		name, text := secretName(spec, ref)
		if text != "" {
			at := "spec." + ref + ".name"
			return nil, &Problem{
				Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: at,
				Message: fmt.Sprintf("%s: %s (StreamClass %s reads a Secret from there)", at, text, class.Name),
			}
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// secretName is the name at a path, else what is wrong with it.
func secretName(spec map[string]any, ref string) (name, text string) {
	var node any = spec
	for step := range strings.SplitSeq(ref+".name", ".") {
		object, ok := node.(map[string]any)
		if !ok {
			return "", "must lie in an object of the form {name: ...}; write it so"
		}
		if node, ok = object[step]; !ok {
			return "", "is missing; set it to the name of the Secret with the plugin's credentials"
		}
	}
	name, ok := node.(string)
	if !ok || name == "" {
		return "", "must be the name of a Secret in the stream's namespace"
	}
	if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
		return "", fmt.Sprintf("%q cannot be the name of a Secret: %s", name, errs[0])
	}
	return name, ""
}
