package streamclass

// This file tests whom the changes of streams wake.

import (
	goruntime "runtime"
	"slices"
	"testing"

	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// TestManyChangesAreOneCount: each wakes the class, and all of a moment wake it once.
func TestManyChangesAreOneCount(t *testing.T) {
	clock := clocktesting.NewFakeClock(now)
	queue := workqueue.NewTypedRateLimitingQueueWithConfig(workqueue.DefaultTypedControllerRateLimiter[ctrl.Request](),
		workqueue.TypedRateLimitingQueueConfig[ctrl.Request]{Clock: clock})
	t.Cleanup(queue.ShutDown)
	wakes := later()
	for n := range 1000 {
		before, after := stream(n, "c", v1.StreamPending), stream(n, "c", v1.StreamRunning)
		wakes.Create(t.Context(), event.CreateEvent{Object: before}, queue)
		wakes.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, queue)
		wakes.Delete(t.Context(), event.DeleteEvent{Object: after}, queue)
	}
	moved := stream(1, "other", v1.StreamRunning)
	wakes.Update(t.Context(), event.UpdateEvent{ObjectOld: stream(1, "former", v1.StreamRunning), ObjectNew: moved}, queue)
	if n := queue.Len(); n != 0 {
		t.Errorf("%d wait at once", n)
	}
	var woken []string
	for range 3 {
		for !clock.HasWaiters() && queue.Len() == 0 {
			goruntime.Gosched()
		}
		clock.Step(moment)
		request, _ := queue.Get()
		woken = append(woken, request.Name)
	}
	slices.Sort(woken)
	if want := []string{"c", "former", "other"}; !slices.Equal(woken, want) || queue.Len() != 0 {
		t.Errorf("woke %v and %d more, want %v", woken, queue.Len(), want)
	}
}
