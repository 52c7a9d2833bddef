package jobspec

// This file tells what keeps inputs from becoming a Job.

import (
	"fmt"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// Check tells what keeps the inputs from becoming a Job, at a fraction of what
// building it costs. A backfill may be asked about before there is a request.
func Check(in Input) *definition.Problem {
	_, p := check(in)
	return p
}

// Problems is all that keeps the inputs from becoming a Job; Check is its first.
func Problems(in Input) []*definition.Problem {
	_, all := problems(in)
	return all
}

// check is Check, and the payload of the request that it has read.
func check(in Input) (payload []byte, p *definition.Problem) {
	payload, all := problems(in)
	if len(all) > 0 {
		return nil, all[0]
	}
	return payload, nil
}

func problems(in Input) (payload []byte, all []*definition.Problem) {
	if in.Template == nil {
		all = append(all, TemplateMissing(in.Definition, in.Class, in.Mode, in.Request))
	} else {
		all = append(TemplateProblems(in.Template, in.Class), policyProblems(in)...)
	}
	if in.Mode != v1.ModeBackfill {
		return nil, all
	}
	payload, p := Payload(in.Request)
	if p != nil {
		all = append(all, p)
	}
	return payload, all
}

// Payload is a request's payload as JSON with its keys sorted, an empty object
// where there is none, and what is wrong with it.
func Payload(request *v1.BackfillRequest) ([]byte, *definition.Problem) {
	payload, err := override(request)
	if err != nil {
		return nil, payloadProblem(request, err.Error()+"; correct it")
	}
	if len(payload) > definition.MaxSpecBytes {
		return nil, payloadProblem(request, fmt.Sprintf("is %d bytes of JSON, and a job can be given at most %d; make it smaller",
			len(payload), definition.MaxSpecBytes))
	}
	return payload, nil
}

// TemplateProblems are what keeps a template from serving the class's streams;
// without a class, any stream.
func TemplateProblems(t *v1.StreamingJobTemplate, class *v1.StreamClass) []*definition.Problem {
	var all []*definition.Problem
	for _, f := range templateFaults(t, class) {
		all = append(all, templateProblem(t, f))
	}
	return all
}

// TemplateMissing is the Problem of a job whose template is not there, or of one
// that may not have the template that it names.
func TemplateMissing(d definition.Definition, class *v1.StreamClass, mode v1.Mode, request *v1.BackfillRequest) *definition.Problem {
	ref, p := definition.Template(d, class, mode, request)
	if p != nil {
		return p
	}
	missing := &definition.Problem{Reason: v1.ReasonTemplateNotFound, Kind: v1.KindStream, Field: "spec.jobTemplateRef"}
	prefix := ""
	if mode == v1.ModeBackfill {
		missing.Field = "spec.backfillJobTemplateRef"
		if request != nil && request.Spec.JobTemplateRef != nil {
			missing.Kind, missing.Field = v1.KindBackfillRequest, "spec.jobTemplateRef"
			prefix = "BackfillRequest " + request.Name + ": "
		}
	}
	missing.Message = fmt.Sprintf("%s%s: there is no StreamingJobTemplate %s/%s; create it or name another", prefix, missing.Field, ref.Namespace, ref.Name)
	return missing
}

// Fault is a field and what is wrong with it.
type Fault struct{ Field, Text string }

func templateProblem(t *v1.StreamingJobTemplate, f Fault) *definition.Problem {
	return &definition.Problem{
		Reason: v1.ReasonTemplateInvalid, Kind: v1.KindStreamingJobTemplate, Field: f.Field,
		Message: fmt.Sprintf("StreamingJobTemplate %s/%s: %s: %s", t.Namespace, t.Name, f.Field, f.Text),
	}
}

// policyProblems checks the effective podFailurePolicy and blames whoever wrote it.
func policyProblems(in Input) []*definition.Problem {
	policy := FailurePolicy(in.Definition, in.Class, in.Template)
	pod := &in.Template.Spec.Spec.Template.Spec
	field, blame := "spec.podFailurePolicy", blameClass
	switch sourceOfPolicy(in.Definition, in.Class, in.Template) {
	case policyOfTemplate:
		field, blame = jobField+".podFailurePolicy", blameTemplate
	case policyOfStream:
		blame = blameStream
	case policyOfClass:
	case policyComputed:
		// Where its container is not there, the template has been blamed.
		pod = nil
	}
	var all []*definition.Problem
	for _, f := range PolicyFaults(policy, pod, field) {
		all = append(all, blame(in, f))
	}
	return all
}

func blameTemplate(in Input, f Fault) *definition.Problem { return templateProblem(in.Template, f) }

func blameStream(_ Input, f Fault) *definition.Problem {
	return &definition.Problem{
		Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: f.Field,
		Message: f.Field + ": " + f.Text,
	}
}

func blameClass(in Input, f Fault) *definition.Problem {
	return &definition.Problem{
		Reason: v1.ReasonClassNotReady, Kind: v1.KindStreamClass, Field: f.Field,
		Message: fmt.Sprintf("StreamClass %s: %s: %s", in.Definition.Class, f.Field, f.Text),
	}
}

func payloadProblem(request *v1.BackfillRequest, text string) *definition.Problem {
	return &definition.Problem{
		Reason: v1.ReasonSpecInvalid, Kind: v1.KindBackfillRequest, Field: "spec.payload",
		Message: fmt.Sprintf("BackfillRequest %s: spec.payload: %s", request.Name, text),
	}
}
