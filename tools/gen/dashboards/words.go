package main

// This file holds the words and colours that all dashboards share.

import (
	"fmt"
	"strings"
)

const (
	// Of the selection in the variables: series that know the namespace, that only know the class, and one stream's own.
	selected  = `namespace=~"$namespace", stream_class=~"$class"`
	ofClass   = `stream_class=~"$class"`
	oneStream = `namespace="$namespace", stream="$stream"`
	// What every program exports is the operator's only where the scrape says so.
	ofOperator = `job=~"$job"`

	runbooks = "https://github.com/arcane-streaming/arcane-operator/blob/main/docs/runbooks/"

	good    = "#56A64B"
	bad     = "#E02F44"
	warning = "#FF9830"
	calm    = "#5794F2"
	grey    = "#8E8E8E"
	yellow  = "#EAB839"
	purple  = "#A352CC"
)

// coloured is a value of a closed label with the colour that it has everywhere.
type coloured struct{ name, colour string }

// phases of a stream, in the order in which they are shown; the place in this list is the number of the phase in a
// timeline, which can only draw numbers.
var phases = []coloured{
	{"Running", good},
	{"Scheduled", purple},
	{"Backfilling", calm},
	{"Pending", yellow},
	{"Suspended", grey},
	{"Failed", bad},
}

var requestPhases = []coloured{
	{"Queued", yellow},
	{"Granted", purple},
	{"Running", calm},
	{"Paused", grey},
	{"Failed", bad},
	{"Completed", good},
	{"Cancelled", "#B7B7B7"},
}

var outcomes = []coloured{
	{"succeeded", good},
	{"completed", good},
	{"failed", bad},
	{"stopped", grey},
	{"cancelled", "#B7B7B7"},
	{"interrupted", warning},
	{"vanished", purple},
}

// reasons for which streams stall most often; others get a colour of the palette.
var reasons = []coloured{
	{"JobFailed", bad}, {"CrashLooping", warning}, {"ImagePullBackOff", purple}, {"CrashLoopBackOff", warning}, {"PodNotRunning", yellow}, {"Unschedulable", yellow},
}

// jobs are the modes and phases of jobs as legends name them.
var jobs = []coloured{
	{"stream, active", good},
	{"backfill, active", calm},
	{"stream, failed", bad},
	{"backfill, failed", "#FF7383"},
	{"scheduled, active", purple},
	{"scheduled, failed", "#C4162A"},
	{"scheduled, succeeded", "#D0D0D0"},
	{"stream, held", yellow},
	{"backfill, held", "#F7DD8B"},
	{"stream, stopping", warning},
	{"backfill, stopping", "#FFCB7D"},
	{"stream, succeeded", grey},
	{"backfill, succeeded", "#B7B7B7"},
}

// each is a query for each value of a closed label, so that tiles keep their order.
func each(values []coloured, metric, selector string) []query {
	var queries []query
	for _, v := range values {
		queries = append(queries, query{fmt.Sprintf("sum(%s{phase=%q, %s})", metric, v.name, selector), v.name})
	}
	return queries
}

// existing is a query for the jobs there are, without the kinds of which the window had none.
func existing(selector, narrowed string) query {
	of := func(series string) string { return "sum by (mode, phase) (" + series + narrowed + ")" }
	return query{
		of(`arcane_stream_jobs{`+selector+`}`) + "\nand on (mode, phase)\n  " + of(`max_over_time(arcane_stream_jobs{`+selector+`}[$__range] @ end())`) + " > 0",
		"{{mode}}, {{phase}}",
	}
}

// phaseNumbers is a query that says the phase of each stream as a number: its place among phases, from one.
// by are the labels to keep.
func phaseNumbers(by, selector string) string {
	var terms []string
	for i, phase := range phases {
		terms = append(terms, fmt.Sprintf("arcane_stream_phase{phase=%q, %s} * %d", phase.name, selector, i+1))
	}
	return fmt.Sprintf("max by (%s) (\n  %s\n)", by, strings.Join(terms, "\n  or "))
}

// phaseNames maps the numbers of phaseNumbers back.
func phaseNames() []mapping {
	names := map[string]mapped{}
	for i, phase := range phases {
		names[fmt.Sprint(i+1)] = mapped{Text: phase.name, Color: phase.colour, Index: i}
	}
	return []mapping{{Type: "value", Options: names}}
}

// oneOf maps 0 and 1.
func oneOf(zero, one coloured) []mapping {
	return []mapping{{Type: "value", Options: map[string]mapped{
		"0": {Text: zero.name, Color: zero.colour, Index: 0},
		"1": {Text: one.name, Color: one.colour, Index: 1},
	}}}
}

// quantile is a query for a quantile of a histogram; without observations there is no answer rather than NaN.
func quantile(q float64, by, histogram, selector, window string) string {
	labels := "le"
	if by != "" {
		labels += ", " + by
	}
	return fmt.Sprintf("histogram_quantile(%g, sum by (%s) (increase(%s_bucket{%s}[%s]))) >= 0", q, labels, histogram, selector, window)
}

// modes of a plugin, alone and with what it carries.
var modes = []coloured{
	{"stream", good},
	{"backfill", calm},
	{"stream, change", good},
	{"stream, snapshot", "#96D98D"},
	{"backfill, snapshot", calm},
	{"backfill, change", "#8AB8FF"},
}
