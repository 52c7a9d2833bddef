package definition

// This file finds the Secrets that a stream's spec names.

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// SecretsOf are the names of the Secrets that a stream's spec names, those that
// can be read where some cannot.
func SecretsOf(s *v1.Stream, class *v1.StreamClass) []string {
	if class == nil || len(class.Spec.SecretRefs) == 0 {
		return nil
	}
	if valid(s.Spec.Source) && valid(s.Spec.Sink) {
		if names, ok := plainSecrets(s, class); ok {
			return names
		}
	}
	var d Definition
	tree, err := d.render(s)
	if err != nil {
		return nil
	}
	names, _ := secrets(class, tree)
	return names
}

// secrets resolves the class's secretRefs in a spec: each is a path below spec to {name: secret}.
func secrets(class *v1.StreamClass, spec map[string]any) (names []string, problems []*Problem) {
	for _, ref := range class.Spec.SecretRefs {
		name, text := secretName(spec, ref)
		if text != "" {
			at := "spec." + ref + ".name"
			problems = append(problems, &Problem{
				Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: at,
				Message: fmt.Sprintf("%s: %s (StreamClass %s reads a Secret from there)", at, text, class.Name),
			})
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, problems
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
