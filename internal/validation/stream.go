package validation

// This file judges a Stream.

import (
	"bytes"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// maxStreamName: the name is a label value.
const maxStreamName = 63

// Stream judges a Stream that is created (old is nil) or changed.
func Stream(old, new *v1.Stream, around StreamSurroundings) (warnings []string, errs field.ErrorList) {
	if new.DeletionTimestamp != nil || old != nil && !StreamChanged(old, new) {
		return nil, nil
	}
	v := &verdict{kind: v1.KindStream, object: new}
	if len(new.Name) > maxStreamName {
		v.refuse("metadata.name", fmt.Sprintf("has %d characters, and a stream's name may have %d, because it is a label value on its Jobs and pods; choose a shorter name",
			len(new.Name), maxStreamName), false)
	}
	if old != nil && old.Spec.StreamClass != new.Spec.StreamClass {
		v.refuse("spec.streamClass", fmt.Sprintf("is immutable and was %q; delete the Stream and create it again with the new class", old.Spec.StreamClass), false)
	}
	v.streamNames(new)
	d, good := definition.Glance(new, around.Class, around.Schema)
	var problems []*definition.Problem
	if !good {
		d, problems = definition.StreamProblems(new, around.Class, around.Schema)
	}
	v.problems(problems...)
	v.problems(jobProblems(d, around, problems)...)
	if unknown := definition.Unknown(new, around.Class, around.Schema); len(unknown) > 0 {
		v.warn(fmt.Sprintf("%s: not in the schema of StreamClass %s, so its plugin may know nothing of it; correct the name if it is misspelt", few(unknown), new.Spec.StreamClass))
	}
	if d.PodFailurePolicy != nil {
		v.undisrupted(d.PodFailurePolicy, "spec.podFailurePolicy")
	}
	if old != nil && len(v.errs) == 0 {
		v.restarts(old, new, d, around.Class)
	}
	return v.answer()
}

// jobProblems are what keeps templates and stream from making a Job. Nothing is
// said of a template that the stream may not name: that it exists is not its
// user's to know.
func jobProblems(d definition.Definition, around StreamSurroundings, before []*definition.Problem) []*definition.Problem {
	for _, p := range before {
		if p.Reason == v1.ReasonTemplateForbidden || p.Reason == v1.ReasonClassKind {
			return nil
		}
	}
	var all []*definition.Problem
	asked := func(mode v1.Mode, ref *v1.TemplateReference, t *v1.StreamingJobTemplate) {
		if ref == nil && around.Class == nil {
			return // the class that is not there may name one
		}
		all = append(all, jobspec.Problems(jobspec.Input{Definition: d, Class: around.Class, Template: t, Mode: mode})...)
	}
	asked(mode(d), d.StreamTemplate, around.Template)
	if !ptr.Equal(d.StreamTemplate, d.BackfillTemplate) {
		asked(v1.ModeBackfill, d.BackfillTemplate, around.BackfillTemplate)
	}
	return all
}

func mode(d definition.Definition) v1.Mode {
	if d.Schedule != "" {
		return v1.ModeScheduled
	}
	return v1.ModeStream
}

// undisrupted warns of a policy under which an evicted pod counts as a failure.
func (v *verdict) undisrupted(policy *batchv1.PodFailurePolicy, path string) {
	for _, rule := range policy.Rules {
		if rule.Action != batchv1.PodFailurePolicyActionIgnore {
			continue
		}
		for _, c := range rule.OnPodConditions {
			if c.Type == "DisruptionTarget" {
				return
			}
		}
	}
	v.warn(path + ": has no rule that ignores the pod condition DisruptionTarget, so a pod that is evicted or deleted counts as a failure; add one unless you mean it")
}

// restarts warns of what an edit does to what runs.
func (v *verdict) restarts(old, new *v1.Stream, d definition.Definition, class *v1.StreamClass) {
	running := old.Status.Job
	if running == nil || new.Spec.Suspended || !reconfigures(old, new, d, class) {
		return
	}
	switch {
	case running.Mode == v1.ModeBackfill && d.Backfill.OnSpecChange == v1.OnSpecChangeRestart:
		v.warn(fmt.Sprintf("this edit stops the running backfill (Job %s) and starts it anew, as spec.backfill.onSpecChange says", running.Name))
	case running.Mode == v1.ModeBackfill:
		v.warn(fmt.Sprintf("this edit waits for the running backfill (Job %s); set spec.backfill.onSpecChange to Restart to have it started anew", running.Name))
	case running.Mode == v1.ModeStream && d.Schedule != "":
		v.warn(fmt.Sprintf("this edit stops the streaming job (Job %s); from now on the stream runs by its schedule", running.Name))
	case running.Mode == v1.ModeStream:
		v.warn(fmt.Sprintf("this edit restarts the streaming job (Job %s)", running.Name))
	}
}

// reconfigures tells whether an edit of the stream changes its job's configuration
// hash: of all that jobspec.Hash is made of, an edit of the stream can change these
// two. (A reference that leads to another template leads to another hash.)
func reconfigures(old, new *v1.Stream, d definition.Definition, class *v1.StreamClass) bool {
	stream, backfill := definition.Templates(old, class)
	if old.Status.Job.Mode == v1.ModeBackfill {
		return !ptr.Equal(backfill, d.BackfillTemplate) || !definition.SameHashSpec(old, new)
	}
	return !ptr.Equal(stream, d.StreamTemplate) || !definition.SameHashSpec(old, new)
}

// StreamChanged tells whether an update changes anything that is judged. Where it
// does not, Stream refuses nothing, and neither a dry run nor a question about
// rights is called for. The switch and the settings that restart nothing are not
// judged here, nor is a default policy, which another object's change changes.
func StreamChanged(old, new *v1.Stream) bool {
	return !same(old.Spec.Source, new.Spec.Source) || !same(old.Spec.Sink, new.Spec.Sink) ||
		!equality.Semantic.DeepEqual(judged(old), judged(new))
}

// StreamWakes tells whether an update lets the operator start a Job that it would not have
// started: it resumes or restarts the stream, lets a failed one start again by itself, or
// more often, or lets a change end a backfill that runs.
func StreamWakes(old, new *v1.Stream) bool {
	before, after := definition.RestartOf(old.Spec.Restart), definition.RestartOf(new.Spec.Restart)
	return old.Spec.Suspended && !new.Spec.Suspended ||
		old.Annotations[v1.AnnotationRestartedAt] != new.Annotations[v1.AnnotationRestartedAt] ||
		after.Policy == v1.RestartOnFailure && before.Policy != v1.RestartOnFailure || after.MaxRestarts > before.MaxRestarts ||
		definition.BackfillOf(new.Spec.Backfill).OnSpecChange == v1.OnSpecChangeRestart && definition.BackfillOf(old.Spec.Backfill).OnSpecChange != v1.OnSpecChangeRestart
}

// same tells whether two free objects are the same bytes. (Reflection looks at
// every byte as a value of its own: a thousand times as slow.)
func same(a, b *runtime.RawExtension) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.Raw, b.Raw)
}

