// An index of several architectures, and what every image trusts.

package pack

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func TestAnIndexHasOneNameAndEachArchitectureOnce(t *testing.T) {
	binary := compile(t, t.TempDir())
	amd := Image{Binary: binary, Name: "localhost/hello:dev", Architecture: "amd64"}
	arm := Image{Binary: binary, Name: "localhost/hello:dev", Architecture: "arm64"}
	other := Image{Binary: binary, Name: "localhost/other:dev", Architecture: "arm64"}
	for name, tc := range map[string]struct {
		images []Image
		says   string
	}{
		"none":                    {nil, "no images"},
		"two names":               {[]Image{amd, other}, "one name"},
		"one architecture, twice": {[]Image{amd, amd}, "two images for"},
		"no tag":                  {[]Image{{Binary: binary, Name: "localhost/hello", Architecture: "amd64"}}, "want a tag"},
	} {
		if _, err := WriteLayout(tc.images, t.TempDir()); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(tc.says)), name)
		}
	}

	g := NewWithT(t)
	folder := filepath.Join(t.TempDir(), "layout")
	digest, err := WriteLayout([]Image{amd, arm}, folder)
	g.Expect(err).NotTo(HaveOccurred())
	all, err := layout.ImageIndexFromPath(folder)
	g.Expect(err).NotTo(HaveOccurred())
	manifest, err := all.IndexManifest()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(manifest.Manifests).To(HaveLen(1))
	g.Expect(manifest.Manifests[0].MediaType).To(Equal(types.OCIImageIndex))
	g.Expect(manifest.Manifests[0].Digest.String()).To(Equal(digest))
	index, err := all.ImageIndex(manifest.Manifests[0].Digest)
	g.Expect(err).NotTo(HaveOccurred())
	images, err := index.IndexManifest()
	g.Expect(err).NotTo(HaveOccurred())
	for _, each := range images.Manifests {
		g.Expect(each.MediaType).To(Equal(types.OCIManifestSchema1))
		image, err := index.Image(each.Digest)
		g.Expect(err).NotTo(HaveOccurred())
		content, err := image.Manifest()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(content.Config.MediaType).To(Equal(types.OCIConfigJSON))
		g.Expect(content.Layers).To(HaveLen(1))
		g.Expect(content.Layers[0].MediaType).To(Equal(types.OCILayer))
	}
}

// TestAnImageTrustsNobodyThatThisMachineTrustsBeside: an authority that was added to the machine is not handed on.
func TestAnImageTrustsNobodyThatThisMachineTrustsBeside(t *testing.T) {
	g := NewWithT(t)
	image, err := Build(Image{Binary: compile(t, t.TempDir()), Name: "localhost/hello:dev"})
	g.Expect(err).NotTo(HaveOccurred())
	layers, err := image.Layers()
	g.Expect(err).NotTo(HaveOccurred())
	content, err := layers[0].Uncompressed()
	g.Expect(err).NotTo(HaveOccurred())
	defer content.Close()
	var file []byte
	for archive := tar.NewReader(content); ; {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		g.Expect(err).NotTo(HaveOccurred())
		if "/"+entry.Name == caCertificates {
			file, err = io.ReadAll(archive)
			g.Expect(err).NotTo(HaveOccurred())
		}
	}
	// Sums, because a difference of whole certificates could not be read.
	var got, want []string
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		got = append(got, fmt.Sprintf("%x", sha256.Sum256(block.Bytes)))
	}
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			want = append(want, fmt.Sprintf("%x", sha256.Sum256(root.Certificate)))
		}
	}
	g.Expect(len(want)).To(BeNumerically(">", 100))
	g.Expect(got).To(Equal(want))
}
