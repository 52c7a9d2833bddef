package stream

// This file tests what others do to a stream's objects again and again, and that no foreign
// pod or Job keeps a job from being stopped.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// markOfOrders is what the names of the stream's children hold.
func markOfOrders() string { return jobspec.Mark("orders", "0a1b2c3d-stream", v1.KindStream) }

// passes reconciles so many times, with so much time in between, whatever comes of it.
func (c *cluster) passes(n int, pause time.Duration) {
	c.t.Helper()
	for range n {
		if _, err := c.reconcile(); err != nil {
			c.t.Log(err)
		}
		c.later(pause)
	}
}

// TestNothingKeepsAJobFromBeingStopped: another Job, which bears no label, makes a pod under
// a name of the stream's.
func TestNothingKeepsAJobFromBeingStopped(t *testing.T) {
	for whose, owned := range map[string]bool{"nobody's": false, "one that says the stream owns it": true} {
		for what, edit := range map[string]func(*cluster, *batchv1.Job){
			"suspended": func(c *cluster, _ *batchv1.Job) { c.change(suspend) },
			"altered": func(c *cluster, mine *batchv1.Job) {
				mine.Spec.Parallelism = ptr.To[int32](2)
				c.must(c.api.Update(c.t.Context(), mine))
			},
			"changed": func(c *cluster, _ *batchv1.Job) {
				c.change(func(s *v1.Stream) { s.Spec.Source = raw(`{"a":1}`) })
			},
		} {
			t.Run(what+" beside "+whose, func(t *testing.T) {
				c := newCluster(t, orders(noBackfill)...)
				c.settle()
				mine := c.running()
				other := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "orders-" + markOfOrders() + "-7", UID: "other"}}
				if owned {
					other.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(c.stream(), v1.GroupVersion.WithKind(v1.KindStream))}
				}
				c.must(c.api.Create(t.Context(), other))
				c.must(c.api.Create(t.Context(), theirs(other.Name+"-abcde", controlledBy("Job", other.Name, other.UID))))
				edit(c, mine)
				c.passes(20, 5*time.Second)
				if c.exists(mine) {
					t.Errorf("it runs on, and says %+v", c.condition(v1.ConditionReady))
				}
				if c.exists(other) == owned {
					t.Errorf("the other Job is there: %v", c.exists(other))
				}
			})
		}
	}
}

// TestAnOrphanBehindAPodInTheWayGoes: one that is not ours to end comes first in the list.
func TestAnOrphanBehindAPodInTheWayGoes(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	own := c.run()
	next := c.next(own)
	c.must(c.api.Get(t.Context(), client.ObjectKeyFromObject(own), own))
	own.OwnerReferences, own.Labels[batchv1.ControllerUidLabel] = nil, ""
	c.must(c.api.Update(t.Context(), own))
	c.must(c.api.Create(t.Context(), next))
	other := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a-" + markOfOrders() + "-7", UID: "other"}}
	c.must(c.api.Create(t.Context(), other))
	c.must(c.api.Create(t.Context(), theirs(other.Name+"-abcde", controlledBy("Job", other.Name, other.UID))))
	c.hours(1)
	if c.exists(own) {
		t.Error("it writes on beside the job's own pod")
	}
}

// TestPodsOfASetAreNotDeletedForEver: a ReplicaSet under a name of the stream's makes each anew.
func TestPodsOfASetAreNotDeletedForEver(t *testing.T) {
	for _, under := range []string{"a name of the stream's", "the running job's"} {
		t.Run(under, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill)...)
			set := "orders-" + markOfOrders() + "-7"
			if under == "the running job's" {
				c.settle()
				set = c.running().Name
			}
			made, last := 0, &corev1.Pod{}
			for range 50 {
				if made == 0 || !c.exists(last) {
					made++
					last = theirs(fmt.Sprintf("%s-%05d", set, made), controlledBy("ReplicaSet", set, "set"))
					last.UID, last.CreationTimestamp = types.UID(last.Name), metav1.NewTime(c.clock.Now())
					last.Spec.RestartPolicy = corev1.RestartPolicyAlways
					c.must(c.api.Create(t.Context(), last))
				}
				c.passes(1, time.Minute)
			}
			if s := c.condition(v1.ConditionStalled); made > 1 || s.Reason != string(v1.ReasonForeignPod) || !strings.Contains(s.Message, "kubectl delete replicaset "+set) {
				t.Errorf("%d pods were made; Stalled %s %s", made, s.Reason, s.Message)
			}
		})
	}
}

