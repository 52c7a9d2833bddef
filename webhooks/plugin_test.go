package webhooks

// This file asks what the webhook says of StreamPlugins that this operator cannot render.

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// TestWhatCannotBeRenderedKeepsItsLabels: an operator that renders less than the one before it refuses a new or a changed
// spec, and no change beside it: neither labels nor finalizers.
func TestWhatCannotBeRenderedKeepsItsLabels(t *testing.T) {
	stored := &v1.StreamPlugin{Spec: v1.StreamPluginSpec{Preset: v1.PresetPostgres, Image: "i:1"}}
	labelled, changed := stored.DeepCopy(), stored.DeepCopy()
	labelled.Labels = map[string]string{"team": "sales"}
	changed.Spec.MaxConcurrent = ptr.To(int32(2))
	for name, c := range map[string]struct {
		old, new *v1.StreamPlugin
		refused  bool
	}{
		"created":  {nil, stored, true},
		"changed":  {stored, changed, true},
		"labelled": {stored, labelled, false},
	} {
		if _, errs := checkPlugin(c.old, c.new, rendered{err: errNotServed}); (len(errs) > 0) != c.refused {
			t.Errorf("%s: %v, refused should be %t", name, errs, c.refused)
		}
	}
}

// TestEveryFieldOfARefusalIsNamed: an error of the chart is one of several fields.
func TestEveryFieldOfARefusalIsNamed(t *testing.T) {
	spec := field.NewPath("spec")
	several := field.ErrorList{field.Forbidden(spec.Child("image"), "a"), field.Forbidden(spec.Child("env"), "b")}
	for name, c := range map[string]struct {
		err  error
		want []string
	}{
		"several":  {several.ToAggregate(), []string{"spec.image", "spec.env"}},
		"one":      {several[0], []string{"spec.image"}},
		"no field": {errors.New("c"), []string{"spec"}},
	} {
		found := fieldErrors(spec, c.err)
		if len(found) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, found, c.want)
			continue
		}
		for i, e := range found {
			if e.Field != c.want[i] {
				t.Errorf("%s: %v, want %v", name, found, c.want)
			}
		}
	}
}
