// Stories that are told side by side, because what they wait for takes its time.

package story

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

// Scene is what happens to one stream. Scenes of one world may be played at the same time.
type Scene struct {
	// Says is its sentence.
	Says string
	// Stream is the stream's name, and that of its own template.
	Stream string
	// Begin makes the stream, and does nothing that takes long.
	Begin func(ctx context.Context, w *World, name string)
	// Middle, where there is one, is what its user does when it runs.
	Middle func(ctx context.Context, w *World, name string)
	// End waits for what becomes of it.
	End func(ctx context.Context, w *World, name string)
}

// Side says how scenes are told.
type Side bool

// Where a node takes seconds for each step, all scenes of a story wait at the same time; elsewhere each has a spec of its own.
const (
	SideBySide Side = true
	OneByOne   Side = false
)

// play tells scenes in worlds that somebody prepares.
func (s Side) play(stage func() *Stage, prepare func(ctx context.Context, w *World), scenes []Scene) {
	if !s {
		for _, scene := range scenes {
			ginkgo.It(scene.Says, func(ctx ginkgo.SpecContext) {
				w := stage().Enter(ctx)
				prepare(ctx, w)
				scene.Begin(ctx, w, scene.Stream)
				scene.middle(ctx, w)
				scene.End(ctx, w, scene.Stream)
			})
		}
		return
	}
	ginkgo.It("ends as it should in each of these scenes", func(ctx ginkgo.SpecContext) {
		w := stage().Enter(ctx)
		prepare(ctx, w)
		for _, scene := range scenes {
			scene.Begin(ctx, w, scene.Stream)
		}
		for _, scene := range scenes {
			scene.middle(ctx, w)
		}
		for _, scene := range scenes {
			ginkgo.By(scene.Says)
			scene.End(ctx, w, scene.Stream)
		}
	})
}

func (s *Scene) middle(ctx context.Context, w *World) {
	if s.Middle != nil {
		s.Middle(ctx, w, s.Stream)
	}
}

// WithTemplate makes a template of the stream's own name first; the options are the template's.
func (w *World) WithTemplate(ctx context.Context, name string, options ...given.TemplateOption) {
	ginkgo.GinkgoHelper()
	w.Create(ctx, given.Template(w.Namespace, name, options...))
}

// KubeletEnds lets the kubelet end a pod's containers, which on a real node it does by itself: for a probe that fails, or a
// limit that is exceeded. It returns the pod.
func (w *World) KubeletEnds(ctx context.Context, stream string, former ...*corev1.Pod) *corev1.Pod {
	ginkgo.GinkgoHelper()
	if w.Player == nil {
		return nil
	}
	pod := w.AwaitPod(ctx, stream, streamingv1.ModeBackfill, former...)
	gomega.Expect(w.Player.Terminate(pod)).To(gomega.Succeed())
	return pod
}

// TheRequest is the name of the only request of a stream.
func (w *World) TheRequest(ctx context.Context, stream string) string {
	ginkgo.GinkgoHelper()
	var name string
	w.Await(ctx, func(g gomega.Gomega) {
		requests := w.Requests(ctx, stream)
		g.Expect(requests).To(gomega.HaveLen(1), stream)
		name = requests[0].Name
	})
	return name
}
