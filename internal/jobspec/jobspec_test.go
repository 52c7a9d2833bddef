package jobspec

// This file tests whole Jobs against golden files, and what keeps inputs from becoming one.

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/test/page"
)

var update = flag.Bool("update", false, "write the golden files anew")

// world is what a user and an administrator wrote.
type world struct {
	stream   *v1.Stream
	class    *v1.StreamClass
	template *v1.StreamingJobTemplate
	request  *v1.BackfillRequest
}

// load reads a world out of one file; a request in it makes the job a backfill.
func load(t *testing.T, file string) world {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := world{}
	for _, document := range bytes.Split(content, []byte("\n---\n")) {
		meta := metav1.TypeMeta{}
		if err := yaml.Unmarshal(document, &meta); err != nil {
			t.Fatal(err)
		}
		var into any
		switch meta.Kind {
		case v1.KindStream:
			w.stream = &v1.Stream{}
			into = w.stream
		case v1.KindStreamClass:
			w.class = &v1.StreamClass{}
			into = w.class
		case v1.KindStreamingJobTemplate:
			w.template = &v1.StreamingJobTemplate{}
			into = w.template
		case v1.KindBackfillRequest:
			w.request = &v1.BackfillRequest{}
			into = w.request
		default:
			t.Fatalf("%s: unexpected kind %q", file, meta.Kind)
		}
		if err := yaml.UnmarshalStrict(document, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return w
}

// input is the world as the builder gets it.
func (w world) input(t *testing.T) Input {
	t.Helper()
	d, p := definition.FromStream(w.stream, w.class, nil)
	if p != nil {
		t.Fatal(p)
	}
	in := Input{Definition: d, Class: w.class, Template: w.template, Mode: v1.ModeStream, Run: 1763935201}
	if d.Schedule != "" {
		in.Mode = v1.ModeScheduled
	}
	if w.request != nil {
		in.Mode, in.Request = v1.ModeBackfill, w.request
	}
	return in
}

// built is the Job, or the CronJob of a stream that has a schedule.
func built(t *testing.T, in Input) any {
	t.Helper()
	var object any
	var p *definition.Problem
	if in.Mode == v1.ModeScheduled {
		object, p = BuildCron(in)
	} else {
		object, p = Build(in)
	}
	if p != nil {
		t.Fatal(p)
	}
	return object
}

func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.input.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, file := range inputs {
		name := strings.TrimSuffix(filepath.Base(file), ".input.yaml")
		t.Run(name, func(t *testing.T) {
			got, err := yaml.Marshal(built(t, load(t, file).input(t)))
			if err != nil {
				t.Fatal(err)
			}
			page.HoldWhole(t, filepath.Join("testdata", name+".golden.yaml"), string(got), *update)
		})
	}
}

// TestDeterministic: equal inputs, equal Jobs, and inputs that nobody touched.
// TestATemplateSpeaksNotForTheOperator: one that was copied from a live Job brings that
// one's annotations, and a Job is believed what its own say.
func TestATemplateSpeaksNotForTheOperator(t *testing.T) {
	for _, file := range []string{"testdata/minimal-stream.input.yaml", "testdata/scheduled.input.yaml"} {
		w := load(t, file)
		clean := built(t, w.input(t))
		w.template.Spec.Annotations = map[string]string{"example.com/team": "sales"}
		for _, ours := range []string{v1.AnnotationRun, v1.AnnotationRequest, v1.AnnotationRequestUID, v1.AnnotationTTL} {
			w.template.Spec.Annotations[ours] = `0,"suspend":false`
		}
		got, want := runAnnotations(built(t, w.input(t))), runAnnotations(clean)
		want["example.com/team"] = "sales"
		want[v1.AnnotationConfigurationHash] = got[v1.AnnotationConfigurationHash]
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", file, got, want)
		}
	}
}

// runAnnotations are those of the Job, or of the CronJob's runs.
func runAnnotations(object any) map[string]string {
	switch o := object.(type) {
	case *batchv1.Job:
		return o.Annotations
	case *batchv1.CronJob:
		return o.Spec.JobTemplate.Annotations
	}
	return nil
}

