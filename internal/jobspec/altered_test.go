package jobspec

// This file tests what is seen of changes that others make to Jobs on their way into the
// API server, and while they run.

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// change is one that a policy makes to a Job's metadata and spec, and the field that it is seen in.
type change struct {
	does  func(*metav1.ObjectMeta, *batchv1.JobSpec)
	field string
}

func ofSpec(does func(*batchv1.JobSpec), field string) change {
	return change{func(_ *metav1.ObjectMeta, s *batchv1.JobSpec) { does(s) }, field}
}

// grave are changes that the lifecycle does not bear, of a Job and of a CronJob's template.
var grave = map[string]change{
	"its stream's name":  {func(m *metav1.ObjectMeta, _ *batchv1.JobSpec) { m.Labels[v1.LabelStreamID] = "other" }, "the label " + v1.LabelStreamID},
	"its stream's kind":  {func(m *metav1.ObjectMeta, _ *batchv1.JobSpec) { delete(m.Labels, v1.LabelStreamKind) }, "the label " + v1.LabelStreamKind},
	"the pods' labels":   ofSpec(func(s *batchv1.JobSpec) { delete(s.Template.Labels, v1.LabelStreamID) }, "the label "+v1.LabelStreamID),
	"not held":           ofSpec(func(s *batchv1.JobSpec) { s.Suspend = ptr.To(false) }, "spec.suspend"),
	"two at a time":      ofSpec(func(s *batchv1.JobSpec) { s.Parallelism = ptr.To[int32](2) }, "spec.parallelism"),
	"a work queue":       ofSpec(func(s *batchv1.JobSpec) { s.Completions = nil }, "spec.completions"),
	"replaced at once":   ofSpec(func(s *batchv1.JobSpec) { s.PodReplacementPolicy = nil }, "spec.podReplacementPolicy"),
	"it expires":         ofSpec(func(s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = ptr.To[int32](60) }, "spec.ttlSecondsAfterFinished"),
	"another controller": ofSpec(func(s *batchv1.JobSpec) { s.ManagedBy = ptr.To("kueue.x-k8s.io/multikueue") }, "spec.managedBy"),
	"no failure policy":  ofSpec(func(s *batchv1.JobSpec) { s.PodFailurePolicy = nil }, "spec.podFailurePolicy"),
	"pods are restarted": ofSpec(func(s *batchv1.JobSpec) { s.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }, "spec.template.spec.restartPolicy"),
	"no such container":  ofSpec(func(s *batchv1.JobSpec) { s.Template.Spec.Containers[0].Name = "other" }, "the container main"),
	"restarts in place": ofSpec(func(s *batchv1.JobSpec) {
		s.Template.Spec.Containers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	}, "the restartPolicy of container main"),
	"restarted by a rule": ofSpec(func(s *batchv1.JobSpec) {
		s.Template.Spec.Containers[0].RestartPolicyRules = make([]corev1.ContainerRestartRule, 1)
	}, "the restartPolicy of container main"),
}

// harmless are changes that are their authors' business.
var harmless = map[string]change{
	"nothing": ofSpec(func(*batchv1.JobSpec) {}, ""),
	"a sidecar": ofSpec(func(s *batchv1.JobSpec) {
		s.Template.Spec.Containers = append([]corev1.Container{{Name: "a-proxy"}}, s.Template.Spec.Containers...)
	}, ""),
	"another registry": ofSpec(func(s *batchv1.JobSpec) { s.Template.Spec.Containers[0].Image = "mirror/plugin" }, ""),
	"a label": {func(m *metav1.ObjectMeta, s *batchv1.JobSpec) {
		m.Labels["team"], s.Template.Labels["team"] = "sales", "sales"
	}, ""},
	"a deadline":             ofSpec(func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = ptr.To[int64](3600) }, ""),
	"the usual, written out": ofSpec(func(s *batchv1.JobSpec) { s.ManagedBy = ptr.To(batchv1.JobControllerName) }, ""),
	"a status in the policy": ofSpec(func(s *batchv1.JobSpec) { s.PodFailurePolicy.Rules[0].OnPodConditions = nil }, ""),
}

func TestAltered(t *testing.T) {
	sent, p := Build(load(t, "testdata/full-stream.input.yaml").input(t))
	if p != nil {
		t.Fatal(p)
	}
	sent.Spec.Template.Spec.Containers[0].Name = "main"
	cron := scheduledCron(t)
	for _, all := range []map[string]change{grave, harmless} {
		for name, c := range all {
			there := sent.DeepCopy()
			c.does(&there.ObjectMeta, &there.Spec)
			if got := Altered(there, sent); got != c.field {
				t.Errorf("%s: %q, want %q", name, got, c.field)
			}
			made, want := cron.DeepCopy(), c.field
			c.does(&made.Spec.JobTemplate.ObjectMeta, &made.Spec.JobTemplate.Spec)
			if want != "" {
				want += " of its jobTemplate"
			}
			if got := AlteredCron(made, cron); got != want {
				t.Errorf("%s, of a CronJob: %q, want %q", name, got, want)
			}
		}
	}
}

