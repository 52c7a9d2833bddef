package stream

// This file prints which conditions go with which phase, and holds the page of the lifecycle to it.

//go:generate go test -run ^TestConditionsInThePageAreFresh$ -update .

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/lifecycle"
	"github.com/arcane-streaming/arcane-operator/test/page"
)

var update = flag.Bool("update", false, "write the printed part of docs/lifecycle.md anew")

// phasesOf lists the phases with a reason that leads there, and what keeps the stream from getting on.
var phasesOf = []struct {
	name   string
	phase  v1.StreamPhase
	reason v1.Reason
	stall  *stall
}{
	{"Pending", v1.StreamPending, v1.ReasonWaitingForJob, nil},
	{"Backfilling", v1.StreamBackfilling, v1.ReasonBackfilling, nil},
	{"Running", v1.StreamRunning, v1.ReasonStreaming, nil},
	{"Scheduled", v1.StreamScheduled, v1.ReasonScheduled, nil},
	{"Suspended", v1.StreamSuspended, v1.ReasonSuspended, nil},
	{"Failed", v1.StreamFailed, v1.ReasonJobFailed, nil},
	{"Pending, stalled", v1.StreamPending, v1.ReasonWaitingForJob, &stall{reason: v1.ReasonPodStays}},
	{"Backfilling, stalled", v1.StreamBackfilling, v1.ReasonBackfilling, &stall{reason: v1.ReasonPodNotRunning}},
	{"Running, stalled", v1.StreamRunning, v1.ReasonStreaming, &stall{reason: v1.ReasonPodNotRunning}},
	{"Scheduled, stalled", v1.StreamScheduled, v1.ReasonScheduled, &stall{reason: v1.ReasonPodNotRunning}},
}

// matrix prints the conditions of each phase.
func matrix() string {
	columns := []string{v1.ConditionReady, v1.ConditionReconciling, v1.ConditionStalled, v1.ConditionBackfilling, v1.ConditionSuspended}
	var b strings.Builder
	fmt.Fprintf(&b, "| phase | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, row := range phasesOf {
		p := &pass{world: &world{stream: &v1.Stream{}, stall: row.stall}, decision: lifecycle.Decision{Phase: row.phase, Reason: row.reason}}
		p.stream.Status.Failure = &v1.Failure{}
		s := &v1.StreamStatus{Phase: row.phase}
		p.conditions(s)
		fmt.Fprintf(&b, "| %s |", row.name)
		for _, column := range columns {
			answer := "False"
			if meta.IsStatusConditionTrue(s.Conditions, column) {
				answer = "**True**"
			}
			fmt.Fprintf(&b, " %s |", answer)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestConditionsInThePageAreFresh(t *testing.T) {
	page.Hold(t, page.Lifecycle, "conditions", matrix(), *update)
}
