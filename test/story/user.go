// What a user does.

package story

import (
	"context"
	"strconv"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
)

// Create makes an object.
func (w *World) Create(ctx context.Context, o client.Object) {
	ginkgo.GinkgoHelper()
	gomega.Expect(w.Client.Create(ctx, o)).To(gomega.Succeed())
}

// Given makes a stream of the story's class and returns it as created.
func (w *World) Given(ctx context.Context, name string, options ...given.StreamOption) *streamingv1.Stream {
	ginkgo.GinkgoHelper()
	s := given.Stream(w.Namespace, name, w.Class, options...)
	w.Create(ctx, s)
	return s
}

// Request asks for a backfill.
func (w *World) Request(ctx context.Context, name, stream string, options ...given.RequestOption) *streamingv1.BackfillRequest {
	ginkgo.GinkgoHelper()
	r := given.Request(w.Namespace, name, stream, options...)
	w.Create(ctx, r)
	return r
}

// Edit changes an object as a user's editor does: from what is there now, and again
// where somebody else changed it meanwhile. A list is written whole, so without the
// lock a finalizer that a controller has just removed would come back.
func Edit[T client.Object](ctx context.Context, w *World, o T, change func(T)) {
	ginkgo.GinkgoHelper()
	w.Await(ctx, func(g gomega.Gomega) {
		g.Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(o), o)).To(gomega.Succeed())
		before, ok := o.DeepCopyObject().(T)
		g.Expect(ok).To(gomega.BeTrue())
		change(o)
		err := w.Client.Patch(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsConflict(err) {
			g.Expect(err).NotTo(gomega.HaveOccurred())
		}
		// Whatever else is wrong does not get better by waiting.
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
	})
}

// EditStream changes a stream.
func (w *World) EditStream(ctx context.Context, name string, change func(*streamingv1.Stream)) {
	ginkgo.GinkgoHelper()
	Edit(ctx, w, &streamingv1.Stream{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}, change)
}

// EditClass changes the story's class.
func (w *World) EditClass(ctx context.Context, change given.ClassOption) {
	ginkgo.GinkgoHelper()
	Edit(ctx, w, &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.Class}}, change)
}

// EditTemplate changes a template.
func (w *World) EditTemplate(ctx context.Context, name string, change func(*streamingv1.StreamingJobTemplate)) {
	ginkgo.GinkgoHelper()
	Edit(ctx, w, &streamingv1.StreamingJobTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}, change)
}

// SetTemplate changes the world's template before there is a stream: the operator that
// starts after it starts no first job from the former one. It is up for the change,
// which waits for its webhooks.
func (w *World) SetTemplate(ctx context.Context, change func(*streamingv1.StreamingJobTemplate)) {
	ginkgo.GinkgoHelper()
	w.EditTemplate(ctx, Template, change)
	gomega.Expect(w.Operator.Stop(ctx)).To(gomega.Succeed())
	w.StartOperator(ctx)
}

// Suspend switches a stream off.
func (w *World) Suspend(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	w.EditStream(ctx, name, func(s *streamingv1.Stream) { s.Spec.Suspended = true })
}

// Resume switches it on again.
func (w *World) Resume(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	w.EditStream(ctx, name, func(s *streamingv1.Stream) { s.Spec.Suspended = false })
}

// Delete deletes an object.
func (w *World) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) {
	ginkgo.GinkgoHelper()
	gomega.Expect(w.Client.Delete(ctx, o, options...)).To(gomega.Succeed())
}

// Evict asks for a pod to leave its node, as a drain does.
func (w *World) Evict(ctx context.Context, p *corev1.Pod) {
	ginkgo.GinkgoHelper()
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}
	gomega.Expect(w.Kube.PolicyV1().Evictions(p.Namespace).Evict(ctx, eviction)).To(gomega.Succeed())
}

// Exit ends a pod's container with an exit code, as if that were its own doing.
func (w *World) Exit(ctx context.Context, p *corev1.Pod, code int) {
	ginkgo.GinkgoHelper()
	if w.Player != nil {
		gomega.Expect(w.Player.Exit(p, code)).To(gomega.Succeed())
		return
	}
	_, err := w.Kubectl(ctx, "exec", "--namespace", p.Namespace, p.Name, "--container", given.Container,
		"--", given.ScriptedProgram, "exit", strconv.Itoa(code))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}

// RestartOperator kills the operator and starts it again.
func (w *World) RestartOperator(ctx context.Context) {
	ginkgo.GinkgoHelper()
	w.KillOperator(ctx)
	w.StartOperator(ctx)
}

// KillOperator ends the operator without warning.
func (w *World) KillOperator(ctx context.Context) {
	ginkgo.GinkgoHelper()
	gomega.Expect(w.Operator.Kill(ctx)).To(gomega.Succeed())
}

// StartOperator starts it again.
func (w *World) StartOperator(ctx context.Context) {
	ginkgo.GinkgoHelper()
	gomega.Expect(w.Operator.Start(ctx)).To(gomega.Succeed())
}
