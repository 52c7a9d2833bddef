package main

// This file tests what cannot be released, and what a release must not depend on.

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestVersions(t *testing.T) {
	for _, version := range []string{"v0.9.0", "v0.9.0-rc.1", "v1.0.0"} {
		if err := checkVersion(version); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
	for _, version := range []string{"", "0.9.0", "v0.9", "v0", "v0.9.0+build", "v0.09.0", "latest", "v0.9.0-", "0079bc1-dirty", "v0.9.0/../.."} {
		if err := checkVersion(version); err == nil || !strings.Contains(err.Error(), "VERSION=v0.9.0") {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestRegistries(t *testing.T) {
	for _, registry := range []string{"ghcr.io/arcane-streaming", "registry.example.org:5000/a/b", "quay.io", "10.0.0.1:5000/x"} {
		if err := checkRegistry(registry); err != nil {
			t.Errorf("%s: %v", registry, err)
		}
	}
	for _, registry := range []string{"", "localhost", "localhost:5000", "localhost/team", "127.0.0.1:5000", "https://ghcr.io/x", "ghcr.io/", "ghcr.io/Upper", "ghcr.io/x:v1"} {
		if err := checkRegistry(registry); err == nil || !strings.Contains(err.Error(), "REGISTRY=") {
			t.Errorf("%q: %v", registry, err)
		}
	}
}

func TestACheckoutWithChangesIsRefused(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("SOURCE_DATE_EPOCH", "")
	root := t.TempDir()
	for _, args := range [][]string{{"init", "--quiet"}, {"commit", "--quiet", "--allow-empty", "--message=first"}} {
		command := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=n", "-c", "user.email=e@example.org"}, args...)...)
		command.Dir, command.Env = root, append(os.Environ(), "GIT_COMMITTER_DATE=2026-11-30T12:00:00Z")
		out, err := command.CombinedOutput()
		g.Expect(err).NotTo(HaveOccurred(), string(out))
	}
	clean, err := readSource(t.Context(), root, false)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(clean.revision).To(MatchRegexp("^[0-9a-f]{40}$"))
	g.Expect(clean.time).To(Equal(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)))

	g.Expect(os.WriteFile(filepath.Join(root, "new"), nil, 0o600)).To(Succeed())
	_, err = readSource(t.Context(), root, false)
	g.Expect(err).To(MatchError(And(ContainSubstring("not committed"), ContainSubstring("?? new"), ContainSubstring("ALLOW_DIRTY=yes"))))
	// Neither a user's own settings nor another repository hide it.
	t.Setenv("GIT_DIR", filepath.Join(t.TempDir(), ".git"))
	_, err = readSource(t.Context(), root, false)
	g.Expect(err).To(MatchError(ContainSubstring("?? new")))
	hide := exec.CommandContext(t.Context(), "git", "-C", root, "config", "status.showUntrackedFiles", "no")
	hide.Env = []string{"PATH=" + os.Getenv("PATH")}
	g.Expect(hide.Run()).To(Succeed())
	_, err = readSource(t.Context(), root, false)
	g.Expect(err).To(MatchError(ContainSubstring("?? new")))
	dirty, err := readSource(t.Context(), root, true)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(dirty.revision).To(Equal(clean.revision + "-dirty"))

	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	other, err := readSource(t.Context(), root, true)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(other.time.Unix()).To(Equal(int64(86400)))
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	_, err = readSource(t.Context(), root, true)
	g.Expect(err).To(MatchError(ContainSubstring("SOURCE_DATE_EPOCH")))
}

// TestAReleaseIsOfflineAndItsOwn: whatever the caller's environment says.
func TestAReleaseIsOfflineAndItsOwn(t *testing.T) {
	g := NewWithT(t)
	for name, value := range map[string]string{
		"GOPROXY": "https://proxy.example.org", "GOFLAGS": "-tags=mine", "GOARCH": "riscv64", "GOAMD64": "v3", "CGO_ENABLED": "1", "MAKEFLAGS": "w", "GOEXPERIMENT": "",
	} {
		t.Setenv(name, value)
	}
	all, err := environment(t.Context(), "GOARCH=arm64")
	g.Expect(err).NotTo(HaveOccurred())
	values := map[string][]string{}
	for _, variable := range all {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = append(values[name], value)
	}
	g.Expect(values).To(And(
		HaveKeyWithValue("GOPROXY", []string{"off"}), HaveKeyWithValue("GOFLAGS", []string{"-mod=readonly"}), HaveKeyWithValue("GOARCH", []string{"arm64"}),
		HaveKeyWithValue("GOAMD64", []string{"v1"}), HaveKeyWithValue("CGO_ENABLED", []string{"0"}), HaveKeyWithValue("GOENV", []string{"off"}),
		HaveKey("GOMODCACHE"), HaveKey("GOCACHE"), HaveKey("PATH"), Not(HaveKey("MAKEFLAGS")), Not(HaveKey("GOEXPERIMENT")),
	))
}

func TestAMissingModuleIsExplained(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("GOMODCACHE", t.TempDir())
	root, err := filepath.Abs("../..")
	g.Expect(err).NotTo(HaveOccurred())
	r := &release{root: root, version: testVersion}
	err = r.makeBinary(t.Context(), programs[0], architectures[0], t.TempDir())
	g.Expect(err).To(MatchError(ContainSubstring("make release-modules")))
}

func TestAPlaceThatNamesNoImageAnyMoreIsRefused(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	g.Expect(os.MkdirAll(filepath.Join(root, "config/manager"), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(root, "config/manager/kustomization.yaml"), []byte("images: []\n"), 0o600)).To(Succeed())
	_, err := (&release{root: root}).read("config/manager/kustomization.yaml")
	g.Expect(err).To(MatchError(And(ContainSubstring("config/manager/kustomization.yaml"), ContainSubstring("newName: localhost"))))
}

// TestABillOfMaterialsIsSettled: what depends on the machine is left out, and what the tool cannot know is set.
func TestABillOfMaterialsIsSettled(t *testing.T) {
	g := NewWithT(t)
	r := &release{version: testVersion, source: source{time: time.Unix(0, 0).UTC()}}
	const raw = `{"metadata": {"tools": [{"name": "tool", "version": "v0.1.0", "hashes": [{"alg": "MD5"}]}],
		"component": {"bom-ref": "pkg:golang/m@v0.1.0#cmd", "purl": "pkg:golang/m@v0.1.0?goos=linux#cmd", "version": "v0.1.0"}},
		"components": [{"bom-ref": "pkg:golang/dep@v0.1.0", "version": "v0.1.0"}],
		"dependencies": [{"ref": "pkg:golang/m@v0.1.0#cmd", "dependsOn": ["pkg:golang/dep@v0.1.0"]}]}`
	settled, err := r.settle([]byte(raw))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settled).To(MatchJSON(`{"metadata": {"timestamp": "1970-01-01T00:00:00Z", "tools": [{"name": "tool", "version": "v0.1.0"}],
		"component": {"bom-ref": "pkg:golang/m@v7.8.9#cmd", "purl": "pkg:golang/m@v7.8.9?goos=linux#cmd", "version": "v7.8.9"}},
		"components": [{"bom-ref": "pkg:golang/dep@v0.1.0", "version": "v0.1.0"}],
		"dependencies": [{"ref": "pkg:golang/m@v7.8.9#cmd", "dependsOn": ["pkg:golang/dep@v0.1.0"]}]}`))
	for _, raw := range []string{"[]", "{}", `{"metadata": {"tools": [{}], "component": {"version": ""}}}`} {
		if _, err := r.settle([]byte(raw)); err == nil {
			t.Errorf("%s is no bill of materials, and nobody says so", raw)
		}
	}
}

func TestAVersionOutsideOfTheCatalogsChannelsIsRefused(t *testing.T) {
	g := NewWithT(t)
	r := &release{version: "v0.9.10", catalog: catalogOf(t, "v0.9.1")}
	g.Expect(r.checkChannels()).To(MatchError(ContainSubstring("lists arcane-operator.v0.9.1, whose bundle is not in that folder")))
	g.Expect(os.WriteFile(filepath.Join(r.catalog, "arcane-operator.v0.9.1.yaml"), nil, 0o600)).To(Succeed())
	g.Expect(r.checkChannels()).To(MatchError(And(ContainSubstring("channels.yaml"), ContainSubstring("no entry arcane-operator.v0.9.10"), ContainSubstring("replaces"))))
	r.version = "v0.9.1"
	g.Expect(r.checkChannels()).To(Succeed())
	r.catalog += "/none"
	g.Expect(r.checkChannels()).To(MatchError(ContainSubstring("read the catalog's channels")))
}