func TestDeterministic(t *testing.T) {
	for _, file := range []string{"testdata/full-stream.input.yaml", "testdata/full-backfill.input.yaml", "testdata/own-policy.input.yaml"} {
		w := load(t, file)
		first, _ := Build(w.input(t))
		for range 50 {
			if again, _ := Build(w.input(t)); !reflect.DeepEqual(first, again) {
				t.Fatalf("%s: the same inputs gave another Job", file)
			}
		}
		first.Spec.Template.Spec.Containers[0].Env[0].Value = "changed"
		first.Labels["changed"] = "changed"
		first.Spec.PodFailurePolicy.Rules[0].Action = "changed"
		if fresh := load(t, file); !reflect.DeepEqual(w, fresh) {
			t.Errorf("%s: building a Job, or changing it, changed the inputs", file)
		}
	}
}

// TestBackfillWithoutRequest: it can be asked whether one could be built, and none is.
func TestBackfillWithoutRequest(t *testing.T) {
	w := load(t, "testdata/full-stream.input.yaml")
	in := w.input(t)
	in.Mode = v1.ModeBackfill
	if job, p := Build(in); job != nil || p != nil {
		t.Errorf("got %+v, %v", job, p)
	}
	in.Template = nil
	if job, p := Build(in); job != nil || p == nil || p.Field != "spec.backfillJobTemplateRef" {
		t.Errorf("got %+v, %v", job, p)
	}
}

