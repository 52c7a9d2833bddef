package main

// This file switches rules off in a module of its own.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ruled is a module with five rules, each said in another way.
func ruled(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, map[string]string{
		"go.mod": "module ruled\n\ngo 1.26\n",
		"sum/sum.go": `package sum

import "errors"

func Of(a, b int) (all []string) {
	if a < 0 {
		all = append(all, "a is negative here")
	}
	if text := second(b); text != "" {
		all = append(all, text)
	}
	for _, r := range []struct {
		broken bool
		text   string
	}{
		{a == 7, "a must not be seven"},
	} {
		if r.broken {
			all = append(all, r.text)
		}
	}
	return all
}

func second(b int) string {
	switch {
	case b < 0:
		return "b is negative here"
	}
	if b > 9 {
		return "b is too large here"
	}
	return ""
}

var Err = errors.New("no rule at all")
`,
		"sum/sum_test.go": `package sum
import "testing"
func TestOf(t *testing.T) {
	for name, c := range map[string][2]int{"a": {-1, 0}, "b": {0, -1}, "large": {0, 10}, "seven": {7, 0}} {
		t.Run(name, func(t *testing.T) { if len(Of(c[0], c[1])) != 1 { t.Error("not refused") } })
	}
}
`,
	})
	return root
}

// change replaces a text in a file.
func change(t *testing.T, root, name, was, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	content, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(content), was) {
		t.Fatalf("%q is not in %s: %v", was, name, err)
	}
	write(t, root, map[string]string{name: strings.Replace(string(content), was, text, 1)})
}

func TestEveryRuleIsSwitchedOff(t *testing.T) {
	var out strings.Builder
	if err := switchAll(t.Context(), ruled(t), []string{"sum"}, []string{"sum"}, nil, &out); err != nil {
		t.Error(err)
	}
	for _, line := range []string{
		`Of: all = append(all, "a is negative here")`, "Of: all = append(all, text)", "Of: a == 7", "Of: all = append(all, r.text)",
		"second: b < 0", "second: b > 9", "6 rules switched off", "sum TestOf/large\n",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("it prints\n%s\nwithout %q", out.String(), line)
		}
	}
}

func TestWhatASwitchProves(t *testing.T) {
	for _, c := range []struct {
		name      string
		was, text string
		excused   map[string]string
		says      string
	}{
		{"a rule that nobody misses", `"large": {0, 10}, `, "", nil, "second: b > 9: nobody misses it"},
		{"excused", `"large": {0, 10}, `, "", map[string]string{"second: b > 9": "because"}, ""},
		{"excused and missed", "", "", map[string]string{"second: b > 9": "because"}, "is missed by sum TestOf/large, and excused"},
		{"excused and not there", "", "", map[string]string{"third: b > 9": "because"}, "there is no such rule"},
		{"a test that fails without", "!= 1", "!= 2", nil, "nothing is proven"},
		{"a test that does not compile", "!= 1", "!= one", nil, "undefined: one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := ruled(t)
			if c.was != "" {
				change(t, root, "sum/sum_test.go", c.was, c.text)
			}
			var out strings.Builder
			err := switchAll(t.Context(), root, []string{"sum"}, []string{"sum"}, c.excused, &out)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("the error is %v, want %q", err, c.says)
			}
		})
	}
}