func judged(s *v1.Stream) v1.StreamSpec {
	spec := s.Spec
	spec.Source, spec.Sink = nil, nil
	spec.Suspended, spec.Restart, spec.Backfill = false, nil, nil
	spec.PodFailurePolicy = definition.OwnPolicy(s)
	return spec
}

// StreamSecrets are the names of the Secrets that a Stream's spec names, each
// once, in its own namespace; those that can be read where some cannot.
func StreamSecrets(s *v1.Stream, class *v1.StreamClass) []string {
	return definition.SecretsOf(s, class)
}

// standIn is the UID, and the name of the request, of what exists only for a dry run.
const standIn = "00000000-0000-0000-0000-000000000000"

// StreamJobs are the Jobs that would come of a Stream, streaming (or one run of
// its schedule) first and backfill second, for a dry run: without owner, under
// names that no real Job gets. What cannot be built is left out; Stream says why.
func StreamJobs(s *v1.Stream, around StreamSurroundings) []*batchv1.Job {
	d, ok := written(s, around)
	if !ok {
		return nil
	}
	d.UID = standIn
	in := jobspec.Input{Definition: d, Class: around.Class, Template: around.Template, Mode: mode(d)}
	again := in
	again.Template, again.Mode, again.Request = around.BackfillTemplate, v1.ModeBackfill, &v1.BackfillRequest{}
	again.Request.Name, again.Request.UID, again.Run = standIn, standIn, 1
	var jobs []*batchv1.Job
	for _, input := range []jobspec.Input{in, again} {
		if input.Template == nil {
			continue
		}
		if job := dryJob(input); job != nil {
			jobs = append(jobs, job)
		}
	}
	return jobs
}

// written is a definition with all that a Job is built from; ok where nothing is
// wrong with it.
func written(s *v1.Stream, around StreamSurroundings) (d definition.Definition, ok bool) {
	if d, ok := definition.Glance(s, around.Class, around.Schema); ok {
		d, err := definition.Written(d, s)
		return d, err == nil
	}
	d, problems := definition.StreamProblems(s, around.Class, around.Schema)
	return d, len(problems) == 0
}

// dryJob is the Job of an input, or a run of its CronJob, without its owner, who
// may not be there yet; nil where it cannot be built.
func dryJob(in jobspec.Input) *batchv1.Job {
	if in.Mode == v1.ModeScheduled {
		cron, p := jobspec.BuildCron(in)
		if p != nil {
			return nil
		}
		run := cron.Spec.JobTemplate
		run.Namespace, run.Name = cron.Namespace, cron.Name
		return &batchv1.Job{ObjectMeta: run.ObjectMeta, Spec: run.Spec}
	}
	job, p := jobspec.Build(in)
	if p != nil {
		return nil
	}
	job.OwnerReferences = nil
	return job
}
