// The build of Kubernetes, tried with a Go tool that is a shell script.

package testbed

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
)

// fakeGo puts a script in the place of the Go tool. It sees the file to write as $out
// and the package as $package.
func fakeGo(t *testing.T, body string) {
	t.Helper()
	script := "#!/bin/sh\nwhile [ $# -gt 1 ]; do [ \"$1\" = -o ] && out=$2; shift; done\npackage=$1\n" + body
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestABuildGoesOnWhereItWasInterrupted(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	ctx, cancel := context.WithCancel(t.Context())
	var progress bytes.Buffer
	// The second binary is half written when the build is interrupted.
	fakeGo(t, `case $package in *kubectl) echo half >"$out"; kill -USR1 $$;; esac
echo '#!/bin/sh' >"$out"; chmod +x "$out"`)
	err := build(ctx, &progress, []string{"etcd", "kubectl", "kubelet"})
	g.Expect(err).To(MatchError(ContainSubstring("build kubectl")))
	cancel()
	g.Expect(missingBinaries([]string{"etcd", "kubectl", "kubelet"})).To(Equal([]string{"kubectl", "kubelet"}))
	g.Expect(build(ctx, &progress, []string{"kubectl"})).To(MatchError(context.Canceled))

	log := filepath.Join(t.TempDir(), "built")
	fakeGo(t, `echo "$package" >>`+log+`; echo '#!/bin/sh' >"$out"; chmod +x "$out"`)
	progress.Reset()
	g.Expect(build(t.Context(), &progress, []string{"etcd", "kubectl", "kubelet"})).To(Succeed())
	g.Expect(strings.Fields(string(read(t, log)))).To(Equal([]string{"k8s.io/kubernetes/cmd/kubectl", "k8s.io/kubernetes/cmd/kubelet"}))
	g.Expect(progress.String()).To(And(ContainSubstring("[1/2] kubectl: done"), ContainSubstring("[2/2] kubelet: done")))

	progress.Reset()
	g.Expect(build(t.Context(), &progress, []string{"etcd", "kubectl", "kubelet"})).To(Succeed())
	g.Expect(progress.String()).To(BeEmpty(), "nothing is left to build")
}

func TestABrokenBuildShowsTheCompilersWords(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	fakeGo(t, "echo k8s.io/api/core/v1 >&2\necho 'x.go:1:1: syntax error' >&2\nexit 1")
	var progress bytes.Buffer
	err := build(t.Context(), &progress, []string{"etcd"})
	g.Expect(err).To(MatchError(And(ContainSubstring("build etcd"), ContainSubstring("syntax error"), Not(ContainSubstring("k8s.io/api/core/v1")))))
}

func TestTwoBuildersDoNotMeet(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	log := filepath.Join(t.TempDir(), "built")
	fakeGo(t, `echo "$package" >>`+log+`; echo '#!/bin/sh' >"$out"; chmod +x "$out"`)
	done := make(chan error, 2)
	for range 2 {
		go func() { done <- build(t.Context(), &bytes.Buffer{}, []string{"etcd", "kubectl"}) }()
	}
	g.Eventually(done).Should(Receive(BeNil()))
	g.Eventually(done).Should(Receive(BeNil()))
	g.Expect(strings.Fields(string(read(t, log)))).To(Equal([]string{etcdPackage, "k8s.io/kubernetes/cmd/kubectl"}))
}

func TestAssetsAreUsedWhereTheyHoldTheBinary(t *testing.T) {
	g := NewWithT(t)
	isolate(t)
	assets := t.TempDir()
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	g.Expect(os.WriteFile(filepath.Join(assets, "etcd"), nil, 0o700)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(assets, "kubectl"), nil, 0o600)).To(Succeed())
	g.Expect(binary("etcd")).To(Equal(filepath.Join(assets, "etcd")))
	g.Expect(binary("kubectl")).To(Equal(filepath.Join(binFolder(), "kubectl")), "it cannot be run")
	g.Expect(binary("kubelet")).To(Equal(filepath.Join(binFolder(), "kubelet")))
}

func TestPackagesAreCountedAndErrorsKept(t *testing.T) {
	g := NewWithT(t)
	var compiled atomic.Int64
	last := readBuildOutput(strings.NewReader("k8s.io/api\nk8s.io/api/core/v1\n# k8s.io/x\n./x.go:3: undefined: y\n"), &compiled)
	g.Expect(compiled.Load()).To(BeEquivalentTo(2))
	g.Expect(last).To(Equal([]string{"# k8s.io/x", "./x.go:3: undefined: y"}))
}
