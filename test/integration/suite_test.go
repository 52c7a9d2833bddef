// Package integration_test tells the stories of streams over a real API server and
// a real Job controller, with the operator's own program beside them. Pods are
// played (see test/player), so no node and no root are needed.
package integration_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// Each process has a control plane of its own. Stories wait more than they work,
// hence more of them than cores.
const processes = 4

func TestIntegration(t *testing.T) {
	story.Prepare(t, "api", "cmd", "config", "internal")
	if story.Spread(t, processes) {
		return
	}
	RunSpecs(t, "Integration")
}

// theStage is this process's own.
var theStage *story.Stage

func stage() *story.Stage { return theStage }

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) []byte {
	return []byte(story.Build(ctx))
}, func(ctx SpecContext, binary []byte) {
	theStage = story.Raise(ctx, "integration")
	theStage.Employ(string(binary), nil)
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
	story.Unproven(stage, story.OneByOne)
	story.Beside(stage, story.OneByOne)
	story.Crashed(stage, story.OneByOne)
})
