// The Dockerfiles make what `make image` makes: the same program, for the same user.

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/image/pack"
)

const root = "../.."

// lastStage are the instructions of the image itself, each with what it says.
func lastStage(t *testing.T, dockerfile string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, dockerfile))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, line := range strings.Split(string(raw), "\n") {
		instruction, rest, _ := strings.Cut(line, " ")
		if instruction == "FROM" {
			said = map[string]string{}
		}
		if instruction != "" && instruction == strings.ToUpper(instruction) {
			said[instruction] = rest
		}
	}
	return said
}

func TestDockerfilesAgreeWithThePackedImages(t *testing.T) {
	for dockerfile, program := range map[string]string{"Dockerfile": "arcane-operator", "plugins/postgres/Dockerfile": "plugin-postgres"} {
		g := NewWithT(t)
		said := lastStage(t, dockerfile)
		g.Expect(said).To(HaveKeyWithValue("USER", pack.NonRoot), dockerfile)
		var entrypoint []string
		g.Expect(json.Unmarshal([]byte(said["ENTRYPOINT"]), &entrypoint)).To(Succeed(), dockerfile)
		g.Expect(entrypoint).To(Equal([]string{"/" + program}), dockerfile)
		g.Expect(said["COPY"]).To(HaveSuffix(" /"+program), dockerfile)
		g.Expect(said["FROM"]).To(Equal("gcr.io/distroless/static:nonroot"), dockerfile)
	}
}

// The plugin's Dockerfile cannot call the Makefile, which lies outside of what it sees.
func TestTheDockerfileOfThePluginBuildsAsTheMakefile(t *testing.T) {
	g := NewWithT(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	g.Expect(err).NotTo(HaveOccurred())
	dockerfile, err := os.ReadFile(filepath.Join(root, "plugins/postgres/Dockerfile"))
	g.Expect(err).NotTo(HaveOccurred())
	rule := regexp.MustCompile(`(?m)^GOBUILD := CGO_ENABLED=0 (go build .*)$`).FindSubmatch(makefile)
	g.Expect(rule).To(HaveLen(2))
	g.Expect(string(dockerfile)).To(ContainSubstring(strings.NewReplacer("$(", "${", ")", "}").Replace(string(rule[1])) + " -o "))
}

// What .dockerignore keeps out cannot be compiled in the container.
func TestTheDockerfileSeesAllThatTheOperatorIsMadeOf(t *testing.T) {
	g := NewWithT(t)
	raw, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	g.Expect(err).NotTo(HaveOccurred())
	seen := map[string]bool{}
	for _, line := range strings.Split(string(raw), "\n") {
		if allowed, ok := strings.CutPrefix(line, "!"); ok {
			seen[allowed] = true
		}
	}
	g.Expect(seen).To(And(HaveKey("go.mod"), HaveKey("go.sum"), HaveKey("Makefile")))
	// The files of each package, those that it embeds included.
	const files = "{{with .Module}}{{if .Main}}{{range $.GoFiles}}{{$.Dir}}/{{.}} {{end}}{{range $.EmbedFiles}}{{$.Dir}}/{{.}} {{end}}{{end}}{{end}}"
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", files, "./cmd/arcane-operator")
	list.Dir = root
	out, err := list.Output()
	g.Expect(err).NotTo(HaveOccurred())
	absolute, err := filepath.Abs(root)
	g.Expect(err).NotTo(HaveOccurred())
	all := strings.Fields(string(out))
	g.Expect(all).NotTo(BeEmpty())
	for _, file := range all {
		relative, err := filepath.Rel(absolute, file)
		g.Expect(err).NotTo(HaveOccurred())
		top, _, _ := strings.Cut(relative, string(filepath.Separator))
		g.Expect(seen).To(HaveKey(top), relative)
	}
}
