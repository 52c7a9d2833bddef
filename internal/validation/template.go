package validation

// This file judges a StreamingJobTemplate.

import (
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// Template judges a StreamingJobTemplate that is created (old is nil) or changed.
func Template(old, new *v1.StreamingJobTemplate, around TemplateSurroundings) (warnings []string, errs field.ErrorList) {
	if new.DeletionTimestamp != nil || old != nil && !TemplateChanged(old, new) {
		return nil, nil
	}
	v := &verdict{kind: v1.KindStreamingJobTemplate, object: new}
	v.problems(jobspec.TemplateProblems(new, nil)...)
	job := &new.Spec.Spec
	v.faults(jobspec.PolicyFaults(job.PodFailurePolicy, &job.Template.Spec, "spec.spec.podFailurePolicy"))
	v.users(new, around.Users)
	if job.PodFailurePolicy != nil {
		v.undisrupted(job.PodFailurePolicy, "spec.spec.podFailurePolicy")
	}
	if ttl := job.TTLSecondsAfterFinished; ttl != nil && *ttl >= 0 {
		v.warn(fmt.Sprintf("spec.spec.ttlSecondsAfterFinished: is held back until the outcome of a Job has been recorded; a failed Job and its logs are gone %d seconds after that, "+
			"so leave it out if you want to read them", *ttl))
	}
	if old != nil && len(v.errs) == 0 {
		v.restartsUsers(new, around.Users)
	}
	return v.answer()
}

// users asks what each class and each stream's own policy ask of the template.
// Without users it is only told what most classes would say.
func (v *verdict) users(t *v1.StreamingJobTemplate, users []TemplateUser) {
	if len(users) == 0 {
		for _, text := range jobspec.Forbidden(&t.Spec.Spec.Template, jobspec.DefaultSecurityLevel) {
			v.warn(fmt.Sprintf("spec.spec.template.spec: %s, which level %s forbids; only a StreamClass whose spec.podSecurityLevel is privileged can use it",
				text, jobspec.DefaultSecurityLevel))
		}
	}
	asked := map[string]bool{}
	for _, u := range users {
		own := definition.OwnPolicy(u.Stream)
		if u.Class == nil || own == nil && asked[u.Class.Name] {
			continue
		}
		asked[u.Class.Name] = asked[u.Class.Name] || own == nil
		d := definition.Definition{Namespace: u.Stream.Namespace, Name: u.Stream.Name, Class: u.Class.Name, PodFailurePolicy: own}
		for _, p := range jobspec.Problems(jobspec.Input{Definition: d, Class: u.Class, Template: t, Mode: v1.ModeStream}) {
			if p.Kind == v1.KindStream {
				v.warn(fmt.Sprintf("Stream %s/%s: %s", u.Stream.Namespace, u.Stream.Name, p.Message))
				continue
			}
			v.problems(p)
		}
	}
}

// restartsUsers warns of what an edit of the template does to what runs.
func (v *verdict) restartsUsers(t *v1.StreamingJobTemplate, users []TemplateUser) {
	self := v1.TemplateReference{Namespace: t.Namespace, Name: t.Name}
	var streaming, backfilling []string
	for _, u := range users {
		running := u.Stream.Status.Job
		if running == nil || u.Stream.Spec.Suspended {
			continue
		}
		stream, backfill := definition.Templates(u.Stream, u.Class)
		name := u.Stream.Namespace + "/" + u.Stream.Name
		switch {
		case running.Mode == v1.ModeStream && stream != nil && *stream == self:
			streaming = append(streaming, name)
		case running.Mode == v1.ModeBackfill && backfill != nil && *backfill == self:
			backfilling = append(backfilling, name)
		}
	}
	if len(streaming) > 0 {
		v.warn("this edit restarts the streaming jobs of " + few(streaming))
	}
	if len(backfilling) > 0 {
		v.warn("this edit waits for the running backfills of " + few(backfilling) + ", unless their spec.backfill.onSpecChange is Restart")
	}
}

// few names some of many, in order.
func few(names []string) string {
	const most = 5
	slices.Sort(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// TemplateChanged tells whether an update changes anything that is judged.
func TemplateChanged(old, new *v1.StreamingJobTemplate) bool {
	before, after := old.Spec, new.Spec
	// Defaulting writes it into what was stored without it.
	if before.Spec.Template.Spec.RestartPolicy == "" {
		before.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	return !equality.Semantic.DeepEqual(before, after)
}

// TemplateJob is a Job as it would come of the template alone, for a dry run: in
// the template's namespace, without owner, under a name that no real Job gets;
// nil where Template refuses it.
func TemplateJob(t *v1.StreamingJobTemplate) *batchv1.Job {
	d := definition.Definition{
		APIVersion: v1.GroupVersion.String(), Kind: v1.KindStreamingJobTemplate,
		Namespace: t.Namespace, Name: t.Name, UID: standIn, Spec: []byte("{}"),
	}
	if len(d.Name) > maxStreamName {
		// Here alone the name of a template becomes a label.
		d.Name = standIn
	}
	return dryJob(jobspec.Input{Definition: d, Template: t, Mode: v1.ModeStream})
}
