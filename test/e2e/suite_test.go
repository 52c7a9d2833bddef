// Package e2e_test tells the stories of streams on a real node: real pods of the
// scripted plugin and of the postgres plugin, and the operator as config/default
// installs it, with the rights that it has there and no others.
package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/dynamic"

	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// nodes is how many processes tell stories, each on a node of its own: they wait for
// kubelets and pods most of the time.
const nodes = 2

func TestE2E(t *testing.T) {
	story.Prepare(t)
	// Ginkgo's command starts this program in the folder of its binary.
	t.Chdir(story.Root())
	if suite, _ := GinkgoConfiguration(); suite.ParallelTotal == 1 {
		if err := install.MakeImages(t.Context(), os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
	if story.Spread(t, nodes) {
		return
	}
	RunSpecs(t, "On real pods")
}

var (
	theStage *story.Stage
	theEyes  *eyes
	// asked is the audit log from before the operator's first start.
	asked *law.AuditLog
	// accounts is the folder in which each process lays down what it has seen.
	accounts string
)

func stage() *story.Stage { return theStage }

var _ = SynchronizedBeforeSuite(func() []byte {
	return []byte(GinkgoT().TempDir())
}, func(ctx SpecContext, folder []byte) {
	accounts = string(folder)
	cluster := story.RaiseCluster(ctx, "e2e", true)
	DeferCleanup(func(ctx context.Context) { Expect(install.StopPostgres(ctx, cluster)).To(Succeed()) })
	Expect(cluster.Load(ctx, filepath.Join(story.Root(), "bin", "plugin-scripted.tar"))).To(Succeed())
	var err error
	asked, err = law.NewAuditLog(cluster.AuditLog(), "")
	Expect(err).NotTo(HaveOccurred())
	Expect(install.Operator(ctx, cluster, GinkgoWriter)).To(Succeed())

	theStage, err = story.NewStage(cluster)
	Expect(err).NotTo(HaveOccurred())
	theStage.Patience = time.Minute
	cfg, err := cluster.RESTConfig()
	Expect(err).NotTo(HaveOccurred())
	objects, err := dynamic.NewForConfig(cfg)
	Expect(err).NotTo(HaveOccurred())
	open, shut := context.WithCancel(context.WithoutCancel(ctx))
	DeferCleanup(shut)
	theEyes, err = openEyes(open, theStage.Kube, objects)
	Expect(err).NotTo(HaveOccurred())
	theStage.Operator = deployment{theStage.Kube, cluster, theEyes}
})

// What is true of the run as a whole.
var _ = SynchronizedAfterSuite(func(ctx SpecContext) {
	if theStage == nil || theStage.Operator == nil {
		return // The suite has failed before it began.
	}
	Expect(theStage.Operator.Stop(ctx)).To(Succeed())
	read, found := theEyes.close()
	layDown(account{Asked: operatorAsked(), Read: read, Found: found})
}, func(ctx SpecContext) {
	if theStage == nil || theStage.Operator == nil {
		return
	}
	all := gather()
	expectHidden(all.Read, all.Found)
	expectRights(ctx, all.Asked)
})

var _ = Describe("On a node with the scripted plugin", func() {
	story.Born(stage)
	story.Switched(stage)
	story.Asked(stage)
	story.Failed(stage)
	story.Disrupted(stage, 0, 10)
	story.Ignored(stage, 2)
	story.Interrupted(stage)
	story.Removed(stage)
	story.Killed(stage)
	story.Unproven(stage, story.SideBySide)
	story.Beside(stage, story.SideBySide)
	story.Crashed(stage, story.SideBySide)
})
