// What arcane-operator check, which helm test runs, says of webhooks that answer and of ones that do not.

package admission_test

import (
	"context"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// check runs it as an administrator, and returns what it prints.
func check(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"check", "--kubeconfig=" + stage.Cluster.Kubeconfig()}, args...)
	out, err := exec.CommandContext(ctx, operator.Binary, args...).CombinedOutput()
	return string(out), err
}

var _ = Describe("arcane-operator check", func() {
	It("is content with webhooks that answer, and stores nothing", func(ctx SpecContext) {
		w := enter(ctx)
		out, err := check(ctx)
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(out).To(ContainSubstring("validate.streamclasses." + streamingv1.GroupVersion.Group))
		out, err = check(ctx, "--namespace="+w.Namespace)
		Expect(err).NotTo(HaveOccurred(), out)
		Expect(out).To(ContainSubstring("validate.backfillrequests." + streamingv1.GroupVersion.Group))
		classes := &streamingv1.StreamClassList{}
		Expect(w.Client.List(ctx, classes)).To(Succeed())
		for _, class := range classes.Items {
			Expect(class.Name).NotTo(Equal("arcane-check"))
		}
	})

	It("says what is wrong where the webhooks do not select the namespace, and where nobody answers", func(ctx SpecContext) {
		w := enter(ctx)
		_, err := w.Kubectl(ctx, "label", "namespace", w.Namespace, exempts+"="+webhooks)
		Expect(err).NotTo(HaveOccurred())
		// The API server learns of the label a moment later.
		w.Await(ctx, func(g Gomega) {
			out, err := check(ctx, "--namespace="+w.Namespace, "--timeout=1s")
			g.Expect(err).To(HaveOccurred())
			g.Expect(out).To(ContainSubstring("are the webhook configurations installed"))
		})
		Expect(w.Operator.Stop(ctx)).To(Succeed())
		out, err := check(ctx, "--timeout=2s")
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("failed calling webhook"))
		w.StartOperator(ctx)
	})
})
