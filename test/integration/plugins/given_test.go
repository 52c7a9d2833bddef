package plugins_test

// This file makes the circumstances: releases that lie, policies that refuse, a kind that appears.

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"helm.sh/helm/v3/pkg/release"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func resources(name, quantity string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceName(name): resource.MustParse(quantity)}
}

// rewrite changes the release that a ConfigMap of Helm's holds: base64 of gzip of JSON.
func rewrite(ctx context.Context, m *corev1.ConfigMap, how func(*release.Release)) {
	GinkgoHelper()
	packed, err := base64.StdEncoding.DecodeString(m.Data["release"])
	Expect(err).NotTo(HaveOccurred())
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	Expect(err).NotTo(HaveOccurred())
	text, err := io.ReadAll(reader)
	Expect(err).NotTo(HaveOccurred())
	var r release.Release
	Expect(json.Unmarshal(text, &r)).To(Succeed())
	how(&r)
	text, err = json.Marshal(r)
	Expect(err).NotTo(HaveOccurred())
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	_, err = writer.Write(text)
	Expect(err).NotTo(HaveOccurred())
	Expect(writer.Close()).To(Succeed())
	m.Data["release"] = base64.StdEncoding.EncodeToString(out.Bytes())
	m.Labels["status"] = r.Info.Status.String()
	Expect(stage.Client.Update(ctx, m)).To(Succeed())
}

// pend makes a release one that an operator was working on when it died.
func pend(ctx context.Context, m *corev1.ConfigMap) {
	GinkgoHelper()
	rewrite(ctx, m, func(r *release.Release) { r.Info.Status = release.StatusPendingUpgrade })
}

// interrupt makes the second revision of a release one that an operator had written the objects of when it died: it supersedes
// the first revision only afterwards.
func interrupt(ctx context.Context, p *streamingv1.StreamPlugin) {
	GinkgoHelper()
	revisions := releases(ctx, "arcane-system", p)
	Expect(revisions).To(HaveLen(2))
	for i := range revisions {
		rewrite(ctx, &revisions[i], func(r *release.Release) {
			r.Info.Status = map[int]release.Status{1: release.StatusDeployed, 2: release.StatusPendingUpgrade}[r.Version]
		})
	}
}

// forge adds a ConfigMap to the manifest of a release, as if the release had installed it.
func forge(ctx context.Context, m *corev1.ConfigMap, namespace, name string) {
	GinkgoHelper()
	rewrite(ctx, m, func(r *release.Release) {
		r.Manifest += fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\n", name, namespace)
	})
}

// forbid refuses templates whose pods have the priority class "refused", in one namespace, and waits until it does.
func forbid(ctx context.Context, namespace string) {
	GinkgoHelper()
	policies := stage.Kube.AdmissionregistrationV1()
	_, err := policies.ValidatingAdmissionPolicies().Create(ctx, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "in-" + namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: ptr.To(admissionregistrationv1.Fail),
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{"streaming.sneaksanddata.com"}, APIVersions: []string{"v1"}, Resources: []string{"streamingjobtemplates"},
					},
				}}},
			},
			Validations: []admissionregistrationv1.Validation{{
				Expression: "object.spec.spec.template.spec.?priorityClassName.orValue('') != 'refused'", Message: "no refused priority here",
			}},
		},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	_, err = policies.ValidatingAdmissionPolicyBindings().Create(ctx, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "in-" + namespace},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "in-" + namespace, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(allow, namespace)
	probe := fmt.Sprintf(`{"apiVersion":"streaming.sneaksanddata.com/v1","kind":"StreamingJobTemplate","metadata":{"name":"probe","namespace":%q},
		"spec":{"spec":{"template":{"spec":{"priorityClassName":"refused","restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}}`, namespace)
	Eventually(ctx, func() string {
		cmd := stage.KubectlCommand(ctx, "create", "--dry-run=server", "-f", "-")
		cmd.Stdin = bytes.NewBufferString(probe)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}).Should(ContainSubstring("no refused priority here"))
}

// allow takes the refusal back.
func allow(ctx context.Context, namespace string) {
	GinkgoHelper()
	policies := stage.Kube.AdmissionregistrationV1()
	for _, err := range []error{
		policies.ValidatingAdmissionPolicyBindings().Delete(ctx, "in-"+namespace, metav1.DeleteOptions{}),
		policies.ValidatingAdmissionPolicies().Delete(ctx, "in-"+namespace, metav1.DeleteOptions{}),
	} {
		if !apierrors.IsNotFound(err) {
			Expect(err).NotTo(HaveOccurred())
		}
	}
}

// givePodMonitors adds the kind to the cluster until the spec ends.
func givePodMonitors(ctx context.Context) {
	GinkgoHelper()
	Expect(stage.AddPodMonitors(ctx)).To(Succeed())
	DeferCleanup(takePodMonitors)
}

// takePodMonitors removes the kind from the cluster, if it is there.
func takePodMonitors(ctx context.Context) {
	GinkgoHelper()
	_, err := stage.Kubectl(ctx, "delete", "--ignore-not-found", "crd", "podmonitors.monitoring.coreos.com")
	Expect(err).NotTo(HaveOccurred())
}
