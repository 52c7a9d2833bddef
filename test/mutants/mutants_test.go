package main

// This file hunts in a module of its own, so small that every way in which a hunt
// can end is seen.

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write puts files into a folder, by their path.
func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// small is a module with one function, one law and a program that a suite builds.
func small(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, map[string]string{
		"go.mod":           "module small\n\ngo 1.26\n",
		"sum/sum.go":       "package sum\n\nfunc Of(a, b int) int { return a + b }\n\nvar Unused, Other = 1, 1\n",
		"print/main.go":    "package main\n\nimport \"small/sum\"\n\nfunc main() { println(sum.Of(1, 2)) }\n",
		"sum/laws_test.go": laws,
		"sum/program_test.go": `package sum_test
import ("os/exec"; "testing"; "strings")
func TestProgram(t *testing.T) {
	binary := t.TempDir() + "/print"
	if out, err := exec.Command("go", "build", "-o", binary, "../print").CombinedOutput(); err != nil { t.Fatalf("%s", out) }
	if out, _ := exec.Command(binary).CombinedOutput(); strings.TrimSpace(string(out)) != "3" { t.Errorf("the program says %s", out) }
}
`,
	})
	return root
}

const laws = `package sum
import "testing"
func TestLaw(t *testing.T) {
	t.Run("of zero", func(t *testing.T) {
		t.Log("begins")
		if got := Of(2, 0); got != 2 { t.Errorf("2 and 0 are %d\nsecond line", got) }
	})
}
`

var (
	law     = suite{name: "law", pkg: "./sum", tests: []string{"TestLaw"}}
	program = suite{name: "program", pkg: "./sum", tests: []string{"TestProgram"}}
)

func replacing(old, new string, suites ...suite) mutant {
	return mutant{name: "a bug", harm: "Sums are wrong.", edits: []edit{{"sum/sum.go", old, new}}, suites: suites}
}

func TestHowAHuntEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		m    mutant
		// says is in the error; empty: there is none.
		says string
		// prints is in the output.
		prints string
	}{
		{"caught", replacing("a + b", "a * b", law), "", "caught by suite law, TestLaw/of_zero"},
		{"caught by a later suite", replacing("a + b", "a + b*b", law, program), "", "caught by suite program"},
		{"survived", replacing("Unused, Other = 1, 1", "Unused, Other = 2, 2", law, program), "1 of 1 mutants were not caught", "SURVIVED suites law, program"},
		{"the text is not there", replacing("a - b", "a + b", law), "holds the text that is to be replaced 0 times", ""},
		{"the text is there twice", replacing("1", "2", law), "holds the text that is to be replaced 2 times", ""},
		{"the file is not there", mutant{edits: []edit{{"sum/none.go", "a", "b"}}}, "none.go", ""},
		{"does not compile", replacing("a + b", "a + c", law), "undefined: c", "Without a bug:"},
		{"panics", replacing("return a + b", `panic("no")`, law), "which is no law", ""},
		{"has no such test", replacing("a + b", "a * b", suite{name: "x", pkg: "./sum", tests: []string{"TestLaw", "TestNone"}}), "has no test TestNone", ""},
		{"has no such package", replacing("a + b", "a * b", suite{name: "x", pkg: "./none", tests: []string{"TestLaw"}}), errNothingProven.Error(), ""},
		{"flags that the tests do not know", replacing("a + b", "a * b", suite{name: "x", pkg: "./sum", tests: []string{"TestLaw"}, args: []string{"-none"}}), "no test has failed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			err := hunt(t.Context(), small(t), []mutant{c.m}, &out)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("the error is %v, want %q", err, c.says)
			}
			if !strings.Contains(out.String(), c.prints) {
				t.Errorf("it prints\n%s\nwant %q", out.String(), c.prints)
			}
		})
	}
}

