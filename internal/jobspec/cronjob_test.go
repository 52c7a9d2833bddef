package jobspec

// This file tests the CronJobs of streams that have a schedule.

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"
)

func scheduledCron(t *testing.T) *batchv1.CronJob {
	t.Helper()
	cron, p := BuildCron(load(t, "testdata/scheduled.input.yaml").input(t))
	if p != nil {
		t.Fatal(p)
	}
	return cron
}

// TestRunsAreHeld: what a CronJob makes by itself must never begin to write by itself.
func TestRunsAreHeld(t *testing.T) {
	spec := scheduledCron(t).Spec
	if held := spec.JobTemplate.Spec.Suspend; held == nil || !*held {
		t.Error("a run would not be held")
	}
	if spec.JobTemplate.Spec.TTLSecondsAfterFinished != nil {
		t.Error("a run could vanish before its end is recorded")
	}
	if spec.ConcurrencyPolicy != batchv1.ForbidConcurrent {
		t.Errorf("policy %s", spec.ConcurrencyPolicy)
	}
}

// TestSameCronSeesEveryDrift: what somebody changes by hand is put right.
func TestSameCronSeesEveryDrift(t *testing.T) {
	wanted := scheduledCron(t)
	if !SameCron(wanted.DeepCopy(), wanted) {
		t.Error("it is not the same as itself")
	}
	for name, change := range map[string]func(*batchv1.CronJob){
		"schedule":       func(c *batchv1.CronJob) { c.Spec.Schedule = "* * * * *" },
		"time zone":      func(c *batchv1.CronJob) { c.Spec.TimeZone = nil },
		"concurrency":    func(c *batchv1.CronJob) { c.Spec.ConcurrencyPolicy = batchv1.AllowConcurrent },
		"runs not held":  func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.Suspend = ptr.To(false) },
		"pods at a time": func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.Parallelism = ptr.To[int32](3) },
		"pods of a run":  func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.Completions = nil },
		"replacement": func(c *batchv1.CronJob) {
			c.Spec.JobTemplate.Spec.PodReplacementPolicy = ptr.To(batchv1.TerminatingOrFailed)
		},
		"TTL of the runs":    func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.TTLSecondsAfterFinished = ptr.To[int32](1) },
		"labels of the runs": func(c *batchv1.CronJob) { c.Spec.JobTemplate.Labels = nil },
		"configuration":      func(c *batchv1.CronJob) { c.Annotations["configuration-hash"] = "other" },
	} {
		changed := wanted.DeepCopy()
		change(changed)
		if SameCron(changed, wanted) {
			t.Errorf("a change of %s is not seen", name)
		}
	}
	paused := wanted.DeepCopy()
	paused.Spec.Suspend = ptr.To(true)
	if !SameCron(paused, wanted) {
		t.Error("whether it makes runs now is not asked")
	}
}

func TestCronNames(t *testing.T) {
	long := strings.Repeat("long-name-", 7)
	name := CronName(long, "u", "Stream")
	if len(name) > MaxName || !strings.HasPrefix(name, "long-name") {
		t.Errorf("name %q has %d characters", name, len(name))
	}
	if CronName(long, "u", "Stream") != name || CronName(long, "v", "Stream") == name {
		t.Error("a stream has one name, another life of it has another")
	}
	if !IsRunOf(name, name+"-29300000") || IsRunOf(name, name) || IsRunOf(name, "x"+name+"-1") || IsRunOf(name, name+"-") {
		t.Error("runs are told by their names")
	}
}