// TestACronJobThatHasLostItsLabel is not in the cache, and makes runs.
func TestACronJobThatHasLostItsLabel(t *testing.T) {
	for what, lose := range map[string]func(*batchv1.CronJob){
		"label": func(j *batchv1.CronJob) { delete(j.Labels, v1.LabelStreamID) },
		"owner": func(j *batchv1.CronJob) { j.OwnerReferences = nil },
	} {
		for _, then := range []string{"at rest", "suspended", "a run comes"} {
			t.Run(what+", "+then, func(t *testing.T) {
				c := newCluster(t, orders(scheduled)...)
				c.settle()
				cron := c.cron()
				lose(cron)
				c.must(c.api.Update(t.Context(), cron))
				switch then {
				case "suspended":
					c.change(suspend)
				case "a run comes":
					c.held("29384757", func(*batchv1.Job) {})
				}
				c.passes(30, 10*time.Second)
				is := c.cron()
				if then == "suspended" {
					if !ptr.Deref(is.Spec.Suspend, false) || c.stream().Status.Phase != v1.StreamSuspended {
						t.Errorf("%s, and it makes runs", c.stream().Status.Phase)
					}
					return
				}
				if is.Labels[v1.LabelStreamID] == "" || is.OwnerReferences == nil {
					t.Errorf("it is left as it is, and the stream says %+v", c.condition(v1.ConditionReady))
				}
				if then == "a run comes" && suspended(c.running()) {
					t.Error("its run waits")
				}
			})
		}
	}
}

// TestAReleasedJobThatIsSuspendedAgain, by a queueing controller for instance, is not let run again and again.
func TestAReleasedJobThatIsSuspendedAgain(t *testing.T) {
	for name, given := range map[string][]client.Object{"stream": orders(noBackfill), "backfill": orders()} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, given...)
			c.settle()
			before := len(c.writes)
			for n := range 50 {
				for _, j := range c.unfinished() {
					j.Spec.Suspend, j.Generation = ptr.To(true), int64(n+3)
					c.must(c.api.Update(t.Context(), &j))
				}
				c.passes(1, time.Second)
			}
			if n := len(c.writes) - before; n > 20 {
				t.Errorf("%d writes", n)
			}
			if ready := c.condition(v1.ConditionReady); ready.Status == metav1.ConditionTrue || ready.Reason != string(v1.ReasonJobAltered) || !strings.Contains(ready.Message, "suspended again") {
				t.Errorf("Ready %s %s %s", ready.Status, ready.Reason, ready.Message)
			}
		})
	}
}

// TestAScheduleThatIsFoughtOverIsTold: somebody deletes or changes the CronJob before each run.
func TestAScheduleThatIsFoughtOverIsTold(t *testing.T) {
	for name, fight := range map[string]func(c *cluster){
		"deletes": func(c *cluster) { c.must(c.api.Delete(c.t.Context(), c.cron())) },
		"patches": func(c *cluster) {
			cron := c.cron()
			cron.Spec.Schedule = "0 0 1 1 *"
			cron.Generation++
			c.must(c.api.Update(c.t.Context(), cron))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(scheduled)...)
			c.settle()
			for range 30 {
				fight(c)
				c.passes(1, 5*time.Minute)
			}
			if last := c.condition(v1.ConditionLastRunFailed); last.Status != metav1.ConditionTrue || last.Reason != string(v1.ReasonRunMissed) {
				t.Errorf("no run for hours, and LastRunFailed is %q %q", last.Status, last.Reason)
			}
		})
	}
}

// TestWhatLastsIsStalledAndWhatDoesNotIsNot: an error of one kind says nothing of the other.
func TestWhatLastsIsStalledAndWhatDoesNotIsNot(t *testing.T) {
	down, conflict, guarded := errors.New("connection refused"), apierrors.NewConflict(schema.GroupResource{}, "any", errors.New("another version")),
		apierrors.NewForbidden(schema.GroupResource{Resource: "jobs"}, "any", errors.New("ended jobs are kept"))
	for name, x := range map[string]struct {
		// ended jobs are there to be cleared away, more than are kept.
		ended int
		// before are what the API server says, for an hour, and then it says once what last is.
		reads, deletes []error
		last           error
		stalled        v1.Reason
	}{
		"a conflict":                            {last: conflict},
		"a conflict after an outage":            {reads: []error{down}, last: conflict},
		"a conflict after failed writes":        {deletes: []error{down}, last: conflict},
		"a conflict while ended jobs are kept":  {ended: keptJobs + 2, deletes: []error{guarded}, last: conflict},
		"conflicts that last":                   {deletes: []error{conflict}, last: conflict, stalled: v1.ReasonUnsettled},
		"failed writes that last":               {deletes: []error{down}, last: down, stalled: v1.ReasonWriteRefused},
		"failed writes and conflicts, by turns": {deletes: []error{down, conflict}, last: down, stalled: v1.ReasonWriteRefused},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, orders(noBackfill)...)
			c.settle()
			var reads, deletes []error
			asked := 0
			c.intercept(interceptor.Funcs{
				Get: func(ctx context.Context, w client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
					if len(reads) > 0 {
						return reads[0]
					}
					return w.Get(ctx, key, o, opts...)
				},
				Delete: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
					if len(deletes) > 0 {
						asked++
						return deletes[asked%len(deletes)]
					}
					return w.Delete(ctx, o, opts...)
				},
			})
			if x.ended > 0 {
				deletes = x.deletes
			}
			for range x.ended {
				c.end(0)
				c.settle()
				c.later(time.Hour)
				c.settle()
			}
			if n := c.warnings(string(v1.ReasonWriteRefused)); (x.ended > 0) != (n > 0) {
				t.Errorf("told %d times", n)
			}
			c.change(suspend)
			if reads, deletes = x.reads, x.deletes; x.ended == 0 && len(reads)+len(deletes) > 0 {
				c.passes(120, 30*time.Second)
			}
			if x.stalled == "" {
				asked, reads, deletes = 0, nil, []error{x.last}
				c.passes(1, time.Second)
			}
			stalled := c.condition(v1.ConditionStalled)
			if x.stalled != "" && (stalled.Status != metav1.ConditionTrue || stalled.Reason != string(x.stalled)) {
				t.Errorf("Stalled %s %s: %s", stalled.Status, stalled.Reason, stalled.Message)
			}
			if x.stalled == "" && stalled.Reason == string(v1.ReasonUnsettled) {
				t.Errorf("Stalled %s: %s", stalled.Reason, stalled.Message)
			}
			if asked == 0 {
				t.Error("nothing was refused")
			}
			reads, deletes = nil, nil
			c.passes(5, lookAgainAtMost)
			if s := c.stream(); s.Status.Phase != v1.StreamSuspended {
				t.Errorf("it does not get on: %s", s.Status.Phase)
			}
		})
	}
}

