package backfill

// This file reads the traces of a request's reconciles.

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/arcane-streaming/arcane-operator/internal/tracing"
	"github.com/arcane-streaming/arcane-operator/test/collector"
)

// A trace tells whose request it was and what was decided, also once nothing is left to do.
func TestATraceOfARequest(t *testing.T) {
	c := newCluster(t, class(0), stream(streaming), request("a", unowned))
	there := collector.Start(t)
	endpoint, err := url.Parse(there.URL + "/v1/traces")
	c.must(err)
	tracer, err := tracing.Start(t.Context(), endpoint, "test", logr.Discard())
	c.must(err)
	r := tracer.Reconciler("backfillrequest", tracing.Request, c.r)
	for range 2 {
		_, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: keyOf(c.request("a"))})
		c.must(err)
	}
	tracer.Stop(t.Context())

	var got []string
	for _, s := range there.Named("reconcile backfillrequest") {
		line := s.String()
		for _, below := range there.Below(s) {
			line += fmt.Sprintf(" [%s]", below)
		}
		got = append(got, line)
	}
	const about = "arcane.backfill_request=a arcane.phase=Queued arcane.reason=WaitingForJob arcane.rule=tell arcane.stream=orders k8s.namespace.name=sales"
	const atRest = "arcane.backfill_request=a arcane.phase=Queued arcane.reason=WaitingForJob arcane.stream=orders k8s.namespace.name=sales"
	want := []string{
		"reconcile backfillrequest " + about + " [observe] [apply] [observe] [apply] [observe]",
		"reconcile backfillrequest " + atRest + " [observe]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
