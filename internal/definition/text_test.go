package definition

// This file holds what is seen of two texts against what they mean.

import (
	"encoding/json"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
)

// meansTheSame reads both texts whole.
func meansTheSame(a, b string) bool {
	x, errX := decode([]byte(a))
	y, errY := decode([]byte(b))
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// TestWhatIsCanonicalIsWrittenInOneWay compares every two small values.
func TestWhatIsCanonicalIsWrittenInOneWay(t *testing.T) {
	values := smallValues()
	trees := make([]any, len(values))
	found, alike := 0, 0
	for i, text := range values {
		tree, err := decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		trees[i] = tree
		if !canonical([]byte(text)) {
			continue
		}
		found++
		for j := range i {
			if !reflect.DeepEqual(trees[i], trees[j]) {
				continue
			}
			alike++
			if canonical([]byte(values[j])) && values[i] != values[j] {
				t.Errorf("%s and %s mean the same", values[i], values[j])
			}
		}
	}
	if found < 150 || alike < 20 {
		t.Errorf("%d values are canonical and mean the same as another %d times: too few to say anything", found, alike)
	}
}

func TestWhatIsNotCanonical(t *testing.T) {
	for _, text := range []string{
		"", " 1", "1 ", "{ }", "[ ]", "[1, 2]", "[1 ,2]", `{"a": 1}`, `{"a" :1}`, `{"b":1,"a":2}`, `{"a":1,"a":1}`, `{"":1,"":2}`,
		`"\u0061"`, `{"\u0061":1}`, "\"\xff\"", `[{"b":1,"a":2}]`, `{"a":{"c":1,"b":2}}`, `{"a":[1,2 ]}`, "{", `{"a":1}}`,
		`[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]`,
	} {
		if canonical([]byte(text)) {
			t.Errorf("%q passes for canonical", text)
		}
	}
	for _, text := range []string{`{"":0,"a":[1,{"b":" , ","c":null}],"é":{}}`, "[]", `"x y"`, "1e400"} {
		if !canonical([]byte(text)) {
			t.Errorf("%q is not canonical", text)
		}
	}
}

// FuzzSameText: a shortcut says what reading both whole says.
func FuzzSameText(f *testing.F) {
	f.Add(`{"a":1,"b":[true]}`, `{"b":[true],"a":1}`)
	f.Add(`{"url":"file:///a"}`, `{"url":"file:///b"}`)
	f.Add(`{"a":1,"a":2}`, `{"a":2}`)
	f.Add(`"\u0061"`, `"a"`)
	f.Fuzz(func(t *testing.T, a, b string) {
		got := sameText(&runtime.RawExtension{Raw: []byte(a)}, &runtime.RawExtension{Raw: []byte(b)})
		if !json.Valid([]byte(a)) || !json.Valid([]byte(b)) || a == b {
			return // what is the same bytes is the same, even if it cannot be read
		}
		if want := meansTheSame(a, b); got != want {
			t.Errorf("%q and %q: %t, want %t", a, b, got, want)
		}
	})
}