// TestAConflictInClearingAwayWaits: nothing else waits for that.
func TestAConflictInClearingAwayWaits(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	c.intercept(interceptor.Funcs{Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error {
		return apierrors.NewConflict(schema.GroupResource{}, "any", errors.New("another version"))
	}})
	for range keptJobs + 2 {
		c.end(0)
		c.settle()
		c.later(time.Hour)
		c.settle()
	}
	r, err := c.reconcile()
	c.must(err)
	if len(c.jobs()) <= keptJobs+1 || r.RequeueAfter == 0 || r.RequeueAfter < lookAgainAfter*2 {
		t.Errorf("%d jobs; it looks again in %s", len(c.jobs()), r.RequeueAfter)
	}
}

// TestAReleaseThatIsTakenBackIsNoCrash: no pod has ever run.
func TestAReleaseThatIsTakenBackIsNoCrash(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.admitPatch = func(o client.Object) {
		if j, ok := o.(*batchv1.Job); ok {
			j.Spec.Suspend = ptr.To(true)
		}
	}
	for range 8 {
		r, err := c.reconcile()
		c.must(err)
		if s := c.condition(v1.ConditionStalled); s.Reason == string(v1.ReasonCrashLooping) {
			t.Errorf("%s: %s", s.Reason, s.Message)
		}
		c.later(r.RequeueAfter)
	}
	if n := counted(&c.stream().Status).Count; n > 0 {
		t.Errorf("%d ends are counted", n)
	}
}

// TestUnprovenAttemptsEndWhereNobodyCanCountThem: a policy guards the request's status.
func TestUnprovenAttemptsEndWhereNobodyCanCountThem(t *testing.T) {
	c := newCluster(t, declares(&v1.Completion{Mark: v1.MarkTerminationMessage})...)
	c.settle()
	c.intercept(interceptor.Funcs{SubResourcePatch: func(ctx context.Context, w client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
		if _, ok := o.(*v1.BackfillRequest); ok {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "backfillrequests"}, o.GetName(), errors.New("denied by policy"))
		}
		return w.SubResource(sub).Patch(ctx, o, p, opts...)
	}})
	n := 0
	for ; n < 5 && len(c.unfinished()) > 0; n++ {
		c.end(0)
		c.passes(8, time.Minute)
	}
	if ready := c.condition(v1.ConditionReady); n > 3 || ready.Reason != string(v1.ReasonWriteRefused) {
		t.Errorf("%d whole backfills; Ready %s", n, ready.Reason)
	}
}

// TestABackfillWhoseJobsSomebodyDeletesAtOnceIsBackedOff: the first is followed at once, and
// then it takes longer each time.
func TestABackfillWhoseJobsSomebodyDeletesAtOnceIsBackedOff(t *testing.T) {
	c := newCluster(t, orders()...)
	c.settle()
	var waits []time.Duration
	for range 4 {
		c.must(c.api.Delete(t.Context(), c.running()))
		since := c.clock.Now()
		for n := 0; len(c.unfinished()) == 0 && n < 10; n++ {
			r, err := c.reconcile()
			c.must(err)
			if len(c.unfinished()) == 0 {
				c.later(r.RequeueAfter)
			}
		}
		waits = append(waits, c.clock.Now().Sub(since))
		c.settle()
	}
	if waits[0] != 0 || waits[1] == 0 || waits[2] <= waits[1] || waits[3] <= waits[2] {
		t.Errorf("waits %v", waits)
	}
	c.end(0)
	c.settle()
	if q := c.firstRequest(); q.Status.Phase != v1.RequestCompleted {
		t.Errorf("request %s", q.Status.Phase)
	}
}
