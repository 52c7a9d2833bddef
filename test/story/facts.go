// What a user sees.

package story

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Stream reads a stream.
func (w *World) Stream(ctx context.Context, name string) *streamingv1.Stream {
	ginkgo.GinkgoHelper()
	s := &streamingv1.Stream{}
	gomega.Expect(w.Client.Get(ctx, w.Key(name), s)).To(gomega.Succeed())
	return s
}

// AwaitPhase waits until a stream shows a phase for the specification that it has now.
func (w *World) AwaitPhase(ctx context.Context, name string, phase streamingv1.StreamPhase) *streamingv1.Stream {
	ginkgo.GinkgoHelper()
	s := &streamingv1.Stream{}
	w.Await(ctx, func(g gomega.Gomega) {
		g.Expect(w.Client.Get(ctx, w.Key(name), s)).To(gomega.Succeed())
		g.Expect(s.Status.Phase).To(gomega.Equal(phase), describe(s))
		g.Expect(s.Status.ObservedGeneration).To(gomega.Equal(s.Generation), describe(s))
	})
	return s
}

// AwaitCondition waits for a condition with a reason.
func (w *World) AwaitCondition(ctx context.Context, name, kind string, status metav1.ConditionStatus, reason streamingv1.Reason) *metav1.Condition {
	ginkgo.GinkgoHelper()
	var found *metav1.Condition
	w.Await(ctx, func(g gomega.Gomega) {
		s := &streamingv1.Stream{}
		g.Expect(w.Client.Get(ctx, w.Key(name), s)).To(gomega.Succeed())
		found = meta.FindStatusCondition(s.Status.Conditions, kind)
		g.Expect(found).NotTo(gomega.BeNil(), describe(s))
		g.Expect(found.Status).To(gomega.Equal(status), describe(s))
		g.Expect(found.Reason).To(gomega.Equal(string(reason)), describe(s))
	})
	return found
}

// AwaitRequest waits until a request shows a phase.
func (w *World) AwaitRequest(ctx context.Context, name string, phase streamingv1.RequestPhase) *streamingv1.BackfillRequest {
	ginkgo.GinkgoHelper()
	r := &streamingv1.BackfillRequest{}
	w.Await(ctx, func(g gomega.Gomega) {
		g.Expect(w.Client.Get(ctx, w.Key(name), r)).To(gomega.Succeed())
		g.Expect(r.Status.Phase).To(gomega.Equal(phase), "%s: %s", name, r.Status.Message)
	})
	return r
}

// AwaitCompleted waits until a request has been completed by a job, in spec and status.
func (w *World) AwaitCompleted(ctx context.Context, name string) *streamingv1.BackfillRequest {
	ginkgo.GinkgoHelper()
	r := w.AwaitRequest(ctx, name, streamingv1.RequestCompleted)
	gomega.Expect(r.Spec.Completed).To(gomega.BeTrue())
	gomega.Expect(r.Annotations).To(gomega.HaveKey(streamingv1.AnnotationCompletedBy))
	gomega.Expect(r.Status.CompletionTime).NotTo(gomega.BeNil())
	return r
}

// AwaitPod waits until a pod of a stream runs in a mode, one that is not going away.
func (w *World) AwaitPod(ctx context.Context, name string, mode streamingv1.Mode, except ...*corev1.Pod) *corev1.Pod {
	ginkgo.GinkgoHelper()
	var found *corev1.Pod
	w.Await(ctx, func(g gomega.Gomega) {
		var err error
		found, err = w.RunningPod(ctx, name, mode, except...)
		g.Expect(err).NotTo(gomega.HaveOccurred())
	})
	return found
}

// RunningPod is the pod of a stream that runs in a mode now, or an error that says what there is.
func (w *World) RunningPod(ctx context.Context, name string, mode streamingv1.Mode, except ...*corev1.Pod) (*corev1.Pod, error) {
	pods := &corev1.PodList{}
	if err := w.Client.List(ctx, pods, client.InNamespace(w.Namespace), ofMode(name, mode)); err != nil {
		return nil, err
	}
	var seen []string
	for i := range pods.Items {
		p := &pods.Items[i]
		former := slices.ContainsFunc(except, func(o *corev1.Pod) bool { return o.UID == p.UID })
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil && !former {
			return p, nil
		}
		seen = append(seen, fmt.Sprintf("%s is %s", p.Name, p.Status.Phase))
	}
	return nil, fmt.Errorf("no new pod of %s runs in mode %s: %s", name, mode, strings.Join(seen, ", "))
}

func ofMode(stream string, mode streamingv1.Mode) client.MatchingLabels {
	return client.MatchingLabels{
		streamingv1.LabelStreamID:    stream,
		streamingv1.LabelBackfilling: fmt.Sprint(mode == streamingv1.ModeBackfill),
	}
}

// Jobs lists the jobs of a stream that are there now, oldest first.
func (w *World) Jobs(ctx context.Context, name string) []batchv1.Job {
	ginkgo.GinkgoHelper()
	jobs := &batchv1.JobList{}
	gomega.Expect(w.Client.List(ctx, jobs, client.InNamespace(w.Namespace),
		client.MatchingLabels{streamingv1.LabelStreamID: name})).To(gomega.Succeed())
	slices.SortFunc(jobs.Items, func(a, b batchv1.Job) int { return strings.Compare(runNumber(&a), runNumber(&b)) })
	return jobs.Items
}

