package story

// This file raises what a suite stands on: its cluster, and the operator beside it.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

// Prepare is how a suite over played pods begins, before its specs run. The folders hold
// the source of the programs that it runs; see DependOn.
func Prepare(t *testing.T, folders ...string) {
	t.Helper()
	DependOn(t, folders...)
	// Here and not in the suite, which hides what its processes print: a first build takes minutes.
	if err := testbed.BuildAll(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	ctrllog.SetLogger(ginkgo.GinkgoLogr)
	gomega.SetDefaultEventuallyTimeout(20 * time.Second)
	ginkgo.ReportAfterSuite("what failed", func(r ginkgo.Report) {
		for _, spec := range r.SpecReports {
			if spec.Failed() {
				fmt.Printf("\n%s\n%s\n%s\n", spec.FullText(), spec.Failure.Location, headOf(spec.Failure.Message))
			}
		}
	})
}

// headOf is the beginning of a text that may show whole objects.
func headOf(text string) string {
	const most = 4000
	return text[:min(len(text), most)]
}

// Build builds the operator into a folder that goes when the suite ends.
func Build(ctx context.Context) (binary string) {
	ginkgo.GinkgoHelper()
	binary, err := BuildOperator(ctx, ginkgo.GinkgoT().TempDir(), ginkgo.GinkgoWriter)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return binary
}

// RaiseCluster brings up a cluster of the suite's own, which goes when the suite ends.
func RaiseCluster(ctx context.Context, suite string, node bool) *testbed.Cluster {
	ginkgo.GinkgoHelper()
	slot, err := TakeSlot(ctx, suite)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(slot.Release)
	// What an earlier run left behind when it was killed is of no use to this one.
	gomega.Expect(testbed.Down(ctx, slot.Name)).To(gomega.Succeed())
	cluster, err := testbed.Up(ctx, testbed.Options{Name: slot.Name, Node: node, Progress: ginkgo.GinkgoWriter})
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(func(ctx context.Context) { gomega.Expect(cluster.Down(ctx)).To(gomega.Succeed()) })
	return cluster
}

// Raise brings up a control plane of the suite's own, with our kinds and a player of
// pods. All of it goes when the suite ends.
func Raise(ctx context.Context, suite string) *Stage {
	ginkgo.GinkgoHelper()
	stage, err := NewStage(RaiseCluster(ctx, suite, false))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	stage.Patience = 30 * time.Second
	gomega.Expect(stage.InstallKinds(ctx)).To(gomega.Succeed())
	gomega.Expect(stage.Play(ctx)).To(gomega.Succeed())
	ginkgo.DeferCleanup(func() { gomega.Expect(stage.Player.Stop()).To(gomega.Succeed()) })
	return stage
}

// Employ makes the stage's operator a process beside the test, which has not been started
// yet and is ended with the suite. Of two arguments of one name the last counts.
func (s *Stage) Employ(binary string, admission *Admission, args ...string) *Process {
	ginkgo.GinkgoHelper()
	p := &Process{
		Binary: binary, Kubeconfig: s.Cluster.Kubeconfig(), Admission: admission, Args: args,
		LogFile: filepath.Join(s.Cluster.Dir(), "logs", "arcane-operator.log"),
	}
	s.Operator = p
	ginkgo.DeferCleanup(func(ctx context.Context) { gomega.Expect(p.Stop(ctx)).To(gomega.Succeed()) })
	return p
}
