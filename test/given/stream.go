// Streams of the scripted plugin.

package given

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// StreamOption changes a Stream that is being built.
type StreamOption func(*streamingv1.Stream)

// Stream is a stream of a class. It is not suspended and takes its template from
// the class.
func Stream(namespace, name, class string, options ...StreamOption) *streamingv1.Stream {
	s := &streamingv1.Stream{
		TypeMeta: metav1.TypeMeta{
			APIVersion: streamingv1.GroupVersion.String(), Kind: streamingv1.KindStream,
		},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: streamingv1.StreamSpec{
			StreamClass: class,
			Source:      raw(script.Default()),
			Sink:        raw(map[string]string{"bucket": "file:///data"}),
		},
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// Suspended is a stream that its user has switched off.
func Suspended(s *streamingv1.Stream) { s.Spec.Suspended = true }

// Source replaces what the stream's pods do.
func Source(source script.Source) StreamOption {
	return func(s *streamingv1.Stream) { s.Spec.Source = raw(source) }
}

// Script changes one thing about what the stream's pods do, from the default.
func Script(change func(*script.Source)) StreamOption {
	source := script.Default()
	change(&source)
	return Source(source)
}

// SourceWith sets a plugin's free source object, whatever it holds.
func SourceWith(source map[string]any) StreamOption {
	return func(s *streamingv1.Stream) { s.Spec.Source = raw(source) }
}

// TemplateOf names the stream's own template.
func TemplateOf(name string) StreamOption {
	return func(s *streamingv1.Stream) {
		s.Spec.JobTemplateRef = &streamingv1.TemplateReference{Name: name}
	}
}

// BackfillTemplateOf names the stream's own template of backfills.
func BackfillTemplateOf(name string) StreamOption {
	return func(s *streamingv1.Stream) {
		s.Spec.BackfillJobTemplateRef = &streamingv1.TemplateReference{Name: name}
	}
}

// NoInitialBackfill lets the stream start without a backfill.
func NoInitialBackfill(s *streamingv1.Stream) {
	if s.Spec.Backfill == nil {
		s.Spec.Backfill = &streamingv1.BackfillSpec{}
	}
	s.Spec.Backfill.Initial = streamingv1.InitialDisabled
}

// Schedule runs the stream by a schedule.
func Schedule(schedule string) StreamOption {
	return func(s *streamingv1.Stream) { s.Spec.Schedule = &schedule }
}

// Restarts lets the stream start again by itself after so many failures.
func Restarts(limit int32) StreamOption {
	return func(s *streamingv1.Stream) {
		if s.Spec.Restart == nil {
			s.Spec.Restart = &streamingv1.RestartSpec{}
		}
		s.Spec.Restart.Policy, s.Spec.Restart.MaxRestarts = streamingv1.RestartOnFailure, &limit
	}
}

// HealthyAfter says how long a run must last to count as healthy.
func HealthyAfter(d time.Duration) StreamOption {
	return func(s *streamingv1.Stream) {
		if s.Spec.Restart == nil {
			s.Spec.Restart = &streamingv1.RestartSpec{}
		}
		s.Spec.Restart.HealthyAfter = &metav1.Duration{Duration: d}
	}
}

// Backoff sets the pause before a start that follows an end.
func Backoff(initial, limit time.Duration) StreamOption {
	return func(s *streamingv1.Stream) {
		if s.Spec.Restart == nil {
			s.Spec.Restart = &streamingv1.RestartSpec{}
		}
		s.Spec.Restart.Backoff = &streamingv1.BackoffSpec{
			Initial: &metav1.Duration{Duration: initial}, Max: &metav1.Duration{Duration: limit},
		}
	}
}
