// The life of a StreamPlugin on real pods: what changes of it restarts the streams that it concerns and no others, and it
// goes only after them.

package e2e_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var _ = Describe("On a node, a StreamPlugin", func() {
	var (
		w      *story.World
		splug  *streamingv1.StreamPlugin
		stream *streamingv1.Stream
		plugin *install.Plugin
	)
	// change changes the StreamPlugin and waits until the change is installed.
	change := func(ctx context.Context, how func(*streamingv1.StreamPlugin)) {
		GinkgoHelper()
		story.Edit(ctx, w, splug, how)
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(splug), splug)).To(Succeed())
			g.Expect(splug.Status.ObservedGeneration).To(Equal(splug.Generation))
			g.Expect(meta.IsStatusConditionTrue(splug.Status.Conditions, streamingv1.ConditionReady)).To(BeTrue(), "%+v", splug.Status.Conditions)
		})
	}
	// installed reads an object that the StreamPlugin has installed.
	installed := func(ctx context.Context, o streamingv1.PluginObject) (*unstructured.Unstructured, error) {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
		key := client.ObjectKey{Name: o.Name}
		if o.Kind != streamingv1.KindStreamClass {
			key.Namespace = w.Namespace
		}
		return live, w.Client.Get(ctx, key, live)
	}
	// running is the Job that streams now.
	running := func(ctx context.Context) *batchv1.Job {
		GinkgoHelper()
		w.AwaitPod(ctx, stream.Name, streamingv1.ModeStream)
		w.AwaitPhase(ctx, stream.Name, streamingv1.StreamRunning)
		job := &batchv1.Job{}
		Expect(w.Client.Get(ctx, w.Key(w.Stream(ctx, stream.Name).Status.Job.Name), job)).To(Succeed())
		return job
	}

	It("restarts a stream only for what concerns it, corrects what was changed, and goes after its last stream", func(ctx SpecContext) {
		w = stage().Enter(ctx)
		database, err := install.Postgres(ctx, w.Cluster, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		theEyes.hide(database.Password())
		plugin, err = install.PostgresPlugin(ctx, w.Cluster, database, w.Namespace, "postgres-of-"+w.Namespace)
		Expect(err).NotTo(HaveOccurred())
		table := fmt.Sprintf("plugged_%d", GinkgoRandomSeed())
		_, err = database.Query(ctx, fmt.Sprintf(`CREATE TABLE %s (id bigint PRIMARY KEY, note text)`, table))
		Expect(err).NotTo(HaveOccurred())
		_, err = database.Query(ctx, fmt.Sprintf(`INSERT INTO %s SELECT n, 'row ' || n FROM generate_series(1, 1000) n`, table))
		Expect(err).NotTo(HaveOccurred())
		stream, err = plugin.Stream("orders", table)
		Expect(err).NotTo(HaveOccurred())
		w.Create(ctx, stream)
		splug = &streamingv1.StreamPlugin{}
		splug.Namespace, splug.Name = w.Namespace, install.PostgresClass
		first := running(ctx)

		By("a kind that the cluster did not have")
		Expect(w.AddPodMonitors(ctx)).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			_, err := w.Kubectl(ctx, "delete", "crd", "podmonitors.monitoring.coreos.com")
			Expect(err).NotTo(HaveOccurred())
		})
		change(ctx, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(2)) })
		Expect(splug.Status.Objects).To(ContainElement(HaveField("Kind", "PodMonitor")))

		By("each object is changed by somebody")
		const label = "app.kubernetes.io/part-of"
		for _, o := range splug.Status.Objects {
			live, err := installed(ctx, o)
			Expect(err).NotTo(HaveOccurred())
			Expect(live.GetLabels()).To(HaveKey(label), "%s %s", o.Kind, o.Name)
			Expect(w.Client.Patch(ctx, live, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+label+`":"mine"}}}`)))).To(Succeed())
		}
		change(ctx, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(3)) })
		for _, o := range splug.Status.Objects {
			live, err := installed(ctx, o)
			Expect(err).NotTo(HaveOccurred())
			Expect(live.GetLabels()).NotTo(HaveKeyWithValue(label, "mine"), "%s %s", o.Kind, o.Name)
		}
		Expect(running(ctx).UID).To(Equal(first.UID), "nothing of this restarts a stream")

		By("a variable restarts it, and no row is lost")
		change(ctx, func(p *streamingv1.StreamPlugin) { p.Spec.Env = []corev1.EnvVar{{Name: "PGAPPNAME", Value: "arcane"}} })
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Stream(ctx, stream.Name).Status.Job.UID).NotTo(Equal(first.UID))
		})
		Expect(running(ctx).Spec.Template.Spec.Containers[0].Env).To(ContainElement(corev1.EnvVar{Name: "PGAPPNAME", Value: "arcane"}))
		_, err = database.Query(ctx, fmt.Sprintf(`UPDATE %s SET note = 'changed' WHERE id %% 7 = 0`, table))
		Expect(err).NotTo(HaveOccurred())
		Expect(plugin.Verify(ctx, stream, GinkgoWriter)).To(Succeed())

		By("its removal waits for the stream")
		second := running(ctx)
		Expect(w.Client.Delete(ctx, splug)).To(Succeed())
		w.Await(ctx, func(g Gomega) {
			g.Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(splug), splug)).To(Succeed())
			ready := meta.FindStatusCondition(splug.Status.Conditions, streamingv1.ConditionReady)
			g.Expect(ready.Reason).To(Equal(string(streamingv1.ReasonWaitingForStreams)))
			g.Expect(ready.Message).To(ContainSubstring(w.Namespace + "/" + stream.Name))
		})
		Expect(running(ctx).UID).To(Equal(second.UID))
		// A slot that nobody reads keeps the source's log for ever.
		w.Suspend(ctx, stream.Name)
		w.AwaitPhase(ctx, stream.Name, streamingv1.StreamSuspended)
		Expect(plugin.Cleanup(ctx, stream)).To(Succeed())
		Expect(w.Client.Delete(ctx, w.Stream(ctx, stream.Name))).To(Succeed())
		w.Await(ctx, func(g Gomega) {
			g.Expect(apierrors.IsNotFound(w.Client.Get(ctx, client.ObjectKeyFromObject(splug), &streamingv1.StreamPlugin{}))).To(BeTrue())
		})
		for _, o := range splug.Status.Objects {
			_, err := installed(ctx, o)
			Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%s %s: %v", o.Kind, o.Name, err)
		}
	})
})
