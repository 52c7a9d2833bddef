// Scenario 16: what a change restarts, and what it does not.

package integration_test

import (
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var _ = Describe("A running stream", func() {
	var w *story.World
	var first *corev1.Pod
	BeforeEach(func(ctx SpecContext) {
		w = stage().Enter(ctx)
		w.Given(ctx, "orders", given.NoInitialBackfill)
		first = w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	})

	DescribeTable("is restarted once",
		func(ctx SpecContext, change func(ctx SpecContext, w *story.World)) {
			change(ctx, w)
			w.AwaitPod(ctx, "orders", streamingv1.ModeStream, first)
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			w.AwaitQuiet(ctx)
			Expect(w.Started(ctx, "orders")).To(HaveLen(2))
		},
		Entry("when I change its source", func(ctx SpecContext, w *story.World) {
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) {
				given.Script(func(s *script.Source) { s.Stream.OnSigterm.After = script.Duration(time.Millisecond) })(s)
			})
		}),
		Entry("when I change its sink", func(ctx SpecContext, w *story.World) {
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { s.Spec.Sink.Raw = []byte(`{"bucket":"file:///elsewhere"}`) })
		}),
		Entry("when I change its template", func(ctx SpecContext, w *story.World) {
			w.EditTemplate(ctx, story.Template, given.Environment("COLOUR", "blue"))
		}),
		Entry("when I give it another template", func(ctx SpecContext, w *story.World) {
			w.Create(ctx, given.Template(w.Namespace, "other", given.Environment("COLOUR", "red")))
			w.EditStream(ctx, "orders", given.TemplateOf("other"))
		}),
		Entry("when I ask for a restart by the annotation", func(ctx SpecContext, w *story.World) {
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) {
				metav1.SetMetaDataAnnotation(&s.ObjectMeta, streamingv1.AnnotationRestartedAt, "now")
			})
		}),
	)

	DescribeTable("runs on undisturbed",
		func(ctx SpecContext, change func(ctx SpecContext, w *story.World)) {
			change(ctx, w)
			w.AwaitQuiet(ctx)
			Expect(w.Started(ctx, "orders")).To(HaveLen(1))
			now, err := w.RunningPod(ctx, "orders", streamingv1.ModeStream)
			Expect(err).NotTo(HaveOccurred())
			Expect(now.UID).To(Equal(first.UID))
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		},
		Entry("when I edit a label", func(ctx SpecContext, w *story.World) {
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { metav1.SetMetaDataLabel(&s.ObjectMeta, "team", "sales") })
		}),
		Entry("when I edit an annotation of no meaning", func(ctx SpecContext, w *story.World) {
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, "team", "sales") })
		}),
		Entry("when I apply the same again", func(ctx SpecContext, w *story.World) {
			manifest, err := json.Marshal(given.Stream(w.Namespace, "orders", w.Class, given.NoInitialBackfill))
			Expect(err).NotTo(HaveOccurred())
			target := &streamingv1.Stream{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "orders"}}
			Expect(w.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, manifest))).To(Succeed())
		}),
		Entry("when I change how it restarts", func(ctx SpecContext, w *story.World) {
			w.EditStream(ctx, "orders", given.Backoff(time.Minute, time.Hour))
		}),
		Entry("when I change how it backfills", func(ctx SpecContext, w *story.World) {
			w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { s.Spec.Backfill.OnSpecChange = streamingv1.OnSpecChangeRestart })
		}),
		Entry("when I give its backfills another template", func(ctx SpecContext, w *story.World) {
			w.Create(ctx, given.Template(w.Namespace, "big", given.Environment("SIZE", "big")))
			w.EditStream(ctx, "orders", given.BackfillTemplateOf("big"))
		}),
		Entry("when the operator is restarted", func(ctx SpecContext, w *story.World) {
			w.RestartOperator(ctx)
		}),
	)
})

var _ = Describe("A backfilling stream whose source I change", func() {
	var w *story.World
	var backfill *corev1.Pod
	prepare := func(ctx SpecContext, options ...given.StreamOption) {
		w = stage().Enter(ctx)
		endless := given.Script(func(s *script.Source) { s.Backfill.RunFor = script.Forever })
		w.Given(ctx, "orders", append(options, endless)...)
		backfill = w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		w.EditStream(ctx, "orders", given.Source(script.Default()))
	}

	It("finishes its backfill first and says that a change waits", func(ctx SpecContext) {
		prepare(ctx)
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionChangePending, metav1.ConditionTrue, streamingv1.ReasonChangeWaits)
		w.AwaitQuiet(ctx)
		Expect(w.Started(ctx, "orders")).To(HaveLen(1))
		Expect(w.Player.Exit(backfill, 0)).To(Succeed())
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{streamingv1.ModeBackfill, streamingv1.ModeStream}))
	})

	It("starts its backfill anew for the same request where I want that", func(ctx SpecContext) {
		prepare(ctx, func(s *streamingv1.Stream) {
			s.Spec.Backfill = &streamingv1.BackfillSpec{OnSpecChange: streamingv1.OnSpecChangeRestart}
		})
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.Modes(ctx, "orders")).To(Equal([]streamingv1.Mode{
			streamingv1.ModeBackfill, streamingv1.ModeBackfill, streamingv1.ModeStream,
		}))
		Expect(w.RequestsEver(ctx, "orders")).To(Equal(1))
	})
})
