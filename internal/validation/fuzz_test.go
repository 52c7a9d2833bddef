package validation

// This file feeds admission whatever bytes decode, and checks what follows from an acceptance.

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// seed is an object as JSON.
func seed(f *testing.F, object any) []byte {
	f.Helper()
	b, err := json.Marshal(object)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// mustStart checks what a Job must be for its pods to start.
func mustStart(t *testing.T, job *batchv1.Job, nameIsGood bool) {
	t.Helper()
	if len(job.Name) > jobspec.MaxName {
		t.Errorf("a name of %d characters: %s", len(job.Name), job.Name)
	}
	if errs := validation.IsDNS1123Label(job.Name); nameIsGood && len(errs) > 0 {
		t.Errorf("a name that is none: %q: %v", job.Name, errs)
	}
	for _, c := range append(job.Spec.Template.Spec.InitContainers, job.Spec.Template.Spec.Containers...) {
		seen := map[string]bool{}
		for _, e := range c.Env {
			if !strings.HasPrefix(e.Name, v1.EnvPrefix) {
				continue
			}
			// The kubelet makes one of two.
			if size := len(strings.ReplaceAll(e.Value, "$$", "$")); size > definition.MaxSpecBytes {
				t.Errorf("%s has %d bytes", e.Name, size)
			}
			if seen[e.Name] {
				t.Errorf("%s is there twice", e.Name)
			}
			seen[e.Name] = true
		}
	}
}

// named errors say which field they are about and what to do.
func named(t *testing.T, s said) {
	t.Helper()
	for _, e := range s.errs {
		if !strings.Contains(e, ": ") || strings.HasPrefix(e, ": ") || len(e) > 4096 {
			t.Errorf("an error that does not name its field, or that nobody reads: %q", e)
		}
	}
}

func FuzzStream(f *testing.F) {
	w := good(f)
	f.Add(seed(f, w.stream), true)
	f.Add([]byte(`{"metadata":{"name":"a.b"},"spec":{"streamClass":"c","suspended":true,"schedule":"@every 1s","timeZone":"UTC","source":{"table":"a","credentials":{"name":"pg"}},"sink":{"url":"s3://x"}}}`), true)
	f.Add([]byte(`{"metadata":{"annotations":{"streaming.sneaksanddata.com/default-pod-failure-policy":""}},"spec":{"podFailurePolicy":{"rules":[{"action":"Ignore","onPodConditions":[{"type":"X"}]}]},"source":null,"sink":[1e999]}}`), false)
	f.Fuzz(func(t *testing.T, b []byte, create bool) {
		s, w := &v1.Stream{}, good(t)
		if json.Unmarshal(b, s) != nil {
			return
		}
		original := s.DeepCopy()
		DefaultStream(s, create, w.ofStream())
		once := s.DeepCopy()
		DefaultStream(s, create, w.ofStream())
		if !reflect.DeepEqual(s, once) {
			t.Errorf("defaulting twice is not defaulting once:\n%+v\n%+v", once, s)
		}
		if own := definition.OwnPolicy(original); own != nil && !equality.Semantic.DeepEqual(own, s.Spec.PodFailurePolicy) {
			t.Errorf("the user's own policy is lost: %+v", s.Spec.PodFailurePolicy)
		}
		restored := s.DeepCopy()
		restored.Annotations, restored.Spec.PodFailurePolicy = original.Annotations, original.Spec.PodFailurePolicy
		restored.Spec.Restart, restored.Spec.Backfill = original.Spec.Restart, original.Spec.Backfill
		if !reflect.DeepEqual(restored, original) {
			t.Errorf("defaulting changed what is not its own:\n%+v\n%+v", original, s)
		}
		got := told(Stream(nil, s, w.ofStream()))
		named(t, got)
		told(Stream(original, s, StreamSurroundings{}))
		if len(got.errs) > 0 || s.DeletionTimestamp != nil {
			return
		}
		jobs := StreamJobs(s, w.ofStream())
		if len(jobs) != 2 {
			t.Fatalf("accepted, and %d Jobs come of it; said was %q", len(jobs), got.warnings)
		}
		for _, job := range jobs {
			mustStart(t, job, len(validation.IsDNS1123Subdomain(s.Name)) == 0)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	w := good(f)
	f.Add(seed(f, w.template))
	f.Add([]byte(`{"spec":{"spec":{"parallelism":2,"template":{"spec":{"containers":[{"name":"plugin","env":[{"name":"STREAMCONTEXT__A"}],"securityContext":{"privileged":true}}]}},"podFailurePolicy":{"rules":[{"action":"Count","onExitCodes":{"operator":"In","values":[1]}}]}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		template, w := &v1.StreamingJobTemplate{}, good(t)
		if json.Unmarshal(b, template) != nil {
			return
		}
		original := template.DeepCopy()
		DefaultTemplate(template)
		once := template.DeepCopy()
		DefaultTemplate(template)
		if !reflect.DeepEqual(template, once) {
			t.Errorf("defaulting twice is not defaulting once:\n%+v\n%+v", once, template)
		}
		once.Spec.Spec.Template.Spec.RestartPolicy = original.Spec.Spec.Template.Spec.RestartPolicy
		if !reflect.DeepEqual(once, original) {
			t.Errorf("defaulting changed what is not its own:\n%+v\n%+v", original, once)
		}
		got := told(Template(nil, template, TemplateSurroundings{Users: []TemplateUser{{Stream: w.stream, Class: w.class}}}))
		named(t, got)
		TemplateSecrets(template)
		if len(got.errs) > 0 || template.DeletionTimestamp != nil {
			return
		}
		alone := TemplateJob(template)
		if alone == nil {
			t.Fatalf("accepted, and no Job comes of it; said was %q", got.warnings)
		}
		w.template, w.backfill = template, template
		jobs := StreamJobs(w.stream, w.ofStream())
		if len(jobs) != 2 {
			t.Fatalf("accepted for its stream, and %d Jobs come of it; said was %q", len(jobs), got.warnings)
		}
		for _, job := range append(jobs, alone) {
			mustStart(t, job, job != alone || len(validation.IsDNS1123Subdomain(template.Name)) == 0)
		}
	})
}

func FuzzRequest(f *testing.F) {
	w := good(f)
	f.Add(seed(f, w.request), true)
	f.Add([]byte(`{"metadata":{"name":"x"},"spec":{"streamId":"orders","completed":true,"payload":null,"jobTemplateRef":{"name":"a","namespace":"templates"}},"status":{"phase":"Cancelled"}}`), false)
	f.Fuzz(func(t *testing.T, b []byte, create bool) {
		q, w := &v1.BackfillRequest{}, good(t)
		if json.Unmarshal(b, q) != nil {
			return
		}
		original := q.DeepCopy()
		DefaultRequest(nil, q, create, w.stream)
		once := q.DeepCopy()
		DefaultRequest(nil, q, create, w.stream)
		if !reflect.DeepEqual(q, once) {
			t.Errorf("defaulting twice is not defaulting once:\n%+v\n%+v", once, q)
		}
		once.Annotations, once.Spec.StreamClass = original.Annotations, original.Spec.StreamClass
		if !reflect.DeepEqual(once, original) {
			t.Errorf("defaulting changed what is not its own:\n%+v\n%+v", original, once)
		}
		got := told(Request(nil, q, w.ofRequest()))
		named(t, got)
		told(Request(original, q, RequestSurroundings{}))
		if len(got.errs) > 0 || q.DeletionTimestamp != nil {
			return
		}
		d, p := definition.FromStream(w.stream, w.class, nil)
		if p != nil {
			t.Fatal(p)
		}
		job, p := jobspec.Build(jobspec.Input{Definition: d, Class: w.class, Template: w.backfill, Mode: v1.ModeBackfill, Request: q, Run: 1})
		if p != nil {
			t.Fatalf("accepted, and no Job comes of it: %+v", p)
		}
		mustStart(t, job, true)
	})
}

func FuzzClass(f *testing.F) {
	w := good(f)
	f.Add(seed(f, w.class))
	f.Add([]byte(`{"spec":{"apiVersion":"v1","kindRef":"Stream","pluralName":"streams","secretRefs":["a..b"],"schema":{"openAPIV3Schema":{"type":"object","properties":{"source":{"type":"object","x-kubernetes-validations":[{"rule":"true"}]}}}}}}`))
	f.Add([]byte(`{"spec":{"apiVersion":"v1","kindRef":"Stream","pluralName":"streams","podSecurityLevel":"?","failureClasses":[{"name":"a","exitCodes":[0,1,1]}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		class, w := &v1.StreamClass{}, good(t)
		if json.Unmarshal(b, class) != nil {
			return
		}
		got := told(Class(nil, class, ClassSurroundings{Others: []v1.StreamClass{*w.class}}))
		named(t, got)
		w.class = class
		DefaultStream(w.stream, true, w.ofStream())
		once := w.stream.DeepCopy()
		DefaultStream(w.stream, false, w.ofStream())
		if !reflect.DeepEqual(w.stream, once) {
			t.Errorf("defaulting twice is not defaulting once:\n%+v\n%+v", once, w.stream)
		}
		named(t, told(Stream(nil, w.stream, w.ofStream())))
		if len(got.errs) > 0 || class.DeletionTimestamp != nil || !definition.OfKindStream(class) {
			return
		}
		if p := definition.ClassProblem(class); p != nil {
			t.Errorf("accepted, and not served: %+v", p)
		}
	})
}
