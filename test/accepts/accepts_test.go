// Package accepts proves that what Arcane's validation accepts, Kubernetes accepts as
// a Job. It is a module of its own because k8s.io/kubernetes, which is asked, weighs
// more than all that the operator needs.
package accepts

// This file holds what must be true of everything that is accepted.

import (
	"flag"
	"regexp"
	"strconv"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

// Cases of the properties, others each time; -rapid.seed repeats a run. One of a
// stream asks about five Jobs, with specs of up to 96 KiB.
const (
	cases         = 3000
	casesOfStream = 600
)

// leastAccepted is how many of a hundred must be accepted: a property of what is
// accepted says nothing where everything is refused.
const leastAccepted = 30

// dryRun is what Arcane leaves to Kubernetes: parts of the user's own pod that it
// neither judges nor changes. The webhook asks the API server about them by a dry run
// of TemplateJob, so a template that Kubernetes refuses for them is not admitted.
var dryRun = []struct{ prefix, why string }{
	{"spec.template.spec.containers[", "images, resources, mounts, the user's own variables; Arcane's variables are told apart by ours"},
	{"spec.template.spec.initContainers[", "likewise"},
	{"spec.template.spec.volumes[", "dozens of kinds of volumes, of which Arcane reads only the names of Secrets"},
	{"spec.template.spec.securityContext.", "numbers of users and groups; what the class's level forbids is no matter of validity"},
	{"spec.template.spec.activeDeadlineSeconds", "the pod's own, which is not the Job's"},
}

var variable = regexp.MustCompile(`^spec\.template\.spec\.(containers|initContainers)\[(\d+)\]\.env\[(\d+)\]`)

// ours tells whether a field is a variable that Arcane has added.
func ours(t rapid.TB, j *batchv1.Job, path string) bool {
	t.Helper()
	m := variable.FindStringSubmatch(path)
	if m == nil {
		return false
	}
	index := func(s string) int {
		i, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	containers := j.Spec.Template.Spec.Containers
	if m[1] == "initContainers" {
		containers = j.Spec.Template.Spec.InitContainers
	}
	return strings.HasPrefix(containers[index(m[2])].Env[index(m[3])].Name, v1.EnvPrefix)
}

// leftToDryRun tells whether Kubernetes' refusal is one that Arcane leaves to it.
func leftToDryRun(t rapid.TB, j *batchv1.Job, cause metav1.StatusCause) bool {
	t.Helper()
	for _, part := range dryRun {
		if strings.HasPrefix(cause.Field, part.prefix) {
			return !ours(t, j, cause.Field)
		}
	}
	return false
}

// count is of the cases of a property.
type count struct{ all, accepted int }

func (c *count) enough(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s: %d of %d accepted", what, c.accepted, c.all)
	if c.accepted*100 < c.all*leastAccepted {
		t.Errorf("%s: only %d of %d are accepted, which proves nothing", what, c.accepted, c.all)
	}
}

// check asks a property of so many cases.
func check(t *testing.T, cases int, property func(draw)) {
	t.Helper()
	if err := flag.Set("rapid.checks", strconv.Itoa(cases)); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) { property(draw{t}) })
}

// accepted tells whether nothing was refused.
func accepted(_ []string, errs field.ErrorList) bool { return len(errs) == 0 }

// taken fails where Kubernetes refuses what came of something accepted.
func taken(t rapid.TB, what string, causes []metav1.StatusCause) {
	t.Helper()
	for _, c := range causes {
		t.Errorf("accepted, and Kubernetes refuses %s: %s: %s", what, c.Field, c.Message)
	}
}

// admitted tells whether a template gets past the webhook: by its rules and by the dry run.
func admitted(t rapid.TB, template *v1.StreamingJobTemplate, users ...validation.TemplateUser) bool {
	t.Helper()
	validation.DefaultTemplate(template)
	if !accepted(validation.Template(nil, template, validation.TemplateSurroundings{Users: users})) {
		return false
	}
	alone := validation.TemplateJob(template)
	if alone == nil {
		t.Fatal("accepted, and no Job comes of it")
	}
	causes := refusals(t, alone)
	for _, c := range causes {
		if !leftToDryRun(t, alone, c) {
			t.Errorf("accepted, and Kubernetes refuses the Job for what is Arcane's to judge: %s: %s", c.Field, c.Message)
		}
	}
	return len(causes) == 0
}

// TestTemplates asks of templates alone.
func TestTemplates(t *testing.T) {
	var templates count
	check(t, cases, func(d draw) {
		template := d.template("sales", d.name("template"))
		templates.all++
		if admitted(d, template) {
			templates.accepted++
		}
	})
	templates.enough(t, "templates")
}

