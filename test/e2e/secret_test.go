// Scenario 19 where only a kubelet can tell it: a Secret that is not there yet.

package e2e_test

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

var _ = Describe("A stream whose Secret is missing", func() {
	It("starts when the Secret appears, and shows its values to nobody but the plugin", func(ctx SpecContext) {
		const canary = "canary-3f9a"
		theEyes.hide(canary)
		w := stage().Enter(ctx)
		w.EditClass(ctx, given.SecretRefs("source.credentials"))
		w.Given(ctx, "orders", given.NoInitialBackfill,
			given.SourceWith(map[string]any{"credentials": map[string]any{"name": "login"}}))
		w.Await(ctx, func(g Gomega) {
			pods := w.Pods(ctx, "orders")
			g.Expect(pods).To(HaveLen(1))
			g.Expect(pods[0].Status.ContainerStatuses).To(HaveLen(1))
			g.Expect(pods[0].Status.ContainerStatuses[0].State.Waiting).To(
				HaveField("Reason", "CreateContainerConfigError"))
		})

		w.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "login"},
			StringData: map[string]string{"PASSWORD": canary},
		})
		pod := w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		Expect(w.Started(ctx, "orders")).To(HaveLen(1), "the kubelet has tried again, not the operator")
		w.Await(ctx, func(g Gomega) { // what a container prints comes to its log a moment later
			log, err := w.Kube.CoreV1().Pods(w.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(log)).To(ContainSubstring("PASSWORD"), "the plugin has it in its environment")
		})
		for _, v := range w.History(ctx).Versions {
			Expect(kubernetesJSON(v.Object)).NotTo(ContainSubstring(canary))
		}
		Expect(w.Operator.Log(ctx, w.Namespace)).NotTo(ContainSubstring(canary))
	})
})

func kubernetesJSON(o any) string {
	GinkgoHelper()
	text, err := json.Marshal(o)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}
