package stream

// This file says which finished jobs may go.

import (
	"slices"
	"strconv"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

func finishedJob(run int, change ...func(*batchv1.Job)) batchv1.Job {
	number := strconv.Itoa(run)
	j := batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: jobspec.Name("orders", "stream", v1.KindStream, int64(run)), UID: types.UID(number), Annotations: map[string]string{v1.AnnotationRun: number},
		OwnerReferences: []metav1.OwnerReference{{Kind: v1.KindStream, UID: "stream", Controller: ptr.To(true)}},
	}}
	j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
	for _, c := range change {
		c(&j)
	}
	return j
}

// TestATTLIsANumber: what somebody else has written in its place is no part of a patch.
func TestATTLIsANumber(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "3600": 3600, "2147483647": 2147483647,
		"": -1, "-1": -1, "2147483648": -1, `0,"suspend":false`: -1, "1e3": -1,
	} {
		j := finishedJob(1, func(j *batchv1.Job) { j.Annotations[v1.AnnotationTTL] = text })
		got, held := ttlOf(&j)
		if !held {
			got = -1
		}
		if got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func TestHistoryIsOnlyWhatIsRecorded(t *testing.T) {
	w := &world{
		stream: &v1.Stream{ObjectMeta: metav1.ObjectMeta{Name: "orders", UID: "stream"}, Status: v1.StreamStatus{
			Runs: 7, Failure: &v1.Failure{JobUID: "3"},
		}},
		record: &v1.JobRecord{UID: "7"},
		jobs: []batchv1.Job{
			finishedJob(8), // the status is older than this job
			finishedJob(7), // recorded, its end is not
			finishedJob(5),
			finishedJob(4, func(j *batchv1.Job) { j.OwnerReferences = nil }),
			finishedJob(3),
			finishedJob(2, func(j *batchv1.Job) { j.Status.Conditions = nil }),
			finishedJob(1),
			finishedJob(6, func(j *batchv1.Job) { j.Name = "a-users-own" }),
		},
	}
	var got []string
	for _, j := range w.history() {
		got = append(got, string(j.UID))
	}
	if want := []string{"1", "3", "5"}; !slices.Equal(got, want) {
		t.Errorf("history: %v, want %v", got, want)
	}
	w.record.Outcome = v1.OutcomeSucceeded
	if got := len(w.history()); got != 4 {
		t.Errorf("%d jobs once the outcome is recorded, want 4", got)
	}
}