// TestProblems: every field that a template may not set, and everything else that keeps a Job from being built.
func TestProblems(t *testing.T) {
	job := func(change func(*batchv1.JobSpec)) func(*world) {
		return func(w *world) { change(&w.template.Spec.Spec) }
	}
	pod := func(change func(*corev1.PodSpec)) func(*world) {
		return job(func(j *batchv1.JobSpec) { change(&j.Template.Spec) })
	}
	for name, c := range map[string]struct {
		change        func(w *world)
		reason        v1.Reason
		kind          string
		field, advice string
	}{
		"nothing wrong":     {change: func(*world) {}},
		"parallelism 1":     {change: job(func(j *batchv1.JobSpec) { j.Parallelism = ptr.To[int32](1) })},
		"completions 1":     {change: job(func(j *batchv1.JobSpec) { j.Completions = ptr.To[int32](1) })},
		"NonIndexed":        {change: job(func(j *batchv1.JobSpec) { j.CompletionMode = ptr.To(batchv1.NonIndexedCompletion) })},
		"not suspended":     {change: job(func(j *batchv1.JobSpec) { j.Suspend = new(bool) })},
		"no manualSelector": {change: job(func(j *batchv1.JobSpec) { j.ManualSelector = new(bool) })},
		"the Job controller": {change: job(func(j *batchv1.JobSpec) {
			j.ManagedBy = ptr.To("kubernetes.io/job-controller")
		})},
		"restartPolicy Never": {change: pod(func(p *corev1.PodSpec) { p.RestartPolicy = corev1.RestartPolicyNever })},
		"a sidecar": {change: pod(func(p *corev1.PodSpec) {
			p.InitContainers = append(p.InitContainers, corev1.Container{Name: "side", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)})
		})},

		"parallelism 2": {
			job(func(j *batchv1.JobSpec) { j.Parallelism = ptr.To[int32](2) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.parallelism", "must be 1: a stream has one writer; remove it",
		},
		"parallelism 0": {
			job(func(j *batchv1.JobSpec) { j.Parallelism = new(int32) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.parallelism", "must be 1: a stream has one writer; remove it",
		},
		"completions 2": {
			job(func(j *batchv1.JobSpec) { j.Completions = ptr.To[int32](2) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.completions", "must be 1: a stream has one writer; remove it",
		},
		"Indexed": {
			job(func(j *batchv1.JobSpec) { j.CompletionMode = ptr.To(batchv1.IndexedCompletion) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.completionMode", "must be NonIndexed: a stream has one writer; remove it",
		},
		"selector": {
			job(func(j *batchv1.JobSpec) { j.Selector = &metav1.LabelSelector{} }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.selector", "must not be set: Kubernetes chooses it, so that a Job never takes another one's pods; remove it",
		},
		"manualSelector": {
			job(func(j *batchv1.JobSpec) { j.ManualSelector = ptr.To(true) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.manualSelector", "must not be true: a Job could take another one's pods; remove it",
		},
		"suspend": {
			job(func(j *batchv1.JobSpec) { j.Suspend = ptr.To(true) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.suspend", "must not be true: the operator decides when a Job runs; suspend the Stream by its spec.suspended",
		},
		"managedBy": {
			job(func(j *batchv1.JobSpec) { j.ManagedBy = ptr.To("kueue.x-k8s.io/multikueue") }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.managedBy", "must not name another controller: the operator relies on the Job controller's promises; remove it",
		},
		"successPolicy": {
			job(func(j *batchv1.JobSpec) { j.SuccessPolicy = &batchv1.SuccessPolicy{} }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.successPolicy", "must not be set: the operator decides by the main container whether a job has succeeded; remove it",
		},
		"backoffLimitPerIndex": {
			job(func(j *batchv1.JobSpec) { j.BackoffLimitPerIndex = ptr.To[int32](1) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.backoffLimitPerIndex", "must not be set: it belongs to Indexed Jobs; use backoffLimit",
		},
		"maxFailedIndexes": {
			job(func(j *batchv1.JobSpec) { j.MaxFailedIndexes = ptr.To[int32](1) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.maxFailedIndexes", "must not be set: it belongs to Indexed Jobs; remove it",
		},
		"negative backoffLimit": {
			job(func(j *batchv1.JobSpec) { j.BackoffLimit = ptr.To[int32](-1) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.backoffLimit", "must not be negative; use 0 for no retry",
		},
		"negative deadline": {
			job(func(j *batchv1.JobSpec) { j.ActiveDeadlineSeconds = ptr.To[int64](-1) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.activeDeadlineSeconds", "must not be negative; remove it for no deadline",
		},
		"negative TTL": {
			job(func(j *batchv1.JobSpec) { j.TTLSecondsAfterFinished = ptr.To[int32](-1) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.ttlSecondsAfterFinished", "must not be negative; remove it to keep finished Jobs",
		},
		"label that Kubernetes gives": {
			job(func(j *batchv1.JobSpec) { j.Template.Labels = map[string]string{"controller-uid": "x"} }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.metadata.labels[controller-uid]", "is set by Kubernetes on every Job anew; remove it",
		},
		"label that is none": {
			func(w *world) { w.template.Spec.Labels = map[string]string{"a": "no label!"} }, v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.metadata.labels[a]", "is no valid label: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
		},
		"annotation that is none": {
			job(func(j *batchv1.JobSpec) { j.Template.Annotations = map[string]string{"a b": ""} }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.metadata.annotations[a b]", "is no valid annotation: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
		},
		"restartPolicy OnFailure": {
			pod(func(p *corev1.PodSpec) { p.RestartPolicy = corev1.RestartPolicyOnFailure }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.spec.restartPolicy", "must be Never, not OnFailure: a podFailurePolicy needs it; set it to Never or remove it",
		},
		"restartPolicy Always": {
			pod(func(p *corev1.PodSpec) { p.RestartPolicy = corev1.RestartPolicyAlways }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.spec.restartPolicy", "must be Never, not Always: a podFailurePolicy needs it; set it to Never or remove it",
		},
		"no containers": {
			pod(func(p *corev1.PodSpec) { p.Containers = nil }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.spec.containers", "must hold at least one container: the plugin's",
		},
		"ephemeral containers": {
			pod(func(p *corev1.PodSpec) { p.EphemeralContainers = make([]corev1.EphemeralContainer, 1) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.spec.ephemeralContainers", "must not be set in a template; remove it",
		},
		"main container missing": {
			func(w *world) { w.class.Spec.ContainerName = "other" }, v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.spec.containers", "must hold a container named other, the main one of StreamClass postgres, and holds plugin, exporter; rename one, or change the class's spec.containerName",
		},
		"reserved variable": {
			pod(func(p *corev1.PodSpec) {
				p.Containers[1].Env = append(p.Containers[1].Env, corev1.EnvVar{Name: "STREAMCONTEXT__SPEC"})
			}), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.spec.containers[1].env[0].name", "STREAMCONTEXT__SPEC: names that begin with STREAMCONTEXT__ are the operator's; rename it",
		},
		"reserved variable of an init container": {
			pod(func(p *corev1.PodSpec) {
				p.InitContainers[0].Env = []corev1.EnvVar{{Name: "A"}, {Name: "STREAMCONTEXT__NEW"}}
			}), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.spec.initContainers[0].env[1].name", "STREAMCONTEXT__NEW: names that begin with STREAMCONTEXT__ are the operator's; rename it",
		},
		"reserved prefix": {
			pod(func(p *corev1.PodSpec) { p.Containers[0].EnvFrom[0].Prefix = "STREAMCONTEXT__" }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.template.spec.containers[0].envFrom[0].prefix", "STREAMCONTEXT__: names that begin with STREAMCONTEXT__ are the operator's; choose another prefix",
		},

		"template's policy names a container that is not there": {
			job(func(j *batchv1.JobSpec) { j.PodFailurePolicy = onCodes("gone", 1) }), v1.ReasonTemplateInvalid, "StreamingJobTemplate",
			"spec.spec.podFailurePolicy.rules[0].onExitCodes.containerName", "the template has no container gone, it has plugin, exporter, wait; name one of these",
		},
		"stream's policy names a container that is not there": {
			func(w *world) { w.stream.Spec.PodFailurePolicy = onCodes("gone", 1) }, v1.ReasonSpecInvalid, "Stream",
			"spec.podFailurePolicy.rules[0].onExitCodes.containerName", "the template has no container gone, it has plugin, exporter, wait; name one of these",
		},
		"class's policy names a container that is not there": {
			func(w *world) { w.class.Spec.PodFailurePolicy = onCodes("gone", 1) }, v1.ReasonClassNotReady, "StreamClass",
			"spec.podFailurePolicy.rules[0].onExitCodes.containerName", "the template has no container gone, it has plugin, exporter, wait; name one of these",
		},
		"template missing": {
			func(w *world) { w.template = nil }, v1.ReasonTemplateNotFound, "Stream",
			"spec.jobTemplateRef", "there is no StreamingJobTemplate arcane/postgres; create it or name another",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := load(t, "testdata/full-stream.input.yaml")
			c.change(&w)
			_, got := Build(w.input(t))
			var want *definition.Problem
			if c.reason != "" {
				object := map[string]string{"Stream": "", "StreamClass": "StreamClass postgres: ", "StreamingJobTemplate": "StreamingJobTemplate arcane/postgres: "}
				want = &definition.Problem{Reason: c.reason, Kind: c.kind, Field: c.field, Message: object[c.kind] + c.field + ": " + c.advice}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
			if checked := Check(w.input(t)); !reflect.DeepEqual(checked, want) {
				t.Errorf("Check says otherwise: %+v", checked)
			}
		})
	}
}

func onCodes(container string, codes ...int32) *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		onExitCodes(batchv1.PodFailurePolicyActionFailJob, container, codes),
	}}
}

// TestProblemsOfRequests: they are the request's alone.
func TestProblemsOfRequests(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   *definition.Problem
	}{
		"template of the backfill missing": {
			func(w *world) { w.template = nil },
			&definition.Problem{
				Reason: v1.ReasonTemplateNotFound, Kind: "Stream", Field: "spec.backfillJobTemplateRef",
				Message: "spec.backfillJobTemplateRef: there is no StreamingJobTemplate arcane/postgres; create it or name another",
			},
		},
		"template of the request missing": {
			func(w *world) {
				w.template = nil
				w.request.Spec.JobTemplateRef = &v1.TemplateReference{Name: "mine"}
			},
			&definition.Problem{
				Reason: v1.ReasonTemplateNotFound, Kind: "BackfillRequest", Field: "spec.jobTemplateRef",
				Message: "BackfillRequest orders-again: spec.jobTemplateRef: there is no StreamingJobTemplate sales/mine; create it or name another",
			},
		},
		"payload too large": {
			func(w *world) {
				w.request.Spec.Payload = &runtime.RawExtension{Raw: []byte(`{"x":"` + strings.Repeat("x", definition.MaxSpecBytes) + `"}`)}
			},
			&definition.Problem{
				Reason: v1.ReasonSpecInvalid, Kind: "BackfillRequest", Field: "spec.payload",
				Message: "BackfillRequest orders-again: spec.payload: is 98312 bytes of JSON, and a job can be given at most 98304; make it smaller",
			},
		},
		"payload that is no JSON": {
			func(w *world) { w.request.Spec.Payload = &runtime.RawExtension{Raw: []byte(`{`)} },
			&definition.Problem{
				Reason: v1.ReasonSpecInvalid, Kind: "BackfillRequest", Field: "spec.payload",
				Message: "BackfillRequest orders-again: spec.payload: write as JSON: json: error calling MarshalJSON for type *runtime.RawExtension: unexpected end of JSON input; correct it",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := load(t, "testdata/full-backfill.input.yaml")
			c.change(&w)
			if _, got := Build(w.input(t)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}
