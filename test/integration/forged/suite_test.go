// Package forged_test attacks streams: users with few rights in a stream's namespace make
// Jobs, CronJobs, pods and requests that look like the operator's, take its names, strip
// its labels and hold its objects. The operator has its own rights and no others, and no
// webhooks stand before the API server. Pods are played (see test/player).
package forged_test

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// Each process has a control plane of its own. The stories wait more than they work.
const processes = 4

func TestForged(t *testing.T) {
	story.Prepare(t, "api", "cmd", "config", "internal")
	if story.Spread(t, processes) {
		return
	}
	RunSpecs(t, "Forged")
}

var stage *story.Stage

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) []byte {
	return []byte(story.Build(ctx))
}, func(ctx SpecContext, binary []byte) {
	stage = story.Raise(ctx, "forged")
	stage.Patience = 20 * time.Second
	admission, err := stage.InstallAdmission(ctx)
	Expect(err).NotTo(HaveOccurred())
	for _, kind := range []string{"mutatingwebhookconfiguration", "validatingwebhookconfiguration"} {
		_, err := stage.Kubectl(ctx, "delete", kind, story.WebhookConfiguration)
		Expect(err).NotTo(HaveOccurred())
	}
	stage.Employ(string(binary), nil, "--kubeconfig", admission.Kubeconfig)
})
