package main

// This file makes a release with small programs in place of the operator and its plugin, and looks at all that comes of it.

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	containers "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	. "github.com/onsi/gomega"
)

const (
	testVersion  = "v7.8.9"
	testRegistry = "registry.example.org/team"
)

// made is one release of small programs, for the tests that look at one, and the folder that it lies in.
var made struct {
	sync.Once
	folder, release string
}

func TestMain(m *testing.M) {
	m.Run()
	if err := os.RemoveAll(made.folder); err != nil {
		panic(err)
	}
}

// releaseOfSmallPrograms makes one release for all tests.
func releaseOfSmallPrograms(t *testing.T) string {
	t.Helper()
	made.Do(func() {
		var err error
		if made.folder, err = os.MkdirTemp("", "release-"); err != nil { //nolint:usetesting // It outlives the test that makes it.
			t.Fatal(err)
		}
		made.release = makeRelease(t, func(r *release) { small(r); r.dist = made.folder })
	})
	if made.release == "" {
		t.Fatal("the release could not be made (above)")
	}
	return made.release
}

// makeRelease makes one into a folder of its own and returns it.
func makeRelease(t *testing.T, change func(*release)) string {
	t.Helper()
	g := NewWithT(t)
	root, err := filepath.Abs("../..")
	g.Expect(err).NotTo(HaveOccurred())
	r, err := newRelease(t.Context(), root, testVersion, testRegistry, true)
	g.Expect(err).NotTo(HaveOccurred())
	r.dist, r.catalog = t.TempDir(), catalogOf(t, testVersion)
	change(r)
	var progress strings.Builder
	g.Expect(r.write(t.Context(), &progress)).To(Succeed(), progress.String())
	for _, image := range r.images {
		g.Expect(progress.String()).To(ContainSubstring(image))
	}
	// What a release needs on its way is gone.
	left, err := os.ReadDir(r.dist)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(HaveLen(1))
	return filepath.Join(r.dist, testVersion)
}

// catalogOf is a catalog with one version.
func catalogOf(t *testing.T, version string) string {
	t.Helper()
	folder := t.TempDir()
	pack, err := os.ReadFile("../../catalog/package.yaml")
	if err != nil {
		t.Fatal(err)
	}
	channels := "schema: olm.channel\npackage: arcane-operator\nname: candidate\nentries:\n  - name: arcane-operator." + version + "\n"
	for name, content := range map[string]string{"package.yaml": strings.ReplaceAll(string(pack), "stable", "candidate"), channelsFile: channels} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// small replaces what takes minutes.
func small(r *release) {
	r.build = func(ctx context.Context, p program, architecture, folder string) error {
		source := filepath.Join(r.scratch, "main.go")
		if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(\""+p.name+"\") }\n"), 0o600); err != nil {
			return err
		}
		_, err := r.command(ctx, []string{"GOOS=linux", "GOARCH=" + architecture}, "go", "build", "-trimpath", "-o", filepath.Join(folder, p.name), source)
		return err
	}
	r.olm = func(_ context.Context, bundle, catalog string) error {
		for _, folder := range []string{bundle, catalog} {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, "one.yaml"), []byte(r.imageName(operatorImage)), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	r.bill = func(_ context.Context, p program, architecture, file string) error {
		return os.WriteFile(file, []byte(p.name+architecture), 0o600)
	}
}

func TestTheSameCommitGivesTheSameRelease(t *testing.T) {
	g := NewWithT(t)
	first, second := releaseOfSmallPrograms(t), makeRelease(t, small)
	g.Expect(readFile(t, second, "SHA256SUMS")).To(Equal(readFile(t, first, "SHA256SUMS")))
	g.Expect(filesBelow(first)).To(Equal([]string{
		"SHA256SUMS",
		"arcane-config-v7.8.9.tar.gz",
		"arcane-operator-7.8.9.tgz",
		"arcane-operator-bundle-v7.8.9.tar.gz",
		"arcane-operator-catalog-v7.8.9.tar.gz",
		"arcane-operator-v7.8.9-linux-amd64.cdx.json",
		"arcane-operator-v7.8.9-linux-arm64.cdx.json",
		"arcane-operator-v7.8.9.oci.tar",
		"arcane-plugin-postgres-v7.8.9.oci.tar",
		"crds.yaml",
		"images.txt",
		"install-everything.yaml",
		"install-with-cert-manager.yaml",
		"install-with-prometheus.yaml",
		"install.yaml",
		"namespace.yaml",
		"plugin-postgres-v7.8.9-linux-amd64.cdx.json",
		"plugin-postgres-v7.8.9-linux-arm64.cdx.json",
		"stream-plugin-7.8.9.tgz",
		"streamplugin-postgres.yaml",
	}))

	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = first
	out, err := check.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(out))
	g.Expect(strings.Count(string(out), ": OK\n")).To(Equal(19), "each file but the list itself")
}

func TestNothingInAReleaseIsOnlyThisMachines(t *testing.T) {
	isForEverybody(t, releaseOfSmallPrograms(t))
}

