// Package gitops_test shows what GitOps tools find in a cluster: the objects as the operator writes them in every phase,
// which test/gitops judges as Argo CD and Flux do, and the differences between a manifest and the object that came of it.
package gitops_test

import (
	"context"
	"flag"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var update = flag.Bool("update", false, "write the objects of test/gitops anew")

func TestGitOps(t *testing.T) {
	story.Prepare(t, "api", "cmd", "config", "helm-charts", "internal", "webhooks", "test/gitops/testdata")
	RunSpecs(t, "GitOps")
}

// formerly is the namespace of what was written before there were webhooks.
const formerly = "formerly"

var stage *story.Stage

var _ = BeforeSuite(func(ctx SpecContext) {
	binary := story.Build(ctx)
	stage = story.Raise(ctx, "gitops")
	// After an uninstall the kinds are there without the webhooks, which would refuse these.
	Expect(stage.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: formerly}})).To(Succeed())
	Expect(stage.Client.Create(ctx, given.Class("contradictory", story.Template,
		given.FailureClass("late", streamingv1.ActionFail, 20), given.FailureClass("early", streamingv1.ActionIgnore, 20)))).To(Succeed())
	Expect(stage.Client.Create(ctx, plugin(formerly, "contradictory-plugin", func(p *streamingv1.StreamPlugin) {
		p.Spec.VolumeMounts = []corev1.VolumeMount{{Name: "sink", MountPath: "/sink"}}
	}))).To(Succeed())
	admission, err := stage.InstallAdmission(ctx)
	Expect(err).NotTo(HaveOccurred())
	operator := stage.Employ(binary, admission)
	Expect(operator.Start(ctx)).To(Succeed())
})

// enter begins a world whose class and template the webhooks know: their caches hear of them a moment after they were
// created.
func enter(ctx context.Context) *story.World {
	GinkgoHelper()
	w := stage.Enter(ctx)
	awaitKnown(ctx, w, given.Stream(w.Namespace, "probe", w.Class))
	return w
}

// awaitKnown waits until the webhooks know the class and the template of a stream.
func awaitKnown(ctx context.Context, w *story.World, s *streamingv1.Stream) {
	GinkgoHelper()
	w.Await(ctx, func(g Gomega) {
		probe := s.DeepCopy()
		g.Expect(w.Client.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		g.Expect(probe.Spec.PodFailurePolicy).NotTo(BeNil())
	})
}

// plugin is a StreamPlugin that has not been created yet.
func plugin(namespace, class string, changes ...func(*streamingv1.StreamPlugin)) *streamingv1.StreamPlugin {
	p := &streamingv1.StreamPlugin{
		TypeMeta:   metav1.TypeMeta{APIVersion: streamingv1.GroupVersion.String(), Kind: streamingv1.KindStreamPlugin},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "postgres"},
		Spec: streamingv1.StreamPluginSpec{
			Preset: streamingv1.PresetPostgres, Image: "registry.example.com/arcane-plugin-postgres:v1", ClassName: class,
		},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}
