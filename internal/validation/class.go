package validation

// This file judges a StreamClass.

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Class judges a StreamClass that is created (old is nil) or changed.
func Class(old, new *v1.StreamClass, around ClassSurroundings) (warnings []string, errs field.ErrorList) {
	return nil, nil
}
