// Package e2e_test tells the stories of streams on a real node: real pods of the
// scripted plugin and of the postgres plugin, and the operator as config/default
// installs it, with the rights that it has there and no others.
package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/dynamic"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestE2E(t *testing.T) {
	// Here and not in the suite, which hides what it prints: a first build takes minutes.
	if err := testbed.BuildAll(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	// The images are those of the source as it is now, however this test was started.
	images := exec.CommandContext(t.Context(), "make", "--no-print-directory", "image")
	images.Dir, images.Stdout, images.Stderr = story.Root(), os.Stderr, os.Stderr
	if err := images.Run(); err != nil {
		t.Fatalf("make image: %v", err)
	}
	RegisterFailHandler(Fail)
	ctrllog.SetLogger(GinkgoLogr)
	RunSpecs(t, "On real pods")
}

var (
	theStage *story.Stage
	theEyes  *eyes
	// asked is the audit log from before the operator's first start.
	asked *law.AuditLog
)

func stage() *story.Stage { return theStage }

var _ = BeforeSuite(func(ctx SpecContext) {
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
var _ = AfterSuite(func(ctx SpecContext) {
	if theStage == nil || theStage.Operator == nil {
		return // The suite has failed before it began.
	}
	Expect(theStage.Operator.Stop(ctx)).To(Succeed())
	theEyes.expectHidden()
	expectRights(ctx, asked)
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
})
