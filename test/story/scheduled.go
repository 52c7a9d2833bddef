// Scenario 26: streams that run by a schedule.

package story

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// Schedules of stories: one that comes by itself while a story is told, and one
// that does not, so that the story says when a run comes.
const (
	everyMinute = "* * * * *"
	onceAYear   = "0 0 1 1 *"
)

// Scheduled tells how streams run by a schedule.
func Scheduled(stage func() *Stage) {
	ginkgo.Describe("A stream with a schedule", func() {
		var w *World
		ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) { w = stage().Enter(ctx) })

		ginkgo.It("runs when its time comes, without an initial backfill", func(ctx ginkgo.SpecContext) {
			s := w.Given(ctx, "orders", given.Schedule(everyMinute), given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever }))
			w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
			w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionTrue, streamingv1.ReasonScheduled)
			gomega.Expect(w.RequestsEver(ctx, "orders")).To(gomega.BeZero())
			gomega.Expect(metav1.IsControlledBy(w.cron(ctx, "orders"), s)).To(gomega.BeTrue(), "it must go with its stream")
			var pod *corev1.Pod
			w.AwaitWithin(ctx, 90*time.Second, func(g gomega.Gomega) {
				var err error
				pod, err = w.RunningPod(ctx, "orders", streamingv1.ModeBackfill)
				g.Expect(err).NotTo(gomega.HaveOccurred())
			})
			backfill, _ := env(pod, streamingv1.EnvBackfill)
			gomega.Expect(backfill).To(gomega.Equal("true"))
			gomega.Expect(fieldOf(pod, streamingv1.EnvBackfillID)).To(gomega.Equal("metadata.labels['batch.kubernetes.io/job-name']"))
			gomega.Expect(w.Stream(ctx, "orders").Status.Job.Mode).To(gomega.Equal(streamingv1.ModeScheduled))
		})

		ginkgo.Describe("whose runs are started by hand", func() {
			runsFor := func(d script.Duration, more ...given.StreamOption) {
				ginkgo.BeforeEach(func(ctx ginkgo.SpecContext) {
					options := append([]given.StreamOption{
						given.Schedule(onceAYear),
						given.Script(func(s *script.Source) { s.Backfill.RunFor = d }),
					}, more...)
					w.Given(ctx, "orders", options...)
					w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
				})
			}

			ginkgo.Describe("and succeed", func() {
				runsFor(0)
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

			ginkgo.Describe("and fail", func() {
				runsFor(0, given.Script(func(s *script.Source) { s.Backfill = script.Run{ExitCode: 1, Message: "no such bucket"} }))
				ginkgo.It("says so once, and goes on", func(ctx ginkgo.SpecContext) {
					w.EditTemplate(ctx, Template, func(t *streamingv1.StreamingJobTemplate) { given.BackoffLimit(0)(t) })
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

			ginkgo.Describe("and last", func() {
				runsFor(script.Forever)
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
					w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { given.Schedule("0 0 2 1 *")(s) })
					w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.cron(ctx, "orders").Spec.Schedule).To(gomega.Equal("0 0 2 1 *")) })
					w.AwaitQuiet(ctx)
					after, err := w.RunningPod(ctx, "orders", streamingv1.ModeBackfill)
					gomega.Expect(err).NotTo(gomega.HaveOccurred())
					gomega.Expect(after.UID).To(gomega.Equal(before.UID))
				})
			})
		})

		ginkgo.It("stops streaming first when I set the schedule", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill)
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { given.Schedule(onceAYear)(s) })
			w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
			w.AwaitQuiet(ctx)
			w.expectNoLivingPod(ctx, "orders")
		})

		ginkgo.DescribeTable("that no CronJob could have is not accepted, with the field and the way out",
			func(ctx ginkgo.SpecContext, change given.StreamOption, says string) {
				s := w.Given(ctx, "orders", given.Schedule(onceAYear), change)
				refused := w.AwaitCondition(ctx, "orders", streamingv1.ConditionAccepted, metav1.ConditionFalse, streamingv1.ReasonSpecInvalid)
				gomega.Expect(refused.Message).To(gomega.ContainSubstring(says))
				w.AwaitQuiet(ctx)
				gomega.Expect(w.crons(ctx)).To(gomega.BeEmpty())
				gomega.Expect(Told(w.Warnings(ctx, s))).To(gomega.Equal(1))
			},
			ginkgo.Entry("the minute", given.Schedule("61 * * * *"), `spec.schedule: "61 * * * *" is no cron expression`),
			ginkgo.Entry("a zone in the schedule", given.Schedule("TZ=UTC * * * * *"), "use spec.timeZone"),
			ginkgo.Entry("the time zone", given.StreamOption(func(s *streamingv1.Stream) {
				zone := "Atlantis"
				s.Spec.TimeZone = &zone
			}), `spec.timeZone: "Atlantis" is no time zone`),
		)
	})
}

// RunNow starts a run of a stream's schedule, as a user does by hand.
func (w *World) RunNow(ctx context.Context, stream, name string) {
	ginkgo.GinkgoHelper()
	_, err := w.Kubectl(ctx, "create", "job", "--namespace="+w.Namespace, "--from=cronjob/"+w.cron(ctx, stream).Name, name)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}

func (w *World) crons(ctx context.Context) []batchv1.CronJob {
	ginkgo.GinkgoHelper()
	list := &batchv1.CronJobList{}
	gomega.Expect(w.Client.List(ctx, list, client.InNamespace(w.Namespace))).To(gomega.Succeed())
	return list.Items
}

func (w *World) cron(ctx context.Context, stream string) *batchv1.CronJob {
	ginkgo.GinkgoHelper()
	for _, c := range w.crons(ctx) {
		if c.Labels[streamingv1.LabelStreamID] == stream {
			return &c
		}
	}
	ginkgo.Fail("stream " + stream + " has no CronJob")
	return nil
}

// fieldOf is the field that a variable of a pod's first container is read from.
func fieldOf(p *corev1.Pod, name string) string {
	for _, e := range p.Spec.Containers[0].Env {
		if e.Name == name && e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			return e.ValueFrom.FieldRef.FieldPath
		}
	}
	return ""
}
