package installs_test

// This file runs the README's quick start, line by line. What it exchanges is kind, which is not here: the testbed makes
// the cluster and loads the images.

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/page"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// shellImage is what the sample's plugin runs in. A cluster pulls it, which this one cannot.
const shellImage = "busybox:1.37"

// loadShell gives the node this machine's own shell under that name, with the programs that the sample calls.
func loadShell(ctx context.Context) {
	GinkgoHelper()
	files := map[string]string{"bin/sh": "/bin/sh", "bin/sleep": "/bin/sleep", "bin/date": "/bin/date"}
	for _, program := range []string{"/bin/sh", "/bin/sleep", "/bin/date"} {
		libraries, err := exec.CommandContext(ctx, "ldd", program).Output()
		Expect(err).NotTo(HaveOccurred())
		for _, word := range strings.Fields(string(libraries)) {
			if strings.HasPrefix(word, "/") {
				files[strings.TrimPrefix(word, "/")] = word
			}
		}
	}
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	for path, source := range files {
		program, err := os.ReadFile(source)
		Expect(err).NotTo(HaveOccurred())
		Expect(archive.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg})).To(Succeed())
		_, err = archive.Write(program)
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(archive.Close()).To(Succeed())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil })
	Expect(err).NotTo(HaveOccurred())
	image, err := mutate.AppendLayers(empty.Image, layer)
	Expect(err).NotTo(HaveOccurred())
	config, err := image.ConfigFile()
	Expect(err).NotTo(HaveOccurred())
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Env = "linux", runtime.GOARCH, []string{"PATH=/bin"}
	image, err = mutate.ConfigFile(image, config)
	Expect(err).NotTo(HaveOccurred())
	tag, err := name.NewTag(shellImage)
	Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(GinkgoT().TempDir(), "shell.tar")
	Expect(tarball.WriteToFile(file, tag, image)).To(Succeed())
	Expect(stage.Cluster.Load(ctx, file)).To(Succeed())
}

// lines are those of a block of the README.
func lines(block string) []string {
	GinkgoHelper()
	code, err := page.Block(filepath.Join(story.Root(), "README.md"), block)
	Expect(err).NotTo(HaveOccurred())
	return strings.Split(strings.TrimSuffix(code, "\n"), "\n")
}

var _ = Describe("The README's quick start", func() {
	It("leads to a stream that runs, and back", func(ctx SpecContext) {
		expectFresh(ctx)
		loadShell(ctx)
		u := newUser()
		var exchanged []string
		said := ""
		for _, line := range lines("quick start") {
			By(line)
			switch load, isLoad := strings.CutPrefix(line, "kind load image-archive "); {
			case isLoad:
				Expect(stage.Cluster.Load(ctx, filepath.Join(story.Root(), load))).To(Succeed())
			case line == "make image":
				Expect(install.MakeImages(ctx, GinkgoWriter)).To(Succeed())
			case line == "kind create cluster":
			default:
				said = u.run(ctx, line)
				continue
			}
			exchanged = append(exchanged, line)
		}
		Expect(exchanged).To(Equal([]string{"kind create cluster", "make image", "kind load image-archive bin/arcane-operator.tar"}))
		Expect(said).NotTo(BeEmpty(), "the plugin's log")

		By("the operator goes, the stream runs on")
		removal := lines("quick start, removal")
		u.run(ctx, removal[0])
		Expect(leftOf(ctx)).To(BeEmpty())
		Expect(u.run(ctx, "kubectl get pods -l arcane/stream-id=hello --field-selector=status.phase=Running -o name")).To(ContainSubstring("pod/"))
		for _, line := range removal[1:] {
			By(line)
			u.run(ctx, line)
		}
		expectFresh(ctx)
	})

	It("is the only code of the README that is marked as tested", func() {
		names, err := page.Blocks(filepath.Join(story.Root(), "README.md"))
		Expect(err).NotTo(HaveOccurred())
		Expect(names).To(ConsistOf("quick start", "quick start, removal"))
	})
})
