// The kinds as kubectl shows them: installing, refusing, listing.

package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/jsontree"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// kubectl runs a command that must succeed.
func kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, err := stage().Kubectl(ctx, args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

var _ = Describe("The kinds", func() {
	It("install with plain kubectl apply, and applying them again changes nothing", func(ctx SpecContext) {
		crds := filepath.Join(story.Root(), "config", "crd")
		for line := range strings.Lines(kubectl(ctx, "apply", "-k", crds)) {
			Expect(line).To(HaveSuffix("unchanged\n"))
		}
	})

	It("come with samples that the API server accepts", func(ctx SpecContext) {
		samples := filepath.Join(story.Root(), "config", "samples")
		Expect(strings.Count(kubectl(ctx, "apply", "--dry-run=server", "-k", samples), "created")).To(Equal(4))
		// Its image is one that its user builds, so it stands beside the others.
		Expect(strings.Count(kubectl(ctx, "apply", "--dry-run=server", "-f", filepath.Join(samples, "streaming_v1_streamplugin.yaml")), "created")).To(Equal(1))
	})

	It("are explained", func(ctx SpecContext) {
		Expect(kubectl(ctx, "explain", "strm.spec.suspended")).To(ContainSubstring("its job and pods are removed"))
		Expect(kubectl(ctx, "explain", "bfr.spec.payload")).To(ContainSubstring(streamingv1.EnvOverride))
		Expect(kubectl(ctx, "explain", "strc.spec.failureClasses")).To(ContainSubstring("exit codes"))
		Expect(kubectl(ctx, "explain", "sjt")).To(ContainSubstring("restarts the streaming jobs that use it"))
		Expect(kubectl(ctx, "explain", "sjt.spec.spec")).To(ContainSubstring("more than one pod at a time"))
	})
})

var _ = Describe("The API server", func() {
	var namespace string
	BeforeEach(func(ctx SpecContext) { namespace = emptyNamespace(ctx) })
	refusal := func(err error) string {
		GinkgoHelper()
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		return err.Error()
	}

	DescribeTable("refuses a stream and says what to do",
		func(ctx SpecContext, change given.StreamOption, message string) {
			err := stage().Client.Create(ctx, given.Stream(namespace, "orders", "some", change))
			Expect(refusal(err)).To(ContainSubstring(message))
		},
		Entry("whose name is too long", func(s *streamingv1.Stream) { s.Name = strings.Repeat("a", 64) },
			"metadata.name: must be at most 63 characters, because the stream's name is a label value on its Jobs and pods; choose a shorter name"),
		Entry("without a class", func(s *streamingv1.Stream) { s.Spec.StreamClass = "" }, "spec.streamClass"),
		Entry("with a time zone and no schedule", func(s *streamingv1.Stream) { s.Spec.TimeZone = ptr.To("Europe/Copenhagen") },
			"spec.timeZone: only has a meaning beside spec.schedule; set a schedule or remove the time zone"),
		Entry("with a schedule and an initial backfill", func(s *streamingv1.Stream) {
			s.Spec.Schedule = ptr.To("* * * * *")
			s.Spec.Backfill = &streamingv1.BackfillSpec{Initial: streamingv1.InitialEnabled}
		}, "spec.backfill.initial: a scheduled stream has no initial backfill; remove the field, or make a BackfillRequest when you want one"),
		Entry("that is healthy at once", given.HealthyAfter(0),
			"spec.restart.healthyAfter: must be longer than 0s, for example 10m"),
		Entry("whose first pause is the longest", given.Backoff(time.Hour, time.Minute),
			"spec.restart.backoff.initial: must not be longer than max; lower initial or raise max"),
		Entry("whose first pause is too short", given.Backoff(time.Millisecond, time.Minute),
			"spec.restart.backoff.initial: must be at least 1s"),
		Entry("whose longest pause is too short", func(s *streamingv1.Stream) {
			given.Backoff(0, time.Millisecond)(s)
			s.Spec.Restart.Backoff.Initial = nil
		}, "spec.restart.backoff.max: must be at least 1s"),
		Entry("with an unknown restart policy", func(s *streamingv1.Stream) {
			s.Spec.Restart = &streamingv1.RestartSpec{Policy: "Always"}
		}, "spec.restart.policy"),
	)

	It("accepts a stream whose name has 63 characters", func(ctx SpecContext) {
		Expect(stage().Client.Create(ctx, given.Stream(namespace, strings.Repeat("a", 63), "some"))).To(Succeed())
	})

	// The operator tells by these answers that a Job is another, and the servers in memory give them too.
	DescribeTable("refuses a patch of a Job that is another one, as the tests' servers do",
		func(ctx SpecContext, metadata string) {
			pod := corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "any"}}}}
			j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "held"}, Spec: batchv1.JobSpec{Suspend: ptr.To(true), Template: pod}}
			Expect(stage().Client.Create(ctx, j)).To(Succeed())
			patch := []byte(`{"metadata":` + metadata + `,"spec":{"suspend":false}}`)
			err := stage().Client.Patch(ctx, j.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
			expected := jsontree.Refused(jsontree.Decoded(patch), j)
			Expect(apierrors.ReasonForError(err)).To(Equal(apierrors.ReasonForError(expected)))
			field := func(err error) string {
				cause, _ := apierrors.StatusCause(err, metav1.CauseTypeFieldValueInvalid)
				return cause.Field
			}
			Expect(field(err)).To(Equal(field(expected)))
		},
		Entry("by its UID", `{"uid":"another"}`),
		Entry("by its version", `{"resourceVersion":"1"}`),
		Entry("by both", `{"uid":"another","resourceVersion":"1"}`),
	)

	It("lets nobody change a stream's class", func(ctx SpecContext) {
		s := given.Stream(namespace, "orders", "some")
		Expect(stage().Client.Create(ctx, s)).To(Succeed())
		err := stage().Client.Patch(ctx, s, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"streamClass":"other"}}`)))
		Expect(refusal(err)).To(ContainSubstring("spec.streamClass: is immutable; delete the Stream and create it again with the new class"))
	})

	It("lets nobody turn a request to another stream", func(ctx SpecContext) {
		r := given.Request(namespace, "again", "orders")
		Expect(stage().Client.Create(ctx, r)).To(Succeed())
		err := stage().Client.Patch(ctx, r, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"streamId":"other"}}`)))
		Expect(refusal(err)).To(ContainSubstring("spec.streamId: is immutable; delete this request and create one for the other stream"))
	})

	It("refuses a request for no stream, and one for a name that no stream can have", func(ctx SpecContext) {
		for _, name := range []string{"", strings.Repeat("a", 64)} {
			Expect(refusal(stage().Client.Create(ctx, given.Request(namespace, "again", name)))).To(ContainSubstring("spec.streamId"))
		}
	})

	It("refuses a failure class with exit code 0", func(ctx SpecContext) {
		err := stage().Client.Create(ctx, given.Class(namespace, "t", given.FailureClass("success", streamingv1.ActionIgnore, 0)))
		Expect(refusal(err)).To(ContainSubstring("exitCodes"))
	})

	It("keeps a free payload, a free source and a whole Job as they are", func(ctx SpecContext) {
		odd := map[string]any{"deep": map[string]any{"list": []any{1.5, "two", nil, true}}}
		Expect(stage().Client.Create(ctx, given.Request(namespace, "again", "orders", given.PayloadWith(odd)))).To(Succeed())
		r := &streamingv1.BackfillRequest{}
		Expect(stage().Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "again"}, r)).To(Succeed())
		Expect(r.Spec.Payload.Raw).To(MatchJSON(`{"deep":{"list":[1.5,"two",null,true]}}`))

		template := given.Template(namespace, "t", given.TTL(7), given.Environment("A", "b"))
		want, err := json.Marshal(template.Spec)
		Expect(err).NotTo(HaveOccurred())
		Expect(stage().Client.Create(ctx, template)).To(Succeed())
		back := &streamingv1.StreamingJobTemplate{}
		Expect(stage().Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "t"}, back)).To(Succeed())
		got, err := json.Marshal(back.Spec)
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(MatchJSON(want))
	})
})