// TestASuiteThatFailsWithoutABugProvesNothing: or all would look caught.
func TestASuiteThatFailsWithoutABugProvesNothing(t *testing.T) {
	root := small(t)
	write(t, root, map[string]string{"sum/sum.go": "package sum\n\nfunc Of(a, b int) int { return a + b + 1 }\n"})
	var out strings.Builder
	err := hunt(t.Context(), root, []mutant{replacing("a + b", "a * b", law)}, &out)
	if err == nil || !strings.Contains(err.Error(), "fails also without a bug") || !strings.Contains(err.Error(), "2 and 0 are 3") {
		t.Errorf("the error is %v", err)
	}
	if strings.Contains(out.String(), "caught") {
		t.Errorf("it prints\n%s", out.String())
	}
}

// TestOneOfTwoIsNotEnough: every mutant has to be caught.
func TestOneOfTwoIsNotEnough(t *testing.T) {
	var out strings.Builder
	err := hunt(t.Context(), small(t), []mutant{
		replacing("a + b", "a * b", law),
		replacing("Unused, Other = 1, 1", "Unused, Other = 2, 2", law),
	}, &out)
	if err == nil || !strings.Contains(err.Error(), "1 of 2") || !strings.Contains(out.String(), "1 of 2 mutants caught") {
		t.Errorf("the error is %v; it prints\n%s", err, out.String())
	}
	if hunt(t.Context(), small(t), nil, &out) == nil {
		t.Error("a hunt for nothing succeeds")
	}
}

// TestExitCodes: the program ends with 0 only where all were caught.
func TestExitCodes(t *testing.T) {
	before := catalog
	t.Cleanup(func() { catalog = before })
	t.Chdir(small(t))
	for _, c := range []struct {
		m    mutant
		args []string
		want int
	}{
		{replacing("a + b", "a * b", law), nil, 0},
		{replacing("Unused, Other = 1, 1", "Unused, Other = 2, 2", law), nil, 1},
		{replacing("a + b", "a * b", law), []string{"-only", "another"}, 1},
		{replacing("a + b", "a * b", law), []string{"-none"}, 2},
	} {
		catalog = []mutant{c.m}
		if got := run(c.args); got != c.want {
			t.Errorf("%s %v: exit code %d, want %d", c.m.edits[0].new, c.args, got, c.want)
		}
	}
}

// TestTheCatalog: there are twenty, and each anchor is in the source exactly once.
func TestTheCatalog(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range catalog {
		names[m.name] = true
		if m.harm == "" || len(m.suites) == 0 {
			t.Errorf("mutant %q says no harm, or names no suite", m.name)
		}
	}
	if len(names) != 20 {
		t.Errorf("there are %d mutants, want twenty", len(names))
	}
	if _, err := writeAll(root, t.TempDir(), catalog); err != nil {
		t.Error(err)
	}
}

// TestWhatATestSaysFirst finds the sentence among what Go and the random model add.
func TestWhatATestSaysFirst(t *testing.T) {
	for _, c := range []struct {
		output []string
		want   string
	}{
		{[]string{"=== RUN   TestLaw", "    laws_test.go:7: 2 and 0 are 0", "    more"}, "2 and 0 are 0"},
		{[]string{"    model_test.go:75: [rapid] draw steps: 3", "    model_test.go:9: [rapid] failed after 12 tests: I1: pods of two jobs are alive"}, "I1: pods of two jobs are alive"},
		{[]string{"    laws_test.go:6: begins", "    laws_test.go:7: 2 and 0 are 0", "        more"}, "2 and 0 are 0"},
		{[]string{"--- FAIL: TestLaw (0.00s)"}, "--- FAIL: TestLaw (0.00s)"},
	} {
		if got := message(c.output); got != c.want {
			t.Errorf("%q: %q, want %q", c.output, got, c.want)
		}
	}
}

// TestATimeoutIsNoCatch: a suite that hangs has noticed nothing.
func TestATimeoutIsNoCatch(t *testing.T) {
	r := result{failed: []string{"TestLaw"}, output: map[string][]string{"TestLaw": {"panic: test timed out after 5m0s"}}}
	if c, err := r.verdict(law, errors.New("exit status 2"), ""); c != nil || !errors.Is(err, errNothingProven) {
		t.Errorf("%v, %v", c, err)
	}
}
