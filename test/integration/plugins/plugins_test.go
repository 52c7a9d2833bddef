package plugins_test

// This file tells the life of a StreamPlugin: installed, changed, corrected, removed.

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/page"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

func raw(text string) *runtime.RawExtension { return &runtime.RawExtension{Raw: []byte(text)} }

// kindsOf counts the installed objects by kind.
func kindsOf(p *streamingv1.StreamPlugin) map[string]int {
	counts := map[string]int{}
	for _, o := range p.Status.Objects {
		counts[o.Kind]++
	}
	return counts
}

var _ = Describe("A StreamPlugin", func() {
	var w world
	BeforeEach(func(ctx SpecContext) { w = enter(ctx) })
	// What a spec leaves is removed with its namespace.

	It("installs a plugin with an image alone, and says so", func(ctx SpecContext) {
		p := w.install(ctx)
		Expect(kindsOf(p)).To(Equal(map[string]int{
			"StreamClass": 1, "StreamingJobTemplate": 2, "ServiceAccount": 1, "NetworkPolicy": 1, "ConfigMap": 1,
		}))
		Expect(p.Spec.Version).To(Equal("v1"), "the webhook pins the version")
		Expect(p.Status.Version).To(Equal("v1"))
		Expect(p.Status.ClassName).To(Equal(w.class))
		Expect(p.Finalizers).To(ConsistOf(streamingv1.FinalizerUninstall))
		for _, o := range p.Status.Objects {
			live, err := w.read(ctx, o)
			Expect(err).NotTo(HaveOccurred())
			Expect(live.GetUID()).To(Equal(o.UID))
			Expect(live.GetOwnerReferences()).To(BeEmpty(), "the garbage collector would not wait for Streams: %s", o.Kind)
		}
		Expect(meta.IsStatusConditionFalse(p.Status.Conditions, streamingv1.ConditionStalled)).To(BeTrue())
		Expect(meta.IsStatusConditionFalse(p.Status.Conditions, streamingv1.ConditionReconciling)).To(BeTrue())

		By("the class serves a Stream")
		w.createStream(ctx, w.stream(w.namespace))
		Eventually(ctx, func(g Gomega) {
			s := w.stream(w.namespace)
			g.Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(s.Status.Conditions, streamingv1.ConditionAccepted)).To(BeTrue(), "%+v", s.Status.Conditions)
		}).Should(Succeed())

		By("what kubectl shows")
		out, err := stage.Kubectl(ctx, "get", "splug", "orders", "--namespace", w.namespace)
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Fields(strings.Split(out, "\n")[0])).To(Equal([]string{"NAME", "PRESET", "CLASS", "VERSION", "READY", "AGE"}))
		Expect(strings.Fields(strings.Split(out, "\n")[1])[:5]).To(Equal([]string{"orders", "postgres", w.class, "v1", "True"}))
		Expect(stage.Client.Delete(ctx, w.stream(w.namespace))).To(Succeed())
	})

	It("keeps the release in the operator's namespace, and in ConfigMaps", func(ctx SpecContext) {
		p := w.install(ctx)
		Expect(releases(ctx, "arcane-system", p)).To(HaveLen(1))
		Expect(releases(ctx, w.namespace, p)).To(BeEmpty())
		Expect(p.Status.Release.Name).To(Equal("plugin-" + string(p.UID)))
	})

	It("upgrades on a change, and is current only then", func(ctx SpecContext) {
		p := w.install(ctx)
		before := p.Generation
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) {
			p.Spec.MaxConcurrent = ptr.To(int32(2))
			p.Spec.Env = []corev1.EnvVar{{Name: "PGAPPNAME", Value: "arcane"}}
		})).To(Succeed())
		Expect(p.Generation).To(BeNumerically(">", before))
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(class.Spec.Backfill.MaxConcurrent).To(HaveValue(Equal(int32(2))))
		Expect(p.Status.Release.Revision).To(Equal(int32(2)))

		By("taking it back removes the field")
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = nil })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		class, err = w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(class.Spec.Backfill).To(BeNil())

		By("no more revisions are kept than a rollback needs")
		for i := range 4 {
			Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(i + 3)) })).To(Succeed())
			w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		}
		Expect(len(releases(ctx, "arcane-system", p))).To(BeNumerically("<=", 3))
	})

	It("corrects what somebody changes, adds to a list, or deletes", func(ctx SpecContext) {
		p := w.install(ctx)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		changed := class.DeepCopy()
		changed.Spec.FailureClasses = append(changed.Spec.FailureClasses, streamingv1.FailureClass{Name: "mine", ExitCodes: []int32{99}, Action: streamingv1.ActionIgnore})
		changed.Spec.PodSecurityLevel = "privileged"
		Expect(stage.Client.Patch(ctx, changed, client.MergeFrom(class))).To(Succeed())
		var account corev1.ServiceAccount
		var policy networkingv1.NetworkPolicy
		for _, o := range p.Status.Objects {
			switch o.Kind {
			case "ServiceAccount":
				account.Name = o.Name
			case "NetworkPolicy":
				policy.Name = o.Name
			}
		}
		account.Namespace, policy.Namespace = w.namespace, w.namespace
		Expect(stage.Client.Delete(ctx, &account)).To(Succeed())
		Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(&policy), &policy)).To(Succeed())
		template := &streamingv1.StreamingJobTemplate{}
		Expect(stage.Client.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: p.Name}, template)).To(Succeed())
		ends := template.DeepCopy()
		ends.Spec.Spec.ActiveDeadlineSeconds = ptr.To(int64(1))
		ends.Spec.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "slow"}
		Expect(stage.Client.Patch(ctx, ends, client.MergeFrom(template))).To(Succeed())
		open := policy.DeepCopy()
		open.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
		Expect(stage.Client.Update(ctx, open)).To(Succeed())

		Eventually(ctx, func(g Gomega) {
			is, err := w.classNow(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
			g.Expect(is.Spec).To(Equal(class.Spec), "%s", message(p))
			g.Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(&account), &corev1.ServiceAccount{})).To(Succeed())
			is2 := &networkingv1.NetworkPolicy{}
			g.Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(&policy), is2)).To(Succeed())
			g.Expect(is2.Spec).To(Equal(policy.Spec))
			is3 := &streamingv1.StreamingJobTemplate{}
			g.Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(template), is3)).To(Succeed())
			g.Expect(is3.Spec).To(Equal(template.Spec), "what somebody has added goes")
		}).Should(Succeed())
		Eventually(ctx, func(g Gomega) {
			g.Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(p.Status.Conditions, streamingv1.ConditionReady)).To(BeTrue(), "%+v", p.Status.Conditions)
			for _, o := range p.Status.Objects {
				live, err := w.read(ctx, o)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(live.GetUID()).To(Equal(o.UID), "%s %s", o.Kind, o.Name)
			}
		}).Should(Succeed(), "the status names the objects that there are")
	})

	It("leaves a StreamClass alone that is somebody else's, and installs once it is gone", func(ctx SpecContext) {
		foreign := &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.class}}
		foreign.Spec.APIVersion, foreign.Spec.KindRef, foreign.Spec.PluralName = "v1", "Stream", "streams"
		Expect(stage.Client.Create(ctx, foreign)).To(Succeed())
		p := w.plugin()
		Expect(stage.Client.Create(ctx, p)).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonNameConflict)
		Expect(message(p)).To(And(ContainSubstring("StreamClass "+w.class), ContainSubstring("spec.className")))
		Expect(meta.IsStatusConditionTrue(p.Status.Conditions, streamingv1.ConditionStalled)).To(BeTrue())
		Expect(p.Status.Objects).To(BeEmpty())
		is, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(is.ResourceVersion).NotTo(BeEmpty())
		Expect(is.Spec.FailureClasses).To(BeEmpty(), "nothing was patched")
		Expect(stage.Client.Delete(ctx, foreign)).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
	})

	It("does not touch a StreamClass that was deleted and made again by somebody else, marks and all", func(ctx SpecContext) {
		p := w.install(ctx)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		copied := &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: class.Name, Labels: class.Labels, Annotations: class.Annotations}}
		copied.Spec = *class.Spec.DeepCopy()
		copied.Spec.PodSecurityLevel = "baseline"
		// In one moment, so that no period falls between the two.
		Expect(stage.Client.Delete(ctx, class)).To(Succeed())
		Expect(stage.Client.Create(ctx, copied)).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonNameConflict)
		is, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(is.Spec.PodSecurityLevel).To(BeEquivalentTo("baseline"))

		By("nor does the uninstall")
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitGone(ctx, p)
		is, err = w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(is.UID).To(Equal(copied.UID))
		Expect(stage.Client.Delete(ctx, is)).To(Succeed())
	})

	It("does not take over a StreamClass that somebody has recorded in its status", func(ctx SpecContext) {
		foreign := &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.class}}
		foreign.Spec.APIVersion, foreign.Spec.KindRef, foreign.Spec.PluralName = "v1", "Stream", "streams"
		Expect(stage.Client.Create(ctx, foreign)).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			Expect(client.IgnoreNotFound(stage.Client.Delete(ctx, foreign))).To(Succeed())
		})
		p := w.plugin()
		Expect(stage.Client.Create(ctx, p)).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonNameConflict)
		recorded := p.DeepCopy()
		recorded.Status.Objects = []streamingv1.PluginObject{{APIVersion: streamingv1.GroupVersion.String(), Kind: streamingv1.KindStreamClass, Name: w.class, UID: foreign.UID}}
		Expect(stage.Client.Status().Patch(ctx, recorded, client.MergeFrom(p))).To(Succeed())
		Consistently(ctx, func(g Gomega) {
			is, err := w.classNow(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(is.Spec.FailureClasses).To(BeEmpty())
			g.Expect(is.Annotations).NotTo(HaveKey("streaming.sneaksanddata.com/plugin-uid"))
		}, 4*period).Should(Succeed())
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitGone(ctx, p)
		_, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred(), "nor does the removal delete it")
	})

	It("waits with its removal for the Streams of its class, in any namespace", func(ctx SpecContext) {
		p := w.install(ctx)
		elsewhere := enter(ctx)
		s := w.stream(elsewhere.namespace)
		w.createStream(ctx, s)
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonWaitingForStreams)
		Expect(message(p)).To(ContainSubstring(s.Namespace + "/" + s.Name))
		Consistently(ctx, func() error { _, err := w.classNow(ctx); return err }, 2*period).Should(Succeed())
		for _, o := range p.Status.Objects {
			_, err := w.read(ctx, o)
			Expect(err).NotTo(HaveOccurred(), "%s %s", o.Kind, o.Name)
		}
		Expect(stage.Client.Delete(ctx, s)).To(Succeed())
		w.awaitGone(ctx, p)
		w.expectNothingLeft(ctx, p)
	})

	It("does not take anything from under a Stream when it is deleted in the foreground", func(ctx SpecContext) {
		p := w.install(ctx)
		s := w.stream(w.namespace)
		w.createStream(ctx, s)
		Expect(stage.Client.Delete(ctx, p, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonWaitingForStreams)
		Consistently(ctx, func(g Gomega) {
			for _, o := range p.Status.Objects {
				_, err := w.read(ctx, o)
				g.Expect(err).NotTo(HaveOccurred(), "%s %s", o.Kind, o.Name)
			}
		}, 2*period).Should(Succeed())
		Expect(stage.Client.Delete(ctx, s)).To(Succeed())
		w.awaitGone(ctx, p)
		w.expectNothingLeft(ctx, p)
	})

	It("keeps the class, when its namespace goes, for the Streams of other namespaces", func(ctx SpecContext) {
		p := w.install(ctx)
		elsewhere := enter(ctx)
		s := w.stream(elsewhere.namespace)
		w.createStream(ctx, s)
		Expect(stage.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})).To(Succeed())
		w.awaitGone(ctx, p)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(class.DeletionTimestamp).To(BeNil())
		Expect(class.Annotations).NotTo(HaveKey("streaming.sneaksanddata.com/plugin-uid"))
		Expect(stage.Client.Delete(ctx, s)).To(Succeed())
		Expect(stage.Client.Delete(ctx, class)).To(Succeed())
	})

	It("keeps its version when a manifest without one replaces it", func(ctx SpecContext) {
		p := w.install(ctx)
		replaced := w.plugin()
		replaced.ResourceVersion = p.ResourceVersion
		Expect(stage.Client.Update(ctx, replaced)).To(Succeed())
		Expect(replaced.Spec.Version).To(Equal("v1"))
	})

	It("begins its release anew where Helm cannot read it", func(ctx SpecContext) {
		p := w.install(ctx)
		for _, r := range releases(ctx, "arcane-system", p) {
			r.Data["release"] = "rubbish"
			Expect(stage.Client.Update(ctx, &r)).To(Succeed())
		}
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(6)) })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(class.Spec.Backfill.MaxConcurrent).To(HaveValue(Equal(int32(6))))
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitGone(ctx, p)
		w.expectNothingLeft(ctx, p)
	})

	It("goes with its namespace, and leaves no class behind", func(ctx SpecContext) {
		p := w.install(ctx)
		w.createStream(ctx, w.stream(w.namespace))
		Expect(stage.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})).To(Succeed())
		Eventually(ctx, func() bool {
			return apierrors.IsNotFound(stage.Client.Get(ctx, client.ObjectKey{Name: w.namespace}, &corev1.Namespace{}))
		}).WithTimeout(stage.Patience).Should(BeTrue(), "the namespace is gone")
		_, err := w.classNow(ctx)
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		Expect(releases(ctx, "arcane-system", p)).To(BeEmpty())
	})

	It("takes over what an administrator hands to it, as after a restore", func(ctx SpecContext) {
		former := w.install(ctx)
		// The former one goes while the operator is away, and leaves everything behind. These two need no webhook.
		Expect(stage.Operator.Stop(ctx)).To(Succeed())
		released := former.DeepCopy()
		released.Finalizers = nil
		Expect(impersonate(story.OperatorUser).Patch(ctx, released, client.MergeFrom(former))).To(Succeed())
		Expect(impersonate("system:serviceaccount:kube-system:namespace-controller").Delete(ctx, released)).To(Succeed())
		Expect(stage.Operator.Start(ctx)).To(Succeed())
		p := w.plugin()
		Eventually(ctx, func() error { return stage.Client.Create(ctx, p) }).Should(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonNameConflict)
		Expect(message(p)).To(And(ContainSubstring("StreamClass "+w.class), ContainSubstring("and 3 more"), ContainSubstring(string(former.UID))))
		code, err := page.Block(filepath.Join(story.Root(), "docs", "plugins.md"), "hand over")
		Expect(err).NotTo(HaveOccurred())
		cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", strings.NewReplacer(
			"streamclass postgres", "streamclass "+w.class, "streamplugin postgres", "streamplugin "+p.Name, "instance=postgres", "instance="+p.Name, "sales", w.namespace,
		).Replace(code))
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(stage.Cluster.Bin("kubectl"))+":"+os.Getenv("PATH"), "KUBECONFIG="+stage.Cluster.Kubeconfig())
		out, err := cmd.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
	})

	It("is removed although somebody has recorded a Secret in its status", func(ctx SpecContext) {
		p := w.install(ctx)
		recorded := p.DeepCopy()
		recorded.Status.Objects = append(recorded.Status.Objects, streamingv1.PluginObject{APIVersion: "v1", Kind: "Secret", Name: "x", UID: "y"})
		Expect(stage.Client.Status().Patch(ctx, recorded, client.MergeFrom(p))).To(Succeed())
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitGone(ctx, p)
		w.expectNothingLeft(ctx, p)
	})

	It("begins its release anew where Helm cannot find it", func(ctx SpecContext) {
		p := w.install(ctx)
		for _, r := range releases(ctx, "arcane-system", p) {
			r.Labels = nil
			Expect(stage.Client.Update(ctx, &r)).To(Succeed())
		}
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(7)) })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(class.Spec.Backfill.MaxConcurrent).To(HaveValue(Equal(int32(7))))
	})

	It("removes everything although its release is lost", func(ctx SpecContext) {
		p := w.install(ctx)
		for _, r := range releases(ctx, "arcane-system", p) {
			Expect(stage.Client.Delete(ctx, &r)).To(Succeed())
		}
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitGone(ctx, p)
		w.expectNothingLeft(ctx, p)
	})

	It("goes on where an operator died in the middle of a release", func(ctx SpecContext) {
		p := w.install(ctx)
		var foundPending bool
		for _, r := range releases(ctx, "arcane-system", p) {
			foundPending = true
			pend(ctx, &r)
		}
		Expect(foundPending).To(BeTrue())
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(7)) })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(class.Spec.Backfill.MaxConcurrent).To(HaveValue(Equal(int32(7))))
	})

	It("takes back what an operator had written when it died, once the spec no longer asks for it", func(ctx SpecContext) {
		p := w.install(ctx)
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(5)) })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		interrupt(ctx, p)
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = nil })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(class.Spec.Backfill).To(BeNil())
	})

	It("rolls back to what was installed, and not to what an operator had begun when it died", func(ctx SpecContext) {
		p := w.install(ctx)
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(5)) })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		interrupt(ctx, p)
		w.expectRollback(ctx, p)
	})

	It("believes no release of somebody else's about what to delete", func(ctx SpecContext) {
		p := w.install(ctx)
		bystander := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "bystander"}, Data: map[string]string{"a": "b"}}
		Expect(stage.Client.Create(ctx, bystander)).To(Succeed())
		for _, r := range releases(ctx, "arcane-system", p) {
			forge(ctx, &r, w.namespace, "bystander")
			// The same in the StreamPlugin's namespace, as a ConfigMap and as Helm's own Secret, newer than the real one.
			Expect(stage.Client.Create(ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: r.Name, Labels: r.Labels}, Data: r.Data,
			})).To(Succeed())
			Expect(stage.Client.Create(ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: strings.Replace(r.Name, ".v1", ".v9", 1), Labels: r.Labels},
				Type:       "helm.sh/release.v1", StringData: r.Data,
			})).To(Succeed())
		}
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(4)) })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(bystander), bystander)).To(Succeed(), "an upgrade deletes only what is its own")
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitGone(ctx, p)
		Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(bystander), bystander)).To(Succeed(), "nor does the uninstall")
	})

	It("rolls back an upgrade that the API server refuses, and goes on when it is let", func(ctx SpecContext) {
		p := w.install(ctx)
		w.expectRollback(ctx, p)
	})

	It("installs a PodMonitor where the cluster has that kind", func(ctx SpecContext) {
		p := w.install(ctx)
		Expect(kindsOf(p)).NotTo(HaveKey("PodMonitor"))
		givePodMonitors(ctx)
		Eventually(ctx, func(g Gomega) {
			g.Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
			g.Expect(kindsOf(p)).To(HaveKeyWithValue("PodMonitor", 1))
		}).Should(Succeed())

		By("and does without it where the cluster loses the kind")
		takePodMonitors(ctx)
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.MaxConcurrent = ptr.To(int32(8)) })).To(Succeed())
		w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
		class, err := w.classNow(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(class.Spec.Backfill.MaxConcurrent).To(HaveValue(Equal(int32(8))))
		Expect(stage.Client.Delete(ctx, p)).To(Succeed())
		w.awaitGone(ctx, p)
		w.expectNothingLeft(ctx, p)
	})

	DescribeTable("is refused with the field named", func(ctx SpecContext, wrong func(*streamingv1.StreamPlugin), wants ...string) {
		err := stage.Client.Create(ctx, w.plugin(wrong))
		Expect(err).To(HaveOccurred())
		for _, want := range wants {
			Expect(err).To(MatchError(ContainSubstring(want)))
		}
	},
		Entry("an unknown preset", func(p *streamingv1.StreamPlugin) { p.Spec.Preset = "oracle" }, "spec.preset", `"postgres"`),
		Entry("no image", func(p *streamingv1.StreamPlugin) { p.Spec.Image = "" }, "spec.image"),
		Entry("a version that this operator does not have", func(p *streamingv1.StreamPlugin) { p.Spec.Version = "v99" }, "spec.version", `"v1"`, "upgrade the operator"),
		Entry("a version that is none", func(p *streamingv1.StreamPlugin) { p.Spec.Version = "latest" }, "spec.version"),
		Entry("a reserved variable", func(p *streamingv1.StreamPlugin) {
			p.Spec.Env = []corev1.EnvVar{{Name: "STREAMCONTEXT__RUN", Value: "1"}}
		}, "env[0].name", "STREAMCONTEXT__"),
		Entry("a reserved label", func(p *streamingv1.StreamPlugin) { p.Spec.PodLabels = map[string]string{"arcane/stream-id": "x"} }, "podLabels"),
		Entry("a mount without a volume", func(p *streamingv1.StreamPlugin) {
			p.Spec.VolumeMounts = []corev1.VolumeMount{{Name: "sink", MountPath: "/sink"}}
		}, "volumeMounts", "sink"),
		Entry("a schema that is none", func(p *streamingv1.StreamPlugin) {
			p.Spec.Schema = &streamingv1.PluginSchema{OpenAPIV3Schema: raw(`{"type":"object","properties":{"source":{"type":"object","properties":{"mine":{"typ":"string"}}}}}`)}
		}, "spec", "typ"),
		Entry("a name that is too long", func(p *streamingv1.StreamPlugin) { p.Name = strings.Repeat("a", 51) }, "at most 50 characters"),
		Entry("a volume of the host", func(p *streamingv1.StreamPlugin) {
			p.Spec.Volumes = []corev1.Volume{{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		}, "volumes[0]"),
		Entry("a limit below the request", func(p *streamingv1.StreamPlugin) {
			p.Spec.Streaming = &streamingv1.PluginMode{Resources: &streamingv1.PluginResources{Limits: resources("memory", "1Mi")}}
		}, "streaming.resources.limits.memory"),
	)

	It("cannot change what would leave objects behind", func(ctx SpecContext) {
		p := w.install(ctx)
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.ClassName = "another" })).To(MatchError(ContainSubstring("className is immutable")))
		Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) { p.Spec.ClassName = "" })).To(MatchError(ContainSubstring("className cannot be added or removed")))
	})

	It("is created with a warning where it shows a secret, or needs names that are taken", func(ctx SpecContext) {
		p := w.install(ctx)
		manifest := fmt.Sprintf(`{"apiVersion":"streaming.sneaksanddata.com/v1","kind":"StreamPlugin","metadata":{"name":%q,"namespace":%q},
			"spec":{"preset":"postgres","image":"i:1","className":%q,"env":[{"name":"AWS_SECRET_ACCESS_KEY","value":"shown"}]}}`,
			p.Name+"-backfill", w.namespace, w.class)
		// The webhooks' caches see what is installed soon.
		Eventually(ctx, func(g Gomega) {
			cmd := stage.KubectlCommand(ctx, "create", "--dry-run=server", "-f", "-")
			cmd.Stdin = strings.NewReader(manifest)
			out, err := cmd.CombinedOutput()
			g.Expect(err).NotTo(HaveOccurred(), "%s", out)
			g.Expect(string(out)).To(And(ContainSubstring("Warning: spec.env[0].value"), ContainSubstring("secretKeyRef")))
			g.Expect(string(out)).To(ContainSubstring("Warning: spec.className: StreamClass " + w.class + " exists"))
			g.Expect(string(out)).To(ContainSubstring("Warning: metadata.name: StreamingJobTemplate " + p.Name + "-backfill exists"))
		}).Should(Succeed())
	})
})

