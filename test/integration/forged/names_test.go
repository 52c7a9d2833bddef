package forged_test

// This file takes the names that the operator is about to give to Jobs.

import (
	"context"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// sibling is a stream that is about to start a Job.
type sibling struct {
	name string
	// prepare returns the stream, a Job of the same kind to copy, and what makes the Job due.
	prepare func(ctx context.Context, w *story.World) (*streamingv1.Stream, *batchv1.Job, func())
	// served waits until the stream has got what the Job is for.
	served func(ctx context.Context, w *story.World)
}

var siblings = []sibling{
	{
		name: "a streaming job",
		prepare: func(ctx context.Context, w *story.World) (*streamingv1.Stream, *batchv1.Job, func()) {
			_, job, _ := streaming(ctx, w, "orders")
			s := suspend(ctx, w, "orders")
			return s, job, func() { w.Resume(ctx, "orders") }
		},
		served: func(ctx context.Context, w *story.World) { w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning) },
	},
	{
		name: "the backfill of a user's request",
		prepare: func(ctx context.Context, w *story.World) (*streamingv1.Stream, *batchv1.Job, func()) {
			streaming(ctx, w, "orders")
			w.Request(ctx, "first", "orders")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamBackfilling)
			job := jobOf(ctx, w, "orders")
			w.AwaitCompleted(ctx, "first")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
			s := suspend(ctx, w, "orders")
			again := w.Request(ctx, "again", "orders")
			w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
			job.Annotations[streamingv1.AnnotationRequest] = again.Name
			job.Annotations[streamingv1.AnnotationRequestUID] = string(again.UID)
			return s, job, func() { w.Resume(ctx, "orders") }
		},
		served: func(ctx context.Context, w *story.World) {
			w.AwaitCompleted(ctx, "again")
			w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning)
		},
	},
	{
		name: "the initial backfill",
		prepare: func(ctx context.Context, w *story.World) (*streamingv1.Stream, *batchv1.Job, func()) {
			// Another stream of the class shows what such a Job looks like.
			w.Given(ctx, "donor")
			w.AwaitPhase(ctx, "donor", streamingv1.StreamBackfilling)
			job := jobOf(ctx, w, "donor")
			w.AwaitPhase(ctx, "donor", streamingv1.StreamRunning)
			w.KillOperator(ctx)
			s := w.Given(ctx, "orders")
			for _, labels := range []map[string]string{job.Labels, job.Spec.Template.Labels} {
				labels[streamingv1.LabelStreamID] = s.Name
			}
			job.OwnerReferences[0].Name, job.OwnerReferences[0].UID = s.Name, s.UID
			return s, job, func() { w.StartOperator(ctx) }
		},
		served: func(ctx context.Context, w *story.World) { w.AwaitPhase(ctx, "orders", streamingv1.StreamRunning) },
	},
}

var _ = Describe("Somebody who may create Jobs", func() {
	for _, due := range siblings {
		// The right that suffices: create jobs. Reading one to copy it needs get.
		It("and takes the next name of "+due.name+" for a Job of theirs costs that name, and keeps the Job", func(ctx SpecContext) {
			w := stage.Enter(ctx)
			mallory := attacker(ctx, w, to("create", "batch", "jobs"))
			s, _, begin := due.prepare(ctx, w)
			theirs := given.Job(w.Namespace, run(s, 1))
			Expect(mallory.Create(ctx, theirs)).To(Succeed())
			begin()
			due.served(ctx, w)
			expectUntouched(ctx, w, theirs)
			expectNeverRecorded(ctx, w, theirs.UID)
			Expect(w.Stream(ctx, "orders").Status.Runs).To(BeNumerically(">", max(s.Status.Runs, s.CreationTimestamp.Unix())+1))
		})

		for _, looks := range []struct {
			name    string
			changes []jobChange
		}{
			{"the very Job that the operator would make", nil},
			{"that Job without the stream's labels", []jobChange{unlabelled}},
		} {
			It("and puts a forged one under the next name of "+due.name+", "+looks.name+", sees it never run", func(ctx SpecContext) {
				w := stage.Enter(ctx)
				mallory := attacker(ctx, w, to("create", "batch", "jobs"))
				s, job, begin := due.prepare(ctx, w)
				forged := forge(job, run(s, 1), append(looks.changes, runAnnotation(s, 1))...)
				Expect(mallory.Create(ctx, forged)).To(Succeed())
				begin()
				due.served(ctx, w)
				if looks.changes == nil {
					awaitDeleted(ctx, w, forged)
				}
				expectNeverReleased(ctx, w, forged)
			})
		}
	}
})

