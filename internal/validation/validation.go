// Package validation says what may be stored and completes what was left out:
// Default and Validate for each kind. The webhooks ask it at admission, and
// observe asks the same again of what is there, so a webhook that was bypassed
// changes nothing.
//
// It knows nothing of the cluster. Whoever asks looks up what the object names
// and hands it in as the Surroundings; what is not there is nil, which is a
// warning and never a refusal: objects may arrive in any order.
//
// Old is nil at CREATE. An object that is being deleted, and an update that
// leaves all that is judged as it was, are never refused: a rule that came
// later must not keep an old object from being labelled, suspended or removed.
//
// Defaulting changes the typed object that it is given. A field that this
// version does not know is not in a typed object, so an adapter must not answer
// with the whole object: it marshals the typed object before and after, takes
// the difference as a JSON patch, and has that applied to the bytes that came in.
// What neither of the two mentions is left as it was.
package validation

// This file holds what whoever asks has looked up.

import (
	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// StreamSurroundings are what a Stream names; nil is what is not there.
type StreamSurroundings struct {
	// Class is the StreamClass that spec.streamClass names.
	Class *v1.StreamClass
	// Schema is definition.SchemaOf(Class), kept from an earlier call: compiling it
	// costs more than all the rest. Whoever keeps it keys it by the class's UID and
	// generation. Nil: it is compiled here.
	Schema *definition.Schema
	// Template and BackfillTemplate are those that Templates(s, Class) names.
	Template         *v1.StreamingJobTemplate
	BackfillTemplate *v1.StreamingJobTemplate
}

// TemplateSurroundings are the streams that use a template, each with its class.
type TemplateSurroundings struct {
	// Users are the streams whose jobs are built from the template, by their own
	// reference or by their class's.
	Users []TemplateUser
}

// TemplateUser is a stream that uses a template.
type TemplateUser struct {
	Stream *v1.Stream
	// Class of the stream; nil where it is not there.
	Class *v1.StreamClass
}

// RequestSurroundings are what a BackfillRequest names; nil is what is not there.
type RequestSurroundings struct {
	// Stream is the one that spec.streamId names.
	Stream *v1.Stream
	// Class is the StreamClass of that stream.
	Class *v1.StreamClass
	// Template is the one that RequestTemplate(q, Stream, Class) names.
	Template *v1.StreamingJobTemplate
	// Others are the other requests for that stream; ended ones do no harm.
	Others []v1.BackfillRequest
}

// ClassSurroundings are the other StreamClasses.
type ClassSurroundings struct {
	Others []v1.StreamClass
}

// Templates are the references to the templates that a stream's jobs and its
// backfills are built from, namespaces filled in: its own, else the class's; nil
// where neither names one. class may be nil.
func Templates(s *v1.Stream, class *v1.StreamClass) (stream, backfill *v1.TemplateReference) {
	return definition.Templates(s, class)
}

// RequestTemplate is the reference to the template that a request's backfill is
// built from: its own, else that of its stream's backfills; nil where nothing
// names one. stream and class may be nil.
func RequestTemplate(q *v1.BackfillRequest, stream *v1.Stream, class *v1.StreamClass) *v1.TemplateReference {
	if ref := q.Spec.JobTemplateRef; ref != nil {
		own := *ref
		if own.Namespace == "" {
			own.Namespace = q.Namespace
		}
		return &own
	}
	if stream == nil {
		return nil
	}
	_, backfill := definition.Templates(stream, class)
	return backfill
}
