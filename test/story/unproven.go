// Exit code 0 of a plugin that the kubelet has ended: no backfill is completed by it.

package story

import (
	"context"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// theWayOut is the field that the message of an unproven completion names.
const theWayOut = "spec.completion"

// fills is more than the limits of these stories allow.
var fills = script.Fill{Path: given.Scratch + "/filling", Mebibytes: 8}

// interrupted is a run that does not end by itself, and exits 0 on SIGTERM as though it had.
func interrupted() script.Run { return script.Run{RunFor: script.Forever} }

func filling() script.Run { return script.Run{RunFor: script.Forever, Fill: fills} }

// marking is a run that does its work at once and marks that.
func marking() script.Run { return script.Run{Mark: streamingv1.DefaultTerminationMessage} }

// backfilling makes a stream whose backfills use a template of their own: streaming shall not end for what ends them.
func (w *World) backfilling(ctx context.Context, name string, source func(*script.Source), options ...given.TemplateOption) {
	ginkgo.GinkgoHelper()
	w.WithTemplate(ctx, name, options...)
	w.Given(ctx, name, given.BackfillTemplateOf(name), given.Script(source))
}

// runsByHand makes a stream whose runs by a schedule use a template of their own, and starts one.
func (w *World) runsByHand(ctx context.Context, name string, source func(*script.Source), options ...given.TemplateOption) {
	ginkgo.GinkgoHelper()
	w.WithTemplate(ctx, name, options...)
	w.Given(ctx, name, given.TemplateOf(name), given.BackfillTemplateOf(name), given.Schedule(onceAYear), given.Script(source))
	w.AwaitPhase(ctx, name, streamingv1.StreamScheduled)
	w.RunNow(ctx, name, name+"-run")
}

// backfills sets what backfills do.
func backfills(run script.Run) func(*script.Source) {
	return func(s *script.Source) { s.Backfill = run }
}

// thenMarks lets the backfills after the one that runs give the mark. A change of the spec waits for the end of that one.
func (w *World) thenMarks(ctx context.Context, name string) *corev1.Pod {
	ginkgo.GinkgoHelper()
	pod := w.AwaitPod(ctx, name, streamingv1.ModeBackfill)
	w.EditStream(ctx, name, given.Script(backfills(marking())))
	w.AwaitCondition(ctx, name, streamingv1.ConditionChangePending, metav1.ConditionTrue, streamingv1.ReasonChangeWaits)
	return pod
}

// Unproven tells what follows where a plugin exits 0 and nobody can tell whether its work is done.
func Unproven(stage func() *Stage, side Side) {
	ginkgo.Describe("A backfill that exits 0 and whose class declares no mark of completion,", func() {
		side.play(stage, func(context.Context, *World) {}, unmarked())
	})
	ginkgo.Describe("A backfill that exits 0 in a namespace whose LimitRange limits its storage", func() {
		side.play(stage, func(ctx context.Context, w *World) { w.Create(ctx, given.LimitRange(w.Namespace, "2Mi")) }, limited())
	})
	ginkgo.Describe("A backfill whose class declares that a line of its termination message marks its completion", func() {
		side.play(stage, func(ctx context.Context, w *World) {
			w.EditClass(ctx, given.Completion(streamingv1.MarkTerminationMessage))
		}, marked())
	})
	if side == SideBySide {
		return // The rest is about a word in a class, for which no node is needed.
	}
	ginkgo.Describe("A backfill whose class declares that exit code 0 marks its completion", func() {
		side.play(stage, func(ctx context.Context, w *World) {
			w.EditClass(ctx, given.Completion(streamingv1.MarkExitCode))
		}, []Scene{{
			Says: "is completed by it, whatever could have ended the container", Stream: "believed",
			Begin: func(ctx context.Context, w *World, name string) {
				w.backfilling(ctx, name, backfills(script.Run{}), given.PatientLivenessProbe, given.StorageLimit("1Gi"))
			},
			End: completesAtOnce,
		}})
	})
}

// unmarked are the ways in which the kubelet may have ended a container without a trace.
func unmarked() []Scene {
	scene := func(says, stream string, run script.Run, names string, options ...given.TemplateOption) Scene {
		return Scene{
			Says: says, Stream: stream,
			Begin: func(ctx context.Context, w *World, name string) { w.backfilling(ctx, name, backfills(run), options...) },
			End: func(ctx context.Context, w *World, name string) {
				w.KubeletEnds(ctx, name)
				w.failsUnproven(ctx, name, names)
			},
		}
	}
	return []Scene{
		scene("ended for its liveness probe, is not completed", "liveness", interrupted(), "livenessProbe", given.FailingLivenessProbe),
		scene("ended for its startup probe, is not completed", "startup", interrupted(), "startupProbe", given.FailingStartupProbe),
		scene("ended for the limit of its emptyDir, is not completed", "volume", filling(), "sizeLimit", given.ScratchVolume("2Mi")),
		scene("ended for the limit of its storage, is not completed", "storage", filling(), "ephemeral-storage", given.ScratchVolume(""), given.StorageLimit("2Mi")),
		{
			Says: "done, is not completed either where a probe could have ended it, and is when I take the probe out", Stream: "done",
			Begin: func(ctx context.Context, w *World, name string) {
				w.backfilling(ctx, name, backfills(script.Run{}), given.PatientLivenessProbe)
			},
			End: func(ctx context.Context, w *World, name string) {
				w.failsUnproven(ctx, name, "livenessProbe")
				w.Suspend(ctx, name)
				w.AwaitPhase(ctx, name, streamingv1.StreamSuspended)
				w.EditTemplate(ctx, name, func(t *streamingv1.StreamingJobTemplate) {
					t.Spec.Spec.Template.Spec.Containers[0].LivenessProbe = nil
				})
				w.Resume(ctx, name)
				w.AwaitCompleted(ctx, w.TheRequest(ctx, name))
				w.AwaitPod(ctx, name, streamingv1.ModeStream)
			},
		},
		{
			Says: "of a schedule, is a run that has failed", Stream: "nightly",
			Begin: func(ctx context.Context, w *World, name string) {
				w.runsByHand(ctx, name, backfills(interrupted()), given.FailingLivenessProbe)
			},
			End: func(ctx context.Context, w *World, name string) {
				w.KubeletEnds(ctx, name)
				w.runFails(ctx, name, "livenessProbe")
			},
		},
	}
}

// limited are backfills that nobody but the LimitRange has limited.
func limited() []Scene {
	return []Scene{
		{
			Says: "is not completed", Stream: "orders",
			Begin: func(ctx context.Context, w *World, name string) {
				w.backfilling(ctx, name, backfills(filling()), given.ScratchVolume(""))
			},
			End: func(ctx context.Context, w *World, name string) {
				w.KubeletEnds(ctx, name)
				w.failsUnproven(ctx, name, "ephemeral-storage")
			},
		},
		{
			Says: "of a schedule, is a run that has failed", Stream: "nightly",
			Begin: func(ctx context.Context, w *World, name string) {
				w.runsByHand(ctx, name, backfills(filling()), given.ScratchVolume(""))
			},
			End: func(ctx context.Context, w *World, name string) {
				w.KubeletEnds(ctx, name)
				w.runFails(ctx, name, "ephemeral-storage")
			},
		},
	}
}

// marked are backfills with and without the mark.
func marked() []Scene {
	hastened := script.Run{
		RunFor: script.Forever, Mark: streamingv1.DefaultTerminationMessage, OnSigterm: script.Signal{Finish: true},
	}
	return []Scene{
		{
			Says: "runs again with the same id when it was ended for a limit, and is completed by the mark", Stream: "volume",
			Begin: func(ctx context.Context, w *World, name string) {
				w.backfilling(ctx, name, backfills(filling()), given.ScratchVolume("2Mi"))
			},
			Middle: func(ctx context.Context, w *World, name string) { w.thenMarks(ctx, name) },
			End: func(ctx context.Context, w *World, name string) {
				w.KubeletEnds(ctx, name)
				w.resumeAfterALostEnd(ctx, name)
				w.completesAfter(ctx, name, streamingv1.AttemptUnproven, streamingv1.AttemptFailed)
			},
		},
		{
			Says: "fails when it was ended for its probe three times, and is completed when I correct and resume the stream", Stream: "liveness",
			Begin: func(ctx context.Context, w *World, name string) {
				w.backfilling(ctx, name, backfills(interrupted()), given.FailingLivenessProbe)
			},
			End: func(ctx context.Context, w *World, name string) {
				var former []*corev1.Pod
				for range 3 {
					former = append(former, w.KubeletEnds(ctx, name, former...))
				}
				w.failsAfterThree(ctx, name)
				w.correct(ctx, name)
			},
		},
		{
			Says: "fails when it never gives the mark", Stream: "silent",
			Begin: func(ctx context.Context, w *World, name string) { w.backfilling(ctx, name, backfills(script.Run{})) },
			End: func(ctx context.Context, w *World, name string) {
				w.failsAfterThree(ctx, name)
				w.correct(ctx, name)
			},
		},
		{
			Says: "is completed by the mark although its probe failed", Stream: "hastened",
			Begin: func(ctx context.Context, w *World, name string) {
				w.backfilling(ctx, name, backfills(hastened), given.FailingLivenessProbe)
			},
			End: func(ctx context.Context, w *World, name string) {
				w.KubeletEnds(ctx, name)
				completesAtOnce(ctx, w, name)
			},
		},
		{
			Says: "is completed by the mark although its pod was deleted meanwhile", Stream: "deleted",
			Begin: func(ctx context.Context, w *World, name string) { w.backfilling(ctx, name, backfills(hastened)) },
			Middle: func(ctx context.Context, w *World, name string) {
				w.Delete(ctx, w.AwaitPod(ctx, name, streamingv1.ModeBackfill))
			},
			End: completesAtOnce,
		},
		{
			Says: "was interrupted when its pod was deleted and gave no mark", Stream: "cut-short",
			Begin: func(ctx context.Context, w *World, name string) {
				w.backfilling(ctx, name, backfills(interrupted()))
			},
			Middle: func(ctx context.Context, w *World, name string) { w.Delete(ctx, w.thenMarks(ctx, name)) },
			End: func(ctx context.Context, w *World, name string) {
				w.completesAfter(ctx, name, streamingv1.AttemptInterrupted)
			},
		},
		{
			Says: "of a schedule, is a run that has failed where it gives no mark", Stream: "nightly",
			Begin: func(ctx context.Context, w *World, name string) {
				w.runsByHand(ctx, name, backfills(interrupted()), given.FailingStartupProbe)
			},
			End: func(ctx context.Context, w *World, name string) {
				w.KubeletEnds(ctx, name)
				w.runFails(ctx, name, streamingv1.DefaultTerminationMessage)
			},
		},
		{
			Says: "of a schedule, is a run that has succeeded where it gives the mark", Stream: "weekly",
			Begin: func(ctx context.Context, w *World, name string) {
				w.runsByHand(ctx, name, backfills(marking()), given.PatientLivenessProbe)
			},
			End: func(ctx context.Context, w *World, name string) {
				w.AwaitCondition(ctx, name, streamingv1.ConditionLastRunFailed, metav1.ConditionFalse, streamingv1.ReasonRunSucceeded)
			},
		},
	}
}

// failsUnproven: once is enough where running again could prove no more.
func (w *World) failsUnproven(ctx context.Context, name, names string) {
	ginkgo.GinkgoHelper()
	s := w.AwaitPhase(ctx, name, streamingv1.StreamFailed)
	if !isLost(s.Status.Failure.Message) {
		gomega.Expect(s.Status.Failure.Reason).To(gomega.Equal(string(streamingv1.ReasonCompletionUnproven)))
		gomega.Expect(s.Status.Failure.Message).To(gomega.And(gomega.ContainSubstring(names), gomega.ContainSubstring(theWayOut)))
	}
	r := w.AwaitRequest(ctx, w.TheRequest(ctx, name), streamingv1.RequestFailed)
	gomega.Expect(r.Spec.Completed).To(gomega.BeFalse())
	gomega.Expect(w.Started(ctx, name)).To(gomega.HaveLen(1))
}

// isLost tells whether the kubelet does not know how a container ended: it removes those of a
// pod that it evicts as soon as they are dead, now and then before it has read their exit
// code, and calls it 137 then (ContainerStatusUnknown). Such an end is a failure like any other.
func isLost(message string) bool { return strings.Contains(message, "could not be located") }

// resumeAfterALostEnd does what a user does about a backfill whose end the kubelet has lost.
func (w *World) resumeAfterALostEnd(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	var first streamingv1.AttemptResult
	w.Await(ctx, func(g gomega.Gomega) {
		attempts := w.Requests(ctx, name)[0].Status.Attempts
		g.Expect(attempts).NotTo(gomega.BeEmpty())
		first = attempts[0].Result
	})
	if first != streamingv1.AttemptFailed {
		return
	}
	s := w.AwaitPhase(ctx, name, streamingv1.StreamFailed)
	gomega.Expect(s.Status.Failure.Message).To(gomega.Satisfy(isLost), s.Status.Failure.Message)
	w.Suspend(ctx, name)
	w.AwaitPhase(ctx, name, streamingv1.StreamSuspended)
	w.Resume(ctx, name)
}

func (w *World) failsAfterThree(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	s := w.AwaitPhase(ctx, name, streamingv1.StreamFailed)
	gomega.Expect(s.Status.Failure.Reason).To(gomega.Equal(string(streamingv1.ReasonCompletionUnproven)))
	gomega.Expect(s.Status.Failure.Message).To(gomega.ContainSubstring(streamingv1.DefaultTerminationMessage))
	r := w.AwaitRequest(ctx, w.TheRequest(ctx, name), streamingv1.RequestFailed)
	var results []streamingv1.AttemptResult
	for _, attempt := range r.Status.Attempts {
		results = append(results, attempt.Result)
	}
	gomega.Expect(results).To(gomega.Equal([]streamingv1.AttemptResult{
		streamingv1.AttemptUnproven, streamingv1.AttemptUnproven, streamingv1.AttemptFailed,
	}), "the third in a row is a failure")
	gomega.Expect(w.Started(ctx, name)).To(gomega.HaveLen(3))
}

// correct lets the backfill of a failed stream give its mark.
func (w *World) correct(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	w.Suspend(ctx, name)
	w.AwaitPhase(ctx, name, streamingv1.StreamSuspended)
	w.EditStream(ctx, name, given.Script(backfills(marking())))
	w.Resume(ctx, name)
	w.AwaitCompleted(ctx, w.TheRequest(ctx, name))
	w.AwaitPod(ctx, name, streamingv1.ModeStream)
}

// completesAtOnce: by its first run.
func completesAtOnce(ctx context.Context, w *World, name string) {
	ginkgo.GinkgoHelper()
	w.AwaitCompleted(ctx, w.TheRequest(ctx, name))
	w.AwaitPod(ctx, name, streamingv1.ModeStream)
	gomega.Expect(w.Modes(ctx, name)).To(gomega.Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
}

// completesAfter: by its second run, which has the id of the first, after one of these results.
func (w *World) completesAfter(ctx context.Context, name string, results ...streamingv1.AttemptResult) {
	ginkgo.GinkgoHelper()
	r := w.AwaitCompleted(ctx, w.TheRequest(ctx, name))
	gomega.Expect(r.Status.Attempts).NotTo(gomega.BeEmpty())
	gomega.Expect(results).To(gomega.ContainElement(r.Status.Attempts[0].Result))
	w.AwaitPod(ctx, name, streamingv1.ModeStream)
	started := w.Started(ctx, name)
	gomega.Expect(started).To(gomega.HaveLen(3))
	for _, j := range started[:2] {
		gomega.Expect(j.Annotations).To(gomega.HaveKeyWithValue(streamingv1.AnnotationRequestUID, string(r.UID)))
	}
}

func (w *World) runFails(ctx context.Context, name, names string) {
	ginkgo.GinkgoHelper()
	w.Await(ctx, func(g gomega.Gomega) {
		s := w.Stream(ctx, name)
		failed := meta.FindStatusCondition(s.Status.Conditions, streamingv1.ConditionLastRunFailed)
		g.Expect(failed).NotTo(gomega.BeNil(), describe(s))
		g.Expect(failed.Status).To(gomega.Equal(metav1.ConditionTrue), describe(s))
		g.Expect(failed.Message).To(gomega.Satisfy(func(m string) bool { return strings.Contains(m, names) || isLost(m) }), failed.Message)
		g.Expect(s.Status.Job).To(gomega.BeNil(), "the next run may come")
	})
	gomega.Expect(w.Started(ctx, name)).To(gomega.HaveLen(1))
	gomega.Expect(w.PhasesEver(ctx, name)).NotTo(gomega.ContainElement(streamingv1.StreamFailed))
}
