// Scenario 26: streams that run by a schedule.

package story

import (
	"context"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/law"
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
	runsSucceed(stage)
	runsFail(stage)
	runsLast(stage)
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

		ginkgo.It("stops streaming first when I set the schedule", func(ctx ginkgo.SpecContext) {
			w.Given(ctx, "orders", given.NoInitialBackfill)
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
			w.EditStream(ctx, "orders", given.Schedule(onceAYear))
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

// RunNow starts a run of a stream's schedule at the story's own moment. It plays the
// CronJob controller, whose user creates the Job and lists it in the CronJob's status.
// The name tells the runs of one CronJob apart.
func (w *World) RunNow(ctx context.Context, stream, name string) *batchv1.Job {
	ginkgo.GinkgoHelper()
	controller := w.As(law.CronJobController, "system:serviceaccounts", "system:serviceaccounts:kube-system")
	cron := w.cron(ctx, stream)
	// One that is not recorded is made anew, and its runs go with it.
	w.Await(ctx, func(g gomega.Gomega) {
		cron = w.cron(ctx, stream)
		g.Expect(w.Stream(ctx, stream).Status.CronJob).To(gomega.HaveField("UID", cron.UID))
	})
	const minutes = 10_000_000
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.Namespace, Name: fmt.Sprintf("%s-%d", cron.Name, minutes+crc32.ChecksumIEEE([]byte(name))%minutes),
			Labels: cron.Spec.JobTemplate.Labels, Annotations: cron.Spec.JobTemplate.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
		},
		Spec: *cron.Spec.JobTemplate.Spec.DeepCopy(),
	}
	gomega.Expect(controller.Create(ctx, job)).To(gomega.Succeed())
	active := corev1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: job.Namespace, Name: job.Name, UID: job.UID}
	w.Await(ctx, func(g gomega.Gomega) {
		g.Expect(w.Client.Get(ctx, w.Key(cron.Name), cron)).To(gomega.Succeed())
		cron.Status.Active = append(cron.Status.Active, active)
		g.Expect(controller.Status().Update(ctx, cron)).To(gomega.Succeed())
	})
	return job
}

// As is a client that acts as another user.
func (s *Stage) As(user string, groups ...string) client.Client {
	ginkgo.GinkgoHelper()
	cfg, err := s.Cluster.RESTConfig()
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	cfg = rest.CopyConfig(cfg)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	c, err := client.New(cfg, client.Options{Scheme: s.Client.Scheme()})
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return c
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
