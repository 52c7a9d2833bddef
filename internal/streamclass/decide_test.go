package streamclass

// This file tests the decision: whole values, and the time.

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

var (
	earlier = time.Date(2025, 11, 23, 22, 0, 0, 0, time.UTC)
	now     = earlier.Add(time.Hour)
)

type counts = map[v1.StreamPhase]int32

// statusOf is a status as it was written at a time. A class that is not Ready is Stalled for the same reason.
func statusOf(phase v1.ClassPhase, generation int64, ready metav1.ConditionStatus, reason v1.Reason, message string, since time.Time, streams counts) v1.StreamClassStatus {
	condition := metav1.Condition{
		Type: v1.ConditionReady, Status: ready, Reason: string(reason), Message: message,
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(since),
	}
	conditions := []metav1.Condition{condition}
	if ready == metav1.ConditionFalse {
		condition.Type, condition.Status = v1.ConditionStalled, metav1.ConditionTrue
		conditions = append(conditions, condition)
	}
	return v1.StreamClassStatus{Phase: phase, ObservedGeneration: generation, Streams: streams, Conditions: conditions}
}

func TestDecide(t *testing.T) {
	ready := func(generation int64, since time.Time, streams counts) v1.StreamClassStatus {
		return statusOf(v1.ClassReady, generation, metav1.ConditionTrue, v1.ReasonServed, served, since, streams)
	}
	problem := &definition.Problem{Reason: v1.ReasonSchemaInvalid, Kind: v1.KindStreamClass, Field: "spec.schema", Message: "StreamClass c: spec.schema: wrong"}
	failed := statusOf(v1.ClassFailed, 2, metav1.ConditionFalse, v1.ReasonSchemaInvalid, problem.Message, now, nil)
	for name, c := range map[string]struct {
		before v1.StreamClassStatus
		world  world
		want   v1.StreamClassStatus
		wake   time.Duration
	}{
		"new":          {v1.StreamClassStatus{}, world{}, ready(2, now, nil), 0},
		"as it is":     {ready(2, earlier, counts{"Running": 1}), world{streams: counts{"Running": 1}}, ready(2, earlier, counts{"Running": 1}), 0},
		"spec changed": {ready(1, earlier, nil), world{}, ready(2, earlier, nil), 0},
		"failed":       {ready(2, earlier, nil), world{problem: problem}, failed, 0},
		"still failed": {failed, world{problem: problem}, failed, 0},
		"good again":   {failed, world{}, ready(2, now, nil), 0},
		"a plugin's own kind": {
			v1.StreamClassStatus{},
			world{ownKind: true, problem: &definition.Problem{Reason: v1.ReasonKindUnsupported, Message: "not served"}},
			statusOf(v1.ClassPending, 2, metav1.ConditionFalse, v1.ReasonKindUnsupported, "not served", now, nil), 0,
		},
		"first count": {ready(2, earlier, nil), world{streams: counts{"Running": 1}}, ready(2, earlier, counts{"Running": 1}), 0},
		"count changed long ago": {
			ready(2, earlier, counts{"Running": 1}),
			world{streams: counts{"Running": 2}, counted: now.Add(-30 * time.Second)},
			ready(2, earlier, counts{"Running": 2}), 0,
		},
		"count changed just now": {
			ready(2, earlier, counts{"Running": 1}),
			world{streams: counts{"Running": 2}, counted: now.Add(-10 * time.Second)},
			ready(2, earlier, counts{"Running": 1}), 20 * time.Second,
		},
		"count changed and changed back": {
			ready(2, earlier, counts{"Running": 1}),
			world{streams: counts{"Running": 1}, counted: now},
			ready(2, earlier, counts{"Running": 1}), 0,
		},
		"the last one is gone": {ready(2, earlier, counts{"Running": 1}), world{}, ready(2, earlier, nil), 0},
		"the count rides along": {
			ready(1, earlier, counts{"Running": 1}),
			world{streams: counts{"Running": 2}, counted: now},
			ready(2, earlier, counts{"Running": 2}), 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.world
			w.now = now
			w.class = &v1.StreamClass{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Status: c.before}
			before := w.class.DeepCopy()
			got, wake := decide(&w)
			if !reflect.DeepEqual(*got, c.want) || wake != c.wake {
				t.Errorf("\n got %+v, wake in %s\nwant %+v, wake in %s", *got, wake, c.want, c.wake)
			}
			if !reflect.DeepEqual(w.class, before) {
				t.Error("the class itself was changed")
			}
		})
	}
}
