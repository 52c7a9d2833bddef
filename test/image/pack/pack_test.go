// What an image must be: reproducible, static, non-root.

package pack

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const program = `package main

func main() { println("hello") }
`

// compile builds a static program, so that the tests need no binary from elsewhere.
func compile(t *testing.T, folder string) string {
	t.Helper()
	g := NewWithT(t)
	source := filepath.Join(t.TempDir(), "main.go")
	g.Expect(os.WriteFile(source, []byte(program), 0o600)).To(Succeed())
	binary := filepath.Join(folder, "hello")
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(out))
	return binary
}

func TestTheSameBinaryGivesTheSameImage(t *testing.T) {
	g := NewWithT(t)
	binary := compile(t, t.TempDir())
	elsewhere := filepath.Join(t.TempDir(), "hello")
	content, err := os.ReadFile(binary)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(elsewhere, content, 0o700)).To(Succeed())
	g.Expect(os.Chtimes(elsewhere, time.Unix(1, 0), time.Unix(1, 0))).To(Succeed())

	first := Image{Binary: binary, Name: "localhost/hello:dev", Dirs: []string{"/tmp", "/data/in"}}
	second := Image{Binary: elsewhere, Name: "localhost/hello:dev", Dirs: []string{"/data/in", "/tmp"}}
	out := t.TempDir()
	one, err := Write(first, filepath.Join(out, "one.tar"))
	g.Expect(err).NotTo(HaveOccurred())
	two, err := Write(second, filepath.Join(out, "two.tar"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(two).To(Equal(one))
	g.Expect(os.ReadFile(filepath.Join(out, "two.tar"))).To(Equal(must(os.ReadFile(filepath.Join(out, "one.tar")))))

	second.User = "1000:1000"
	three, err := Write(second, filepath.Join(out, "three.tar"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(three).NotTo(Equal(one))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestTheImageRunsTheBinaryAsNonRoot(t *testing.T) {
	g := NewWithT(t)
	binary := compile(t, t.TempDir())
	output := filepath.Join(t.TempDir(), "hello.tar")
	_, err := Write(Image{Binary: binary, Name: "localhost/hello:dev", Dirs: []string{"/data/in", "/tmp"}}, output)
	g.Expect(err).NotTo(HaveOccurred())

	tag, err := name.NewTag("localhost/hello:dev")
	g.Expect(err).NotTo(HaveOccurred())
	image, err := tarball.ImageFromPath(output, &tag)
	g.Expect(err).NotTo(HaveOccurred(), "the tar file holds the image under its name")
	cfg, err := image.ConfigFile()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cfg.Config.User).To(Equal("65532:65532"))
	g.Expect(cfg.Config.Entrypoint).To(Equal([]string{"/hello"}))
	g.Expect(cfg.OS).To(Equal("linux"))

	g.Expect(filesOf(t, image)).To(And(
		HaveKeyWithValue("hello", "-rwxr-xr-x 0:0"),
		HaveKeyWithValue("tmp/", "dtrwxrwxrwx 65532:65532"),
		HaveKeyWithValue("data/", "drwxr-xr-x 0:0"),
		HaveKeyWithValue("data/in/", "dtrwxrwxrwx 65532:65532"),
		HaveKeyWithValue("etc/passwd", "-rw-r--r-- 0:0"),
	))
}

// filesOf lists the image's only layer: name → mode and owner.
func filesOf(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	g := NewWithT(t)
	layers, err := image.Layers()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(layers).To(HaveLen(1))
	content, err := layers[0].Uncompressed()
	g.Expect(err).NotTo(HaveOccurred())
	defer content.Close()
	files := map[string]string{}
	for archive := tar.NewReader(content); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(files).NotTo(HaveKey(entry.Name), "each entry once")
		g.Expect(entry.ModTime.Unix()).To(BeZero())
		files[entry.Name] = strings.Join([]string{entry.FileInfo().Mode().String(), owner(entry)}, " ")
	}
}

func owner(entry *tar.Header) string {
	if entry.Uid == 0 && entry.Gid == 0 {
		return "0:0"
	}
	if entry.Uid == 65532 && entry.Gid == 65532 {
		return "65532:65532"
	}
	return "somebody else"
}

func TestWhatCannotRunIsRefused(t *testing.T) {
	binary := compile(t, t.TempDir())
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		image Image
		says  string
	}{
		{"a dynamic binary", Image{Binary: "/bin/sh", Name: "localhost/x:dev"}, "CGO_ENABLED=0"},
		{"a script", Image{Binary: script, Name: "localhost/x:dev"}, "not a Linux binary"},
		{"no binary", Image{Binary: script + "-missing", Name: "localhost/x:dev"}, "read the binary"},
		{"a name without a tag", Image{Binary: binary, Name: "localhost/x"}, "want a tag"},
		{"a bad name", Image{Binary: binary, Name: "localhost/X:dev"}, "image name"},
		{"a user by name", Image{Binary: binary, Name: "localhost/x:dev", User: "nonroot"}, "UID:GID"},
		{"a relative folder", Image{Binary: binary, Name: "localhost/x:dev", Dirs: []string{"tmp"}}, "absolute"},
		{"an unclean folder", Image{Binary: binary, Name: "localhost/x:dev", Dirs: []string{"/a/../b"}}, "absolute"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			output := filepath.Join(t.TempDir(), "x.tar")
			_, err := Write(tc.image, output)
			g.Expect(err).To(MatchError(ContainSubstring(tc.says)))
			g.Expect(output).NotTo(BeAnExistingFile())
		})
	}
}
