package webhooks

// This file takes differences between typed objects and applies them to the bytes that came in.

import (
	"encoding/json"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestPatch(t *testing.T) {
	policy := &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{Action: batchv1.PodFailurePolicyActionIgnore}}}
	for _, c := range []struct {
		name, raw, want string
		change          func(*v1.Stream)
	}{
		{
			"nothing", `{"metadata":{"name":"a"},"spec":{"streamClass":"c","new":1}}`,
			`{"metadata":{"name":"a"},"spec":{"streamClass":"c","new":1}}`, func(*v1.Stream) {},
		},
		{
			"unknown fields stay, no empty values come",
			`{"metadata":{"name":"a","new":{"x":1}},"spec":{"streamClass":"c","source":{"b":2,"a":1.0},"restart":{"new":true}},"new":[1]}`,
			`{"metadata":{"name":"a","new":{"x":1},"annotations":{"a/b~c":"1"}},"spec":{"streamClass":"c","source":{"b":2,"a":1.0},"restart":{"new":true,"policy":"Never"},` +
				`"podFailurePolicy":{"rules":[{"action":"Ignore"}]}},"new":[1]}`,
			func(s *v1.Stream) {
				s.Annotations = map[string]string{"a/b~c": "1"}
				s.Spec.Restart.Policy = v1.RestartNever
				s.Spec.PodFailurePolicy = policy
			},
		},
		{
			"an annotation beside another",
			`{"metadata":{"annotations":{"a":"1","gone":"x"}},"spec":{"streamClass":"c"}}`,
			`{"metadata":{"annotations":{"a":"1","b":"2"}},"spec":{"streamClass":"c"}}`,
			func(s *v1.Stream) { s.Annotations["b"] = "2"; delete(s.Annotations, "gone") },
		},
		{
			"null is nothing", `{"metadata":{"annotations":null},"spec":{"streamClass":"c","restart":null}}`,
			`{"metadata":{"annotations":{"a":"1"}},"spec":{"streamClass":"c","restart":{"policy":"Never"}}}`,
			func(s *v1.Stream) {
				s.Annotations = map[string]string{"a": "1"}
				s.Spec.Restart = &v1.RestartSpec{Policy: v1.RestartNever}
			},
		},
		{
			"no metadata at all", `{"spec":{"streamClass":"c"}}`, `{"metadata":{"annotations":{"a":"1"}},"spec":{"streamClass":"c"}}`,
			func(s *v1.Stream) { s.Annotations = map[string]string{"a": "1"} },
		},
		{
			"what is taken away", `{"spec":{"streamClass":"c","schedule":"x"}}`, `{"spec":{"streamClass":"c"}}`,
			func(s *v1.Stream) { s.Spec.Schedule = nil },
		},
	} {
		before := &v1.Stream{}
		if err := decode([]byte(c.raw), before); err != nil {
			t.Fatal(err)
		}
		after := before.DeepCopy()
		c.change(after)
		if got := applied(t, c.raw, before, after); !jsonpatch.Equal(got, []byte(c.want)) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestPatchOfATemplate(t *testing.T) {
	raw := `{"spec":{"spec":{"template":{"spec":{"containers":[{"name":"a","new":1}]}}}}}`
	before := &v1.StreamingJobTemplate{}
	if err := decode([]byte(raw), before); err != nil {
		t.Fatal(err)
	}
	after := before.DeepCopy()
	after.Spec.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	want := `{"spec":{"spec":{"template":{"spec":{"containers":[{"name":"a","new":1}],"restartPolicy":"Never"}}}}}`
	if got := applied(t, raw, before, after); !jsonpatch.Equal(got, []byte(want)) {
		t.Errorf("got %s", got)
	}
}

func applied(t *testing.T, raw string, before, after any) []byte {
	t.Helper()
	operations, err := patch([]byte(raw), before, after)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(operations)
	if err != nil {
		t.Fatal(err)
	}
	p, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Apply([]byte(raw))
	if err != nil {
		t.Fatalf("apply %s: %v", encoded, err)
	}
	return got
}
