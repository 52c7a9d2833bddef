// Package schemas keeps the schemas of classes as they were compiled last: to compile
// one costs a hundred times what it costs to ask it.
package schemas

// This file keeps them.

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// maxKept is how many schemas are kept. Those of deleted classes and of former versions are
// the first to go, as nobody asks for them.
const maxKept = 512

// Kept are the schemas that were asked for last. Its zero value keeps none yet; many may
// ask it at once.
type Kept struct {
	mu     sync.Mutex
	recent *lru.Cache
}

// version is one version of a class: a generation changes with the spec, and begins anew
// with another object of the name.
type version struct {
	uid        types.UID
	generation int64
}

// Of is the schema of a class; nil where there is no class, or where it has none, or
// one that cannot be read.
func (k *Kept) Of(class *v1.StreamClass) *definition.Schema {
	if class == nil || class.Spec.Schema == nil {
		return nil
	}
	k.mu.Lock() // held while it compiles: everybody waits, and nobody compiles the same twice
	defer k.mu.Unlock()
	if k.recent == nil {
		k.recent = lru.New(maxKept)
	}
	key := version{class.UID, class.Generation}
	if schema, ok := k.recent.Get(key); ok {
		return schema.(*definition.Schema)
	}
	schema := definition.SchemaOf(class)
	k.recent.Add(key, schema)
	return schema
}