// TestStreams asks of every Job that comes of a stream in an accepted world. There are
// no exceptions any more: what is left to Kubernetes, it has said of the templates.
func TestStreams(t *testing.T) {
	var streams, scheduled, requests count
	check(t, casesOfStream, func(d draw) {
		around := d.world()
		s := d.stream()
		validation.DefaultStream(s, true, around)
		kind := &streams
		if s.Spec.Schedule != nil {
			kind = &scheduled
		}
		kind.all++
		warnings, errs := validation.Stream(nil, s, around)
		if len(errs) > 0 {
			return
		}
		jobs := validation.StreamJobs(s, around)
		if len(jobs) != 2 {
			// It waits for a class and templates that fit together, and its user is told so.
			if len(warnings) == 0 {
				d.Fatalf("accepted without a word, and %d Jobs come of it", len(jobs))
			}
			return
		}
		kind.accepted++
		for _, j := range jobs {
			taken(d, "the Job of the dry run", refusals(d, j))
		}
		streaming(d, s, around)
		requests.all++
		if backfill(d, s, around) {
			requests.accepted++
		}
	})
	streams.enough(t, "streams")
	scheduled.enough(t, "streams with a schedule")
	requests.enough(t, "requests")
}

// world is a class and two templates that are accepted; where the first ones drawn are
// not, plain ones, so that it is the stream that is asked about.
func (d draw) world() validation.StreamSurroundings {
	class := d.class()
	if !accepted(validation.Class(nil, class, validation.ClassSurroundings{})) {
		class = plainClass()
	}
	template := func(name string) *v1.StreamingJobTemplate {
		t := d.template("arcane", name)
		user := validation.TemplateUser{Stream: plainStream(), Class: class}
		if !admitted(d, t, user) {
			t = plainTemplate(name)
		}
		return t
	}
	return validation.StreamSurroundings{Class: class, Template: template("std"), BackfillTemplate: template("big")}
}

// streaming checks the Jobs that the operator makes of an accepted stream, or its
// CronJob and the Job that Kubernetes makes of that.
func streaming(d draw, s *v1.Stream, around validation.StreamSurroundings) {
	def, p := definition.FromStream(s, around.Class, nil)
	if p != nil {
		d.Fatalf("accepted, and not served: %+v", p)
	}
	in := jobspec.Input{Definition: def, Class: around.Class, Template: around.Template, Mode: v1.ModeStream, Run: rapid.Int64Min(1).Draw(d.T, "run")}
	if def.Schedule == "" {
		j, p := jobspec.Build(in)
		if p != nil {
			d.Fatalf("accepted, and no Job comes of it: %+v", p)
		}
		taken(d, "the streaming Job", refusals(d, j))
		return
	}
	in.Mode = v1.ModeScheduled
	cron, p := jobspec.BuildCron(in)
	if p != nil {
		d.Fatalf("accepted, and no CronJob comes of it: %+v", p)
	}
	taken(d, "the CronJob", cronRefusals(d, cron))
	taken(d, "the CronJob's run", refusals(d, runOf(cron)))
}

// runOf is the Job that the CronJob controller makes, which adds the minute.
func runOf(cron *batchv1.CronJob) *batchv1.Job {
	run := &batchv1.Job{ObjectMeta: *cron.Spec.JobTemplate.ObjectMeta.DeepCopy(), Spec: *cron.Spec.JobTemplate.Spec.DeepCopy()}
	run.Namespace, run.Name = cron.Namespace, cron.Name+"-29771234"
	run.Annotations[batchv1.CronJobScheduledTimestampAnnotation] = "2026-08-09T12:34:00+02:00"
	cron = cron.DeepCopy()
	cron.UID = types.UID("5d4c3b2a-0000-4000-8000-000000000000")
	run.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
	return run
}

// backfill checks the Job of a request, and tells whether the request was accepted.
func backfill(d draw, s *v1.Stream, around validation.StreamSurroundings) bool {
	q := d.request(s.Name)
	validation.DefaultRequest(nil, q, true, s)
	if !accepted(validation.Request(nil, q, validation.RequestSurroundings{Stream: s, Class: around.Class, Template: around.BackfillTemplate})) {
		return false
	}
	def, p := definition.FromStream(s, around.Class, nil)
	if p != nil {
		d.Fatalf("accepted, and not served: %+v", p)
	}
	j, p := jobspec.Build(jobspec.Input{
		Definition: def, Class: around.Class, Template: around.BackfillTemplate, Mode: v1.ModeBackfill,
		Request: q, Run: rapid.Int64Min(1).Draw(d.T, "run of the backfill"),
	})
	if p != nil {
		d.Fatalf("accepted, and no Job comes of it: %+v", p)
	}
	taken(d, "the backfill's Job", refusals(d, j))
	return true
}

// TestPoliciesAreJudgedAsByKubernetes holds in both directions: of a podFailurePolicy
// nothing is refused that Kubernetes takes, and nothing is taken that it refuses.
func TestPoliciesAreJudgedAsByKubernetes(t *testing.T) {
	var policies count
	check(t, cases, func(d draw) {
		template := plainTemplate("std")
		policy := d.policy("policy", "plugin")
		faults := jobspec.PolicyFaults(policy, &template.Spec.Spec.Template.Spec, "spec.podFailurePolicy")
		j := validation.TemplateJob(template)
		j.Spec.PodFailurePolicy = policy
		causes := refusals(d, j)
		policies.all++
		if len(faults) == 0 {
			policies.accepted++
		}
		if (len(faults) == 0) != (len(causes) == 0) {
			d.Errorf("Arcane says %+v, Kubernetes %+v", faults, causes)
		}
	})
	policies.enough(t, "policies")
	if policies.accepted == policies.all {
		t.Error("no policy was wrong")
	}
}