// TestAlteredOwners: the garbage collector would not find what was made.
func TestAlteredOwners(t *testing.T) {
	const want = "the controller in metadata.ownerReferences"
	sent, p := Build(load(t, "testdata/full-stream.input.yaml").input(t))
	if p != nil {
		t.Fatal(p)
	}
	for name, change := range map[string]func(metav1.Object){
		"none":         func(o metav1.Object) { o.SetOwnerReferences(nil) },
		"another":      func(o metav1.Object) { o.GetOwnerReferences()[0].UID = "other" },
		"another kind": func(o metav1.Object) { o.GetOwnerReferences()[0].Kind = "Queue" },
	} {
		there, cron := sent.DeepCopy(), scheduledCron(t)
		change(there)
		if got := Altered(there, sent); got != want {
			t.Errorf("%s: %q", name, got)
		}
		change(cron)
		if got := AlteredCron(cron, scheduledCron(t)); got != want {
			t.Errorf("%s, of a CronJob: %q", name, got)
		}
	}
	for want, change := range map[string]func(*batchv1.CronJobSpec){
		"spec.suspend":  func(s *batchv1.CronJobSpec) { s.Suspend = ptr.To(true) },
		"spec.schedule": func(s *batchv1.CronJobSpec) { s.Schedule = "* * * * *" },
		"spec.timeZone": func(s *batchv1.CronJobSpec) { s.TimeZone = ptr.To("Etc/GMT+7") },
	} {
		cron := scheduledCron(t)
		change(&cron.Spec)
		if got := AlteredCron(cron, scheduledCron(t)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	cron := scheduledCron(t)
	cron.Labels = nil
	if got := AlteredCron(cron, scheduledCron(t)); got != "the label "+v1.LabelStreamID {
		t.Errorf("a CronJob without labels: %q", got)
	}
}

// TestDiffers: a run is let run only where it is what its CronJob makes.
func TestDiffers(t *testing.T) {
	cron := scheduledCron(t)
	made := func() *batchv1.Job {
		template := cron.Spec.JobTemplate.DeepCopy()
		return &batchv1.Job{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	}
	for name, c := range map[string]change{
		"as it is made":          ofSpec(func(*batchv1.JobSpec) {}, ""),
		"the Job controller's":   ofSpec(func(s *batchv1.JobSpec) { s.Template.Labels[batchv1.ControllerUidLabel] = "u" }, ""),
		"a label of its own":     {func(m *metav1.ObjectMeta, _ *batchv1.JobSpec) { m.Labels["team"] = "sales" }, ""},
		"two at a time":          ofSpec(func(s *batchv1.JobSpec) { s.Parallelism = ptr.To[int32](2) }, "spec.parallelism"),
		"another label of pods":  ofSpec(func(s *batchv1.JobSpec) { s.Template.Labels[v1.LabelStreamID] = "other" }, "the label "+v1.LabelStreamID+" of its pods"),
		"another image":          ofSpec(func(s *batchv1.JobSpec) { s.Template.Spec.Containers[0].Image = "other" }, "spec.template.spec"),
		"an annotation of pods":  ofSpec(func(s *batchv1.JobSpec) { s.Template.Annotations = map[string]string{"inject": "yes"} }, "spec.template.metadata.annotations"),
		"another failure policy": ofSpec(func(s *batchv1.JobSpec) { s.PodFailurePolicy.Rules = nil }, "spec.podFailurePolicy"),
		"a deadline":             ofSpec(func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = ptr.To[int64](7) }, "spec.activeDeadlineSeconds"),
		"indexed":                ofSpec(func(s *batchv1.JobSpec) { s.CompletionMode = ptr.To(batchv1.IndexedCompletion) }, "spec.completionMode"),
		"a default, written out": ofSpec(func(s *batchv1.JobSpec) { s.CompletionMode = ptr.To(batchv1.NonIndexedCompletion) }, ""),
		"a selector of its own":  ofSpec(func(s *batchv1.JobSpec) { s.ManualSelector = ptr.To(true) }, "spec.manualSelector"),
		"a success policy":       ofSpec(func(s *batchv1.JobSpec) { s.SuccessPolicy = &batchv1.SuccessPolicy{} }, "spec.successPolicy"),
		"a finalizer of pods":    ofSpec(func(s *batchv1.JobSpec) { s.Template.Finalizers = []string{"example.com/audit"} }, "spec.template.metadata.finalizers"),
	} {
		j := made()
		c.does(&j.ObjectMeta, &j.Spec)
		if got := Differs(j, cron); got != c.field {
			t.Errorf("%s: %q, want %q", name, got, c.field)
		}
	}
	j := made()
	cron.Spec.JobTemplate.Spec.BackoffLimit = ptr.To[int32](6)
	if got := Differs(j, cron); got != "spec.backoffLimit" {
		t.Errorf("without its back-off limit: %q", got)
	}
}
