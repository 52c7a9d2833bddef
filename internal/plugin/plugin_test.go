package plugin

// This file tests what is decided without a cluster: what is drift, whose an object is, what the status says.

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

func read(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestCovers(t *testing.T) {
	for name, of := range map[string]struct {
		wanted, live string
		want         bool
	}{
		"the same":                             {`{a: 1, b: [x]}`, `{a: 1, b: [x]}`, true},
		"a field that the API server defaults": {`{a: 1}`, `{a: 1, b: 2}`, true},
		"a field within an entry":              {`{a: [{b: 1}]}`, `{a: [{b: 1, c: 2}]}`, true},
		"another value":                        {`{a: 1}`, `{a: 2}`, false},
		"another type":                         {`{a: {b: 1}}`, `{a: 1}`, false},
		"no list":                              {`{a: [1]}`, `{a: {}}`, false},
		"a missing field":                      {`{a: 1}`, `{}`, false},
		"a missing entry":                      {`{a: [1, 2]}`, `{a: [1]}`, false},
		"an entry that somebody added":         {`{a: [1]}`, `{a: [1, 2]}`, false},
		"another order":                        {`{a: [1, 2]}`, `{a: [2, 1]}`, false},
		"an empty map that is left out":        {`{a: {}, b: [], c: null}`, `{}`, true},
		"a false that is left out":             {`{a: false}`, `{}`, false},
	} {
		if got := covers(read(t, of.wanted), read(t, of.live)); got != of.want {
			t.Errorf("%s: %t, want %t", name, got, of.want)
		}
	}
}

func object(kind, name, uid, plugin string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("v1")
	o.SetKind(kind)
	o.SetName(name)
	o.SetUID(types.UID(uid))
	if plugin != "" {
		mark(o, plugin)
	}
	return o
}

// written is an object of the recorded UID that somebody has written.
func written(plugin, manager, subresource string) *unstructured.Unstructured {
	o := object("ServiceAccount", "known", "u-1", plugin)
	o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: manager, Subresource: subresource}})
	return o
}

func plugin() *v1.StreamPlugin {
	return &v1.StreamPlugin{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: "orders", UID: "mine", Generation: 3},
		Status: v1.StreamPluginStatus{
			Objects: []v1.PluginObject{{APIVersion: "v1", Kind: "ServiceAccount", Name: "known", UID: "u-1"}},
		},
	}
}

func TestOwns(t *testing.T) {
	for name, of := range map[string]struct {
		live *unstructured.Unstructured
		want bool
	}{
		"recorded":                        {object("ServiceAccount", "known", "u-1", "mine"), true},
		"recorded, without its mark":      {written("", v1.ManagedBy, ""), true},
		"recorded by somebody":            {written("", "kubectl-create", ""), false},
		"recorded by somebody, counted":   {written("", v1.ManagedBy, "status"), false},
		"recorded, another's":             {written("theirs", v1.ManagedBy, ""), false},
		"made again by somebody":          {object("ServiceAccount", "known", "u-2", "mine"), false},
		"not recorded yet":                {object("ConfigMap", "known", "u-9", "mine"), true},
		"somebody else's":                 {object("ConfigMap", "known", "u-9", ""), false},
		"another StreamPlugin's":          {object("ConfigMap", "known", "u-9", "theirs"), false},
		"of the name of a recorded other": {object("ServiceAccount", "other", "u-1", ""), false},
	} {
		if got := owns(plugin(), of.live); got != of.want {
			t.Errorf("%s: %t, want %t", name, got, of.want)
		}
	}
}

func TestEqualObjects(t *testing.T) {
	one, other := object("ConfigMap", "a", "", "mine"), object("ConfigMap", "b", "", "mine")
	owned := one.DeepCopy()
	owned.SetOwnerReferences([]metav1.OwnerReference{{Kind: "StreamPlugin", Name: "orders"}})
	annotations := owned.GetAnnotations()
	annotations["operator-sdk/primary-resource"] = "sales/orders"
	owned.SetAnnotations(annotations)
	changed := one.DeepCopy()
	changed.Object["data"] = map[string]any{"k": "v"}
	for name, of := range map[string]struct {
		rendered, wanted []*unstructured.Unstructured
		want             bool
	}{
		"as it was rendered":      {[]*unstructured.Unstructured{owned, other}, []*unstructured.Unstructured{other, one}, true},
		"one more":                {[]*unstructured.Unstructured{owned}, []*unstructured.Unstructured{one, other}, false},
		"one less":                {[]*unstructured.Unstructured{owned, other}, []*unstructured.Unstructured{one}, false},
		"another":                 {[]*unstructured.Unstructured{owned}, []*unstructured.Unstructured{other}, false},
		"changed":                 {[]*unstructured.Unstructured{owned}, []*unstructured.Unstructured{changed}, false},
		"changed in the release":  {[]*unstructured.Unstructured{changed}, []*unstructured.Unstructured{one}, false},
		"of a StreamPlugin again": {[]*unstructured.Unstructured{object("ConfigMap", "a", "", "former")}, []*unstructured.Unstructured{one}, false},
	} {
		if got := equalObjects(of.rendered, of.wanted); got != of.want {
			t.Errorf("%s: %t, want %t", name, got, of.want)
		}
	}
}

