// What docs/gitops.md tells its reader to run.

package gitops_test

import (
	"context"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/arcane-streaming/arcane-operator/test/page"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

var _ = Describe("The page's command", func() {
	It("adds the health checks to Argo CD's ConfigMap and leaves the rest of it", func(ctx SpecContext) {
		argocd := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "argocd"}}
		Expect(stage.Client.Create(ctx, argocd)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(stage.Client.Delete(ctx, argocd)).To(Succeed()) })
		settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "argocd", Name: "argocd-cm"}, Data: map[string]string{"url": "https://argocd.example.com"}}
		Expect(stage.Client.Create(ctx, settings)).To(Succeed())

		command, err := page.Block(filepath.Join(story.Root(), "docs", "gitops.md"), "health checks")
		Expect(err).NotTo(HaveOccurred())
		words := strings.Fields(command)
		Expect(words[0]).To(Equal("kubectl"))
		cmd := stage.KubectlCommand(ctx, words[1:]...)
		cmd.Dir = story.Root()
		out, err := cmd.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "%s", out)

		Expect(stage.Client.Get(ctx, client.ObjectKeyFromObject(settings), settings)).To(Succeed())
		Expect(settings.Data).To(HaveLen(6))
		Expect(settings.Data).To(HaveKeyWithValue("url", "https://argocd.example.com"))
		Expect(settings.Data).To(HaveKeyWithValue("resource.customizations.health.streaming.sneaksanddata.com_Stream", ContainSubstring("return health(suspended, message)")))
	})
})