// isForEverybody looks into every file of a release, and into archives.
func isForEverybody(t *testing.T, folder string) {
	t.Helper()
	g := NewWithT(t)
	root, err := filepath.Abs("../..")
	g.Expect(err).NotTo(HaveOccurred())
	looked := 0
	inside(t, folder, func(file string, content []byte) {
		looked++
		// A name of a registry, in words or as a part of an image's name. The notes of the chart speak of the images of those
		// who set such a name.
		text := bytes.ReplaceAll(content, []byte(`hasPrefix "localhost/"`), nil)
		for _, pattern := range []string{`\blocalhost[:/]`, `\barcane-(operator|plugin-postgres):dev\b`} {
			if found := regexp.MustCompile(pattern).Find(text); found != nil {
				t.Errorf("%s names %s", file, found)
			}
		}
		for _, pattern := range []string{root, filepath.Dir(folder), "{operator}", "{postgres}", "{tag}"} {
			if bytes.Contains(content, []byte(pattern)) {
				t.Errorf("%s holds %s", file, pattern)
			}
		}
	})
	g.Expect(looked).To(BeNumerically(">", 100), "files, with those of the archives")
}

// inside shows every file of a folder, and every file of the archives among them.
func inside(t *testing.T, folder string, show func(file string, content []byte)) {
	t.Helper()
	files, err := filesBelow(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		look(t, file, []byte(readFile(t, folder, file)), show)
	}
}

// look shows a file, or every file of an archive: of a chart, or of an image and of the layers in it.
func look(t *testing.T, name string, content []byte, show func(file string, content []byte)) {
	t.Helper()
	const ustar = 257 // where a tar archive says that it is one
	if !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) && (len(content) < ustar+5 || string(content[ustar:ustar+5]) != "ustar") {
		show(name, content)
		return
	}
	for member, inner := range members(t, content) {
		look(t, name+": "+member, inner, show)
	}
}

// members are the files of an archive, compressed or not.
func members(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	g := NewWithT(t)
	var source io.Reader = bytes.NewReader(archive)
	if bytes.HasPrefix(archive, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(source)
		g.Expect(err).NotTo(HaveOccurred())
		source = unzipped
	}
	files := map[string][]byte{}
	for reader := tar.NewReader(source); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(files).NotTo(HaveKey(header.Name), "each file once")
		files[header.Name], err = io.ReadAll(reader)
		g.Expect(err).NotTo(HaveOccurred())
	}
}

