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

// check is Check, and the payload of the request that it has read.
func check(in Input) (payload []byte, p *definition.Problem) {
	if in.Template == nil {
		return nil, TemplateMissing(in.Definition, in.Class, in.Mode, in.Request)
	}
	if f := templateFault(in.Template, in.Class); f != nil {
		return nil, templateProblem(in.Template, *f)
	}
	if p := policyProblem(in); p != nil {
		return nil, p
	}
	if in.Mode != v1.ModeBackfill {
		return nil, nil
	}
	payload, err := override(in.Request)
	if err != nil {
		return nil, payloadProblem(in.Request, err.Error()+"; correct it")
	}
	if len(payload) > definition.MaxSpecBytes {
		return nil, payloadProblem(in.Request, fmt.Sprintf("is %d bytes of JSON, and a job can be given at most %d; make it smaller",
			len(payload), definition.MaxSpecBytes))
	}
	return payload, nil
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

// fault is a field and what is wrong with it.
type fault struct{ field, text string }

func templateProblem(t *v1.StreamingJobTemplate, f fault) *definition.Problem {
	return &definition.Problem{
		Reason: v1.ReasonTemplateInvalid, Kind: v1.KindStreamingJobTemplate, Field: f.field,
		Message: fmt.Sprintf("StreamingJobTemplate %s/%s: %s: %s", t.Namespace, t.Name, f.field, f.text),
	}
}

// policyProblem checks the effective podFailurePolicy and blames whoever wrote it.
func policyProblem(in Input) *definition.Problem {
	policy := FailurePolicy(in.Definition, in.Class, in.Template)
	pod := in.Template.Spec.Spec.Template.Spec
	switch sourceOfPolicy(in.Definition, in.Class, in.Template) {
	case policyOfTemplate:
		if f := policyFault(policy, &pod, "spec.spec.podFailurePolicy"); f != nil {
			return templateProblem(in.Template, *f)
		}
	case policyOfStream:
		if f := policyFault(policy, &pod, "spec.podFailurePolicy"); f != nil {
			return &definition.Problem{
				Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: f.field,
				Message: f.field + ": " + f.text,
			}
		}
	case policyOfClass, policyComputed:
		if f := policyFault(policy, &pod, "spec.podFailurePolicy"); f != nil {
			return &definition.Problem{
				Reason: v1.ReasonClassNotReady, Kind: v1.KindStreamClass, Field: f.field,
				Message: fmt.Sprintf("StreamClass %s: %s: %s", in.Definition.Class, f.field, f.text),
			}
		}
	}
	return nil
}

func payloadProblem(request *v1.BackfillRequest, text string) *definition.Problem {
	return &definition.Problem{
		Reason: v1.ReasonSpecInvalid, Kind: v1.KindBackfillRequest, Field: "spec.payload",
		Message: fmt.Sprintf("BackfillRequest %s: spec.payload: %s", request.Name, text),
	}
}
