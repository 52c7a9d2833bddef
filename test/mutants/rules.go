package main

// This file finds the rules of the pure core in its source, each with a switch.

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/arcane-streaming/arcane-operator/test/sentences"
)

// rule is a place at which the pure core refuses something, warns of something, or
// passes on what another place found.
type rule struct {
	// at is the file and the line.
	at string
	// name is the function and what is switched off in it; it survives an edit elsewhere.
	name string
	// begin and end are put around the source from first to last.
	begin, end  string
	first, last int
}

// rulesOf finds the rules of one file. There is one at every statement that adds to a list
// or tells the verdict; and where a sentence is said otherwise, at the condition that
// leads to it.
func rulesOf(path string, source []byte) ([]rule, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, source, 0)
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	s := search{set: set, source: source, found: map[token.Pos]bool{}, named: map[string]int{}}
	var above []ast.Node
	ast.Inspect(tree, func(n ast.Node) bool {
		if n == nil {
			above = above[:len(above)-1]
			return true
		}
		above = append(above, n)
		switch n := n.(type) {
		case *ast.FuncDecl:
			s.within = n.Name.Name
		case ast.Stmt:
			if tells(n) && inBlock(above) {
				s.statement(n)
			}
		case *ast.BasicLit:
			if sentence(n) {
				s.said(above)
			}
		}
		return true
	})
	return s.rules, nil
}

// search collects the rules of a file.
type search struct {
	set    *token.FileSet
	source []byte
	within string
	found  map[token.Pos]bool
	// named counts the rules that read alike in one function.
	named map[string]int
	rules []rule
}

// switched is what the compiler reads in the place of each switch's number.
const switched = "\x00"

func (s *search) statement(n ast.Node) { s.add(n, "if !off("+switched+") { ", " }") }

func (s *search) condition(n ast.Node) { s.add(n, "(", ") && !off("+switched+")") }

func (s *search) add(n ast.Node, begin, end string) {
	if s.found[n.Pos()] {
		return
	}
	s.found[n.Pos()] = true
	from, to := s.set.Position(n.Pos()), s.set.Position(n.End())
	text, _, _ := strings.Cut(string(s.source[from.Offset:to.Offset]), "\n")
	name := s.within + ": " + text
	if s.named[name]++; s.named[name] > 1 {
		name = fmt.Sprintf("%s (%d)", name, s.named[name])
	}
	s.rules = append(s.rules, rule{
		at:   fmt.Sprintf("%s:%d", from.Filename, from.Line),
		name: name, begin: begin, end: end, first: from.Offset, last: to.Offset,
	})
}

// said finds the innermost place above a sentence that can be switched off.
func (s *search) said(above []ast.Node) {
	for i := len(above) - 2; i >= 0; i-- {
		condition, found := placeOf(above[:i+2])
		if condition != nil {
			s.condition(condition)
		}
		if found {
			return
		}
	}
}

// placeOf looks whether the last but one of these nodes is where the last one can be
// switched off, and by which condition: none where that is nobody's business here.
func placeOf(nodes []ast.Node) (condition ast.Expr, found bool) {
	above, below := nodes[:len(nodes)-1], nodes[len(nodes)-1]
	switch n := above[len(above)-1].(type) {
	case *ast.FuncDecl:
		return nil, true // Whoever asks this function passes on what it says.
	case *ast.CallExpr:
		return nil, sentences.Inward(n)
	case *ast.IfStmt:
		if below == n.Body {
			return n.Cond, true
		}
	case *ast.CaseClause:
		if choice, ok := above[len(above)-3].(*ast.SwitchStmt); ok && choice.Tag == nil && len(n.List) == 1 {
			return n.List[0], true
		}
	case *ast.CompositeLit:
		if test, ok := first(n).(*ast.BinaryExpr); ok && below != test && test.Op != token.ADD {
			return test, true
		}
	case ast.Stmt:
		return nil, tells(n) && inBlock(above) // found as a statement
	}
	return nil, false
}

func first(n *ast.CompositeLit) ast.Expr {
	if len(n.Elts) == 0 {
		return nil
	}
	return n.Elts[0]
}

// tells is a statement that adds to a list, or that tells the verdict v.
func tells(n ast.Stmt) bool {
	switch n := n.(type) {
	case *ast.ExprStmt:
		call, _ := n.X.(*ast.CallExpr)
		if call == nil {
			return false
		}
		f, _ := call.Fun.(*ast.SelectorExpr)
		if f == nil {
			return false
		}
		on, _ := f.X.(*ast.Ident)
		return on != nil && on.Name == "v"
	case *ast.AssignStmt:
		if n.Tok != token.ASSIGN || len(n.Rhs) != 1 {
			return false
		}
		call, _ := n.Rhs[0].(*ast.CallExpr)
		if call == nil {
			return false
		}
		f, _ := call.Fun.(*ast.Ident)
		return f != nil && f.Name == "append"
	}
	return false
}

func inBlock(above []ast.Node) bool {
	if len(above) < 2 {
		return false
	}
	switch above[len(above)-2].(type) {
	case *ast.BlockStmt, *ast.CaseClause:
		return true
	}
	return false
}

func sentence(n *ast.BasicLit) bool {
	text, err := strconv.Unquote(n.Value)
	return err == nil && n.Kind == token.STRING && sentences.Is(text)
}

// withSwitches is the source with the switch of each rule, numbered from number on.
func withSwitches(source []byte, rules []rule, number int) string {
	type part struct {
		at   int
		text string
	}
	var parts []part
	for i, r := range rules {
		own := strconv.Itoa(number + i)
		parts = append(parts,
			part{r.first, strings.ReplaceAll(r.begin, switched, own)},
			part{r.last, strings.ReplaceAll(r.end, switched, own)})
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.at, b.at) })
	var text strings.Builder
	last := 0
	for _, p := range parts {
		text.Write(source[last:p.at])
		text.WriteString(p.text)
		last = p.at
	}
	text.Write(source[last:])
	return text.String()
}

// theSwitch is put beside a package's files.
const theSwitch = `package %s

import ("os"; "strconv")

var switchedOff = func() int { n, _ := strconv.Atoi(os.Getenv("ARCANE_RULE_OFF")); return n }()

func off(rule int) bool { return rule == switchedOff }
`

// switchable writes copies of the packages' files that hold all switches, and the
// overlay; and tells the rules, whose numbers begin with 1.
func switchable(root, folder string, packages []string) (rules []rule, overlay string, err error) {
	copies := map[string]string{}
	for _, at := range packages {
		copies[filepath.Join(root, at, "switches.go")] = fmt.Sprintf(theSwitch, filepath.Base(at))
		files, err := filepath.Glob(filepath.Join(root, at, "*.go"))
		if err != nil {
			return nil, "", fmt.Errorf("find the rules: %w", err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				return nil, "", fmt.Errorf("read the rules: %w", err)
			}
			own, err := rulesOf(filepath.Join(at, filepath.Base(file)), source)
			if err != nil {
				return nil, "", err
			}
			copies[file] = withSwitches(source, own, len(rules)+1)
			rules = append(rules, own...)
		}
	}
	overlay, err = writeCopies(folder, copies)
	return rules, overlay, err
}