// TestStatus holds the conditions to what kstatus reads: one that is not Ready is either reconciling or stalled.
func TestStatus(t *testing.T) {
	p := plugin()
	for name, of := range map[string]struct {
		outcome                     outcome
		reason                      v1.Reason
		ready, reconciling, stalled bool
		says                        string
	}{
		"installed":      {succeeded(p), v1.ReasonInstalled, true, false, false, "StreamClass orders"},
		"a wrong spec":   {refused(errors.New("spec.version: no")), v1.ReasonSpecInvalid, false, false, true, "spec.version"},
		"a conflict":     {failed(conflict{{object: object(v1.KindStreamClass, "orders", "u", "")}}), v1.ReasonNameConflict, false, false, true, "spec.className"},
		"an obstacle":    {failed(errors.New("the quota is used up")), v1.ReasonReleaseFailed, false, true, false, "tries again"},
		"Streams":        {waiting("orders", []string{"a/1", "a/2", "a/3", "a/4", "a/5"}), v1.ReasonWaitingForStreams, false, true, false, "a/1, a/2, a/3 and 2 more"},
		"a long message": {failed(errors.New(strings.Repeat("é", 5000))), v1.ReasonReleaseFailed, false, true, false, "é…"},
	} {
		status := statusOf(p, of.outcome)
		for kind, want := range map[string]bool{v1.ConditionReady: of.ready, v1.ConditionReconciling: of.reconciling, v1.ConditionStalled: of.stalled} {
			c := meta.FindStatusCondition(status.Conditions, kind)
			if c == nil || (c.Status == metav1.ConditionTrue) != want || c.Reason != string(of.reason) || c.ObservedGeneration != 3 {
				t.Errorf("%s: condition %s is %+v, want %t", name, kind, c, want)
			}
		}
		if c := meta.FindStatusCondition(status.Conditions, v1.ConditionReady); !strings.Contains(c.Message, of.says) || len(c.Message) > 1024 {
			t.Errorf("%s: says %q", name, c.Message)
		}
		if status.ObservedGeneration != 3 || len(status.Objects) != 1 {
			t.Errorf("%s: generation %d, %d objects", name, status.ObservedGeneration, len(status.Objects))
		}
	}
	again := succeeded(p)
	again.objects = []v1.PluginObject{}
	if status := statusOf(p, again); len(status.Objects) != 0 {
		t.Error("what is not installed any more is still recorded")
	}
}

// TestConflictSaysWhoseItIs: nobody is told to delete what another StreamPlugin has installed.
func TestConflictSaysWhoseItIs(t *testing.T) {
	class, template := object(v1.KindStreamClass, "orders", "u", "other"), object(v1.KindStreamingJobTemplate, "orders", "v", "other")
	for name, c := range map[string]struct {
		conflict conflict
		says     []string
		not      string
	}{
		"nobody's":   {conflict{{object: object(v1.KindStreamClass, "orders", "u", "")}}, []string{"Delete it, or create the StreamPlugin with another spec.className"}, "UID"},
		"a former":   {conflict{{object: class}}, []string{"UID other, which is gone", "Delete it, or"}, "has installed"},
		"a living":   {conflict{{object: class, owner: "sales/postgres"}}, []string{"StreamPlugin sales/postgres has installed it", "delete this StreamPlugin", "another spec.className"}, "Delete it"},
		"a template": {conflict{{object: template, owner: "sales/postgres"}}, []string{"has installed it", "another name"}, "className"},
		"several":    {conflict{{object: template}, {object: class}}, []string{"StreamClass orders, StreamingJobTemplate", "Delete them"}, "has installed"},
	} {
		got := c.conflict.Error()
		for _, want := range c.says {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q lacks %q", name, got, want)
			}
		}
		if strings.Contains(got, c.not) {
			t.Errorf("%s: %q says %q", name, got, c.not)
		}
	}
}

// TestMarkerMarksEachObject: what Helm installs bears the mark that the controller looks for, on each object of a manifest.
func TestMarkerMarksEachObject(t *testing.T) {
	chart, err := pluginchart.Load()
	if err != nil {
		t.Fatal(err)
	}
	p := plugin()
	p.Spec = v1.StreamPluginSpec{Preset: v1.PresetPostgres, Image: "i:1"}
	wanted, err := chart.Render(p, pluginchart.Capabilities(pluginchart.PodMonitor))
	if err != nil {
		t.Fatal(err)
	}
	manifest := &bytes.Buffer{}
	for _, o := range wanted {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		manifest.WriteString("---\n" + string(text))
		mark(o, string(p.UID))
	}
	marked, err := marker(p.UID).Run(manifest)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := pluginchart.Objects(marked.String(), p.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	if !equalObjects(rendered, wanted) {
		t.Errorf("Helm installs\n%s\nand the controller wants %d objects, each with its mark", marked, len(wanted))
	}
}
