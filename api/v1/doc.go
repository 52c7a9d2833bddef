// Package v1 holds the words that Arcane promises to its users: the kinds of
// the API group streaming.sneaksanddata.com, version v1.
//
// How the kinds refer to each other:
//
//	Stream ──spec.streamClass──────────▶ StreamClass (cluster scoped: a plugin)
//	Stream ──spec.jobTemplateRef───────▶ StreamingJobTemplate (a whole batch/v1 Job)
//	StreamClass ──spec.jobTemplateRef──▶ StreamingJobTemplate (the plugin's default)
//	BackfillRequest ──spec.streamId────▶ Stream (same namespace; owned by it)
//	Stream ──owns──▶ Job ──owns──▶ Pod
//
// A Stream says what shall flow; its class says which plugin carries it; a
// template says what the plugin's pod looks like. A BackfillRequest asks for
// all data to be carried anew, once.
//
// +kubebuilder:object:generate=true
// +groupName=streaming.sneaksanddata.com
package v1
