package webhooks

// This file counts refusals, each by its rule.

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/telemetry"
)

// TestTheTableHasIt: the page of all metrics names the values that this package tells.
func TestTheTableHasIt(t *testing.T) {
	for _, m := range telemetry.Metrics() {
		if m.Name != DeniedMetric {
			continue
		}
		var rules []string
		for _, r := range Rules() {
			rules = append(rules, string(r))
		}
		if resource, rule := m.Labels[0], m.Labels[1]; !slices.Equal(resource.Values, Resources()) || !slices.Equal(rule.Values, rules) {
			t.Errorf("the table has %v and %v", resource.Values, rule.Values)
		}
		return
	}
	t.Errorf("the table has no %s", DeniedMetric)
}

func counted(t *testing.T, registry *prometheus.Registry, api *apiServer, req admission.Request) admission.Response {
	t.Helper()
	s := newServer(t, api)
	var err error
	if s.denials, err = newDenials(registry); err != nil {
		t.Fatal(err)
	}
	return s.paths()["/validate/streams"](t.Context(), req)
}

func TestRefusalsAreCounted(t *testing.T) {
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: "batch", Kind: "Job"}, "x", field.ErrorList{
		field.Required(field.NewPath("spec", "template", "spec", "containers").Index(0).Child("image"), ""),
	})
	unreadable := request(t, nil, stream())
	unreadable.Object = runtime.RawExtension{Raw: []byte(`{"spec":[]}`)}
	for rule, c := range map[Rule]struct {
		api apiServer
		req admission.Request
	}{
		RuleRights:     {apiServer{denied: []string{"create jobs"}}, request(t, nil, stream())},
		RuleDryRun:     {apiServer{job: invalid}, request(t, nil, stream())},
		RuleUnanswered: {apiServer{denied: []string{"error"}}, request(t, nil, stream())},
		RuleUnreadable: {apiServer{}, unreadable},
		RuleInvalid:    {apiServer{}, request(t, nil, edited(func(s *v1.Stream) { s.Spec.Schedule = ptr.To("whenever") }))},
		RuleForbidden: {apiServer{}, request(t, nil, edited(func(s *v1.Stream) {
			s.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "elsewhere", Name: "std"}
		}))},
		RuleRequired: {apiServer{}, request(t, nil, edited(func(s *v1.Stream) { s.Spec.Source = nil }))},
	} {
		t.Run(string(rule), func(t *testing.T) {
			registry := prometheus.NewRegistry()
			answer := counted(t, registry, &c.api, c.req)
			var want strings.Builder
			want.WriteString("# HELP " + DeniedMetric + " Writes that the webhooks refused, by what was written and by the first rule against it.\n# TYPE " + DeniedMetric + " counter\n")
			for _, resource := range Resources() {
				for _, r := range Rules() {
					value := "0"
					if resource == "streams" && r == rule {
						value = "1"
					}
					want.WriteString(DeniedMetric + `{resource="` + resource + `",rule="` + string(r) + `"} ` + value + "\n")
				}
			}
			if err := testutil.GatherAndCompare(registry, strings.NewReader(want.String())); err != nil || answer.Allowed {
				t.Errorf("allowed: %t, %+v: %v", answer.Allowed, answer.Result, err)
			}
			if got := answer.AuditAnnotations[ruleKey]; got != string(rule) {
				t.Errorf("the audit log is told %q", got)
			}
		})
	}
}

// TestWhatIsAllowedCountsNothing, and to count costs it nothing.
func TestWhatIsAllowedCountsNothing(t *testing.T) {
	registry := prometheus.NewRegistry()
	d, err := newDenials(registry)
	if err != nil {
		t.Fatal(err)
	}
	if answer := counted(t, registry, &apiServer{}, request(t, nil, stream())); !answer.Allowed || answer.AuditAnnotations != nil {
		t.Errorf("%+v", answer)
	}
	var sum float64
	for _, rule := range Rules() {
		sum += testutil.ToFloat64(d.total.WithLabelValues("streams", string(rule)))
	}
	if sum != 0 {
		t.Errorf("%v refusals", sum)
	}
	allowed := d.counting("streams", func(_ context.Context, _ admission.Request) admission.Response {
		return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Allowed: true}}
	})
	req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{UserInfo: authenticationv1.UserInfo{Username: "amy"}}}
	if n := testing.AllocsPerRun(100, func() { allowed(t.Context(), req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
