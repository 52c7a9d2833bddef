//go:build tour

// Package tour_test tells each scenario of docs/lifecycle.md over a real control
// plane with played pods, and writes what kubectl printed into that page:
//
//	go test -tags tour -count=1 ./test/tour
//
// It is no test of the product: that the same stories hold is what test/integration
// and test/e2e show. The page is written only where every scenario came to its end.
package tour_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/page"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestTour(t *testing.T) {
	story.Prepare(t)
	RunSpecs(t, "Tour")
}

var (
	theStage *story.Stage
	// printed is what kubectl printed, by scenario.
	printed = map[string]string{}
)

var _ = BeforeSuite(func(ctx SpecContext) {
	binary := story.Build(ctx)
	theStage = story.Raise(ctx, "tour")
	theStage.Employ(binary, nil)
})

var _ = ReportAfterSuite("write the page", func(report Report) {
	if !report.SuiteSucceeded {
		return
	}
	raw, err := os.ReadFile(page.Lifecycle)
	Expect(err).NotTo(HaveOccurred())
	text := string(raw)
	for part, block := range printed {
		text, err = page.With(text, part, "```console\n"+block+"```\n")
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(os.WriteFile(page.Lifecycle, []byte(text), 0o600)).To(Succeed())
})

// shown is a story whose user looks at it through kubectl.
type shown struct {
	*story.World
	part string
}

// scenario tells one scenario of the page.
func scenario(number int, text string, tell func(ctx SpecContext, w *shown)) {
	It(fmt.Sprintf("%d: %s", number, text), func(ctx SpecContext) {
		w := &shown{theStage.Enter(ctx), fmt.Sprintf("scenario-%d", number)}
		// A class's name is seen in every line, so it is the same everywhere.
		w.Class = "scripted"
		w.Create(ctx, given.Class(w.Class, story.Template))
		tell(ctx, w)
	})
}

// note says what happened between two commands.
func (w *shown) note(text string) { printed[w.part] += "# " + text + "\n" }

// kubectl runs a command as the user types it, and shows what it printed.
func (w *shown) kubectl(ctx context.Context, line string) {
	GinkgoHelper()
	printed[w.part] += "$ kubectl " + line + "\n" + w.run(ctx, line)
}

var word = regexp.MustCompile(`'[^']*'|\S+`)

func (w *shown) run(ctx context.Context, line string) string {
	GinkgoHelper()
	var args []string
	if !strings.Contains(line, " strc ") {
		args = append(args, "-n", w.Namespace)
	}
	for _, arg := range word.FindAllString(line, -1) {
		args = append(args, strings.Trim(arg, "'"))
	}
	out, err := w.Kubectl(ctx, args...)
	Expect(err).NotTo(HaveOccurred())
	// Each story has a namespace with a name of no meaning.
	return strings.ReplaceAll(out, w.Namespace, "sales")
}

// look shows the stream and its requests once everything has come to rest.
func (w *shown) look(ctx context.Context, lines ...string) {
	GinkgoHelper()
	w.AwaitQuiet(ctx)
	for _, line := range lines {
		w.kubectl(ctx, line)
	}
}

// describe shows of kubectl describe the conditions of these types, a failure, and the events.
func (w *shown) describe(ctx context.Context, what string, types ...string) {
	GinkgoHelper()
	printed[w.part] += "$ kubectl describe " + what + "\n" + relevant(w.run(ctx, "describe "+what), types)
}

// relevant keeps the lines of a description that a scenario is about.
func relevant(text string, types []string) string {
	var b strings.Builder
	var block []string
	in := ""
	for line := range strings.Lines(text) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case indent == 0 && key == "Events":
			in = "events"
			b.WriteString("…\n")
		case indent <= 2 && (key == "Conditions" || key == "Failure"):
			in = key
			if key == "Failure" {
				b.WriteString(line)
			}
			continue
		case indent <= 2 && in != "events":
			in = ""
		}
		switch in {
		case "events", "Failure":
			b.WriteString(line)
		case "Conditions":
			if key == "Message" && strings.TrimSpace(value) != "" || key == "Reason" || key == "Status" || key == "Type" {
				block = append(block, line)
			}
			if key == "Type" {
				for _, kind := range types {
					if strings.TrimSpace(value) == kind {
						b.WriteString("…\n" + strings.Join(block, ""))
					}
				}
				block = nil
			}
		}
	}
	return b.String()
}
