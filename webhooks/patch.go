package webhooks

// This file tells the difference that defaulting made, as a JSON patch for the bytes that came in.

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
)

// patch holds only what differs between the typed objects before and after, so a
// field that this version does not know stays as it was, and no empty value is
// added. raw is asked which objects are there to add to: in a typed one they always are.
func patch(raw []byte, before, after any) ([]jsonpatch.JsonPatchOperation, error) {
	d := difference{raw: raw}
	d.walk(nil, reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem())
	return d.operations, d.err
}

type difference struct {
	raw        []byte
	operations []jsonpatch.JsonPatchOperation
	// made are the paths of the objects that the patch itself adds.
	made []string
	err  error
}

var marshaler = reflect.TypeFor[json.Marshaler]()

func (d *difference) walk(path []string, before, after reflect.Value) {
	switch kind := before.Kind(); {
	case kind == reflect.Pointer && !before.IsNil() && !after.IsNil():
		d.walk(path, before.Elem(), after.Elem())
	case kind == reflect.Struct && !before.Type().Implements(marshaler) && !reflect.PointerTo(before.Type()).Implements(marshaler):
		for i := range before.NumField() {
			name, inline := jsonName(before.Type().Field(i))
			switch {
			case inline:
				d.walk(path, before.Field(i), after.Field(i))
			case name != "":
				d.walk(child(path, name), before.Field(i), after.Field(i))
			}
		}
	case kind == reflect.Map && before.Len() > 0 && after.Len() > 0:
		d.walkMap(path, before, after)
	case !reflect.DeepEqual(before.Interface(), after.Interface()):
		d.set(path, after)
	}
}

// walkMap compares maps by string keys.
func (d *difference) walkMap(path []string, before, after reflect.Value) {
	keys := map[string]bool{}
	for _, m := range []reflect.Value{before, after} {
		for _, key := range m.MapKeys() {
			keys[key.String()] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := reflect.ValueOf(key).Convert(before.Type().Key())
		was, is := before.MapIndex(at), after.MapIndex(at)
		switch {
		case !is.IsValid():
			d.operations = append(d.operations, jsonpatch.NewOperation("remove", pointer(child(path, key)), nil))
		case !was.IsValid() || !reflect.DeepEqual(was.Interface(), is.Interface()):
			d.set(child(path, key), is)
		}
	}
}

// set adds a value, which replaces what is there.
func (d *difference) set(path []string, value reflect.Value) {
	if value.IsZero() && value.Kind() != reflect.Bool {
		if d.has(path) {
			d.operations = append(d.operations, jsonpatch.NewOperation("remove", pointer(path), nil))
		}
		return
	}
	for i := 1; i < len(path); i++ {
		if at := pointer(path[:i]); !slices.Contains(d.made, at) && !d.has(path[:i]) {
			d.made = append(d.made, at)
			d.operations = append(d.operations, jsonpatch.NewOperation("add", at, map[string]any{}))
		}
	}
	d.operations = append(d.operations, jsonpatch.NewOperation("add", pointer(path), value.Interface()))
}

// has tells whether the bytes that came in hold something at a path of objects.
func (d *difference) has(path []string) bool {
	rest := json.RawMessage(d.raw)
	for _, step := range path {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(rest, &object); err != nil {
			d.err = fmt.Errorf("read the object that came in: %w", err)
			return false
		}
		var ok bool
		if rest, ok = object[step]; !ok || string(rest) == "null" {
			return false
		}
	}
	return true
}

// child is the path with one more step, in a slice of its own.
func child(path []string, step string) []string {
	return append(slices.Clone(path), step)
}

var escaped = strings.NewReplacer("~", "~0", "/", "~1")

func pointer(path []string) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteByte('/')
		b.WriteString(escaped.Replace(step))
	}
	return b.String()
}

// jsonName is a field's name in JSON; empty where it has none.
func jsonName(f reflect.StructField) (name string, inline bool) {
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" || !f.IsExported() {
		return "", false
	}
	return name, name == "" && f.Anonymous
}
