package definition

// This file reads a Stream.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// MaxSpecBytes is the largest spec, written as JSON: one environment string may
// hold 131,051 bytes, and a process whose environment is larger cannot start.
const MaxSpecBytes = 96 * 1024

// FromStream reads a Stream and its class, nil where that is missing. Where there
// is a Problem the Definition still says who the stream is and whether it is
// suspended, and as much of the rest as could be read: a stream can be suspended
// while its class is gone. schema is SchemaOf(class), kept by whoever asks often; nil:
// it is read anew.
func FromStream(s *v1.Stream, class *v1.StreamClass, schema *Schema) (Definition, *Problem) {
	j := judge(s, class, schema)
	switch {
	case len(j.problems) > 0:
		return j.d, j.problems[0]
	case len(j.violations) > 0:
		return j.d, violationProblem(class, j.violations)
	case len(j.secrets) > 0:
		return j.d, j.secrets[0]
	default:
		return j.d, nil
	}
}

// StreamProblems is FromStream with all that is wrong instead of the first.
func StreamProblems(s *v1.Stream, class *v1.StreamClass, schema *Schema) (Definition, []*Problem) {
	j := judge(s, class, schema)
	all := j.problems
	for _, v := range j.violations {
		all = append(all, violationProblem(class, []finding{v}))
	}
	for _, p := range j.secrets {
		// Where the schema asks for the Secret, it has said so.
		if !slices.ContainsFunc(j.violations, func(v finding) bool { return strings.HasPrefix(p.Field+".", v.path+".") }) {
			all = append(all, p)
		}
	}
	return j.d, all
}

// judgement is what a stream says, and what is wrong with it, most telling first.
type judgement struct {
	d          Definition
	problems   []*Problem
	violations []finding
	secrets    []*Problem
}

func judge(s *v1.Stream, class *v1.StreamClass, schema *Schema) judgement {
	j := judgement{d: Outline(s, class)}
	tree, err := j.d.render(s)
	if err != nil {
		j.problems = []*Problem{specProblem(fmt.Sprintf("%v; correct it", err))}
		return j
	}
	j.problems = scheduleProblems(j.d)
	schema, unserved := servedBy(s, class, schema)
	if unserved != nil {
		j.problems = append(j.problems, unserved)
	}
	if len(j.d.Spec) > MaxSpecBytes {
		j.problems = append(j.problems, specProblem(
			fmt.Sprintf("is %d bytes of JSON, and a job can be given at most %d; make it smaller", len(j.d.Spec), MaxSpecBytes)))
	}
	if unserved != nil {
		// What the class would allow and ask for is not known.
		return j
	}
	j.problems = append(j.problems, forbiddenTemplates(j.d, s, class)...)
	j.violations = violations(schema, tree)
	j.d.Secrets, j.secrets = secrets(class, tree)
	return j
}

// Outline is a definition without what its spec says in JSON: who the stream is,
// its templates, its own policy and its settings. Nothing is checked.
func Outline(s *v1.Stream, class *v1.StreamClass) Definition {
	d := identity(s)
	d.StreamTemplate, d.BackfillTemplate = Templates(s, class)
	d.PodFailurePolicy = OwnPolicy(s)
	return d
}

func specProblem(text string) *Problem {
	return &Problem{Reason: v1.ReasonSpecInvalid, Kind: v1.KindStream, Field: "spec", Message: "spec: " + text}
}

// apiVersion of every Stream, put together once.
var apiVersion = v1.GroupVersion.String()

func identity(s *v1.Stream) Definition {
	d := Definition{
		APIVersion: apiVersion,
		Kind:       v1.KindStream,
		Namespace:  s.Namespace,
		Name:       s.Name,
		UID:        s.UID,
		Generation: s.Generation,
		Created:    s.CreationTimestamp,

		RestartedAt: s.Annotations[v1.AnnotationRestartedAt],
		Class:       s.Spec.StreamClass,
		Suspended:   s.Spec.Suspended,
		Restart:     RestartOf(s.Spec.Restart),
		Backfill:    BackfillOf(s.Spec.Backfill),
	}
	_, d.CreatedSuspended = s.Annotations[v1.AnnotationCreatedSuspended]
	if s.Spec.Schedule != nil {
		d.Schedule = *s.Spec.Schedule
	}
	if s.Spec.TimeZone != nil {
		d.TimeZone = *s.Spec.TimeZone
	}
	return d
}

// servedBy tells whether the class can carry Streams at all, and by which schema.
func servedBy(s *v1.Stream, class *v1.StreamClass, known *Schema) (*Schema, *Problem) {
	if class == nil {
		return nil, &Problem{
			Reason: v1.ReasonClassNotFound, Kind: v1.KindStream, Field: "spec.streamClass",
			Message: fmt.Sprintf("spec.streamClass: there is no StreamClass %s; install the plugin that brings it", s.Spec.StreamClass),
		}
	}
	if !OfKindStream(class) {
		return nil, &Problem{
			Reason: v1.ReasonClassKind, Kind: v1.KindStream, Field: "spec.streamClass",
			Message: fmt.Sprintf("spec.streamClass: StreamClass %s is for kind %s of group %q, not for Streams; create the stream as that kind, or with another class",
				class.Name, class.Spec.KindRef, class.Spec.APIGroupRef),
		}
	}
	schema, p := readClass(class, known)
	if p != nil {
		p.Reason = v1.ReasonClassNotReady
	}
	return schema, p
}

// OwnPolicy is the user's own podFailurePolicy; nil where it is absent or the default.
func OwnPolicy(s *v1.Stream) *batchv1.PodFailurePolicy {
	if isDefaultPolicy(s) {
		return nil
	}
	return s.Spec.PodFailurePolicy
}

// isDefaultPolicy tells whether the policy in the spec is what the defaulting
// webhook wrote there, untouched since.
func isDefaultPolicy(s *v1.Stream) bool {
	mark, marked := s.Annotations[v1.AnnotationDefaultPodFailurePolicy]
	return marked && s.Spec.PodFailurePolicy != nil && mark == PolicyHash(s.Spec.PodFailurePolicy)
}

// render writes the spec as JSON, whole and for the hash, and returns its tree.
func (d *Definition) render(s *v1.Stream) (map[string]any, error) {
	raw, err := json.Marshal(s.Spec)
	if err != nil {
		return nil, fmt.Errorf("write as JSON: %w", err)
	}
	whole, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if d.Spec, err = encode(whole); err != nil {
		return nil, err
	}
	tree, ok := whole.(map[string]any)
	if !ok {
		return nil, errors.New("the spec is no object")
	}
	part := map[string]any{}
	for key, value := range tree {
		switch key {
		case "suspended", "restart", "backfill", "jobTemplateRef", "backfillJobTemplateRef":
		case "podFailurePolicy":
			if d.PodFailurePolicy != nil {
				part[key] = value
			}
		default:
			part[key] = value
		}
	}
	d.HashSpec, err = encode(part)
	return tree, err
}
