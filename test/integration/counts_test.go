// What a stream's life costs: every request to the API server, each by its name.

package integration_test

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// maxReads is how many requests of a lifecycle may go past the cache.
const maxReads = 6

// distinct leaves out what repeats: how often a job that has vanished is looked for
// depends on which watch tells first that it and its pod are gone.
func distinct(lines []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(lines)))
}

// withoutWaits leaves out the writes that tell a request to wait: there is none, unless
// the machine is so slow that it waits for more than a second or two. The recorded
// history says how often it was told.
func withoutWaits(ctx SpecContext, w *story.World, writes []string, request string) []string {
	GinkgoHelper()
	told := map[string]bool{}
	for _, v := range w.History(ctx).Versions {
		if q, ok := v.Object.(*streamingv1.BackfillRequest); ok && q.Status.Phase == streamingv1.RequestQueued {
			told[meta.FindStatusCondition(q.Status.Conditions, streamingv1.ConditionReady).Reason] = true
		}
	}
	for range told {
		at := slices.Index(writes, "patch backfillrequests/status "+request)
		writes = slices.Delete(writes, at, at+1)
	}
	return writes
}

var _ = Describe("The requests of the operator", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) { w = stage().Enter(ctx) })
	running := func(ctx SpecContext) {
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	}
	// A pod that takes a moment to end is seen ending, in every run.
	runs := func(ctx SpecContext) {
		w.Given(ctx, "orders", given.NoInitialBackfill,
			given.Script(func(s *script.Source) { s.Stream.OnSigterm.After = script.Duration(time.Second) }))
		running(ctx)
		w.AwaitQuiet(ctx)
	}

	It("are twelve writes and two reads from a stream's creation over its backfill to streaming", func(ctx SpecContext) {
		ledger := w.OpenLedger()
		w.Given(ctx, "orders")
		running(ctx)
		e := ledger.Close(ctx)
		Expect(e.Conflicts).To(BeEmpty(), "no write comes too late")
		Expect(withoutWaits(ctx, w, e.Writes, "initial")).To(Equal([]string{
			"create backfillrequests initial",
			"patch streams/status orders", // the request's UID
			"create jobs job-1",
			"patch streams/status orders", // the claim, and Backfilling
			"patch jobs job-1",            // the release
			"patch backfillrequests/status initial",
			"patch streams/status orders", // the outcome
			"patch backfillrequests initial",
			"patch backfillrequests/status initial",
			"create jobs job-2",
			"patch streams/status orders", // the claim, and Running
			"patch jobs job-2",            // the release
		}))
		Expect(e.Reads).To(Equal([]string{
			"get backfillrequests initial", // before the creation of its job
			"get backfillrequests initial", // before its release
		}))
		Expect(len(e.Reads)).To(BeNumerically("<=", maxReads))
	})

	It("are six writes for a suspension and the resumption after it", func(ctx SpecContext) {
		runs(ctx)
		ledger := w.OpenLedger()
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		w.Resume(ctx, "orders")
		running(ctx)
		e := ledger.Close(ctx)
		Expect(e.Conflicts).To(BeEmpty(), "no write comes too late")
		Expect(e.Writes).To(Equal([]string{
			"patch streams/status orders", // the claim of the stop
			"delete jobs job-1",
			"patch streams/status orders", // Suspended
			"create jobs job-2",
			"patch streams/status orders", // the claim, and Running
			"patch jobs job-2",            // the release
		}))
		Expect(distinct(e.Reads)).To(Equal([]string{
			"get jobs job-1",       // before its deletion
			"get jobs job-1 (404)", // before Suspended is written
			"list pods",            // nobody has seen that job's end
		}))
	})

	It("are fourteen writes for a backfill of a running stream, and the return to streaming", func(ctx SpecContext) {
		runs(ctx)
		ledger := w.OpenLedger()
		w.Request(ctx, "again", "orders")
		w.AwaitCompleted(ctx, "again")
		running(ctx)
		e := ledger.Close(ctx)
		Expect(e.Conflicts).To(BeEmpty(), "no write comes too late")
		// The owner of the request is another controller's to write, at any time.
		Expect(withoutWaits(ctx, w, e.Writes, "again")).To(ConsistOf(
			"patch backfillrequests again", // the owner
			"patch streams/status orders",  // the claim of the stop
			"delete jobs job-1",
			"patch streams/status orders", // it waits for that job
			"create jobs job-2",
			"patch streams/status orders", // the claim, and Backfilling
			"patch jobs job-2",            // the release
			"patch backfillrequests/status again",
			"patch streams/status orders", // the outcome
			"patch backfillrequests again",
			"patch backfillrequests/status again",
			"create jobs job-3",
			"patch streams/status orders", // the claim, and Running
			"patch jobs job-3",            // the release
		))
		Expect(distinct(e.Reads)).To(Equal([]string{
			"get backfillrequests again", // before the stop, the creation, the release
			"get jobs job-1",             // before its deletion
			"get jobs job-1 (404)",       // before the creation of the next
			"get streams orders",         // before it becomes the request's owner
			"list pods",                  // nobody has seen that job's end
		}))
	})
})