// expectRollback asks for an upgrade that the API server refuses, finds all of it taken back, and installed once it is let.
func (w world) expectRollback(ctx context.Context, p *streamingv1.StreamPlugin) {
	GinkgoHelper()
	forbid(ctx, w.namespace)
	Expect(change(ctx, p, func(p *streamingv1.StreamPlugin) {
		p.Spec.MaxConcurrent = ptr.To(int32(9))
		p.Spec.PriorityClassName = "refused"
	})).To(Succeed())
	w.awaitReason(ctx, p, streamingv1.ReasonReleaseFailed)
	Expect(message(p)).To(ContainSubstring("no refused priority here"))
	Expect(meta.IsStatusConditionTrue(p.Status.Conditions, streamingv1.ConditionReconciling)).To(BeTrue(), "it tries again")
	Eventually(ctx, func(g Gomega) {
		class, err := w.classNow(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(class.Spec.Backfill).To(BeNil(), "all of the upgrade is taken back")
	}).Should(Succeed())
	allow(ctx, w.namespace)
	w.awaitReason(ctx, p, streamingv1.ReasonInstalled)
	class, err := w.classNow(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(class.Spec.Backfill.MaxConcurrent).To(HaveValue(Equal(int32(9))))
}

// awaitGone waits until the StreamPlugin is gone.
func (w world) awaitGone(ctx context.Context, p *streamingv1.StreamPlugin) {
	GinkgoHelper()
	Eventually(ctx, func() bool {
		return apierrors.IsNotFound(stage.Client.Get(ctx, client.ObjectKeyFromObject(p), &streamingv1.StreamPlugin{}))
	}).Should(BeTrue(), "the StreamPlugin is gone")
}

// expectNothingLeft looks for everything that the status named. The garbage collector takes a moment for none of it: the
// operator deletes it itself.
func (w world) expectNothingLeft(ctx context.Context, p *streamingv1.StreamPlugin) {
	GinkgoHelper()
	Expect(p.Status.Objects).NotTo(BeEmpty())
	for _, o := range p.Status.Objects {
		_, err := w.read(ctx, o)
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%s %s: %v", o.Kind, o.Name, err)
	}
	Expect(releases(ctx, "arcane-system", p)).To(BeEmpty())
}
