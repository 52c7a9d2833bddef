// Package integration_test tells the stories of streams over a real API server and
// a real Job controller, with the operator's own program beside them. Pods are
// played (see test/player), so no node and no root are needed.
package integration_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// Each process has a control plane of its own. Stories wait more than they work,
// hence more of them than cores.
const processes = 4

func TestIntegration(t *testing.T) {
	story.DependOn(t, "api", "cmd", "config", "internal")
	// Here and not in the suite, which hides what its processes print: a first build takes minutes.
	if err := testbed.BuildAll(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	if story.Spread(t, processes) {
		return
	}
	RegisterFailHandler(Fail)
	ctrllog.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(20 * time.Second)
	RunSpecs(t, "Integration")
}

// theStage is this process's own.
var theStage *story.Stage

func stage() *story.Stage { return theStage }

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) []byte {
	folder, err := os.MkdirTemp("", "arcane-integration-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, folder)
	binary, err := story.BuildOperator(ctx, folder, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	return []byte(binary)
}, func(ctx SpecContext, binary []byte) {
	theStage = story.Raise(ctx, "integration")
	cluster := theStage.Cluster
	operator := &story.Process{
		Binary: string(binary), Kubeconfig: cluster.Kubeconfig(),
		LogFile: filepath.Join(cluster.Dir(), "logs", "arcane-operator.log"),
	}
	theStage.Operator = operator
	DeferCleanup(func(ctx context.Context) { Expect(operator.Stop(ctx)).To(Succeed()) })
})

var _ = Describe("On a control plane with played pods", func() {
	story.Born(stage)
	story.Switched(stage)
	story.Asked(stage)
	story.Failed(stage)
	story.Disrupted(stage, 0, 10)
	story.Disrupted(stage, 143, 10)
	story.CrashLooping(stage)
	story.Restarted(stage)
	story.Scheduled(stage)
	story.Stalled(stage)
	story.Ignored(stage, 2, 143)
	story.Interrupted(stage)
	story.Removed(stage)
	story.Killed(stage)
})