// It waits the longest, so it begins first.
var _ = Describe("Somebody who may create Jobs", SpecPriority(1), func() {
	It("and takes many names in a row stops streams for as long as they are taken, at no cost to the API server", func(ctx SpecContext) {
		const taken = 40
		w := stage.Enter(ctx)
		mallory := attacker(ctx, w, to("create,deletecollection", "batch", "jobs"))
		streaming(ctx, w, "orders")
		streaming(ctx, w, "invoices")
		suspend(ctx, w, "orders")
		suspend(ctx, w, "invoices")
		w.Request(ctx, "again", "invoices")
		w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
		w.AwaitQuiet(ctx)
		w.KillOperator(ctx)
		w.Given(ctx, "fresh")
		squatted := map[string][]string{}
		all := []string{"orders", "invoices", "fresh"}
		for _, name := range all {
			s := w.Stream(ctx, name)
			for ahead := range taken {
				theirs := given.Job(w.Namespace, run(s, ahead+1))
				theirs.Labels["example.com/squats"] = "true"
				squatted[name] = append(squatted[name], theirs.Name)
				Expect(mallory.Create(ctx, theirs)).To(Succeed())
			}
		}
		w.Resume(ctx, "orders")
		w.Resume(ctx, "invoices")
		writes := audit(w)
		w.StartOperator(ctx)
		for _, name := range all {
			conflict := w.AwaitCondition(ctx, name, streamingv1.ConditionReady, "False", streamingv1.ReasonNameConflict)
			Expect(conflict.Message).To(ContainSubstring(base(w.Stream(ctx, name))+"-"), "it names the Job")
		}
		w.AwaitQuiet(ctx)
		for _, name := range all {
			expectBoundedTries(ctx, w, name, squatted[name], writes)
		}

		By("giving the names back")
		Expect(mallory.DeleteAllOf(ctx, &batchv1.Job{}, client.InNamespace(w.Namespace), client.MatchingLabels{"example.com/squats": "true"},
			client.PropagationPolicy("Background"))).To(Succeed())
		for _, name := range all {
			w.AwaitWithin(ctx, 75*time.Second, func(g Gomega) {
				s := w.Stream(ctx, name)
				g.Expect(s.Status.Phase).To(Equal(streamingv1.StreamRunning))
				g.Expect(meta.IsStatusConditionTrue(s.Status.Conditions, streamingv1.ConditionReady)).To(BeTrue())
			})
		}
		w.AwaitCompleted(ctx, "again")
	})
})

// runAnnotation is the one that the operator's own Job of that name would have.
func runAnnotation(s *streamingv1.Stream, ahead int) jobChange {
	name := run(s, ahead)
	return annotated(streamingv1.AnnotationRun, name[len(base(s))+1:])
}

// expectBoundedTries counts what the operator wrote about a stream whose names are taken:
// some names in a row, each once, and its verdict about it, once.
func expectBoundedTries(ctx context.Context, w *story.World, name string, squatted []string, writes func(verb, resource string) []law.Request) {
	GinkgoHelper()
	const several = 10
	var tried []string
	for _, r := range writes("create", "jobs") {
		for _, taken := range squatted {
			if r.Object.Name == taken {
				Expect(r.Response.Code).To(Equal(http.StatusConflict))
				tried = append(tried, taken)
			}
		}
	}
	Expect(len(tried)).To(And(BeNumerically(">=", 1), BeNumerically("<=", several)), "tries: %v", tried)
	Expect(tried).To(Equal(squatted[:len(tried)]), "each name once, in their order")
	patches := 0
	for _, r := range writes("patch", "streams") {
		if r.Object.Name == name {
			patches++
		}
	}
	// The initial backfill's request is recorded, or a start begins, before the Job's turn comes.
	Expect(patches).To(BeNumerically("<=", 4), "status patches of %s", name)
	conflicts := 0
	for _, e := range w.Events(ctx, w.Stream(ctx, name), corev1.EventTypeWarning) {
		if e.Reason == string(streamingv1.ReasonNameConflict) {
			conflicts += story.Told([]corev1.Event{e})
		}
	}
	Expect(conflicts).To(Equal(1), "one Warning")
}
