// A history in lines, for whoever has to find out why a law is broken.

package law

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Timeline tells a history, one version per line.
func Timeline(h History) string {
	versions := slices.Clone(h.Versions)
	slices.SortStableFunc(versions, func(a, b Version) int { return cmp.Compare(a.RV, b.RV) })
	var lines []string
	for _, v := range versions {
		note := ""
		if v.Deleted {
			note = " GONE"
		} else if v.Object.GetDeletionTimestamp() != nil {
			note = fmt.Sprintf(" deleting %v", v.Object.GetFinalizers())
		}
		lines = append(lines, fmt.Sprintf("%8d %s%s", v.RV, inWords(v.Object), note))
	}
	return strings.Join(lines, "\n")
}

func inWords(o client.Object) string {
	switch o := o.(type) {
	case *streamingv1.Stream:
		text := fmt.Sprintf("stream %s generation %d suspended %v: %s", o.Name, o.Generation, o.Spec.Suspended, o.Status.Phase)
		if d := o.Status.LastDecision; d != nil {
			text += fmt.Sprintf(", rule %s (%s)", d.Rule, d.Reason)
		}
		if j := o.Status.Job; j != nil {
			text += fmt.Sprintf(", job %s %s", j.Name, j.Outcome)
		}
		if f := o.Status.Failure; f != nil {
			text += fmt.Sprintf(", failure %s: %s", f.Reason, f.Message)
		}
		return text
	case *streamingv1.BackfillRequest:
		return fmt.Sprintf("  request %s for %s: %s, completed %v, %s", o.Name, o.Spec.StreamID, o.Status.Phase, o.Spec.Completed, o.Status.Message)
	case *batchv1.Job:
		text := fmt.Sprintf("    job %s held %v: active %d, terminating %d, failed %d",
			o.Name, held(o), o.Status.Active, terminating(o), o.Status.Failed)
		for _, c := range o.Status.Conditions {
			text += fmt.Sprintf(", %s=%s", c.Type, c.Status)
		}
		return text
	case *corev1.Pod:
		return fmt.Sprintf("      pod %s on %q: %s%s", o.Name, o.Spec.NodeName, o.Status.Phase, exit(o))
	default:
		return fmt.Sprintf("%T %s", o, o.GetName())
	}
}

func terminating(j *batchv1.Job) int32 {
	if j.Status.Terminating == nil {
		return 0
	}
	return *j.Status.Terminating
}

func exit(p *corev1.Pod) string {
	var text string
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			text += fmt.Sprintf(", %s exit %d %q", c.Name, t.ExitCode, t.Message)
		}
	}
	return text
}
