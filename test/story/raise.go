package story

// This file raises the control plane that a suite over played pods stands on.

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

// Raise brings up a control plane of the suite's own, with our kinds and a player of
// pods. All of it goes when the suite ends.
func Raise(ctx context.Context, suite string) *Stage {
	ginkgo.GinkgoHelper()
	slot, err := TakeSlot(ctx, suite)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(slot.Release)
	// What an earlier run left behind when it was killed is of no use to this one.
	gomega.Expect(testbed.Down(ctx, slot.Name)).To(gomega.Succeed())
	cluster, err := testbed.Up(ctx, testbed.Options{Name: slot.Name, Progress: ginkgo.GinkgoWriter})
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(func(ctx context.Context) { gomega.Expect(cluster.Down(ctx)).To(gomega.Succeed()) })

	stage, err := NewStage(cluster)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	stage.Patience = 30 * time.Second
	gomega.Expect(stage.InstallKinds(ctx)).To(gomega.Succeed())
	gomega.Expect(stage.Play(ctx)).To(gomega.Succeed())
	ginkgo.DeferCleanup(func() { gomega.Expect(stage.Player.Stop()).To(gomega.Succeed()) })
	return stage
}