var _ = Describe("kubectl get", func() {
	var w *story.World
	BeforeEach(func(ctx SpecContext) {
		w = stage().Enter(ctx)
		w.Given(ctx, "off", given.Suspended)
		w.AwaitPhase(ctx, "off", streamingv1.StreamSuspended)
		w.Given(ctx, "on", given.NoInitialBackfill)
		w.AwaitPhase(ctx, "on", streamingv1.StreamRunning)
		w.Request(ctx, "again", "off", given.ClassOf(w.Class))
		w.AwaitRequest(ctx, "again", streamingv1.RequestQueued)
	})
	get := func(ctx SpecContext, args ...string) []string {
		GinkgoHelper()
		return strings.Split(strings.TrimSpace(kubectl(ctx, append([]string{"get", "--namespace", w.Namespace}, args...)...)), "\n")
	}
	cells := func(line string) []string { return strings.Fields(line) }

	It("shows streams in columns, and more where asked", func(ctx SpecContext) {
		lines := get(ctx, "strm")
		Expect(cells(lines[0])).To(Equal([]string{"NAME", "CLASS", "PHASE", "READY", "SUSPENDED", "BACKFILL", "RESTARTS", "AGE"}))
		Expect(cells(lines[1])[:5]).To(Equal([]string{"off", w.Class, "Suspended", "True", "true"}))
		Expect(cells(lines[2])[:5]).To(Equal([]string{"on", w.Class, "Running", "True", "false"}))
		wide := get(ctx, "streams", "on", "-o", "wide")
		Expect(cells(wide[0])).To(ContainElements("JOB", "MESSAGE"))
		Expect(wide[1]).To(ContainSubstring(w.Jobs(ctx, "on")[0].Name))
	})

	It("shows requests, templates and classes in columns", func(ctx SpecContext) {
		lines := get(ctx, "bfr")
		Expect(cells(lines[0])).To(Equal([]string{"NAME", "CLASS", "STREAM", "PHASE", "COMPLETED", "ATTEMPTS", "AGE"}))
		Expect(cells(lines[1])[:5]).To(Equal([]string{"again", w.Class, "off", "Queued", "False"}))
		Expect(cells(get(ctx, "sjt")[1])[:2]).To(Equal([]string{story.Template, given.ScriptedImage}))
		Expect(cells(get(ctx, "strc", w.Class)[1])[:3]).To(Equal([]string{w.Class, "Stream", "Ready"}))
	})

	It("knows the category arcane", func(ctx SpecContext) {
		Expect(get(ctx, "arcane", "-o", "name")).To(ContainElements(
			"stream.streaming.sneaksanddata.com/on", "stream.streaming.sneaksanddata.com/off",
			"backfillrequest.streaming.sneaksanddata.com/again",
			"streamingjobtemplate.streaming.sneaksanddata.com/"+story.Template,
			"streamclass.streaming.sneaksanddata.com/"+w.Class))
	})

	It("selects by fields", func(ctx SpecContext) {
		for selector, want := range map[string]string{
			"spec.suspended=true":                              "stream.streaming.sneaksanddata.com/off",
			"spec.suspended=false,spec.streamClass=" + w.Class: "stream.streaming.sneaksanddata.com/on",
			"status.phase=Running":                             "stream.streaming.sneaksanddata.com/on",
		} {
			Expect(get(ctx, "strm", "--field-selector", selector, "-o", "name")).To(Equal([]string{want}), selector)
		}
		for _, selector := range []string{"spec.completed=false", "spec.streamId=off"} {
			Expect(get(ctx, "bfr", "--field-selector", selector, "-o", "name")).To(
				Equal([]string{"backfillrequest.streaming.sneaksanddata.com/again"}), selector)
		}
	})

	It("waits for a request's completion", func(ctx SpecContext) {
		w.Resume(ctx, "off")
		kubectl(ctx, "wait", "--namespace", w.Namespace, "--for=condition=Ready", "--timeout=30s", "bfr/again")
		// As existing clients do.
		kubectl(ctx, "wait", "--namespace", w.Namespace, "--for=jsonpath={.spec.completed}=true", "--timeout=30s", "bfr/again")
		Expect(cells(get(ctx, "bfr", "again")[1])[:6]).To(Equal([]string{"again", w.Class, "off", "Completed", "True", "1"}))
		kubectl(ctx, "wait", "--namespace", w.Namespace, "--for=condition=Ready", "--timeout=30s", "strm/off")
		w.AwaitPhase(ctx, "off", streamingv1.StreamRunning)
	})
})

// emptyNamespace is one without a class, a witness or any wish.
func emptyNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kinds-"}}
	Expect(stage().Client.Create(ctx, namespace)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(stage().Client.Delete(ctx, namespace)).To(Succeed(), fmt.Sprint(namespace.Name))
	})
	return namespace.Name
}
