// Requests for backfills.

package given

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// RequestOption changes a BackfillRequest that is being built.
type RequestOption func(*streamingv1.BackfillRequest)

// Request asks for a backfill of a stream, as a user writes it: the class is left
// to the operator.
func Request(namespace, name, stream string, options ...RequestOption) *streamingv1.BackfillRequest {
	r := &streamingv1.BackfillRequest{
		TypeMeta: metav1.TypeMeta{
			APIVersion: streamingv1.GroupVersion.String(), Kind: streamingv1.KindBackfillRequest,
		},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       streamingv1.BackfillRequestSpec{StreamID: stream},
	}
	for _, option := range options {
		option(r)
	}
	return r
}

// ClassOf names the stream's class in the request.
func ClassOf(class string) RequestOption {
	return func(r *streamingv1.BackfillRequest) { r.Spec.StreamClass = class }
}

// Payload overrides what the backfill's pod does.
func Payload(run script.Run) RequestOption {
	return func(r *streamingv1.BackfillRequest) { r.Spec.Payload = raw(run) }
}

// PayloadWith sets a free payload.
func PayloadWith(payload map[string]any) RequestOption {
	return func(r *streamingv1.BackfillRequest) { r.Spec.Payload = raw(payload) }
}
