package jobspec

// This file tests that a class's security level holds for every Job.

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

func TestPodSecurity(t *testing.T) {
	privileged := func(pod *corev1.PodSpec) {
		pod.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
	}
	hostPath := func(pod *corev1.PodSpec) {
		pod.Volumes = append(pod.Volumes, corev1.Volume{
			Name: "root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}},
		})
	}
	for name, c := range map[string]struct {
		level  v1.PodSecurityLevel
		change func(*corev1.PodSpec)
		want   []string
	}{
		"nothing special":            {"", func(*corev1.PodSpec) {}, nil},
		"privileged where it may be": {"privileged", privileged, nil},
		"privileged, by the default": {"", privileged, []string{`has privileged (container "plugin" must not set securityContext.privileged=true), which level baseline of StreamClass postgres forbids; change the template, or have the class's spec.podSecurityLevel changed`}},
		"privileged at baseline":     {"baseline", privileged, []string{`has privileged (container "plugin" must not set securityContext.privileged=true), which level baseline of StreamClass postgres forbids; change the template, or have the class's spec.podSecurityLevel changed`}},
		"the host's files":           {"baseline", hostPath, []string{`has hostPath volumes (volume "root"), which level baseline of StreamClass postgres forbids; change the template, or have the class's spec.podSecurityLevel changed`}},
		"the host's network":         {"baseline", func(pod *corev1.PodSpec) { pod.HostNetwork = true }, []string{`has host namespaces (hostNetwork=true), which level baseline of StreamClass postgres forbids; change the template, or have the class's spec.podSecurityLevel changed`}},
		"an init container's as well": {"baseline", func(pod *corev1.PodSpec) {
			pod.InitContainers = []corev1.Container{{Name: "init", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}}}
		}, []string{`has privileged (container "init" must not set securityContext.privileged=true), which level baseline of StreamClass postgres forbids; change the template, or have the class's spec.podSecurityLevel changed`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := load(t, "testdata/full-stream.input.yaml")
			w.template.Spec.Spec.Template.Spec.InitContainers = nil
			w.class.Spec.PodSecurityLevel = c.level
			c.change(&w.template.Spec.Spec.Template.Spec)
			in := w.input(t)
			var want []*definition.Problem
			for _, text := range c.want {
				want = append(want, &definition.Problem{
					Reason: v1.ReasonTemplateInvalid, Kind: v1.KindStreamingJobTemplate, Field: "spec.spec.template.spec",
					Message: "StreamingJobTemplate " + w.template.Namespace + "/" + w.template.Name + ": spec.spec.template.spec: " + text,
				})
			}
			if got := Problems(in); !reflect.DeepEqual(got, want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
			if job, p := Build(in); (job == nil) != (len(want) > 0) || (p == nil) != (len(want) == 0) {
				t.Errorf("built %v, %+v", job != nil, p)
			}
		})
	}
}

// TestTheBuilderAddsNothingThatALevelForbids: the template is judged for the Job.
func TestTheBuilderAddsNothingThatALevelForbids(t *testing.T) {
	for _, file := range []string{"testdata/full-stream.input.yaml", "testdata/full-backfill.input.yaml", "testdata/own-policy.input.yaml"} {
		in := load(t, file).input(t)
		job, p := Build(in)
		if p != nil {
			t.Fatal(p)
		}
		for _, level := range []v1.PodSecurityLevel{"privileged", "baseline", "restricted"} {
			got, want := Forbidden(&job.Spec.Template, level), Forbidden(&in.Template.Spec.Spec.Template, level)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s at %s\n got %v\nwant %v", file, level, got, want)
			}
		}
	}
}
