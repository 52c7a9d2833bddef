// A container beside the plugin's: what the plugin does is what counts.

package story

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// What the other container does: it never ends by itself, or at once.
var (
	endless = script.Run{RunFor: script.Forever}
	brief   = script.Run{}
)

// Beside tells how pods end whose plugin is not alone.
func Beside(stage func() *Stage, side Side) {
	ginkgo.Describe("A plugin beside a container that does not end", func() {
		side.play(stage, func(ctx context.Context, w *World) {
			w.EditClass(ctx, func(c *streamingv1.StreamClass) {
				given.FailureClass("config", streamingv1.ActionFail, 20)(c)
				given.MainContainerOf(given.Container)(c)
			})
		}, besides())
	})
}

func besides() []Scene {
	var scenes []Scene
	for _, e := range []struct {
		code int
		says string
		end  func(ctx context.Context, w *World, name string)
	}{
		{0, "is completed, and the stream streams", completesBeside},
		{20, "fails the stream at once, with its exit code and failure class", fails(20, "config")},
		{1, "fails the stream where the backoffLimit is used up", fails(1, "")},
		{143, "goes on in another pod", func(ctx context.Context, w *World, name string) {
			w.exitsAgain(ctx, name, streamingv1.ModeBackfill, 0)
			completesBeside(ctx, w, name)
		}},
	} {
		scenes = append(scenes, Scene{
			Says: fmt.Sprintf("exits %d from a backfill, which %s", e.code, e.says), Stream: fmt.Sprintf("backfill-%d", e.code),
			Begin: func(ctx context.Context, w *World, name string) {
				w.WithTemplate(ctx, name, given.BackoffLimit(0), given.Beside("helper", endless))
				w.Given(ctx, name, given.BackfillTemplateOf(name), given.Script(backfills(interrupted())))
			},
			Middle: exits(streamingv1.ModeBackfill, e.code),
			End:    e.end,
		})
	}
	scenes = append(scenes, streamsBeside()...)
	scenes = append(scenes, runsBeside()...)
	return append(scenes, Scene{
		Says: "has run well after healthyAfter where that container ended at once", Stream: "healthy",
		Begin: func(ctx context.Context, w *World, name string) {
			w.WithTemplate(ctx, name, given.BackoffLimit(0), given.Before("helper", brief))
			w.Given(ctx, name, given.TemplateOf(name), given.NoInitialBackfill, given.Restarts(5), given.HealthyAfter(4*time.Second),
				given.Backoff(time.Second, time.Second))
		},
		Middle: exits(streamingv1.ModeStream, 1),
		End: func(ctx context.Context, w *World, name string) {
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Started(ctx, name)).To(gomega.HaveLen(2)) })
			w.Await(ctx, func(g gomega.Gomega) {
				s := w.Stream(ctx, name)
				g.Expect(s.Status.Phase).To(gomega.Equal(streamingv1.StreamRunning), describe(s))
				g.Expect(s.Status.Restarts).To(gomega.BeNil(), describe(s))
			})
			gomega.Expect(w.Started(ctx, name)).To(gomega.HaveLen(2))
		},
	})
}

func streamsBeside() []Scene {
	var scenes []Scene
	for _, e := range []struct {
		code int
		says string
		end  func(ctx context.Context, w *World, name string)
	}{
		{0, "streams again in the next job", func(ctx context.Context, w *World, name string) {
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Started(ctx, name)).To(gomega.HaveLen(2)) })
			w.streamsOn(ctx, name)
		}},
		{20, "fails at once, with its exit code and failure class", fails(20, "config")},
		{1, "fails where the backoffLimit is used up", fails(1, "")},
		{143, "streams on in another pod", func(ctx context.Context, w *World, name string) {
			w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.podsEver(ctx, name)).To(gomega.Equal(2)) })
			w.streamsOn(ctx, name)
		}},
	} {
		scenes = append(scenes, Scene{
			Says: fmt.Sprintf("exits %d from a stream, which %s", e.code, e.says), Stream: fmt.Sprintf("stream-%d", e.code),
			Begin: func(ctx context.Context, w *World, name string) {
				w.WithTemplate(ctx, name, given.BackoffLimit(0), given.Before("helper", endless))
				w.Given(ctx, name, given.TemplateOf(name), given.NoInitialBackfill, given.Backoff(time.Second, time.Second))
			},
			Middle: exits(streamingv1.ModeStream, e.code),
			End:    e.end,
		})
	}
	return scenes
}

