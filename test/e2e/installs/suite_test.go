// Package installs_test installs, upgrades, downgrades and removes the operator on a real node as the pages tell a user to:
// it runs the commands that stand in docs/install.md and README.md, while streams run.
package installs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/image/pack"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/page"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestInstalls(t *testing.T) {
	story.Prepare(t)
	t.Chdir(story.Root())
	if err := install.MakeImages(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	RunSpecs(t, "Installs")
}

// Two versions of the operator, as a registry would have them: one program, so that a test of upgrades builds it once.
const (
	registry = "localhost"
	older    = "v1"
	newer    = "v2"
)

// stage is the one cluster of all ways, one after the other.
var stage *story.Stage

var _ = BeforeSuite(func(ctx SpecContext) {
	cluster := story.RaiseCluster(ctx, "installs", true)
	DeferCleanup(func(ctx context.Context) { Expect(install.StopPostgres(ctx, cluster)).To(Succeed()) })
	Expect(cluster.Load(ctx, filepath.Join(story.Root(), "bin", "plugin-scripted.tar"))).To(Succeed())
	for _, tag := range []string{older, newer} {
		tar := filepath.Join(GinkgoT().TempDir(), "operator.tar")
		_, err := pack.Write(pack.Image{Binary: filepath.Join(story.Root(), "bin", "arcane-operator"), Name: registry + "/arcane-operator:" + tag}, tar)
		Expect(err).NotTo(HaveOccurred())
		Expect(cluster.Load(ctx, tar)).To(Succeed())
	}
	var err error
	stage, err = story.NewStage(cluster)
	Expect(err).NotTo(HaveOccurred())
	stage.Patience = time.Minute
})

// user is somebody at a shell: in a checkout of their own, with kubectl, helm and kustomize in their PATH.
type user struct {
	checkout, programs string
}

// newUser copies of the checkout what an install needs, so that a test writes nothing into this one.
func newUser() user {
	GinkgoHelper()
	home := GinkgoT().TempDir()
	u := user{checkout: filepath.Join(home, "arcane-operator"), programs: filepath.Join(home, "bin")}
	for _, folder := range []string{"config", "helm-charts", "tools"} {
		Expect(os.CopyFS(filepath.Join(u.checkout, folder), os.DirFS(filepath.Join(story.Root(), folder)))).To(Succeed())
	}
	makefile, err := os.ReadFile(filepath.Join(story.Root(), "Makefile"))
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(u.checkout, "Makefile"), makefile, 0o600)).To(Succeed())
	Expect(os.MkdirAll(u.programs, 0o755)).To(Succeed())
	// Helm 4 is what `helm` is to a user of today.
	helm := "#!/bin/sh\nexec '" + filepath.Join(story.Root(), "tools", "run") + "' helm4 helm \"$@\"\n"
	Expect(os.WriteFile(filepath.Join(u.programs, "helm"), []byte(helm), 0o755)).To(Succeed())
	return u
}

// try runs commands and returns what they print.
func (u user) try(ctx context.Context, commands string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-xc", commands)
	cmd.Dir = u.checkout
	path := []string{u.programs, filepath.Dir(stage.Cluster.Bin("kubectl")), os.Getenv("PATH")}
	caches := filepath.Join(filepath.Dir(u.checkout), "cache")
	cmd.Env = append(withoutMake(os.Environ()), "KUBECONFIG="+stage.Cluster.Kubeconfig(), "PATH="+strings.Join(path, ":"),
		"KUBECACHEDIR="+caches, "HELM_CACHE_HOME="+caches, "HELM_CONFIG_HOME="+caches, "HELM_DATA_HOME="+caches)
	out, err := cmd.CombinedOutput()
	GinkgoWriter.Printf("%s\n", out)
	return string(out), err
}

// withoutMake leaves out what `make e2e` was called with: the user's own make has other images in mind.
func withoutMake(environment []string) []string {
	return slices.DeleteFunc(environment, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"IMG", "CONFIG", "KUBECTL", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"}, name)
	})
}

// run runs commands that must succeed.
func (u user) run(ctx context.Context, commands string) string {
	GinkgoHelper()
	out, err := u.try(ctx, commands)
	Expect(err).NotTo(HaveOccurred(), "%s\n%s", commands, out)
	return out
}

// chartPage is where the move to Helm is.
func chartPage() string {
	return filepath.Join(story.Root(), "helm-charts", "arcane-operator", "README.md")
}

// installPage is where the blocks of all ways are.
func installPage() string { return filepath.Join(story.Root(), "docs", "install.md") }

// block is docs/install.md's own text, with a registry and a tag in the places where it leaves them open.
func block(name, tag string) string {
	GinkgoHelper()
	return blockOf(installPage(), name, tag)
}

// blockOf is the same of another page.
func blockOf(file, name, tag string) string {
	GinkgoHelper()
	code, err := page.Block(file, name)
	Expect(err).NotTo(HaveOccurred())
	return strings.NewReplacer("REGISTRY", registry, "TAG", tag).Replace(code)
}

// follow runs a block of the page.
func (u user) follow(ctx context.Context, name, tag string) {
	GinkgoHelper()
	By("docs/install.md: " + name + " (" + tag + ")")
	u.run(ctx, block(name, tag))
}

// verify runs what the page says about how to see that an install works. The API server may hear of a new pod of the
// webhooks a moment after everybody else, and the page says so.
func (u user) verify(ctx context.Context) {
	GinkgoHelper()
	commands := block("verify", "")
	Eventually(ctx, func() error {
		_, err := u.try(ctx, commands)
		return err
	}, time.Minute, time.Second).Should(Succeed())
}
