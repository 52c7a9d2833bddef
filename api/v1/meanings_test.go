package v1

// This file proves that every condition and every reason is explained, once, and that the product uses it.

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// declared lists the constants of this package that a test is about, by name.
func declared(t *testing.T, wanted func(name, kind string) bool) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			g, ok := n.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				return true
			}
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				kind, _ := spec.Type.(*ast.Ident)
				if kind == nil {
					kind = ast.NewIdent("")
				}
				for i, name := range spec.Names {
					if wanted(name.Name, kind.Name) {
						values[name.Name] = text(t, spec.Values[i])
					}
				}
			}
			return false
		})
	}
	return values
}

func text(t *testing.T, e ast.Expr) string {
	t.Helper()
	literal, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatal("a reason or condition is not a plain text")
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func ofReason(_, kind string) bool    { return kind == "Reason" }
func ofCondition(name, _ string) bool { return strings.HasPrefix(name, "Condition") }

func TestEveryReasonIsExplained(t *testing.T) {
	explained := map[Reason]int{}
	for _, chapter := range Chapters() {
		for _, e := range chapter.Reasons {
			explained[e.Reason]++
			if len(e.Places) == 0 || !isSentence(e.Meaning) || e.Remedy.Text != "" && !isSentence(e.Remedy.Text) {
				t.Errorf("%s needs a place, and sentences: %+v", e.Reason, e)
			}
		}
	}
	names := declared(t, ofReason)
	for name, value := range names {
		if explained[Reason(value)] != 1 {
			t.Errorf("%s is explained %d times in meanings.go", name, explained[Reason(value)])
		}
	}
	if len(explained) != len(names) {
		t.Errorf("%d reasons are explained, %d are declared", len(explained), len(names))
	}
}

func TestEveryConditionIsExplained(t *testing.T) {
	explained := map[string]int{}
	for _, c := range Conditions() {
		explained[c.Type]++
		if len(c.Kinds) == 0 || !isSentence(c.True) || !isSentence(c.False) {
			t.Errorf("%s needs a kind, and sentences: %+v", c.Type, c)
		}
	}
	names := declared(t, ofCondition)
	for name, value := range names {
		if explained[value] != 1 {
			t.Errorf("%s is explained %d times in meanings.go", name, explained[value])
		}
	}
	if len(explained) != len(names) {
		t.Errorf("%d conditions are explained, %d are declared", len(explained), len(names))
	}
}

func isSentence(text string) bool {
	return strings.HasSuffix(text, ".") && strings.ToUpper(text[:1]) == text[:1] && !strings.ContainsAny(text, "|\n")
}

// TestEveryReasonIsUsed finds words that the product never says.
func TestEveryReasonIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, folder := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return uses(path, used)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, wanted := range []func(name, kind string) bool{ofReason, ofCondition} {
		for name := range declared(t, wanted) {
			if !used[name] {
				t.Errorf("no code of the product uses %s", name)
			}
		}
	}
}

// uses notes the names that a file takes from other packages.
func uses(path string, used map[string]bool) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			used[s.Sel.Name] = true
		}
		return true
	})
	return nil
}

// TestMeaning reads what conditions say: the way out only where nothing happens without it.
func TestMeaning(t *testing.T) {
	for reason, want := range map[Reason]string{
		ReasonStreaming:      "The stream is streaming.",
		ReasonSuspended:      "The stream is suspended and no pod of it is left. Set spec.suspended to false to resume it.",
		ReasonSuspending:     "The stream is being suspended; waiting until its job and pods are gone.",
		Reason("NoSuchWord"): "",
	} {
		if got := reason.Meaning(); got != want {
			t.Errorf("%s means %q, want %q", reason, got, want)
		}
	}
}
