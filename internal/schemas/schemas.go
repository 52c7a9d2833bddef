// Package schemas keeps the schemas of classes as they were compiled last: to compile
// one costs a hundred times what it costs to ask it.
package schemas

// This file keeps them.

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// Kept are schemas by the name of their class. Its zero value keeps none yet; many may
// ask it at once.
type Kept struct {
	mu     sync.Mutex
	byName map[string]kept
}

// kept is the schema of one version of a class: a generation changes with the spec, and
// begins anew with another object of the name.
type kept struct {
	uid        types.UID
	generation int64
	schema     *definition.Schema
}

// Of is the schema of a class; nil where there is no class, or where it has none, or
// one that cannot be read.
func (k *Kept) Of(class *v1.StreamClass) *definition.Schema {
	if class == nil || class.Spec.Schema == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.byName[class.Name]; ok && s.uid == class.UID && s.generation == class.Generation {
		return s.schema
	}
	if k.byName == nil {
		k.byName = map[string]kept{}
	}
	schema := definition.SchemaOf(class)
	k.byName[class.Name] = kept{class.UID, class.Generation, schema}
	return schema
}
