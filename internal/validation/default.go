package validation

// This file completes what a user left out.

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

// mark is the value of annotations whose presence says all.
const mark = "true"

// DefaultStream writes the default podFailurePolicy with its mark, the settings
// of restart and backfill, and at CREATE the mark of a stream that is born
// suspended. It is idempotent. A policy of the user's own is left alone; a marked
// default is computed anew when class or template have changed, and left as it is
// where one of them is not there.
//
// Of restart and backfill it writes what the schema would write into an empty
// one, and no pauses: a first pause beside a longest one that nobody chose would
// make the next apply of the user's own manifest depend on what was there before.
func DefaultStream(s *v1.Stream, create bool, around StreamSurroundings) {
	if s.DeletionTimestamp != nil {
		return
	}
	if create {
		markBirth(s)
	}
	defaultRestart(s)
	defaultBackfill(s)
	defaultPolicy(s, around)
}

// markBirth marks a stream that is born suspended, and no other: one that is made
// from another's manifest, or from a backup, may bring that one's mark, and would
// stream without ever having been backfilled.
func markBirth(s *v1.Stream) {
	if s.Spec.Suspended {
		annotate(&s.Annotations, v1.AnnotationCreatedSuspended, mark)
		return
	}
	delete(s.Annotations, v1.AnnotationCreatedSuspended)
}

func defaultRestart(s *v1.Stream) {
	if s.Spec.Restart == nil {
		s.Spec.Restart = &v1.RestartSpec{}
	}
	if s.Spec.Restart.Policy == "" {
		s.Spec.Restart.Policy = v1.RestartNever
	}
	if s.Spec.Restart.MaxRestarts == nil {
		s.Spec.Restart.MaxRestarts = ptr.To(definition.DefaultMaxRestarts)
	}
}

func defaultBackfill(s *v1.Stream) {
	if s.Spec.Backfill == nil {
		s.Spec.Backfill = &v1.BackfillSpec{}
	}
	if s.Spec.Backfill.OnSpecChange == "" {
		s.Spec.Backfill.OnSpecChange = v1.OnSpecChangeFinish
	}
}

// defaultPolicy shows the user which policy holds. Half of what it is computed
// from would show another one.
func defaultPolicy(s *v1.Stream, around StreamSurroundings) {
	class, template := around.Class, around.Template
	if definition.OwnPolicy(s) != nil || class == nil || template == nil || !definition.OfKindStream(class) {
		return
	}
	policy := jobspec.FailurePolicy(definition.Definition{}, class, template)
	if len(jobspec.PolicyFaults(policy, nil, "spec.podFailurePolicy")) > 0 {
		// Whose fault it is is said of the class or the template; the Stream's schema would blame the Stream.
		return
	}
	if s.Spec.PodFailurePolicy == nil || !equality.Semantic.DeepEqual(s.Spec.PodFailurePolicy, policy) {
		s.Spec.PodFailurePolicy = policy
		annotate(&s.Annotations, v1.AnnotationDefaultPodFailurePolicy, definition.PolicyHash(policy))
	}
}

// DefaultTemplate writes the pod's restartPolicy, Never, where there is none.
func DefaultTemplate(t *v1.StreamingJobTemplate) {
	if t.DeletionTimestamp == nil && t.Spec.Spec.Template.Spec.RestartPolicy == "" {
		t.Spec.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
}

// DefaultRequest writes the stream's class where the request names none, and at
// CREATE the stamp that tells our requests from those of an earlier Arcane. An update
// that leaves the stamp out keeps it, as it keeps the UID: whoever replaces a request by
// its own manifest has never heard of it. old is nil at CREATE and where it could not be
// read; stream is nil where it is not there.
func DefaultRequest(old, q *v1.BackfillRequest, create bool, stream *v1.Stream) {
	if q.DeletionTimestamp != nil {
		return
	}
	if create {
		annotate(&q.Annotations, v1.AnnotationAdmitted, v1.Admitted)
	} else if old != nil {
		stamp, stamped := old.Annotations[v1.AnnotationAdmitted]
		if _, kept := q.Annotations[v1.AnnotationAdmitted]; stamped && !kept {
			annotate(&q.Annotations, v1.AnnotationAdmitted, stamp)
		}
	}
	if q.Spec.StreamClass == "" && stream != nil {
		q.Spec.StreamClass = stream.Spec.StreamClass
	}
}

// annotate sets an annotation.
func annotate(annotations *map[string]string, key, value string) {
	if *annotations == nil {
		*annotations = map[string]string{}
	}
	(*annotations)[key] = value
}
