// Scenario 26: the runs of a schedule, which come when the story says so.

package story

import (
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// runs begins each story with a stream whose runs are started by hand and do what the script says.
func runs(stage func() *Stage, w **World, does func(*script.Source)) {
	ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
		*w = stage().Enter(ctx)
		(*w).Given(ctx, "orders", given.Schedule(onceAYear), given.Script(does))
		(*w).AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
	})
}

func runsSucceed(stage func() *Stage) {
	ginkgo.Describe("A stream with a schedule whose runs succeed", func() {
		var w *World
		runs(stage, &w, func(s *script.Source) { s.Backfill.RunFor = 0 })

		ginkgo.It("lets them run one after the other", func(ctx ginkgo.SpecContext) {
			w.RunNow(ctx, "orders", "one")
			w.RunNow(ctx, "orders", "two")
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(2)) })
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionLastRunFailed, metav1.ConditionFalse, streamingv1.ReasonRunSucceeded)
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Stream(ctx, "orders").Status.Job).To(gomega.BeNil()) })
			gomega.Expect(w.PhasesEver(ctx, "orders")).To(gomega.Equal([]streamingv1.StreamPhase{streamingv1.StreamScheduled}))
		})

		ginkgo.It("backfills on request, with the schedule paused meanwhile", func(ctx ginkgo.SpecContext) {
			w.Request(ctx, "again", "orders", given.Payload(script.Run{RunFor: script.Forever}))
			w.AwaitPhase(ctx, "orders", streamingv1.StreamBackfilling)
			gomega.Expect(w.cron(ctx, "orders").Spec.Suspend).To(gomega.HaveValue(gomega.BeTrue()))
			// A run that comes all the same waits.
			w.RunNow(ctx, "orders", "meanwhile")
			w.AwaitQuiet(ctx)
			gomega.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(1))
			w.Exit(ctx, w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill), 0)
			w.AwaitCompleted(ctx, "again")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
			w.Await(ctx, func(g gomega.Gomega) {
				g.Expect(w.Started(ctx, "orders")).To(gomega.HaveLen(2))
				g.Expect(w.cron(ctx, "orders").Spec.Suspend).To(gomega.HaveValue(gomega.BeFalse()))
			})
		})
	})
}

func runsFail(stage func() *Stage) {
	ginkgo.Describe("A stream with a schedule whose runs fail", func() {
		var w *World
		runs(stage, &w, func(s *script.Source) { s.Backfill = script.Run{ExitCode: 1, Message: "no such bucket"} })

		ginkgo.It("says so once, and goes on", func(ctx ginkgo.SpecContext) {
			w.EditTemplate(ctx, Template, given.BackoffLimit(0))
			w.AwaitQuiet(ctx)
			w.RunNow(ctx, "orders", "one")
			failed := w.AwaitCondition(ctx, "orders", streamingv1.ConditionLastRunFailed, metav1.ConditionTrue, streamingv1.ReasonRunFailed)
			gomega.Expect(failed.Message).To(gomega.ContainSubstring("no such bucket"))
			gomega.Expect(w.Stream(ctx, "orders").Status.Phase).To(gomega.Equal(streamingv1.StreamScheduled))
			w.Await(ctx, func(g gomega.Gomega) {
				g.Expect(Told(w.Warnings(ctx, w.Stream(ctx, "orders")))).To(gomega.Equal(1))
			})
			w.EditStream(ctx, "orders", repaired)
			w.AwaitQuiet(ctx)
			w.RunNow(ctx, "orders", "two")
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionLastRunFailed, metav1.ConditionFalse, streamingv1.ReasonRunSucceeded)
			gomega.Expect(w.PhasesEver(ctx, "orders")).To(gomega.Equal([]streamingv1.StreamPhase{streamingv1.StreamScheduled}))
		})
	})
}

func runsLast(stage func() *Stage) {
	ginkgo.Describe("A stream with a schedule whose runs last", func() {
		var w *World
		runs(stage, &w, func(s *script.Source) { s.Backfill.RunFor = script.Forever })

		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
			w.RunNow(ctx, "orders", "one")
			w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		})
		suspendedWithoutWorkload := func(ctx ginkgo.SpecContext) {
			w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
			w.AwaitQuiet(ctx)
			w.expectNoLivingPod(ctx, "orders")
			for _, j := range w.Jobs(ctx, "orders") {
				gomega.Expect(j.Status.CompletionTime).NotTo(gomega.BeNil(), "job %s is unfinished", j.Name)
			}
		}

		ginkgo.It("stops them when I suspend it, and goes on when I resume it", func(ctx ginkgo.SpecContext) {
			w.Suspend(ctx, "orders")
			suspendedWithoutWorkload(ctx)
			gomega.Expect(w.cron(ctx, "orders").Spec.Suspend).To(gomega.HaveValue(gomega.BeTrue()))
			w.RestartOperator(ctx)
			suspendedWithoutWorkload(ctx)
			w.Resume(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
			w.RunNow(ctx, "orders", "two")
			w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		})

		ginkgo.It("streams when I remove the schedule", func(ctx ginkgo.SpecContext) {
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { s.Spec.Schedule = nil })
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(w.crons(ctx)).To(gomega.BeEmpty())
			gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.BeZero())
		})

		ginkgo.It("leaves nothing when I remove the schedule and suspend it, and then streams", func(ctx ginkgo.SpecContext) {
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { s.Spec.Schedule, s.Spec.Suspended = nil, true })
			suspendedWithoutWorkload(ctx)
			w.Resume(ctx, "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			gomega.Expect(w.crons(ctx)).To(gomega.BeEmpty())
		})

		ginkgo.It("lets the run end as it began when the schedule changes", func(ctx ginkgo.SpecContext) {
			before := w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
			w.EditStream(ctx, "orders", given.Schedule("0 0 2 1 *"))
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.cron(ctx, "orders").Spec.Schedule).To(gomega.Equal("0 0 2 1 *")) })
			w.AwaitQuiet(ctx)
			after, err := w.RunningPod(ctx, "orders", streamingv1.ModeBackfill)
			gomega.Expect(err).NotTo(gomega.HaveOccurred())
			gomega.Expect(after.UID).To(gomega.Equal(before.UID))
		})
	})
}
