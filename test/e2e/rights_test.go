// Least privilege: what config/default grants, held to what the operator asked for in
// the whole run, both ways.

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/install"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// unseen are the rights that no request shows, each with the reason why it is granted.
// One that a request does show has no business here.
var unseen = map[string]string{
	"get customresourcedefinitions.apiextensions.k8s.io streams.streaming.sneaksanddata.com": "the operator asks when the kind Stream was added, for a request that may be from an earlier Arcane: one that is completed and without the stamp, which the webhooks here put on each",
	"update streams/finalizers.streaming.sneaksanddata.com":                                  "the admission plugin OwnerReferencesPermissionEnforcement (on by default in OpenShift) asks for it where a Job is given its owner; it asks within the API server",
}

// whole tells whether all specs run, not some that somebody has asked for.
func whole() bool {
	suite, _ := GinkgoConfiguration()
	return len(suite.FocusStrings)+len(suite.SkipStrings)+len(suite.FocusFiles)+len(suite.SkipFiles) == 0 && suite.LabelFilter == ""
}

// operatorAsked are the requests of the operator's service account in this process's cluster.
func operatorAsked() []law.Request {
	GinkgoHelper()
	all, err := asked.Next()
	Expect(err).NotTo(HaveOccurred())
	own := slices.DeleteFunc(all, func(r law.Request) bool { return r.User.Name != story.OperatorUser })
	for _, r := range own {
		Expect(r.ByOperator()).To(BeTrue(), "only the operator acts as its service account: %s by %s", r, r.UserAgent)
	}
	return own
}

// expectRights compares what was granted with what was asked for. A run of some of the
// specs cannot tell which right is needed by none of them.
func expectRights(ctx context.Context, own []law.Request) {
	GinkgoHelper()
	manifests, err := theStage.Render(ctx, "default")
	Expect(err).NotTo(HaveOccurred())
	rights, err := law.RightsOf(manifests, install.OperatorNamespace, install.OperatorDeployment)
	Expect(err).NotTo(HaveOccurred())
	unused, beyond := law.Compare(rights, own)
	Expect(beyond).To(BeEmpty(), "forbidden, or let through by somebody else's rights")
	if !whole() {
		return
	}
	var lines []string
	for _, r := range unused {
		lines = append(lines, r.String())
	}
	var expected []string
	for right := range unseen {
		expected = append(expected, right)
	}
	Expect(lines).To(ConsistOf(expected), "granted, and never used in %d requests; or an exception that is no longer needed", len(own))
}

var _ = Describe("What the operator does rarely", func() {
	// It is here so that each right is used: a foreign CronJob, a schedule that is set,
	// changed, paused and removed, and a request of its own that is cleaned up.
	It("it may do: a stream is given a schedule, and loses it", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		s := w.Given(ctx, "orders")
		request := &streamingv1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "orders-initial-" + string(s.UID)[:8]}}
		w.AwaitPod(ctx, "orders", streamingv1.ModeBackfill)
		story.Edit(ctx, w, request, func(q *streamingv1.BackfillRequest) { q.Spec.TTLSecondsAfterFinished = ptr.To(int32(1)) })
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		w.Await(ctx, func(g Gomega) {
			g.Expect(apierrors.IsNotFound(w.Client.Get(ctx, w.Key(request.Name), request))).To(BeTrue())
		})

		const newYear, christmas, easter = "0 0 1 1 *", "0 0 25 12 *", "0 0 1 4 *"
		foreign := &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: jobspec.CronName(s.Name, s.UID, streamingv1.KindStream)},
			Spec: batchv1.CronJobSpec{
				Schedule: newYear, Suspend: ptr.To(true),
				JobTemplate: batchv1.JobTemplateSpec{Spec: given.Job(w.Namespace, "foreign").Spec},
			},
		}
		w.Create(ctx, foreign)
		w.EditStream(ctx, "orders", given.Schedule(newYear))
		w.AwaitCondition(ctx, "orders", streamingv1.ConditionReady, metav1.ConditionFalse, streamingv1.ReasonNameConflict)
		cron := &batchv1.CronJob{}
		Expect(w.Client.Get(ctx, w.Key(foreign.Name), cron)).To(Succeed())
		Expect(cron.Spec).To(Equal(foreign.Spec), "what is not ours is not touched")
		w.Delete(ctx, foreign)

		scheduled := func(when string) {
			GinkgoHelper()
			w.EditStream(ctx, "orders", given.Schedule(when))
			w.Await(ctx, func(g Gomega) {
				g.Expect(w.Client.Get(ctx, w.Key(foreign.Name), cron)).To(Succeed())
				g.Expect(cron.Spec.Schedule).To(Equal(when))
			})
			w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
		}
		scheduled(christmas)
		scheduled(easter)
		w.Request(ctx, "again", "orders")
		w.AwaitCompleted(ctx, "again")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamScheduled)
		w.EditStream(ctx, "orders", func(s *streamingv1.Stream) { s.Spec.Schedule = nil })
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
	})
})

