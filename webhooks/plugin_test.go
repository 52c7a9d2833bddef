package webhooks

// This file asks what the webhook says of StreamPlugins that this operator cannot render.

import (
	"errors"
	"slices"
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

// TestErrorsNameTheFieldThatTheUserWrote: once, although both templates have it.
func TestErrorsNameTheFieldThatTheUserWrote(t *testing.T) {
	template := field.NewPath("spec", "spec", "template", "spec")
	found := field.ErrorList{
		field.NotSupported(template.Child("tolerations").Index(0).Child("operator"), "Equals", []string{"Equal"}),
		field.Invalid(field.NewPath("spec", "spec", "template", "metadata", "labels").Key("a"), "a b", "no label"),
		field.Required(template.Child("containers").Index(0).Child("image"), ""),
		field.Invalid(template.Child("affinityOfMine"), "x", "no such field"),
	}
	spec := field.NewPath("spec")
	var fields []string
	for _, e := range once(append(ofRendered(spec, "StreamingJobTemplate a", found), ofRendered(spec, "StreamingJobTemplate a-backfill", found[:2])...)) {
		fields = append(fields, e.Field)
	}
	if want := []string{"spec.tolerations[0].operator", "spec.podLabels[a]", "spec", "spec"}; !slices.Equal(fields, want) {
		t.Errorf("%v, want %v", fields, want)
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