func TestTheImagesAreForBothArchitecturesAndCanBePushed(t *testing.T) {
	g := NewWithT(t)
	folder := releaseOfSmallPrograms(t)
	server := httptest.NewServer(containers.New(containers.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	var pinned []string
	for _, p := range programs {
		files := members(t, []byte(readFile(t, folder, p.image+"-v7.8.9.oci.tar")))
		index := readLayout(t, files)
		manifest, err := index.IndexManifest()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(manifest.Annotations).To(HaveKeyWithValue("org.opencontainers.image.version", testVersion))
		g.Expect(manifest.Manifests).To(HaveLen(2))
		for i, architecture := range architectures {
			g.Expect(manifest.Manifests[i].Platform).To(Equal(&v1.Platform{OS: "linux", Architecture: architecture}))
			image, err := index.Image(manifest.Manifests[i].Digest)
			g.Expect(err).NotTo(HaveOccurred())
			config, err := image.ConfigFile()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(config.Architecture).To(Equal(architecture))
			g.Expect(config.Config.User).To(Equal("65532:65532"))
			g.Expect(config.Config.Entrypoint).To(Equal([]string{"/" + p.name}))
			for _, label := range []string{"title", "description", "version", "revision", "created", "source", "licenses", "documentation"} {
				g.Expect(config.Config.Labels).To(HaveKeyWithValue("org.opencontainers.image."+label, Not(BeEmpty())))
			}
			g.Expect(config.Created.Format("2006-01-02T15:04:05Z")).To(Equal(config.Config.Labels["org.opencontainers.image.created"]))
		}

		digest := push(t, server.URL+"/v2/"+p.image, files)
		pinned = append(pinned, testRegistry+"/"+p.image+":"+testVersion+"@"+digest)
	}
	g.Expect(strings.Fields(readFile(t, folder, "images.txt"))).To(Equal(pinned))
}

// readLayout is the only index of an OCI archive.
func readLayout(t *testing.T, files map[string][]byte) v1.ImageIndex {
	t.Helper()
	g := NewWithT(t)
	folder := unpack(t, files)
	all, err := layout.ImageIndexFromPath(folder)
	g.Expect(err).NotTo(HaveOccurred())
	manifest, err := all.IndexManifest()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(manifest.Manifests).To(HaveLen(1))
	g.Expect(manifest.Manifests[0].Annotations).To(HaveKeyWithValue("org.opencontainers.image.ref.name", testVersion))
	g.Expect(manifest.Manifests[0].Annotations).To(HaveKeyWithValue("io.containerd.image.name", HavePrefix(testRegistry+"/arcane-")))
	index, err := all.ImageIndex(manifest.Manifests[0].Digest)
	g.Expect(err).NotTo(HaveOccurred())
	return index
}

// push sends the files of an OCI archive to a registry, which takes a manifest only after all that it names, and returns the
// digest under which the index is pulled by its tag.
func push(t *testing.T, repository string, files map[string][]byte) string {
	t.Helper()
	g := NewWithT(t)
	send := func(method, url, media string, body []byte) http.Header {
		request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
		g.Expect(err).NotTo(HaveOccurred())
		request.Header.Set("Content-Type", media)
		response, err := http.DefaultClient.Do(request)
		g.Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		g.Expect(response.StatusCode).To(BeNumerically("<", 300), url)
		return response.Header
	}
	blob := func(of v1.Descriptor) []byte { return files["blobs/"+strings.Replace(of.Digest.String(), ":", "/", 1)] }
	var all, index v1.IndexManifest
	g.Expect(json.Unmarshal(files["index.json"], &all)).To(Succeed())
	g.Expect(json.Unmarshal(blob(all.Manifests[0]), &index)).To(Succeed())
	for _, each := range index.Manifests {
		var manifest v1.Manifest
		g.Expect(json.Unmarshal(blob(each), &manifest)).To(Succeed())
		for _, part := range append(manifest.Layers, manifest.Config) {
			send(http.MethodPost, repository+"/blobs/uploads/?digest="+part.Digest.String(), "application/octet-stream", blob(part))
		}
		send(http.MethodPut, repository+"/manifests/"+each.Digest.String(), string(each.MediaType), blob(each))
	}
	send(http.MethodPut, repository+"/manifests/"+testVersion, string(all.Manifests[0].MediaType), blob(all.Manifests[0]))
	return send(http.MethodHead, repository+"/manifests/"+testVersion, "", nil).Get("Docker-Content-Digest")
}

// unpack writes files into a folder of their own.
func unpack(t *testing.T, files map[string][]byte) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		file := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// TestEveryWayInstallsTheReleasesImage: kubectl, kustomize and both Helms.
func TestEveryWayInstallsTheReleasesImage(t *testing.T) {
	g := NewWithT(t)
	folder := releaseOfSmallPrograms(t)
	const image = testRegistry + "/arcane-operator:" + testVersion
	for _, install := range installs {
		g.Expect(imagesOf(readFile(t, folder, install.file))).To(Equal([]string{image}), install.file)
	}
	g.Expect(imagesOf(readFile(t, folder, "streamplugin-postgres.yaml"))).To(Equal([]string{testRegistry + "/arcane-plugin-postgres:" + testVersion}))

	unpacked := filepath.Join(unpack(t, members(t, []byte(readFile(t, folder, "arcane-config-v7.8.9.tar.gz")))), "arcane-config-v7.8.9")
	for config, file := range map[string]string{"default": "install.yaml", "everything": "install-everything.yaml", "crd": "crds.yaml", "namespace": "namespace.yaml"} {
		built := tool(t, "gen", "kustomize", "build", filepath.Join(unpacked, "config", config))
		g.Expect(withoutHeader(readFile(t, folder, file))).To(Equal(built), file)
	}
	g.Expect(imagesOf(tool(t, "gen", "kustomize", "build", filepath.Join(unpacked, "plugins/postgres/config")))).
		To(Equal([]string{testRegistry + "/arcane-plugin-postgres:" + testVersion}))

	chart := filepath.Join(folder, "arcane-operator-7.8.9.tgz")
	for _, helm := range []string{"helm3", "helm4"} {
		rendered := tool(t, helm, "helm", "template", "arcane", chart, "--namespace", "arcane-system", "--kube-version", "1.37.2")
		g.Expect(imagesOf(rendered)).To(Equal([]string{image}), helm)
		g.Expect(rendered).To(ContainSubstring("helm.sh/chart: arcane-operator-7.8.9\n"))
		for _, each := range []string{chart, filepath.Join(folder, "stream-plugin-7.8.9.tgz")} {
			g.Expect(tool(t, helm, "helm", "show", "chart", each)).To(And(ContainSubstring("\nversion: 7.8.9"), ContainSubstring("appVersion: v7.8.9\n")))
		}
		rendered = tool(t, helm, "helm", "template", "pg", filepath.Join(folder, "stream-plugin-7.8.9.tgz"), "--kube-version", "1.37.2", "--set", "preset=postgres,image=some/image:v1")
		g.Expect(rendered).To(ContainSubstring("kind: StreamClass"))
	}
}

// imagesOf are the images that manifests name, each once.
func imagesOf(manifests string) []string {
	var images []string
	for _, match := range regexp.MustCompile(`(?m)^\s*(?:- )?image: "?([^\s"]+)"?$`).FindAllStringSubmatch(manifests, -1) {
		images = append(images, match[1])
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// tool runs a tool of the repository and returns what it prints.
func tool(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "../run", args...)
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("tools/run %s: %v\n%s", strings.Join(args, " "), err, problems.String())
	}
	return string(out)
}

func readFile(t *testing.T, folder, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
