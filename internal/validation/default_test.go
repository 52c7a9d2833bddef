package validation

// This file tests what is completed, and what is left alone.

import (
	"reflect"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// theDefault is the policy of the good world.
func theDefault() *batchv1.PodFailurePolicy {
	p := ownPolicy(codes("In", "plugin", 20, 21))
	ignored := codes("In", "plugin", 143)
	ignored.Action = batchv1.PodFailurePolicyActionIgnore
	p.Rules = append(p.Rules, ignored)
	return p
}

// markOf is the annotation that says that a policy is the default.
func markOf(p *batchv1.PodFailurePolicy) map[string]string {
	return map[string]string{v1.AnnotationDefaultPodFailurePolicy: definition.PolicyHash(p)}
}

func TestDefaultStream(t *testing.T) {
	restart := &v1.RestartSpec{Policy: v1.RestartNever, MaxRestarts: ptr.To[int32](5)}
	backfill := &v1.BackfillSpec{OnSpecChange: v1.OnSpecChangeFinish}
	complete := func(s *v1.Stream) {
		s.Spec.Restart, s.Spec.Backfill = restart, backfill
		s.Spec.PodFailurePolicy, s.Annotations = theDefault(), markOf(theDefault())
	}
	settingsOnly := func(s *v1.Stream) { s.Spec.Restart, s.Spec.Backfill = restart, backfill }
	stale := ownPolicy(codes("In", "plugin", 9))
	for name, c := range map[string]struct {
		create bool
		given  func(w *world)
		// want is what the given stream becomes.
		want func(s *v1.Stream)
	}{
		"all of it":        {true, func(*world) {}, complete},
		"all of it, later": {false, func(*world) {}, complete},
		"without a class":  {true, func(w *world) { w.class = nil }, settingsOnly},
		"without template": {true, func(w *world) { w.template = nil }, settingsOnly},
		"another kind's":   {true, func(w *world) { w.class.Spec.KindRef = "PostgresStream" }, settingsOnly},
		"of a class whose policy Kubernetes would refuse": {true, func(w *world) {
			w.class.Spec.PodFailurePolicy = ownPolicy(codes("In", "plugin", 2, 1))
		}, settingsOnly},
		"born suspended": {true, func(w *world) { w.stream.Spec.Suspended = true }, func(s *v1.Stream) {
			complete(s)
			s.Annotations[v1.AnnotationCreatedSuspended] = "true"
		}},
		"made from one that was born suspended": {true, func(w *world) {
			w.stream.Annotations = map[string]string{v1.AnnotationCreatedSuspended: "true"}
		}, complete},
		"resumed, after it was born suspended": {false, func(w *world) {
			w.stream.Annotations = map[string]string{v1.AnnotationCreatedSuspended: "true"}
		}, func(s *v1.Stream) {
			complete(s)
			s.Annotations[v1.AnnotationCreatedSuspended] = "true"
		}},
		"suspended later": {false, func(w *world) { w.stream.Spec.Suspended = true }, complete},
		"its own settings": {true, func(w *world) {
			w.stream.Spec.Restart = &v1.RestartSpec{Policy: v1.RestartOnFailure, MaxRestarts: ptr.To[int32](0), HealthyAfter: &metav1.Duration{Duration: 1}}
			w.stream.Spec.Backfill = &v1.BackfillSpec{Initial: v1.InitialDisabled, OnSpecChange: v1.OnSpecChangeRestart}
		}, func(s *v1.Stream) {
			s.Spec.PodFailurePolicy, s.Annotations = theDefault(), markOf(theDefault())
		}},
		"its own policy": {true, func(w *world) { w.stream.Spec.PodFailurePolicy = stale.DeepCopy() }, settingsOnly},
		"its own policy, which happens to be the default": {true, func(w *world) { w.stream.Spec.PodFailurePolicy = theDefault() }, settingsOnly},
		"its own policy, made from a default": {false, func(w *world) {
			w.stream.Spec.PodFailurePolicy, w.stream.Annotations = stale.DeepCopy(), markOf(theDefault())
		}, settingsOnly},
		"a default that was computed from another class": {false, func(w *world) {
			w.stream.Spec.PodFailurePolicy, w.stream.Annotations = stale.DeepCopy(), markOf(stale)
		}, complete},
		"a default whose class is gone": {false, func(w *world) {
			w.class, w.stream.Spec.PodFailurePolicy, w.stream.Annotations = nil, stale.DeepCopy(), markOf(stale)
		}, settingsOnly},
		"the template's own": {true, func(w *world) { w.template.Spec.Spec.PodFailurePolicy = stale.DeepCopy() }, func(s *v1.Stream) {
			settingsOnly(s)
			s.Spec.PodFailurePolicy, s.Annotations = stale.DeepCopy(), markOf(stale)
		}},
		"being deleted": {false, func(w *world) { w.stream.DeletionTimestamp = &metav1.Time{} }, func(*v1.Stream) {}},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.given(w)
			want := w.stream.DeepCopy()
			c.want(want)
			for range 2 { // the second time it finds its own work
				DefaultStream(w.stream, c.create, w.ofStream())
				if !reflect.DeepEqual(w.stream, want) {
					t.Errorf("\n got %+v\n     %v\nwant %+v\n     %v", w.stream.Spec, w.stream.Annotations, want.Spec, want.Annotations)
				}
			}
			if definition.OwnPolicy(w.stream) == nil && w.class != nil && w.template != nil {
				if got := told(Stream(nil, w.stream, w.ofStream())); len(got.errs) > 0 && w.class.Spec.KindRef == v1.KindStream {
					t.Errorf("what was completed is refused: %q", got.errs)
				}
			}
		})
	}
}

