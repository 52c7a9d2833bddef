package definition

// This file finds fields of a stream's source and sink that the schema of its class does not have.

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/runtime"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// fields are those that a schema names, so that one which it does not name can be
// told: a structural schema cannot refuse it, and a misspelt field would pass without
// a word. Nil is where anything goes.
type fields struct {
	named map[string]*fields
	// each are those of every element, or of every member without a name of its own.
	each *fields
	// open: other members may be there.
	open bool
}

// fieldsOf is nil for an object that names nothing: its author left it to the plugin.
func fieldsOf(s *structural.Structural) *fields {
	switch {
	case s == nil:
		return nil
	case s.Type == "array":
		if each := fieldsOf(s.Items); each != nil {
			return &fields{each: each}
		}
		return nil
	case s.Type != "object" || len(s.Properties) == 0 && s.AdditionalProperties == nil:
		return nil
	}
	f := &fields{named: make(map[string]*fields, len(s.Properties)), open: s.XPreserveUnknownFields || s.XEmbeddedResource}
	for name := range s.Properties {
		property := s.Properties[name]
		f.named[name] = fieldsOf(&property)
	}
	if others := s.AdditionalProperties; others != nil {
		f.each, f.open = fieldsOf(others.Structural), true
	}
	return f
}

// Unknown are the paths of the fields in a stream's source and sink that the schema of
// its class does not have, in order. schema as for StreamProblems.
func Unknown(s *v1.Stream, class *v1.StreamClass, schema *Schema) []string {
	if class == nil || !OfKindStream(class) {
		return nil
	}
	if schema == nil {
		schema = SchemaOf(class)
	}
	if schema == nil || schema.fields == nil {
		return nil
	}
	var all []string
	for _, at := range []struct {
		key string
		raw *runtime.RawExtension
	}{{"source", s.Spec.Source}, {"sink", s.Spec.Sink}} {
		f := schema.fields.named[at.key]
		if f == nil || at.raw == nil || !valid(at.raw) {
			continue
		}
		for _, path := range f.unknown(bytes.Trim(at.raw.Raw, blank)) {
			all = append(all, "spec."+at.key+path)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(path string) bool { return ofSecret(class, path) })
}

// ofSecret tells whether a path leads to or through a field that the class reads a
// Secret from: it names that one itself.
func ofSecret(class *v1.StreamClass, path string) bool {
	for _, ref := range class.Spec.SecretRefs {
		if at := "spec." + ref; strings.HasPrefix(at+".", path+".") || strings.HasPrefix(path+".", at+".") {
			return true
		}
	}
	return false
}

// unknown are the paths below a value, which is valid JSON without space around it.
func (f *fields) unknown(value []byte) (all []string) {
	// What is of another type than the schema's is refused anyway.
	switch list := f.named == nil; {
	case value[0] == '{' && !list:
		for key, member := range members(value) {
			below, found := f.member(key)
			if !found {
				all = append(all, "."+string(key))
			}
			if below == nil {
				continue
			}
			for _, path := range below.unknown(member) {
				all = append(all, "."+string(key)+path)
			}
		}
	case value[0] == '[' && list:
		i := 0
		for element := range elements(value) {
			for _, path := range f.each.unknown(element) {
				all = append(all, fmt.Sprintf("[%d]%s", i, path))
			}
			i++
		}
	}
	return all
}

// member is what is known of a member; found also where it may be any. One whose key is
// written with an escape may be another one than it looks like.
func (f *fields) member(key []byte) (below *fields, found bool) {
	below, found = f.named[string(key)]
	switch {
	case found:
		return below, true
	case f.open || bytes.IndexByte(key, '\\') >= 0:
		return f.each, true
	default:
		return nil, false
	}
}