var _ = Describe("An operator that lists, as with an API server that sends no initial list with a watch", func() {
	It("takes on what it finds", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		w.Given(ctx, "orders", given.NoInitialBackfill)
		w.AwaitPod(ctx, "orders", streamingv1.ModeStream)
		w.AwaitQuiet(ctx)
		environment := func(change string) {
			GinkgoHelper()
			Expect(w.Operator.Stop(ctx)).To(Succeed())
			_, err := w.Kubectl(ctx, "set", "env", "--namespace="+install.OperatorNamespace, "deployment/"+install.OperatorDeployment, change)
			Expect(err).NotTo(HaveOccurred())
			w.StartOperator(ctx)
		}
		environment("KUBE_FEATURE_WatchListClient=false")
		w.Suspend(ctx, "orders")
		w.AwaitPhase(ctx, "orders", streamingv1.StreamSuspended)
		environment("KUBE_FEATURE_WatchListClient-")
	})
})

var _ = Describe("The operator's metrics", func() {
	It("come by their Service, over a certificate that the API server trusts, to a token that may get them", func(ctx SpecContext) {
		w := stage().Enter(ctx)
		accounts := w.Kube.CoreV1().ServiceAccounts(w.Namespace)
		token := func(name string) string {
			GinkgoHelper()
			_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
			Expect(err).NotTo(HaveOccurred())
			made, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
			Expect(err).NotTo(HaveOccurred())
			return made.Status.Token
		}
		configuration, err := w.Kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, story.WebhookConfiguration, metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		authorities := filepath.Join(GinkgoT().TempDir(), "ca.crt")
		Expect(os.WriteFile(authorities, configuration.Webhooks[0].ClientConfig.CABundle, 0o600)).To(Succeed())
		service, err := w.Kube.CoreV1().Services(install.OperatorNamespace).Get(ctx, "arcane-metrics", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		scrape := func(token string) (string, error) {
			// kubectl runs inside the cluster's network, where Services are reached.
			return w.Kubectl(ctx, "get", "--raw=/metrics", "--kubeconfig=/dev/null",
				fmt.Sprintf("--server=https://%s:%d", service.Spec.ClusterIP, service.Spec.Ports[0].Port), "--token="+token,
				"--certificate-authority="+authorities, "--tls-server-name=arcane-metrics."+install.OperatorNamespace+".svc")
		}
		// Two accounts: the operator remembers a refusal for half a minute. A Service
		// leads to a pod that has just become ready only when kube-proxy has heard of it.
		stranger := token("stranger")
		w.Await(ctx, func(g Gomega) {
			_, err := scrape(stranger)
			if err == nil {
				StopTrying("a stranger reads the metrics").Now()
			}
			g.Expect(err).To(MatchError(ContainSubstring("orbidden")))
		})

		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: w.Namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "arcane-metrics-reader"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.Namespace, Name: "prometheus"}},
		}
		_, err = w.Kube.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx context.Context) {
			Expect(w.Kube.RbacV1().ClusterRoleBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{})).To(Succeed())
		})
		prometheus := token("prometheus")
		w.Await(ctx, func(g Gomega) {
			metrics, err := scrape(prometheus)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(strings.Count(metrics, "\narcane_webhook_certificate_expiration_timestamp_seconds ")).To(Equal(1))
		})
	})
})
