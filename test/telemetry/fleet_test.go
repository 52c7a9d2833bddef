// The fleet: a stream in each phase, and what has happened to them before.

package telemetry_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// fleet is the phase of each stream.
var fleet = map[string]streamingv1.StreamPhase{
	"running": streamingv1.StreamRunning, "in-line": streamingv1.StreamRunning, "recovered": streamingv1.StreamRunning, "stalled": streamingv1.StreamRunning,
	"backfilling": streamingv1.StreamBackfilling, "suspended": streamingv1.StreamSuspended, "idle": streamingv1.StreamSuspended, "stopped": streamingv1.StreamSuspended,
	"failed": streamingv1.StreamFailed, "not-filled": streamingv1.StreamFailed,
	"pending": streamingv1.StreamPending, "scheduled": streamingv1.StreamScheduled,
}

func fails(s *script.Source) { s.Stream = script.Run{ExitCode: 1} }

// gather brings the fleet together.
func gather(ctx SpecContext, w *story.World) {
	GinkgoHelper()
	w.SetTemplate(ctx, given.BackoffLimit(0))
	w.EditClass(ctx, func(c *streamingv1.StreamClass) {
		c.Spec.Backfill = &streamingv1.ClassBackfill{MaxConcurrent: ptr.To(int32(1))}
		c.Spec.StartDeadlineSeconds = ptr.To(int32(2))
	})
	nowhere := given.Template(w.Namespace, "nowhere")
	nowhere.Spec.Spec.Template.Spec.NodeSelector = map[string]string{"telemetry.example.com/disk": "none-has-it"}
	w.Create(ctx, nowhere)
	// Failed backfills of a class without slots keep none of them.
	free := given.Class(w.Class+"-free", story.Template)
	w.Create(ctx, free)
	DeferCleanup(func(ctx SpecContext) { Expect(w.Client.Delete(ctx, free)).To(Succeed()) })

	// With the first stream of a class its counters begin, at zero.
	w.Given(ctx, "suspended", given.Suspended)
	w.Create(ctx, given.Stream(w.Namespace, "idle", free.Name, given.Suspended))
	w.Await(ctx, func(g Gomega) {
		seen, err := operator.Query(ctx, `count(count by (stream_class) (arcane_jobs_finished_total{stream_class!="none"}))`, time.Now())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(seen).To(HaveKeyWithValue("{}", 2.0))
	})
	w.Given(ctx, "running")
	w.AwaitPod(ctx, "running", streamingv1.ModeStream)
	w.Given(ctx, "backfilling", given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
	w.AwaitPod(ctx, "backfilling", streamingv1.ModeBackfill)
	w.Given(ctx, "in-line", given.NoInitialBackfill)
	w.Given(ctx, "stopped", given.NoInitialBackfill)
	w.Given(ctx, "failed", given.NoInitialBackfill, given.Script(fails))
	w.Given(ctx, "pending", given.NoInitialBackfill, given.TemplateOf("missing"))
	w.Given(ctx, "scheduled", given.Schedule("0 0 1 1 *"))
	w.Given(ctx, "stalled", given.NoInitialBackfill, given.TemplateOf("nowhere"))
	w.Create(ctx, given.Stream(w.Namespace, "not-filled", free.Name,
		given.Script(func(s *script.Source) { s.Backfill = script.Run{ExitCode: 1} })))
	w.Given(ctx, "recovered", given.NoInitialBackfill, given.Script(fails), given.Restarts(100), given.Backoff(time.Second, time.Second))

	w.Await(ctx, func(g Gomega) { g.Expect(w.Stream(ctx, "recovered").Status.Restarts).NotTo(BeNil()) })
	w.EditStream(ctx, "recovered", given.Source(script.Default()))
	w.AwaitPod(ctx, "stopped", streamingv1.ModeStream)
	w.Suspend(ctx, "stopped")
	w.AwaitPod(ctx, "in-line", streamingv1.ModeStream)
	for request, stream := range map[string]string{"for-a-slot": "in-line", "for-its-stream": "suspended", "for-nobody": "nobody"} {
		w.Request(ctx, request, stream)
		w.AwaitRequest(ctx, request, streamingv1.RequestQueued)
	}
	w.AwaitCondition(ctx, "stalled", streamingv1.ConditionStalled, metav1.ConditionTrue, "Unschedulable")
	for name, phase := range fleet {
		w.AwaitPhase(ctx, name, phase)
	}
	w.AwaitPod(ctx, "recovered", streamingv1.ModeStream)
	refused := given.Stream(w.Namespace, "refused", w.Class, given.Schedule("never"))
	Expect(w.Client.Create(ctx, refused)).NotTo(Succeed())
}
