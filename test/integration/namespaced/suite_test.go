// Package namespaced_test lets an operator of some namespaces work with the rights that
// config/namespaced gives it and no others, over a real API server: what it does there,
// and that it touches nothing elsewhere.
package namespaced_test

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
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestNamespaced(t *testing.T) {
	story.DependOn(t, "api", "cmd", "config", "internal", "webhooks")
	// Here and not in the suite, which hides what its processes print: a first build takes minutes.
	if err := testbed.BuildAll(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	RegisterFailHandler(Fail)
	ctrllog.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(20 * time.Second)
	RunSpecs(t, "Namespaced")
}

var (
	stage *story.Stage
	// The two namespaces that config/namespaced shows, and one that nobody serves.
	teamA, teamB, elsewhere *story.World
	// asked is the audit log from before the operator's first start.
	asked *law.AuditLog
	// manifests are those of config/namespaced.
	manifests string
)

var _ = BeforeSuite(func(ctx SpecContext) {
	binary, err := story.BuildOperator(ctx, GinkgoT().TempDir(), GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	stage = story.Raise(ctx, "namespaced")
	cluster := stage.Cluster
	asked, err = law.NewAuditLog(cluster.AuditLog(), "")
	Expect(err).NotTo(HaveOccurred())
	// Rights are given in namespaces that are there.
	teamA, teamB, elsewhere = stage.OpenNamed(ctx, "team-a"), stage.OpenNamed(ctx, "team-b"), stage.Open(ctx)
	manifests, err = stage.Render(ctx, "namespaced")
	Expect(err).NotTo(HaveOccurred())
	admission, err := stage.InstallAdmissionOf(ctx, "namespaced")
	Expect(err).NotTo(HaveOccurred())
	operator := &story.Process{
		Binary: binary, Kubeconfig: admission.Kubeconfig, Admission: admission,
		// The last of two flags of one name counts.
		Args:    []string{"--namespaces=team-a,team-b", "--leader-elect", "--leader-election-namespace=" + story.OperatorNamespace},
		LogFile: filepath.Join(cluster.Dir(), "logs", "arcane-operator.log"),
	}
	stage.Operator = operator
	Expect(operator.Start(ctx)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(operator.Stop(ctx)).To(Succeed()) })
})
