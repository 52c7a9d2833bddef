package definition

// This file reads a stream that is plainly right without making a tree of its spec.

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Glance is StreamProblems at a fraction of its cost, where that has no problem to
// tell and can be seen not to; the Definition then lacks Spec and HashSpec. Where
// ok is false nothing is known yet. schema as for StreamProblems, but it is not
// compiled here.
func Glance(s *v1.Stream, class *v1.StreamClass, schema *Schema) (d Definition, ok bool) {
	if class == nil || !valid(s.Spec.Source) || !valid(s.Spec.Sink) || !small(s) || !plain(s, class, schema) {
		return Definition{}, false
	}
	d = Outline(s, class)
	if len(scheduleProblems(d)) > 0 || len(forbiddenTemplates(d, s, class)) > 0 {
		return Definition{}, false
	}
	d.Secrets, ok = plainSecrets(s, class)
	return d, ok
}

// valid tells whether there is nothing, or JSON that can be walked.
func valid(raw *runtime.RawExtension) bool { return raw == nil || json.Valid(raw.Raw) }

// small tells that the spec is so far below its limit that it need not be written
// to be measured. Written in our way a text grows to three times its bytes at most:
// by an invalid byte, or a line separator that is escaped.
func small(s *v1.Stream) bool {
	rest := s.Spec
	rest.Source, rest.Sink = nil, nil
	typed, err := json.Marshal(rest)
	if err != nil {
		return false
	}
	size := len(typed) + len(`"source":,"sink":,`)
	for _, raw := range []*runtime.RawExtension{s.Spec.Source, s.Spec.Sink} {
		if raw != nil {
			size += len(raw.Raw)
		}
	}
	return 3*size <= MaxSpecBytes
}

// Written is the Definition of a stream that a glance was enough for, with its Spec
// and HashSpec.
func Written(d Definition, s *v1.Stream) (Definition, error) {
	_, err := d.render(s)
	return d, err
}

// plain tells that the class is served and its schema satisfied.
func plain(s *v1.Stream, class *v1.StreamClass, schema *Schema) bool {
	if !OfKindStream(class) || kindProblem(class) != nil || len(failureClassProblems(class)) > 0 {
		return false
	}
	if schema == nil {
		return class.Spec.Schema == nil
	}
	root := schema.shape
	if root == nil || root.kind != "object" {
		return false
	}
	seen := uint64(0)
	for _, at := range []struct {
		key string
		raw *runtime.RawExtension
	}{{"source", s.Spec.Source}, {"sink", s.Spec.Sink}} {
		if at.raw == nil {
			continue
		}
		ok, bit := root.acceptsMember([]byte(at.key), bytes.Trim(at.raw.Raw, blank))
		if !ok {
			return false
		}
		seen |= bit
	}
	return seen&root.required == root.required
}

// plainSecrets are the Secrets that the class's refs lead to, where each is a
// plain text in source or sink, which are valid; else it is not known which there are.
func plainSecrets(s *v1.Stream, class *v1.StreamClass) (names []string, ok bool) {
	for _, ref := range class.Spec.SecretRefs {
		top, below, _ := strings.Cut(ref, ".")
		raw := map[string]*runtime.RawExtension{"source": s.Spec.Source, "sink": s.Spec.Sink}[top]
		if raw == nil || below == "" {
			return nil, false
		}
		text, ok := textAt(bytes.Trim(raw.Raw, blank), below, "name")
		if !ok || len(validation.IsDNS1123Subdomain(text)) > 0 {
			return nil, false
		}
		if !slices.Contains(names, text) {
			names = append(names, text)
		}
	}
	return names, true
}

// textAt follows a path of names with dots between them, and then one more name.
func textAt(value []byte, path, last string) (text string, ok bool) {
	for step := range strings.SplitSeq(path, ".") {
		if value = member(value, step); value == nil {
			return "", false
		}
	}
	found, ok := literal(member(value, last))
	return string(found), ok
}

// member is an object's member of that name; nil where there is none, where there
// are two, and where that cannot be seen.
func member(object []byte, name string) (found []byte) {
	if len(object) == 0 || object[0] != '{' {
		return nil
	}
	for key, value := range members(object) {
		if bytes.IndexByte(key, '\\') >= 0 {
			return nil
		}
		if string(key) == name {
			if found != nil {
				return nil
			}
			found = value
		}
	}
	return found
}

// SameHashSpec tells whether two versions of a stream have the same HashSpec. One
// whose spec cannot be read has none.
func SameHashSpec(old, new *v1.Stream) bool {
	if !sameText(old.Spec.Source, new.Spec.Source) || !sameText(old.Spec.Sink, new.Spec.Sink) {
		return false
	}
	// Where typed fields differ, it can only be seen of them written out whether they mean the same.
	return reflect.DeepEqual(hashedFields(old), hashedFields(new)) || bytes.Equal(hashSpecOf(old), hashSpecOf(new))
}

// hashedFields are what render writes for the hash, less source and sink.
func hashedFields(s *v1.Stream) v1.StreamSpec {
	spec := s.Spec
	spec.Source, spec.Sink = nil, nil
	spec.Suspended, spec.Restart, spec.Backfill = false, nil, nil
	spec.JobTemplateRef, spec.BackfillJobTemplateRef = nil, nil
	spec.PodFailurePolicy = OwnPolicy(s)
	return spec
}

// sameText tells whether two texts mean the same JSON.
func sameText(a, b *runtime.RawExtension) bool {
	if a == nil || b == nil {
		return a == b
	}
	if bytes.Equal(a.Raw, b.Raw) {
		return true
	}
	if canonical(a.Raw) && canonical(b.Raw) {
		return false // what means the same is written the same
	}
	x, errX := decode(a.Raw)
	y, errY := decode(b.Raw)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// hashSpecOf is the HashSpec of a stream; nil where its spec cannot be read.
func hashSpecOf(s *v1.Stream) []byte {
	d := Definition{PodFailurePolicy: OwnPolicy(s)}
	if _, err := d.render(s); err != nil {
		return nil
	}
	return d.HashSpec
}
