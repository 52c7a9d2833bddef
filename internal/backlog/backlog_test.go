package backlog

// This file tells the operator's own requests from their users'.

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// request is one of UID r of a stream, made for a reason, or by its user.
func request(stream types.UID, controls bool, reason string) *v1.BackfillRequest {
	q := &v1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{UID: "r"}}
	if stream != "" {
		q.OwnerReferences = []metav1.OwnerReference{{Kind: v1.KindStream, UID: stream, Controller: ptr.To(controls)}}
	}
	if reason != "" {
		q.Annotations = map[string]string{v1.AnnotationMadeBy: reason}
	}
	return q
}

func TestWhoseRequest(t *testing.T) {
	none, known := v1.StreamStatus{}, v1.StreamStatus{InitialRequestUID: "r"}
	gap := v1.StreamStatus{InitialRequestUID: "another", GapRequestUID: "r"}
	for name, c := range map[string]struct {
		request                   *v1.BackfillRequest
		status                    v1.StreamStatus
		byUs, unrecorded, isFirst bool
	}{
		"a user's":                            {request("s", false, ""), none, false, false, false},
		"a user's that counts as the first":   {request("s", false, ""), known, false, false, true},
		"a copy of ours that nobody owns":     {request("", false, v1.RequestInitial), none, false, false, false},
		"a copy of ours":                      {request("s", false, v1.RequestInitial), none, false, false, false},
		"an initial one, not recorded":        {request("s", true, v1.RequestInitial), none, true, true, false},
		"an initial one":                      {request("s", true, v1.RequestInitial), known, true, false, true},
		"an initial one of a former stream":   {request("former", true, v1.RequestInitial), none, true, false, false},
		"an initial one, another counts":      {request("s", true, v1.RequestInitial), gap, true, true, true},
		"a gap's, not recorded":               {request("s", true, v1.RequestGap), none, true, true, false},
		"a gap's":                             {request("s", true, v1.RequestGap), gap, true, false, true},
		"a gap's that is the initial one's":   {request("s", true, v1.RequestGap), known, true, true, true},
		"made for a reason of another Arcane": {request("s", true, "whim"), none, true, false, false},
	} {
		s := &v1.Stream{ObjectMeta: metav1.ObjectMeta{UID: "s"}, Status: c.status}
		if got := MadeByUs(c.request); got != c.byUs {
			t.Errorf("%s: made by us: %t", name, got)
		}
		if got := Unrecorded(s, c.request); got != c.unrecorded {
			t.Errorf("%s: unrecorded: %t", name, got)
		}
		if got := ComesFirst(s, c.request); got != c.isFirst {
			t.Errorf("%s: comes first: %t", name, got)
		}
	}
}
