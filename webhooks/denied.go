package webhooks

// This file counts what is refused, and names the rule that refused it.

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Rule is why a write was refused, in a word. One write counts once, by the first of its faults.
type Rule string

// The rules.
const (
	// RuleRights: whoever writes may not create Jobs there, or not read a Secret that the object names.
	RuleRights Rule = "rights"
	// RuleRequired: a field is missing.
	RuleRequired Rule = "required"
	// RuleInvalid: a field has a value that cannot be, by the rules of the kind or by its class's schema.
	RuleInvalid Rule = "invalid"
	// RuleForbidden: a field names what the class does not allow it to, such as a template of another namespace.
	RuleForbidden Rule = "forbidden"
	// RuleDryRun: Kubernetes refuses the Job that would come of it.
	RuleDryRun Rule = "dry_run"
	// RuleUnreadable: the object cannot be decoded.
	RuleUnreadable Rule = "unreadable"
	// RuleUnanswered: what the answer depends on could not be found out. The only one that is no fault of whoever writes.
	RuleUnanswered Rule = "unanswered"
)

// Rules lists every rule.
func Rules() []Rule {
	return []Rule{RuleRights, RuleRequired, RuleInvalid, RuleForbidden, RuleDryRun, RuleUnreadable, RuleUnanswered}
}

// Resources lists what the webhooks judge.
func Resources() []string {
	return []string{"streams", "backfillrequests", "streamingjobtemplates", "streamclasses", "streamplugins"}
}

// ruleKey is the annotation under which the API server's audit log has the rule, behind the webhook's name.
const ruleKey = "rule"

// DeniedMetric is the name of the counter.
const DeniedMetric = "arcane_webhook_requests_denied_total"

// denials counts refusals.
type denials struct{ total *prometheus.CounterVec }

// newDenials adds the counter, all of it at zero, so that a first refusal is seen as an increase.
func newDenials(to prometheus.Registerer) (denials, error) {
	d := denials{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: DeniedMetric, Help: "Writes that the webhooks refused, by what was written and by the first rule against it.",
	}, []string{"resource", "rule"})}
	for _, resource := range Resources() {
		for _, rule := range Rules() {
			d.total.WithLabelValues(resource, string(rule))
		}
	}
	// A second operator in one process, as in tests, counts where the first one does.
	var there prometheus.AlreadyRegisteredError
	switch err := to.Register(d.total); {
	case errors.As(err, &there):
		d.total, _ = there.ExistingCollector.(*prometheus.CounterVec)
	case err != nil:
		return d, fmt.Errorf("add the metric of what is refused: %w", err)
	}
	return d, nil
}

// counting is an adapter whose refusals count. An allowed write costs a look at the answer.
func (d denials) counting(resource string, judge admission.HandlerFunc) admission.HandlerFunc {
	return func(ctx context.Context, req admission.Request) admission.Response {
		answer := judge(ctx, req)
		if answer.Allowed {
			return answer
		}
		rule := ruleOf(answer.Result)
		// The rule that is told already is a dry run's: what comes of it looks like any fault of a field.
		if told, ok := answer.AuditAnnotations[ruleKey]; ok {
			rule = Rule(told)
		}
		answer.AuditAnnotations = map[string]string{ruleKey: string(rule)}
		d.total.WithLabelValues(resource, string(rule)).Inc()
		return answer
	}
}

// ruleOf reads the rule off a refusal.
func ruleOf(s *metav1.Status) Rule {
	switch {
	case s == nil || s.Code == http.StatusInternalServerError:
		return RuleUnanswered
	case s.Reason == metav1.StatusReasonForbidden:
		return RuleRights
	case s.Details == nil || len(s.Details.Causes) == 0:
		return RuleUnreadable
	}
	switch field.ErrorType(s.Details.Causes[0].Type) {
	case field.ErrorTypeRequired:
		return RuleRequired
	case field.ErrorTypeForbidden:
		return RuleForbidden
	default:
		return RuleInvalid
	}
}
