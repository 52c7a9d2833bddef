// What users do, and wait for, while the operator dies or stands still.

package faults_test

import (
	"context"
	"time"

	"github.com/onsi/gomega"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// scenario is what a user does; it waits for facts only, so that it takes the same
// course whatever happens to the operator meanwhile.
type scenario struct {
	name string
	tell func(ctx context.Context, w *story.World)
}

// scenarios begin when the operator has just started. Whoever adds one adds a line.
var scenarios = []scenario{
	{"lifecycle", lifecycle},
	{"suspend-resume", suspendResume},
	{"request-while-running", requestWhileRunning},
	{"interrupted-backfill", interruptedBackfill},
	{"failed-and-recovered", failedAndRecovered},
	{"scheduled", scheduled},
}

// quick are pods whose backfill takes no longer than it must.
func quick(s *script.Source) { s.Backfill.RunFor = script.Duration(200 * time.Millisecond) }

// classReady waits until the class has been judged: else the count of its streams
// would ride along with that write, or not.
func classReady(ctx context.Context, w *story.World) {
	w.Await(ctx, func(g gomega.Gomega) {
		c := &streamingv1.StreamClass{}
		g.Expect(w.Client.Get(ctx, w.Key(w.Class), c)).To(gomega.Succeed())
		g.Expect(c.Status.Phase).To(gomega.Equal(streamingv1.ClassReady))
	})
}

// lifecycle: a new stream backfills and then streams.
func lifecycle(ctx context.Context, w *story.World) {
	classReady(ctx, w)
	w.Given(ctx, "orders", given.Script(quick))
	w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	for _, r := range w.Requests(ctx, "orders") {
		w.AwaitCompleted(ctx, r.Name)
	}
}

// suspendResume: a running stream is switched off and on again.
func suspendResume(ctx context.Context, w *story.World) {
	classReady(ctx, w)
	w.Given(ctx, "orders", given.NoInitialBackfill)
	first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	w.Suspend(ctx, "orders")
	w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
	w.Resume(ctx, "orders")
	w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
}

// requestWhileRunning: a running stream makes way for a backfill. Its pod takes so
// long to end that the request is always told what it waits for.
func requestWhileRunning(ctx context.Context, w *story.World) {
	classReady(ctx, w)
	w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(func(s *script.Source) {
		quick(s)
		s.Stream.OnSigterm.After = script.Duration(2500 * time.Millisecond)
	}))
	first := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	w.Request(ctx, "again", "orders")
	w.AwaitCompleted(ctx, "again")
	w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
}

// interruptedBackfill: the pod of a backfill is taken away, first deleted and then
// evicted, and exits 0 each time as if its work were done.
func interruptedBackfill(ctx context.Context, w *story.World) {
	classReady(ctx, w)
	w.Given(ctx, "orders", given.Script(func(s *script.Source) {
		s.Backfill.RunFor, s.Backfill.OnSigterm.ExitCode = script.Forever, 0
	}))
	first := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamBackfilling)
	w.Delete(ctx, first)
	second := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill, first)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamBackfilling)
	w.Evict(ctx, second)
	third := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill, first, second)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamBackfilling)
	gomega.Expect(w.Player.Exit(third, 0)).To(gomega.Succeed())
	w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
}

// failedAndRecovered: a stream fails; its user suspends it, asks for a backfill,
// corrects it and resumes it.
func failedAndRecovered(ctx context.Context, w *story.World) {
	w.EditTemplate(ctx, story.Template, given.BackoffLimit(0))
	classReady(ctx, w)
	w.Given(ctx, "orders", given.NoInitialBackfill, given.Script(func(s *script.Source) {
		s.Stream = script.Run{ExitCode: 1, Message: "the table is gone"}
	}))
	w.AwaitPhase(ctx, "orders", streamingv1.StreamFailed)
	w.Suspend(ctx, "orders")
	w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
	w.Request(ctx, "again", "orders")
	w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
	w.EditStream(ctx, "orders", given.Script(quick))
	w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
	w.Resume(ctx, "orders")
	w.AwaitCompleted(ctx, "again")
	w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
	w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
}

// scheduled: a run of a schedule is stopped by a suspension; then a backfill pauses
// the schedule, and after it the next run comes.
func scheduled(ctx context.Context, w *story.World) {
	classReady(ctx, w)
	// It comes once a year, so that the user says when a run comes.
	w.Given(ctx, "orders", given.Schedule("0 0 1 1 *"), given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
	w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
	w.RunNow(ctx, "orders", "one")
	first := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
	w.Suspend(ctx, "orders")
	w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
	w.Resume(ctx, "orders")
	w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
	w.Request(ctx, "again", "orders", given.Payload(script.Run{RunFor: script.Duration(200 * time.Millisecond)}))
	w.AwaitCompleted(ctx, "again")
	w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
	w.RunNow(ctx, "orders", "two")
	w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill, first)
}
