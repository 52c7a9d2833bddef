// Package namespaced_test lets an operator of some namespaces work with the rights that
// config/namespaced gives it and no others, over a real API server: what it does there,
// and that it touches nothing elsewhere.
package namespaced_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestNamespaced(t *testing.T) {
	story.Prepare(t, "api", "cmd", "config", "internal", "webhooks")
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
	binary := story.Build(ctx)
	stage = story.Raise(ctx, "namespaced")
	var err error
	asked, err = law.NewAuditLog(stage.Cluster.AuditLog(), "")
	Expect(err).NotTo(HaveOccurred())
	// Rights are given in namespaces that are there.
	teamA, teamB, elsewhere = stage.OpenNamed(ctx, "team-a"), stage.OpenNamed(ctx, "team-b"), stage.Open(ctx)
	manifests, err = stage.Render(ctx, "namespaced")
	Expect(err).NotTo(HaveOccurred())
	admission, err := stage.InstallAdmissionOf(ctx, "namespaced")
	Expect(err).NotTo(HaveOccurred())
	operator := stage.Employ(binary, admission,
		"--namespaces=team-a,team-b", "--leader-elect", "--leader-election-namespace="+story.OperatorNamespace)
	Expect(operator.Start(ctx)).To(Succeed())
})
