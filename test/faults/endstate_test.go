// What must be the same at the end, whatever happened to the operator on the way.

package faults_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// endState is a world at rest in lines, without what may differ from run to run:
// names and UIDs that the API server made, times, messages, and the numbers of runs,
// of which a job that was discarded takes one.
func endState(ctx context.Context, w *story.World) []string {
	lines := append(classLines(ctx, w), streamLines(w.Stream(ctx, "orders"))...)
	requests := w.Requests(ctx, "orders")
	slices.SortFunc(requests, func(a, b streamingv1.BackfillRequest) int { return strings.Compare(a.Name, b.Name) })
	for i := range requests {
		lines = append(lines, requestLines(&requests[i])...)
	}
	lines = append(lines, fmt.Sprintf("requests ever: %d", w.RequestsEver(ctx, "orders")))
	lines = append(lines, fmt.Sprintf("jobs released, in order: %v", w.Modes(ctx, "orders")))
	lines = append(lines, cronLines(ctx, w)...)
	lines = append(lines, jobLines(w.Jobs(ctx, "orders"))...)
	return append(lines, podLines(w.Pods(ctx, "orders"))...)
}

// classLines leave out the counts: they are written every 30 seconds at most.
func classLines(ctx context.Context, w *story.World) []string {
	c := &streamingv1.StreamClass{}
	gomega.Expect(w.Client.Get(ctx, w.Key(w.Class), c)).To(gomega.Succeed())
	return append([]string{fmt.Sprintf("class: %s", c.Status.Phase)}, conditionLines("class", c.Status.Conditions)...)
}

func streamLines(s *streamingv1.Stream) []string {
	lines := []string{fmt.Sprintf("stream: %s, generation observed: %v, initial backfill: %s, its request recorded: %v",
		s.Status.Phase, s.Status.ObservedGeneration == s.Generation, s.Status.InitialBackfill, s.Status.InitialRequestUID != "")}
	lines = append(lines, conditionLines("stream", s.Status.Conditions)...)
	if j := s.Status.Job; j != nil {
		lines = append(lines, fmt.Sprintf("stream job: %s for %q, outcome %q, configuration the stream's: %v",
			j.Mode, j.Request, j.Outcome, j.ConfigurationHash == s.Status.ConfigurationHash))
	}
	if f := s.Status.Failure; f != nil {
		lines = append(lines, fmt.Sprintf("stream failure: %s, %s", f.Mode, f.Reason))
	}
	if r := s.Status.Restarts; r != nil {
		lines = append(lines, fmt.Sprintf("stream restarts: %d", r.Count))
	}
	return lines
}

func requestLines(r *streamingv1.BackfillRequest) []string {
	name := r.Name
	if strings.HasPrefix(name, "orders-initial-") {
		name = "orders-initial" // the rest is of the stream's UID
	}
	var attempts []streamingv1.AttemptResult
	for _, a := range r.Status.Attempts {
		attempts = append(attempts, a.Result)
	}
	who := "request " + name
	line := fmt.Sprintf("%s: %s, completed %v, by a job: %v, attempts %d %v, started %v, ended %v, owners %d", who,
		r.Status.Phase, r.Spec.Completed, r.Annotations[streamingv1.AnnotationCompletedBy] != "", r.Status.AttemptCount, attempts,
		r.Status.StartTime != nil, r.Status.CompletionTime != nil, len(r.OwnerReferences))
	return append([]string{line}, conditionLines(who, r.Status.Conditions)...)
}

func conditionLines(who string, conditions []metav1.Condition) []string {
	var lines []string
	for _, c := range conditions {
		lines = append(lines, fmt.Sprintf("%s condition: %s=%s, %s", who, c.Type, c.Status, c.Reason))
	}
	slices.Sort(lines)
	return lines
}

func cronLines(ctx context.Context, w *story.World) []string {
	crons := &batchv1.CronJobList{}
	gomega.Expect(w.Client.List(ctx, crons, client.InNamespace(w.Namespace))).To(gomega.Succeed())
	var kinds []string
	for _, c := range crons.Items {
		kinds = append(kinds, fmt.Sprintf("cronjob: %s, paused %v", c.Spec.Schedule, c.Spec.Suspend != nil && *c.Spec.Suspend))
	}
	return tally(kinds)
}

// jobLines count the jobs that are there, by what they do and how they fare.
func jobLines(jobs []batchv1.Job) []string {
	var kinds []string
	for i := range jobs {
		j := &jobs[i]
		mode := "stream"
		if j.Labels[streamingv1.LabelBackfilling] == "true" {
			mode = "backfill"
		}
		kinds = append(kinds, fmt.Sprintf("job: %s, %s", mode, stateOf(j)))
	}
	return tally(kinds)
}

func stateOf(j *batchv1.Job) string {
	for _, c := range j.Status.Conditions {
		ended := c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed
		if ended && c.Status == corev1.ConditionTrue {
			return string(c.Type)
		}
	}
	switch {
	case j.DeletionTimestamp != nil:
		return "being deleted"
	case j.Spec.Suspend != nil && *j.Spec.Suspend:
		return "held"
	default:
		return "unfinished"
	}
}

// podLines count the pods that live: those that have ended go with their jobs.
func podLines(pods []corev1.Pod) []string {
	var kinds []string
	for i := range pods {
		p := &pods[i]
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			kinds = append(kinds, fmt.Sprintf("pod: backfilling %s, %s, being deleted: %v",
				p.Labels[streamingv1.LabelBackfilling], p.Status.Phase, p.DeletionTimestamp != nil))
		}
	}
	return tally(kinds)
}

func tally(kinds []string) []string {
	slices.Sort(kinds)
	var lines []string
	for len(kinds) > 0 {
		same := 1
		for same < len(kinds) && kinds[same] == kinds[0] {
			same++
		}
		lines = append(lines, fmt.Sprintf("%d × %s", same, kinds[0]))
		kinds = kinds[same:]
	}
	return lines
}

// difference of two end states: lines that only one has.
func difference(want, got []string) string {
	var lines []string
	for _, line := range want {
		if !slices.Contains(got, line) {
			lines = append(lines, "- "+line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			lines = append(lines, "+ "+line)
		}
	}
	return strings.Join(lines, "\n")
}
