package definition

// This file tells what is wrong with a StreamClass, for its status and for every stream of it alike.

import (
	"fmt"
	"slices"

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
	_, p := readClass(class, nil)
	return p
}

// ClassProblems is all that is wrong with a class, in the order in which
// ClassProblem would find it.
func ClassProblems(class *v1.StreamClass) []*Problem {
	var all []*Problem
	if p := kindProblem(class); p != nil {
		all = append(all, p)
	}
	_, schema := compile(class)
	return append(append(all, failureClassProblems(class)...), schema...)
}

// readClass checks a class and returns its schema, nil where it has none. known
// is that schema, read before; nil: it is read here.
func readClass(class *v1.StreamClass, known *Schema) (*Schema, *Problem) {
	if p := kindProblem(class); p != nil {
		return nil, p
	}
	if list := failureClassProblems(class); len(list) > 0 {
		return nil, list[0]
	}
	if known != nil {
		return known, nil
	}
	schema, list := compile(class)
	if len(list) > 0 {
		return nil, list[0]
	}
	return schema, nil
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

// failureClassProblems are names and exit codes that are no such thing, or that mean two things.
func failureClassProblems(class *v1.StreamClass) []*Problem {
	var all []*Problem
	owner := map[int32]string{}
	for i, f := range class.Spec.FailureClasses {
		if slices.ContainsFunc(class.Spec.FailureClasses[:i], func(before v1.FailureClass) bool { return before.Name == f.Name }) {
			all = append(all, classProblem(class, v1.ReasonFailureClasses, fmt.Sprintf("spec.failureClasses[%d].name", i),
				fmt.Sprintf("%q is there twice; merge the two or rename one", f.Name)))
		}
		for j, code := range f.ExitCodes {
			if text := exitCodeText(code, owner); text != "" {
				all = append(all, classProblem(class, v1.ReasonFailureClasses, fmt.Sprintf("spec.failureClasses[%d].exitCodes[%d]", i, j), text))
				continue
			}
			owner[code] = f.Name
		}
	}
	return all
}

// exitCodeText is what is wrong with an exit code of a failure class; owner are those that are taken.
func exitCodeText(code int32, owner map[int32]string) string {
	if code == 0 {
		return "0 is success and belongs to no failure class; remove it"
	}
	if code < 0 || code > 255 {
		return fmt.Sprintf("%d is no exit code; use 1 to 255", code)
	}
	if first, taken := owner[code]; taken {
		return fmt.Sprintf("%d belongs to %q already; an exit code can mean only one thing, remove it from one of the two", code, first)
	}
	return ""
}

func classProblem(class *v1.StreamClass, reason v1.Reason, field, text string) *Problem {
	return &Problem{
		Reason: reason, Kind: v1.KindStreamClass, Field: field,
		Message: fmt.Sprintf("StreamClass %s: %s: %s", class.Name, field, text),
	}
}
