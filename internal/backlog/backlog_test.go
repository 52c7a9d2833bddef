package backlog

// This file tells the operator's own requests from their users'.

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// request is one of UID r of a stream, made for a reason, or by its user. It has the
// name that the operator would give it.
func request(stream types.UID, controls bool, reason string) *v1.BackfillRequest {
	q := &v1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{UID: "r", Name: InitialName("orders", stream)}, Spec: v1.BackfillRequestSpec{StreamID: "orders"}}
	if stream != "" {
		q.OwnerReferences = []metav1.OwnerReference{{Kind: v1.KindStream, Name: "orders", UID: stream, Controller: ptr.To(controls)}}
	}
	if reason == v1.RequestGap {
		q.Name = GapName("orders", 17)
	}
	if reason != "" {
		q.Annotations = map[string]string{v1.AnnotationMadeBy: reason}
	}
	return q
}

// called is a request under another name, which its user has chosen.
func called(name string, q *v1.BackfillRequest) *v1.BackfillRequest {
	q.Name = name
	return q
}

// of is a request for another stream than its owner.
func of(stream string, q *v1.BackfillRequest) *v1.BackfillRequest {
	q.Spec.StreamID = stream
	return q
}

func TestNamesOfTheOperatorsRequests(t *testing.T) {
	for want, got := range map[string]string{
		"orders-initial-9f2c17a0": InitialName("orders", "9f2c17a0-5b3e-4c6d-8e9f-0a1b2c3d4e5f"),
		"orders-initial-ab":       InitialName("orders", "a-b"),
		"orders-gap-1795491932":   GapName("orders", 1795491932),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
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
		"made for a reason of another Arcane": {request("s", true, "whim"), none, false, false, false},

		// Annotation and owner can be copied, the name cannot.
		"a forged initial one":                {called("mine", request("s", true, v1.RequestInitial)), none, false, false, false},
		"a forged initial one, of a former":   {called("orders-initial-former", request("s", true, v1.RequestInitial)), none, false, false, false},
		"a forged gap's":                      {called("mine", request("s", true, v1.RequestGap)), none, false, false, false},
		"a forged gap's, no run":              {called("orders-gap-x", request("s", true, v1.RequestGap)), none, false, false, false},
		"a forged gap's, run written oddly":   {called("orders-gap-017", request("s", true, v1.RequestGap)), none, false, false, false},
		"a forged gap's with an initial name": {called("orders-initial-s", request("s", true, v1.RequestGap)), none, false, false, false},
		"of another stream than its owner":    {of("others", request("s", true, v1.RequestInitial)), none, false, false, false},
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