func TestDefaultTemplate(t *testing.T) {
	for _, c := range []struct{ given, want corev1.RestartPolicy }{
		{"", corev1.RestartPolicyNever},
		{corev1.RestartPolicyNever, corev1.RestartPolicyNever},
		{corev1.RestartPolicyOnFailure, corev1.RestartPolicyOnFailure},
	} {
		w := good(t)
		w.pod().RestartPolicy = c.given
		want := w.template.DeepCopy()
		want.Spec.Spec.Template.Spec.RestartPolicy = c.want
		DefaultTemplate(w.template)
		if !reflect.DeepEqual(w.template, want) {
			t.Errorf("%q: got %+v", c.given, w.template)
		}
	}
}

func TestDefaultRequest(t *testing.T) {
	admitted := map[string]string{v1.AnnotationAdmitted: "true"}
	for name, c := range map[string]struct {
		create bool
		class  string
		stream bool
		want   string
		marks  map[string]string
	}{
		"created":                        {true, "", true, "postgres", admitted},
		"created, before its stream":     {true, "", false, "", admitted},
		"created, with a class":          {true, "other", true, "other", admitted},
		"an earlier Arcane's, changed":   {false, "", true, "postgres", nil},
		"an earlier Arcane's, untouched": {false, "postgres", true, "postgres", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			w.request.Spec.StreamClass = c.class
			want := w.request.DeepCopy()
			want.Spec.StreamClass, want.Annotations = c.want, c.marks
			if !c.stream {
				w.stream = nil
			}
			for range 2 {
				DefaultRequest(nil, w.request, c.create, w.stream)
				if !reflect.DeepEqual(w.request, want) {
					t.Errorf("\n got %+v\nwant %+v", w.request, want)
				}
			}
		})
	}
}

// TestTheStampStays: a forged one is written over at CREATE, and an update that leaves it
// out keeps it. Whoever changes it is refused; see TestUpdateRequest.
func TestTheStampStays(t *testing.T) {
	admitted := map[string]string{v1.AnnotationAdmitted: "true"}
	for name, c := range map[string]struct {
		create             bool
		before, now, wants map[string]string
	}{
		"forged at CREATE":      {true, nil, map[string]string{v1.AnnotationAdmitted: ""}, admitted},
		"left out":              {false, admitted, nil, admitted},
		"left out of others":    {false, admitted, map[string]string{"team": "sales"}, map[string]string{v1.AnnotationAdmitted: "true", "team": "sales"}},
		"changed":               {false, admitted, map[string]string{v1.AnnotationAdmitted: "no"}, map[string]string{v1.AnnotationAdmitted: "no"}},
		"there was none":        {false, nil, nil, nil},
		"there was none, added": {false, nil, admitted, admitted},
	} {
		w := good(t)
		var old *v1.BackfillRequest
		if !c.create {
			old = w.request.DeepCopy()
			old.Annotations = c.before
		}
		w.request.Annotations = c.now
		DefaultRequest(old, w.request, c.create, w.stream)
		if got := w.request.Annotations; !reflect.DeepEqual(got, c.wants) {
			t.Errorf("%s: got %v, want %v", name, got, c.wants)
		}
	}
}
