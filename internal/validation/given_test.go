package validation

// This file gives the tests one good world and a way to change it.

import (
	"bytes"
	"os"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// world is a stream, its class, the template of its jobs, and a request.
type world struct {
	stream   *v1.Stream
	class    *v1.StreamClass
	template *v1.StreamingJobTemplate
	backfill *v1.StreamingJobTemplate
	request  *v1.BackfillRequest
}

// good is a world in which nothing is wrong and nothing is worth a warning.
func good(t testing.TB) *world {
	t.Helper()
	w, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		stream: w.stream.DeepCopy(), class: w.class.DeepCopy(), template: w.template.DeepCopy(),
		backfill: w.backfill.DeepCopy(), request: w.request.DeepCopy(),
	}
}

// read reads the good world, once: a fuzz target asks for it thousands of times.
var read = sync.OnceValues(func() (*world, error) {
	content, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		return nil, err
	}
	w := &world{&v1.Stream{}, &v1.StreamClass{}, &v1.StreamingJobTemplate{}, &v1.StreamingJobTemplate{}, &v1.BackfillRequest{}}
	documents := bytes.Split(content, []byte("\n---\n"))
	for i, into := range []any{w.stream, w.class, w.template, w.backfill, w.request} {
		if err := yaml.UnmarshalStrict(documents[i], into); err != nil {
			return nil, err
		}
	}
	return w, nil
})

func (w *world) ofStream() StreamSurroundings {
	return StreamSurroundings{Class: w.class, Template: w.template, BackfillTemplate: w.backfill}
}

func (w *world) ofRequest() RequestSurroundings {
	return RequestSurroundings{Stream: w.stream, Class: w.class, Template: w.backfill}
}

func (w *world) pod() *corev1.PodSpec { return &w.template.Spec.Spec.Template.Spec }

// said is a whole answer as it is told.
type said struct {
	errs     []string
	warnings []string
}

func told(warnings []string, errs field.ErrorList) said {
	s := said{warnings: warnings}
	for _, e := range errs {
		s.errs = append(s.errs, e.Error())
	}
	return s
}

func refused(errs ...string) said        { return said{errs: errs} }
func warned(warnings ...string) said     { return said{warnings: warnings} }
func raw(s string) *runtime.RawExtension { return &runtime.RawExtension{Raw: []byte(s)} }

// ownPolicy is one that nothing has to be said about.
func ownPolicy(rules ...batchv1.PodFailurePolicyRule) *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: append(rules, batchv1.PodFailurePolicyRule{
		Action:          batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	})}
}

func codes(operator batchv1.PodFailurePolicyOnExitCodesOperator, container string, values ...int32) batchv1.PodFailurePolicyRule {
	r := batchv1.PodFailurePolicyRule{
		Action:      batchv1.PodFailurePolicyActionFailJob,
		OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: operator, Values: values},
	}
	if container != "" {
		r.OnExitCodes.ContainerName = &container
	}
	return r
}
