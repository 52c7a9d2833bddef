// Package sentences tells what in the operator's source is said to a user.
package sentences

import (
	"go/ast"
	"strings"
)

// Is tells whether a text is a sentence: three words or more.
func Is(text string) bool { return strings.Count(strings.TrimSpace(text), " ") >= 2 }

// Inward tells whether what a call is given is told to nobody outside.
func Inward(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name == "Errorf"
	case *ast.Ident:
		return f.Name == "panic"
	}
	return false
}
