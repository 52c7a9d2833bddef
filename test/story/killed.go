// Scenario 24: the operator is killed, whatever phase a stream is in.

package story

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// A stream in each phase; each is named by what it is doing when the operator dies.
const (
	pendingStream     = "pending"
	backfillingStream = "backfilling"
	betweenStream     = "between"
	runningStream     = "running"
	suspendingStream  = "suspending"
	failedStream      = "failed"
)

// fleet is a stream in each phase, and of those that run their pods.
type fleet struct {
	*World
	backfill, between, running *corev1.Pod
}

// Killed tells what an operator finds that comes after one that was killed.
func Killed(stage func() *Stage) {
	ginkgo.Describe("An operator that comes after one that was killed", func() {
		ginkgo.It("takes on each stream, whatever phase it was in, and brings it to its own end", func(ctx ginkgo.SpecContext) {
			f := &fleet{World: stage().Enter(ctx)}
			f.assemble(ctx)
			f.suspendSlowly(ctx)
			f.KillOperator(ctx)
			f.expectPhases(ctx, map[string]streamingv1.StreamPhase{
				pendingStream: streamingv1.StreamPending, backfillingStream: streamingv1.StreamBackfilling,
				betweenStream: streamingv1.StreamPending, runningStream: streamingv1.StreamRunning,
				suspendingStream: streamingv1.StreamPending, failedStream: streamingv1.StreamFailed,
			})
			f.StartOperator(ctx)
			f.AwaitPhase(ctx, suspendingStream, streamingv1.StreamSuspended)
			f.AwaitQuiet(ctx)
			f.expectPhases(ctx, map[string]streamingv1.StreamPhase{
				pendingStream: streamingv1.StreamPending, backfillingStream: streamingv1.StreamBackfilling,
				betweenStream: streamingv1.StreamPending, runningStream: streamingv1.StreamRunning,
				suspendingStream: streamingv1.StreamSuspended, failedStream: streamingv1.StreamFailed,
			})
			f.expectUndisturbed(ctx, backfillingStream, f.backfill)
			f.expectUndisturbed(ctx, runningStream, f.running)
			f.lead(ctx)
			f.expectEnds(ctx)
		})
	})
}

// assemble brings all streams but the suspending one into their phases.
func (f *fleet) assemble(ctx context.Context) {
	ginkgo.GinkgoHelper()
	f.SetTemplate(ctx, given.BackoffLimit(0))
	f.Create(ctx, given.Template(f.Namespace, "short-lived"))
	endless := given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever })
	f.Given(ctx, pendingStream, given.NoInitialBackfill, given.TemplateOf("later"))
	f.Given(ctx, backfillingStream, endless)
	f.Given(ctx, betweenStream, endless, given.TemplateOf("short-lived"))
	f.Given(ctx, runningStream, given.NoInitialBackfill)
	f.Given(ctx, suspendingStream, given.NoInitialBackfill,
		given.Script(func(s *script.Source) { s.Stream.OnSigterm.After = script.Duration(4 * time.Second) }))
	f.Given(ctx, failedStream, given.NoInitialBackfill, given.Script(failsAtOnce))

	f.backfill = f.AwaitPod(ctx, backfillingStream, streamingv1.ModeBackfill)
	f.between = f.AwaitPod(ctx, betweenStream, streamingv1.ModeBackfill)
	f.running = f.AwaitPod(ctx, runningStream, streamingv1.ModeStream)
	f.AwaitPod(ctx, suspendingStream, streamingv1.ModeStream)
	f.AwaitPhase(ctx, failedStream, streamingv1.StreamFailed)
	// Without its template the stream stays between the end of its backfill and streaming.
	f.Delete(ctx, given.Template(f.Namespace, "short-lived"))
	f.AwaitCondition(ctx, betweenStream, streamingv1.ConditionAccepted, "False", streamingv1.ReasonTemplateNotFound)
	f.Exit(ctx, f.between, 0)
	f.AwaitCompleted(ctx, f.initial(ctx, betweenStream))
	f.AwaitPhase(ctx, betweenStream, streamingv1.StreamPending)
	f.AwaitPhase(ctx, backfillingStream, streamingv1.StreamBackfilling)
	f.AwaitPhase(ctx, runningStream, streamingv1.StreamRunning)
	f.AwaitQuiet(ctx)
}

// suspendSlowly returns while the suspended stream's pod still winds up.
func (f *fleet) suspendSlowly(ctx context.Context) {
	ginkgo.GinkgoHelper()
	f.Suspend(ctx, suspendingStream)
	f.Await(ctx, func(g gomega.Gomega) {
		pods := f.Pods(ctx, suspendingStream)
		g.Expect(pods).To(gomega.HaveLen(1))
		g.Expect(pods[0].DeletionTimestamp).NotTo(gomega.BeNil())
	})
}

// lead gives each stream what it waits for.
func (f *fleet) lead(ctx context.Context) {
	ginkgo.GinkgoHelper()
	f.Create(ctx, given.Template(f.Namespace, "later"))
	f.Create(ctx, given.Template(f.Namespace, "short-lived"))
	f.Exit(ctx, f.backfill, 0)
	f.Resume(ctx, suspendingStream)
	for _, name := range []string{pendingStream, backfillingStream, betweenStream, suspendingStream} {
		f.AwaitPod(ctx, name, streamingv1.ModeStream)
		f.AwaitPhase(ctx, name, streamingv1.StreamRunning)
	}
	f.AwaitQuiet(ctx)
}

func (f *fleet) expectEnds(ctx context.Context) {
	ginkgo.GinkgoHelper()
	backfill, stream := streamingv1.ModeBackfill, streamingv1.ModeStream
	for name, modes := range map[string][]streamingv1.Mode{
		pendingStream: {stream}, backfillingStream: {backfill, stream}, betweenStream: {backfill, stream},
		runningStream: {stream}, suspendingStream: {stream, stream}, failedStream: {stream},
	} {
		gomega.Expect(f.Modes(ctx, name)).To(gomega.Equal(modes), name)
	}
	for _, name := range []string{backfillingStream, betweenStream} {
		f.AwaitCompleted(ctx, f.initial(ctx, name))
		gomega.Expect(f.RequestsEver(ctx, name)).To(gomega.Equal(1), name)
	}
	f.expectUndisturbed(ctx, runningStream, f.running)
	failed := f.AwaitPhase(ctx, failedStream, streamingv1.StreamFailed)
	gomega.Expect(Told(f.Warnings(ctx, failed))).To(gomega.Equal(1), "the failure is told once")
}

// expectPhases looks at the phases as they are now.
func (f *fleet) expectPhases(ctx context.Context, phases map[string]streamingv1.StreamPhase) {
	ginkgo.GinkgoHelper()
	for name, phase := range phases {
		s := f.Stream(ctx, name)
		gomega.Expect(s.Status.Phase).To(gomega.Equal(phase), describe(s))
	}
}

func (f *fleet) expectUndisturbed(ctx context.Context, name string, before *corev1.Pod) {
	ginkgo.GinkgoHelper()
	pods := f.Pods(ctx, name)
	gomega.Expect(pods).To(gomega.HaveLen(1), name)
	gomega.Expect(pods[0].UID).To(gomega.Equal(before.UID), name)
	gomega.Expect(pods[0].Status.Phase).To(gomega.Equal(corev1.PodRunning), name)
}

// initial is the name of the only request of a stream.
func (f *fleet) initial(ctx context.Context, name string) string {
	ginkgo.GinkgoHelper()
	requests := f.Requests(ctx, name)
	gomega.Expect(requests).To(gomega.HaveLen(1), name)
	return requests[0].Name
}