// Pods lists the pods of a stream that are there now.
func (w *World) Pods(ctx context.Context, name string) []corev1.Pod {
	ginkgo.GinkgoHelper()
	pods := &corev1.PodList{}
	gomega.Expect(w.Client.List(ctx, pods, client.InNamespace(w.Namespace),
		client.MatchingLabels{streamingv1.LabelStreamID: name})).To(gomega.Succeed())
	return pods.Items
}

// Requests lists all requests for a stream.
func (w *World) Requests(ctx context.Context, name string) []streamingv1.BackfillRequest {
	ginkgo.GinkgoHelper()
	list := &streamingv1.BackfillRequestList{}
	gomega.Expect(w.Client.List(ctx, list, client.InNamespace(w.Namespace),
		client.MatchingFields{"spec.streamId": name})).To(gomega.Succeed())
	return list.Items
}

// Started lists the jobs of a stream that have ever been released, in that order.
func (w *World) Started(ctx context.Context, name string) []*batchv1.Job {
	ginkgo.GinkgoHelper()
	var started []*batchv1.Job
	seen := map[types.UID]bool{}
	for _, v := range w.History(ctx).Versions {
		j, ok := v.Object.(*batchv1.Job)
		if !ok || seen[j.UID] || j.Labels[streamingv1.LabelStreamID] != name || j.Spec.Suspend != nil && *j.Spec.Suspend {
			continue
		}
		seen[j.UID] = true
		started = append(started, j)
	}
	return started
}

// Modes says of the jobs that have ever been released what they did, in that order.
func (w *World) Modes(ctx context.Context, name string) []streamingv1.Mode {
	ginkgo.GinkgoHelper()
	var modes []streamingv1.Mode
	for _, j := range w.Started(ctx, name) {
		modes = append(modes, modeOf(j))
	}
	return modes
}

// RequestsEver counts the requests for a stream that have ever been there.
func (w *World) RequestsEver(ctx context.Context, name string) int {
	ginkgo.GinkgoHelper()
	seen := map[types.UID]bool{}
	for _, v := range w.History(ctx).Versions {
		if r, ok := v.Object.(*streamingv1.BackfillRequest); ok && r.Spec.StreamID == name {
			seen[r.UID] = true
		}
	}
	return len(seen)
}

// PhasesEver lists the phases that a stream has gone through.
func (w *World) PhasesEver(ctx context.Context, name string) []streamingv1.StreamPhase {
	ginkgo.GinkgoHelper()
	var phases []streamingv1.StreamPhase
	for _, v := range w.History(ctx).Versions {
		s, ok := v.Object.(*streamingv1.Stream)
		if !ok || s.Name != name || s.Status.Phase == "" {
			continue
		}
		if len(phases) == 0 || phases[len(phases)-1] != s.Status.Phase {
			phases = append(phases, s.Status.Phase)
		}
	}
	return phases
}

// Events lists what was told about an object, of one type.
func (w *World) Events(ctx context.Context, o client.Object, kind string) []corev1.Event {
	ginkgo.GinkgoHelper()
	events, err := w.Kube.CoreV1().Events(w.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.uid=" + string(o.GetUID()) + ",type=" + kind,
	})
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return events.Items
}

// Warnings are what was told of a stream as going wrong. That its class or template is
// not there yet is left out: a world's first stream may reach the operator before they do.
func (w *World) Warnings(ctx context.Context, o client.Object) []corev1.Event {
	ginkgo.GinkgoHelper()
	early := []string{string(streamingv1.ReasonClassNotFound), string(streamingv1.ReasonTemplateNotFound)}
	return slices.DeleteFunc(w.Events(ctx, o, corev1.EventTypeWarning), func(e corev1.Event) bool {
		return slices.Contains(early, e.Reason)
	})
}

// Told counts how often something was told: repetitions are kept in one event.
func Told(events []corev1.Event) int {
	total := 0
	for _, e := range events {
		count := max(1, int(e.Count))
		if e.Series != nil {
			count = max(count, int(e.Series.Count))
		}
		total += count
	}
	return total
}

// podsEver counts the pods that a stream has ever had.
func (w *World) podsEver(ctx context.Context, name string) int {
	ginkgo.GinkgoHelper()
	seen := map[types.UID]bool{}
	for _, v := range w.History(ctx).Versions {
		if p, ok := v.Object.(*corev1.Pod); ok && p.Labels[streamingv1.LabelStreamID] == name {
			seen[p.UID] = true
		}
	}
	return len(seen)
}

func (w *World) expectNoLivingPod(ctx context.Context, name string) {
	ginkgo.GinkgoHelper()
	for _, p := range w.Pods(ctx, name) {
		ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		gomega.Expect(ended).To(gomega.BeTrue(), "pod %s is %s", p.Name, p.Status.Phase)
	}
}

func modeOf(j *batchv1.Job) streamingv1.Mode {
	if j.Labels[streamingv1.LabelBackfilling] == "true" {
		return streamingv1.ModeBackfill
	}
	return streamingv1.ModeStream
}

func runNumber(j *batchv1.Job) string { return j.Annotations[streamingv1.AnnotationRun] }

// OldestFirst names the requests for a stream in the order in which they are to run.
func (w *World) OldestFirst(ctx context.Context, name string) []string {
	ginkgo.GinkgoHelper()
	requests := w.Requests(ctx, name)
	slices.SortFunc(requests, func(a, b streamingv1.BackfillRequest) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	var names []string
	for _, r := range requests {
		names = append(names, r.Name)
	}
	return names
}