func runsBeside() []Scene {
	succeeds := func(ctx context.Context, w *World, name string) {
		w.AwaitCondition(ctx, name, streamingv1.ConditionLastRunFailed, metav1.ConditionFalse, streamingv1.ReasonRunSucceeded)
	}
	thenTheNext := func(ctx context.Context, w *World, name string) {
		succeeds(ctx, w, name)
		w.RunNow(ctx, name, name+"-next")
		w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Started(ctx, name)).To(gomega.HaveLen(2), "the next run comes") })
		w.Exit(ctx, w.AwaitPod(ctx, name, streamingv1.ModeBackfill), 0)
		w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.Stream(ctx, name).Status.Job).To(gomega.BeNil()) })
	}
	failsWith := func(code string) func(ctx context.Context, w *World, name string) {
		return func(ctx context.Context, w *World, name string) {
			w.Await(ctx, func(g gomega.Gomega) {
				s := w.Stream(ctx, name)
				failed := meta.FindStatusCondition(s.Status.Conditions, streamingv1.ConditionLastRunFailed)
				g.Expect(failed).NotTo(gomega.BeNil(), describe(s))
				g.Expect(failed.Status).To(gomega.Equal(metav1.ConditionTrue), describe(s))
				g.Expect(failed.Message).To(gomega.ContainSubstring(code))
				g.Expect(s.Status.Job).To(gomega.BeNil(), "the next run may come")
			})
		}
	}
	var scenes []Scene
	for _, e := range []struct {
		code int
		says string
		end  func(ctx context.Context, w *World, name string)
	}{
		{0, "has succeeded, and the next one comes", thenTheNext},
		{20, "has failed", failsWith("20")},
		{1, "has failed", failsWith("1")},
		{143, "goes on in another pod", func(ctx context.Context, w *World, name string) {
			w.exitsAgain(ctx, name, streamingv1.ModeBackfill, 0)
			succeeds(ctx, w, name)
		}},
	} {
		scenes = append(scenes, Scene{
			Says: fmt.Sprintf("exits %d from a run of a schedule, which %s", e.code, e.says), Stream: fmt.Sprintf("run-%d", e.code),
			Begin: func(ctx context.Context, w *World, name string) {
				w.runsByHand(ctx, name, backfills(interrupted()), given.BackoffLimit(0), given.Beside("helper", endless))
			},
			Middle: exits(streamingv1.ModeBackfill, e.code),
			End:    e.end,
		})
	}
	return scenes
}

// exits lets the plugin of a stream's first pod exit.
func exits(mode streamingv1.Mode, code int) func(ctx context.Context, w *World, name string) {
	return func(ctx context.Context, w *World, name string) {
		ginkgo.GinkgoHelper()
		w.Exit(ctx, w.AwaitPod(ctx, name, mode), code)
	}
}

// exitsAgain waits for the pod that takes the place of the first, and lets its plugin exit.
func (w *World) exitsAgain(ctx context.Context, name string, mode streamingv1.Mode, code int) {
	ginkgo.GinkgoHelper()
	w.Await(ctx, func(g gomega.Gomega) { g.Expect(w.podsEver(ctx, name)).To(gomega.Equal(2)) })
	w.Exit(ctx, w.AwaitPod(ctx, name, mode), code)
}

// completesBeside: the request is completed, and nothing of the backfill is there any more.
func completesBeside(ctx context.Context, w *World, name string) {
	ginkgo.GinkgoHelper()
	completesAtOnce(ctx, w, name)
	w.Await(ctx, func(g gomega.Gomega) {
		g.Expect(w.Jobs(ctx, name)).To(gomega.HaveLen(1), "the backfill's job would never end")
	})
}

func (w *World) streamsOn(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	w.AwaitPod(ctx, name, streamingv1.ModeStream)
	w.AwaitPhase(ctx, name, streamingv1.StreamRunning)
	gomega.Expect(w.PhasesEver(ctx, name)).NotTo(gomega.ContainElement(streamingv1.StreamFailed))
}

// fails waits for a failure with an exit code and a class.
func fails(code int32, class string) func(ctx context.Context, w *World, name string) {
	return func(ctx context.Context, w *World, name string) {
		ginkgo.GinkgoHelper()
		s := w.AwaitPhase(ctx, name, streamingv1.StreamFailed)
		gomega.Expect(s.Status.Failure.ExitCode).To(gomega.HaveValue(gomega.Equal(code)))
		gomega.Expect(s.Status.Failure.FailureClass).To(gomega.Equal(class))
		gomega.Expect(w.Started(ctx, name)).To(gomega.HaveLen(1))
		w.expectNoLivingPod(ctx, name)
	}
}
