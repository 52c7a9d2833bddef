package tracing

// This file makes the spans of a reconcile and of its steps.

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// What a reconcile is about, by the attribute that names it.
const (
	Stream       = "arcane.stream"
	Request      = "arcane.backfill_request"
	StreamClass  = "arcane.stream_class"
	StreamPlugin = "arcane.stream_plugin"
)

const (
	namespaceKey = "k8s.namespace.name"
	reconcileKey = "arcane.reconcile_id" // as the log has it: reconcileID
	ruleKey      = "arcane.rule"
	reasonKey    = "arcane.reason"
	phaseKey     = "arcane.phase"
)

// Reconciler makes each reconcile of a controller a span. The attribute, such as
// Stream, is told the name of what is reconciled. A nil tracer returns r itself.
func (t *Tracer) Reconciler(name, attribute string, r reconcile.Reconciler) reconcile.Reconciler {
	if t == nil {
		return r
	}
	return &traced{r, t.provider.Tracer(scope), "reconcile " + name, attribute}
}

type traced struct {
	reconcile.Reconciler
	tracer          trace.Tracer
	name, attribute string
}

// Reconcile reconciles within a span.
func (t *traced) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	ctx, span := t.tracer.Start(ctx, t.name, trace.WithNewRoot(), trace.WithAttributes(attribute.String(t.attribute, req.Name)))
	if req.Namespace != "" {
		span.SetAttributes(attribute.String(namespaceKey, req.Namespace))
	}
	if id := controller.ReconcileIDFromContext(ctx); id != "" {
		span.SetAttributes(attribute.String(reconcileKey, string(id)))
	}
	defer func() { Span{step: span}.End(err) }()
	return t.Reconciler.Reconcile(ctx, req) //nolint:wrapcheck // It is one reconciler to its controller.
}

// Span is a step of a reconcile; the zero Span tells nothing.
type Span struct {
	step, reconcile trace.Span
}

// Step begins a step, where the reconcile is recorded. Otherwise it costs a look into the context.
func Step(ctx context.Context, name string) (context.Context, Span) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, Span{}
	}
	ctx, step := above.TracerProvider().Tracer(scope).Start(ctx, name)
	return ctx, Span{step, above}
}

// Of is the span that a context is in, for what is told of it and not of a step.
func Of(ctx context.Context) Span {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return Span{}
	}
	return Span{span, span}
}

// Decided tells what was decided, of the step and of its reconcile: of several
// decisions in one, the reconcile keeps the last.
func (s Span) Decided(rule, reason, phase string) {
	s.set(ruleKey, rule)
	s.set(reasonKey, reason)
	s.set(phaseKey, phase)
}

// About names something else that the reconcile is about, such as a request's Stream.
func (s Span) About(attribute, name string) { s.set(attribute, name) }

func (s Span) set(key, value string) {
	if s.step == nil || value == "" {
		return
	}
	s.step.SetAttributes(attribute.String(key, value))
	s.reconcile.SetAttributes(attribute.String(key, value))
}

// End ends the step; an error is recorded.
func (s Span) End(err error) {
	if s.step == nil {
		return
	}
	if err != nil {
		s.step.RecordError(err)
		s.step.SetStatus(codes.Error, err.Error())
	}
	s.step.End()
}
