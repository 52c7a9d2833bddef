//go:build release

package main

// This file proves what takes long: a release as users get it, and binaries from two places with empty caches. By hand:
// make release-test.

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// TestWholeReleaseIsTheSameTwice makes the release that users get, with the real binaries and bills of materials.
func TestWholeReleaseIsTheSameTwice(t *testing.T) {
	g := NewWithT(t)
	asIs := func(*release) {}
	first, second := makeRelease(t, asIs), makeRelease(t, asIs)
	g.Expect(readFile(t, second, "SHA256SUMS")).To(Equal(readFile(t, first, "SHA256SUMS")))

	isForEverybody(t, first)

	for _, p := range programs {
		for _, architecture := range architectures {
			file := fmt.Sprintf("%s-%s-linux-%s.cdx.json", p.name, testVersion, architecture)
			var bill struct {
				BOMFormat string `json:"bomFormat"`
				Metadata  struct {
					Component struct {
						Version string `json:"version"`
						PURL    string `json:"purl"`
					} `json:"component"`
				} `json:"metadata"`
				Components []struct {
					Name string `json:"name"`
				} `json:"components"`
			}
			g.Expect(json.Unmarshal([]byte(readFile(t, first, file)), &bill)).To(Succeed())
			g.Expect(bill.BOMFormat).To(Equal("CycloneDX"))
			g.Expect(bill.Metadata.Component.Version).To(Equal(testVersion))
			g.Expect(bill.Metadata.Component.PURL).To(ContainSubstring("goarch=" + architecture))
			g.Expect(len(bill.Components)).To(BeNumerically(">", 10), file)
		}
	}
}

// TestWholeBinariesAreTheSameFromTwoPaths builds this machine's binaries from two copies of the checkout, each with a home
// and a build cache of its own that are empty. The modules are shared: they are read only, and known by their sums.
func TestWholeBinariesAreTheSameFromTwoPaths(t *testing.T) {
	g := NewWithT(t)
	modules, err := (&release{root: "."}).command(t.Context(), nil, "go", "env", "GOMODCACHE")
	g.Expect(err).NotTo(HaveOccurred())
	var sums []map[string]string
	for _, place := range []string{"a", "quite/another/place"} {
		t.Run(place, func(t *testing.T) {
			base := t.TempDir()
			t.Setenv("GOMODCACHE", modules)
			t.Setenv("GOCACHE", filepath.Join(base, "cache"))
			t.Setenv("HOME", filepath.Join(base, "home"))
			root := filepath.Join(base, place)
			copyCheckout(t, root)
			sums = append(sums, build(t, &release{root: root, version: testVersion, source: source{revision: "0123abc"}}))
		})
	}
	g.Expect(sums).To(HaveLen(2))
	g.Expect(sums[0]).To(HaveLen(len(programs)))
	g.Expect(sums[1]).To(Equal(sums[0]))
}

// copyCheckout copies what git knows, without git's own files.
func copyCheckout(t *testing.T, into string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := git(t.Context(), root, "ls-files", "--cached", "--others", "--exclude-standard")
	if err != nil {
		t.Fatal(err)
	}
	for file := range strings.SplitSeq(files, "\n") {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(into, file)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// build builds all programs for this machine and returns the binaries' sums.
func build(t *testing.T, r *release) map[string]string {
	t.Helper()
	sums := map[string]string{}
	folder := filepath.Join(r.root, "bin")
	for _, p := range programs {
		start := time.Now()
		if err := r.makeBinary(t.Context(), p, runtime.GOARCH, folder); err != nil {
			t.Fatal(err)
		}
		sums[p.name] = fmt.Sprintf("%x", sha256.Sum256([]byte(readFile(t, folder, p.name))))
		t.Logf("%s in %s after %.0f s: %s", p.name, r.root, time.Since(start).Seconds(), sums[p.name])
	}
	return sums
}
