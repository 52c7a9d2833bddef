package schemas

// This file tests that no schema outlives the version of its class.

import (
	"strconv"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// class wants as many characters of source.table as the generation says.
func class(name string, uid types.UID, generation int64) *v1.StreamClass {
	raw := `{"type":"object","properties":{"source":{"type":"object","properties":{"table":{"type":"string","minLength":` +
		strconv.FormatInt(generation, 10) + `}}}}}`
	return &v1.StreamClass{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid, Generation: generation},
		Spec:       v1.StreamClassSpec{Schema: &v1.StreamSchema{OpenAPIV3Schema: &runtime.RawExtension{Raw: []byte(raw)}}},
	}
}

func TestASchemaIsOfItsVersion(t *testing.T) {
	var k Kept
	first := k.Of(class("a", "1", 1))
	if first == nil || k.Of(class("a", "1", 1)) != first {
		t.Error("it is compiled each time")
	}
	for name, other := range map[string]*v1.StreamClass{
		"changed": class("a", "1", 2), "another of its name": class("a", "2", 1), "another": class("b", "3", 1),
	} {
		if k.Of(other) == first {
			t.Errorf("%s has the schema of the first", name)
		}
	}
}

// TestTheLeastRecentlyUsedSchemaGoes keeps classes that come and go from filling the memory.
func TestTheLeastRecentlyUsedSchemaGoes(t *testing.T) {
	var k Kept
	first := k.Of(class("a", "1", 1))
	for n := range int64(maxKept) {
		k.Of(class("b", "2", n+1))
	}
	if n := k.recent.Len(); n != maxKept {
		t.Errorf("%d schemas are kept", n)
	}
	if k.Of(class("a", "1", 1)) == first {
		t.Error("the oldest is kept")
	}
}

func TestNoSchema(t *testing.T) {
	broken := class("a", "1", 1)
	broken.Spec.Schema.OpenAPIV3Schema.Raw = []byte(`{"typ":"object"}`)
	var k Kept
	for name, c := range map[string]*v1.StreamClass{"no class": nil, "a class without": {}, "one that cannot be read": broken} {
		if k.Of(c) != nil {
			t.Errorf("%s has a schema", name)
		}
	}
}

func TestManyAsk(t *testing.T) {
	var k Kept
	var all sync.WaitGroup
	for n := range int64(8) {
		all.Go(func() {
			if k.Of(class("a", "1", n%2+1)) == nil {
				t.Error("no schema")
			}
		})
	}
	all.Wait()
}
