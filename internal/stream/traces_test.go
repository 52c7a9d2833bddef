package stream

// This file reads the traces of a stream's reconciles.

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/internal/tracing"
	"github.com/arcane-streaming/arcane-operator/test/collector"
)

// A new stream's first reconcile makes several decisions, one after the other. Its
// trace shows each in its steps, and carries the last.
func TestATraceShowsEachDecision(t *testing.T) {
	c := newCluster(t, orders()...)
	there, reconcile := traced(t, c)
	if err := reconcile(); err != nil {
		t.Fatal(err)
	}
	root := only(t, there, "reconcile stream")
	steps := there.Below(root)
	var names, rules []string
	for _, s := range steps {
		names = append(names, s.Name)
		if s.Name == "report" {
			rules = append(rules, s.Attributes["arcane.rule"])
		}
	}
	if len(rules) < 2 || !slices.Equal(names, slices.Repeat([]string{"observe", "apply", "report"}, len(rules))) {
		t.Errorf("steps %q with rules %q", names, rules)
	}
	if slices.Contains(rules, "") || len(slices.Compact(slices.Clone(rules))) != len(rules) {
		t.Errorf("rules %q", rules)
	}
	s := c.stream()
	want := map[string]string{
		"arcane.stream": "orders", "k8s.namespace.name": namespace,
		"arcane.rule": rules[len(rules)-1], "arcane.phase": string(s.Status.Phase), "arcane.reason": meta.FindStatusCondition(s.Status.Conditions, v1.ConditionReady).Reason,
	}
	for key, value := range want {
		if root.Attributes[key] != value || value == "" {
			t.Errorf("%s is %q, want %q", key, root.Attributes[key], value)
		}
	}
	if root.Error != "" {
		t.Errorf("error %q", root.Error)
	}
}

func TestATraceShowsTheStepThatFailed(t *testing.T) {
	c := newCluster(t, orders()...)
	c.faultAt, c.fault = 1, dropped
	there, reconcile := traced(t, c)
	if err := reconcile(); !errors.Is(err, errFault) {
		t.Fatalf("it returns %v", err)
	}
	root := only(t, there, "reconcile stream")
	var failed []string
	for _, s := range there.Below(root) {
		if s.Error != "" {
			failed = append(failed, s.Name)
		}
	}
	if !slices.Equal(failed, []string{"apply"}) || !strings.Contains(root.Error, errFault.Error()) || len(root.Exceptions) != 1 {
		t.Errorf("failed steps %q, the reconcile %q", failed, root.Error)
	}
}

// An obstacle is no error: the trace names it as the reason.
func TestATraceNamesAnObstacle(t *testing.T) {
	c := newCluster(t, orders(noBackfill)...)
	c.settle()
	objects, run := orders(noBackfill), jobspec.RunOf(c.jobs()[0].Name)
	for i := range int64(namesTried) {
		objects = append(objects, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: jobspec.Name("orders", c.stream().UID, v1.KindStream, run+i)}})
	}
	c = newCluster(t, objects...)
	there, reconcile := traced(t, c)
	if err := reconcile(); err != nil {
		t.Fatal(err)
	}
	root := only(t, there, "reconcile stream")
	if root.Error != "" || root.Attributes["arcane.reason"] != string(v1.ReasonNameConflict) {
		t.Errorf("the reconcile is %s", root)
	}
}

// traced is a reconcile of the cluster's stream, whose trace has arrived when it returns.
func traced(t *testing.T, c *cluster) (*collector.Collector, func() error) {
	t.Helper()
	there := collector.Start(t)
	endpoint, err := url.Parse(there.URL + "/v1/traces")
	c.must(err)
	tracer, err := tracing.Start(t.Context(), endpoint, "test", logr.Discard())
	c.must(err)
	return there, func() error {
		_, err := tracer.Reconciler("stream", tracing.Stream, c.reconciler).
			Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: "orders"}})
		tracer.Stop(t.Context())
		return err
	}
}

func only(t *testing.T, there *collector.Collector, name string) collector.Span {
	t.Helper()
	spans := there.Named(name)
	if len(spans) != 1 {
		t.Fatalf("%d spans %q of %v", len(spans), name, there.Spans())
	}
	return spans[0]
}
