// Package definition turns what a user wrote — a Stream now, a plugin's own kind
// later — into one value that the rest of the operator works with.
package definition

// This file holds the value and what can be wrong with it.

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Definition is one stream's definition, whichever kind it was written in.
type Definition struct {
	// APIVersion, Kind, Namespace, Name and UID identify the object: they make
	// the owner reference, the labels and the names of its Jobs.
	APIVersion string
	Kind       string
	Namespace  string
	Name       string
	UID        types.UID
	// Generation and Created are the object's own.
	Generation int64
	Created    metav1.Time
	// CreatedSuspended is the mark that the CREATE webhook put on a stream that was born suspended.
	CreatedSuspended bool
	// RestartedAt is the value of the restart annotation.
	RestartedAt string

	// Class is the StreamClass that the stream names.
	Class string
	// Suspended is the user's switch. It is right even where there is a Problem.
	Suspended bool
	// Schedule and TimeZone make it a scheduled stream; empty otherwise.
	Schedule string
	TimeZone string

	// StreamTemplate and BackfillTemplate are the stream's own, else the class's,
	// namespaces filled in; nil where neither names one. Template tells which of
	// them a job needs, and what is wrong where it is nil.
	StreamTemplate   *v1.TemplateReference
	BackfillTemplate *v1.TemplateReference
	// Secrets are the names for envFrom, in the order of the class's secretRefs, each once.
	Secrets []string
	// Spec is the JSON of the whole spec, keys sorted.
	Spec []byte
	// HashSpec is the part of the spec that makes a job another job, as JSON with
	// its keys sorted: less suspended, restart, backfill, a defaulted
	// podFailurePolicy, and the template references (the template that they lead
	// to is hashed itself, so a reference to a backfill's template that changes
	// does not restart the streaming job).
	HashSpec []byte
	// PodFailurePolicy is the user's own; nil where it is absent or the default.
	PodFailurePolicy *batchv1.PodFailurePolicy
	// Restart and Backfill are the user's settings with their defaults filled in.
	Restart  Restart
	Backfill Backfill
}

// Restart says whether and how a failed stream starts again by itself.
type Restart struct {
	Policy       v1.RestartPolicy
	MaxRestarts  int32
	Initial, Max time.Duration
	HealthyAfter time.Duration
}

// Backfill says when a stream backfills by itself.
type Backfill struct {
	// Initial is empty where the user left it to the operator.
	Initial      v1.InitialBackfill
	OnSpecChange v1.OnSpecChange
}

// Problem is why a definition cannot be turned into a job.
type Problem struct {
	// Reason for condition Accepted.
	Reason v1.Reason
	// Kind of the object that has to be changed: Stream, StreamClass,
	// StreamingJobTemplate or BackfillRequest. A problem of a BackfillRequest is
	// that request's alone: it never stops the stream.
	Kind string
	// Field is the path of the field within that object.
	Field string
	// Message names the object, the field and the way out.
	Message string
}
