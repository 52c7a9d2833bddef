package definition

// This file tells what is wrong with a StreamClass, for its status and for every stream of it alike.

import (
	"fmt"
	"slices"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

const (
	streamVersion = "v1"
	streamPlural  = "streams"
)

// OfKindStream tells whether a class is for the kind Stream rather than for a plugin's own kind.
func OfKindStream(class *v1.StreamClass) bool {
	group := class.Spec.APIGroupRef
	return class.Spec.KindRef == v1.KindStream && (group == "" || group == v1.GroupVersion.Group)
}

// ClassProblem is why a class cannot be served, or nil.
func ClassProblem(class *v1.StreamClass) *Problem {
	_, p := read(class)
	return p
}

// read checks a class and returns its schema, nil where it has none.
func read(class *v1.StreamClass) (*structural.Structural, *Problem) {
	if p := kindProblem(class); p != nil {
		return nil, p
	}
	if p := failureClassesProblem(class); p != nil {
		return nil, p
	}
	return compile(class)
}

func kindProblem(class *v1.StreamClass) *Problem {
	if !OfKindStream(class) {
		return classProblem(class, v1.ReasonKindUnsupported, "spec.kindRef",
			fmt.Sprintf("%q of group %q is a plugin's own kind, which this version does not serve; write the class for kind Stream of group %s",
				class.Spec.KindRef, class.Spec.APIGroupRef, v1.GroupVersion.Group))
	}
	if class.Spec.APIVersion != streamVersion {
		return classProblem(class, v1.ReasonKindUnsupported, "spec.apiVersion",
			fmt.Sprintf("kind Stream has no version %q; set it to %s", class.Spec.APIVersion, streamVersion))
	}
	if class.Spec.PluralName != streamPlural {
		return classProblem(class, v1.ReasonKindUnsupported, "spec.pluralName",
			fmt.Sprintf("kind Stream has no plural %q; set it to %s", class.Spec.PluralName, streamPlural))
	}
	return nil
}

func failureClassesProblem(class *v1.StreamClass) *Problem {
	owner := map[int32]string{}
	names := make([]string, 0, len(class.Spec.FailureClasses))
	for i, f := range class.Spec.FailureClasses {
		path := fmt.Sprintf("spec.failureClasses[%d]", i)
		if slices.Contains(names, f.Name) {
			return classProblem(class, v1.ReasonFailureClasses, path+".name",
				fmt.Sprintf("%q is there twice; merge the two or rename one", f.Name))
		}
		names = append(names, f.Name)
		for j, code := range f.ExitCodes {
			at := fmt.Sprintf("%s.exitCodes[%d]", path, j)
			if code == 0 {
				return classProblem(class, v1.ReasonFailureClasses, at, "0 is success and belongs to no failure class; remove it")
			}
			if code < 0 || code > 255 {
				return classProblem(class, v1.ReasonFailureClasses, at, fmt.Sprintf("%d is no exit code; use 1 to 255", code))
			}
			if first, taken := owner[code]; taken {
				return classProblem(class, v1.ReasonFailureClasses, at,
					fmt.Sprintf("%d belongs to %q already; an exit code can mean only one thing, remove it from one of the two", code, first))
			}
			owner[code] = f.Name
		}
	}
	return nil
}

func classProblem(class *v1.StreamClass, reason v1.Reason, field, text string) *Problem {
	return &Problem{
		Reason: reason, Kind: v1.KindStreamClass, Field: field,
		Message: fmt.Sprintf("StreamClass %s: %s: %s", class.Name, field, text),
	}
}
