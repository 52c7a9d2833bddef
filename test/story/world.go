// One story's own part of a cluster.

package story

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/law"
)

// Template is the name of the template that every world has.
const Template = "scripted"

// World is where one story happens. Its methods are what a user does and sees; a
// method that cannot do its work fails the story.
type World struct {
	*Stage
	// Namespace is the story's own.
	Namespace string
	// Class is the story's own class of the scripted plugin.
	Class string

	witness *law.Recorder
	unruly  bool
}

// quietFor is how long the operator must rest at a story's end.
const quietFor = 1500 * time.Millisecond

// Enter makes a world with the operator running. When the story ends, the laws are
// held against all that happened.
func (s *Stage) Enter(ctx context.Context) *World {
	ginkgo.GinkgoHelper()
	// Before anything is created: that may have to wait for the operator's webhooks.
	gomega.Expect(s.Operator.Start(ctx)).To(gomega.Succeed())
	w := s.Open(ctx)
	ginkgo.DeferCleanup(w.leave)
	return w
}

// Open makes a world: a namespace with a class and a template, and a witness.
// Whoever opens one starts the operator, asks the laws and closes it.
func (s *Stage) Open(ctx context.Context) *World {
	ginkgo.GinkgoHelper()
	return s.open(ctx, metav1.ObjectMeta{GenerateName: "story-"})
}

// OpenNamed makes a world in a namespace that somebody knows by its name.
func (s *Stage) OpenNamed(ctx context.Context, name string) *World {
	ginkgo.GinkgoHelper()
	return s.open(ctx, metav1.ObjectMeta{Name: name})
}

func (s *Stage) open(ctx context.Context, meta metav1.ObjectMeta) *World {
	ginkgo.GinkgoHelper()
	w := &World{Stage: s}
	namespace := &corev1.Namespace{ObjectMeta: meta}
	gomega.Expect(s.Client.Create(ctx, namespace)).To(gomega.Succeed())
	w.Namespace, w.Class = namespace.Name, namespace.Name
	gomega.Expect(w.record(ctx)).To(gomega.Succeed())
	w.Create(ctx, given.Class(w.Class, Template))
	w.Create(ctx, given.Template(w.Namespace, Template))
	return w
}

func (w *World) record(ctx context.Context) error {
	audit, err := w.auditLog()
	if err != nil {
		return err
	}
	w.witness, err = law.Record(context.WithoutCancel(ctx), w.Client, w.Namespace, audit)
	return err
}

// auditLog is nil where the cluster is not ours and has none to read.
func (w *World) auditLog() (*law.AuditLog, error) {
	path := w.Cluster.AuditLog()
	if path == "" {
		return nil, nil
	}
	return law.NewAuditLog(path, w.Namespace)
}

// Unruly says that the story itself breaks what the laws at the end ask for: the
// operator need not come to rest.
func (w *World) Unruly() { w.unruly = true }

// leave is the end of every story.
func (w *World) leave(ctx context.Context) {
	failed := ginkgo.CurrentSpecReport().Failed()
	if !failed && !w.unruly {
		w.AwaitQuiet(ctx)
	}
	defer w.Close(ctx)
	history := w.History(ctx)
	violations := law.Check(history)
	if failed || len(violations) > 0 {
		ginkgo.AddReportEntry("history", law.Timeline(history), ginkgo.ReportEntryVisibilityFailureOrVerbose)
		ginkgo.AddReportEntry("operator", w.Operator.Log(ctx, w.Namespace), ginkgo.ReportEntryVisibilityFailureOrVerbose)
	}
	gomega.Expect(w.Operator.Sound(ctx)).To(gomega.Succeed())
	gomega.Expect(violations).To(gomega.BeEmpty(), "the laws must hold over the whole history")
}

// Close ends the witness and removes what the world was made of.
func (w *World) Close(ctx context.Context) {
	w.witness.Stop()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	class := &streamingv1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: w.Class}}
	for _, o := range []client.Object{namespace, class} {
		gomega.Expect(client.IgnoreNotFound(w.Client.Delete(ctx, o))).To(gomega.Succeed())
	}
}

// History is all that happened so far.
func (w *World) History(ctx context.Context) law.History {
	ginkgo.GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	history, err := w.witness.History(ctx)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return history
}

// AwaitQuiet waits until the operator rests: it has done all that it wants to do.
func (w *World) AwaitQuiet(ctx context.Context) {
	ginkgo.GinkgoHelper()
	w.AwaitQuietFor(ctx, quietFor)
}

// AwaitQuietFor waits until the operator has rested for so long.
func (w *World) AwaitQuietFor(ctx context.Context, period time.Duration) {
	ginkgo.GinkgoHelper()
	audit, err := w.auditLog()
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	if audit == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	gomega.Expect(law.AwaitQuiet(ctx, audit, period)).To(gomega.Succeed())
}

// Await waits for a fact.
func (w *World) Await(ctx context.Context, fact func(g gomega.Gomega)) {
	ginkgo.GinkgoHelper()
	w.AwaitWithin(ctx, w.Patience, fact)
}

// AwaitWithin waits for a fact that has a limit of its own.
func (w *World) AwaitWithin(ctx context.Context, limit time.Duration, fact func(g gomega.Gomega)) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(ctx, fact).WithTimeout(limit).WithPolling(50 * time.Millisecond).Should(gomega.Succeed())
}

// Key is the full name of something in the story's namespace.
func (w *World) Key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: w.Namespace, Name: name}
}

// env reads a variable of a pod's first container as its process sees it.
func env(p *corev1.Pod, name string) (string, bool) {
	for _, e := range p.Spec.Containers[0].Env {
		if e.Name == name {
			return strings.ReplaceAll(e.Value, "$$", "$"), true
		}
	}
	return "", false
}

// describe is a stream in a line, for the message of a failure.
func describe(s *streamingv1.Stream) string {
	text := fmt.Sprintf("stream %s: phase %q", s.Name, s.Status.Phase)
	for _, c := range s.Status.Conditions {
		text += fmt.Sprintf(", %s=%s (%s: %s)", c.Type, c.Status, c.Reason, c.Message)
	}
	return text
}
