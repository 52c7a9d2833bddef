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

// TestDigestOfCron: what is sent makes the digest, all of it.
func TestDigestOfCron(t *testing.T) {
	wanted := scheduledCron(t)
	is := DigestOfCron(wanted)
	if DigestOfCron(wanted.DeepCopy()) != is {
		t.Error("equal CronJobs have two digests")
	}
	for name, change := range map[string]func(*batchv1.CronJob){
		"schedule":         func(c *batchv1.CronJob) { c.Spec.Schedule = "* * * * *" },
		"time zone":        func(c *batchv1.CronJob) { c.Spec.TimeZone = nil },
		"concurrency":      func(c *batchv1.CronJob) { c.Spec.ConcurrencyPolicy = batchv1.AllowConcurrent },
		"runs not held":    func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.Suspend = ptr.To(false) },
		"labels":           func(c *batchv1.CronJob) { c.Labels["team"] = "sales" },
		"owner":            func(c *batchv1.CronJob) { c.OwnerReferences[0].UID = "other" },
		"runs' labels":     func(c *batchv1.CronJob) { c.Spec.JobTemplate.Labels = nil },
		"runs' containers": func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image = "other" },
		"configuration":    func(c *batchv1.CronJob) { c.Annotations["configuration-hash"] = "other" },
	} {
		changed := wanted.DeepCopy()
		change(changed)
		if DigestOfCron(changed) == is {
			t.Errorf("a change of %s is not seen", name)
		}
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
}
