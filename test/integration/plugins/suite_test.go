// Package plugins_test lets StreamPlugins be created, changed and deleted while the operator, with the rights of its own
// service account, its webhooks and its policy, stands beside a real API server. No pods run.
package plugins_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func TestPlugins(t *testing.T) {
	story.Prepare(t, "api", "cmd", "config", "helm-charts", "internal", "webhooks")
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(time.Minute)
	RunSpecs(t, "Plugins")
}

// period is how often the operator looks at a StreamPlugin again here.
const period = 2 * time.Second

var (
	stage *story.Stage
	// whole is the audit log of the whole run.
	whole *law.AuditLog
)

var _ = BeforeSuite(func(ctx SpecContext) {
	binary := story.Build(ctx)
	stage = story.Raise(ctx, "plugins")
	admission, err := stage.InstallAdmission(ctx)
	Expect(err).NotTo(HaveOccurred())
	whole, err = law.NewAuditLog(stage.Cluster.AuditLog(), "")
	Expect(err).NotTo(HaveOccurred())
	operator := stage.Employ(binary, admission, "--stream-plugin-period="+period.String())
	Expect(operator.Start(ctx)).To(Succeed())
})

// world is a namespace of one spec's own.
type world struct {
	namespace string
	// class is the name of the StreamClass that the StreamPlugin installs.
	class string
}

// enter makes a namespace, which goes with all that is in it when the spec ends.
func enter(ctx context.Context) world {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "plugin-"}}
	Expect(stage.Client.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(stage.Client.Delete(ctx, namespace))).To(Succeed())
	})
	return world{namespace: namespace.Name, class: "class-of-" + namespace.Name}
}

// image of the plugin; nothing runs it here.
const image = "registry.example.com/arcane-plugin-postgres:v1"

// plugin is a StreamPlugin that has not been created yet.
func (w world) plugin(changes ...func(*streamingv1.StreamPlugin)) *streamingv1.StreamPlugin {
	p := &streamingv1.StreamPlugin{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "orders"},
		Spec:       streamingv1.StreamPluginSpec{Preset: streamingv1.PresetPostgres, Image: image, ClassName: w.class},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

// install creates a StreamPlugin and waits until it is installed.
func (w world) install(ctx context.Context, changes ...func(*streamingv1.StreamPlugin)) *streamingv1.StreamPlugin {
	GinkgoHelper()
	p := w.plugin(changes...)
	Expect(stage.Client.Create(ctx, p)).To(Succeed())
	w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
	return p
}

// awaitReason waits until the StreamPlugin says so of its present generation, and reads it into p.
func (w world) awaitReason(ctx context.Context, p *streamingv1.StreamPlugin, reason streamingv1.Reason) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		g.Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		g.Expect(p.Status.ObservedGeneration).To(Equal(p.Generation))
		ready := meta.FindStatusCondition(p.Status.Conditions, streamingv1.ConditionReady)
		g.Expect(ready).NotTo(BeNil())
		g.Expect(ready.Reason).To(Equal(string(reason)), ready.Message)
	}).Should(Succeed())
}

// message is what the condition Ready says.
func message(p *streamingv1.StreamPlugin) string {
	return meta.FindStatusCondition(p.Status.Conditions, streamingv1.ConditionReady).Message
}

// change changes a StreamPlugin.
func change(ctx context.Context, p *streamingv1.StreamPlugin, how func(*streamingv1.StreamPlugin)) error {
	GinkgoHelper()
	Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
	before := p.DeepCopy()
	how(p)
	return stage.Client.Patch(ctx, p, client.MergeFrom(before))
}

// read reads an object that a StreamPlugin has installed.
func (w world) read(ctx context.Context, o streamingv1.PluginObject) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
	key := client.ObjectKey{Name: o.Name}
	if o.Kind != streamingv1.KindStreamClass {
		key.Namespace = w.namespace
	}
	return found, stage.Client.Get(ctx, key, found)
}

// classNow is the StreamClass.
func (w world) classNow(ctx context.Context) (*streamingv1.StreamClass, error) {
	class := &streamingv1.StreamClass{}
	return class, stage.Client.Get(ctx, client.ObjectKey{Name: w.class}, class)
}

// stream is a Stream of the class, suspended, so that nothing runs.
func (w world) stream(namespace string) *streamingv1.Stream {
	s := &streamingv1.Stream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "of-" + w.namespace}}
	s.Spec.StreamClass, s.Spec.Suspended = w.class, true
	s.Spec.Source = raw(`{"host":"db","database":"shop","table":"orders","credentials":{"name":"pg"}}`)
	s.Spec.Sink = raw(`{"bucket":"s3://lake"}`)
	return s
}

// createStream waits until the webhooks' cache has the class.
func (w world) createStream(ctx context.Context, s *streamingv1.Stream) {
	GinkgoHelper()
	Eventually(ctx, func() error { return stage.Client.Create(ctx, s.DeepCopy()) }).Should(Succeed())
}

// releases are the ConfigMaps of a StreamPlugin's release in a namespace.
func releases(ctx context.Context, namespace string, p *streamingv1.StreamPlugin) []corev1.ConfigMap {
	GinkgoHelper()
	var list corev1.ConfigMapList
	Expect(stage.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{"owner": "helm", "name": fmt.Sprintf("plugin-%s", p.UID)})).To(Succeed())
	return list.Items
}
