package main

// This file reads off docs/metrics.md, which is printed from the operator's own table, what metrics there are.

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"testing"
)

// labelSet is the labels of a metric. A label with values is a closed set.
type labelSet map[string][]string

// operators are Arcane's own; of a histogram its buckets.
var operators = listed("../../docs/metrics.md")

var (
	metricRow = regexp.MustCompile("(?m)^\\| `(arcane_[a-z_]+)` \\| ([a-z]+) \\| ([^|]*) \\|")
	labelRow  = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (many|`[^|]*`) \\| (names|`[^|]*`) \\|")
	quoted    = regexp.MustCompile("`([^`]+)`")
)

func listed(page string) map[string]labelSet {
	raw, err := os.ReadFile(page)
	if err != nil {
		panic(err)
	}
	text := string(raw)
	values := map[string][]string{}
	for _, row := range labelRow.FindAllStringSubmatch(text, -1) {
		for _, holder := range append(quotedIn(row[2]), row[2]) {
			values[holder+" "+row[1]] = quotedIn(row[3])
		}
	}
	all := map[string]labelSet{}
	for _, row := range metricRow.FindAllStringSubmatch(text, -1) {
		name, set := row[1], labelSet{}
		for _, label := range quotedIn(row[3]) {
			of, ok := values[name+" "+label]
			if !ok {
				of, ok = values["many "+label]
			}
			if !ok {
				panic(fmt.Sprintf("%s does not say what values the label %s of %s has", page, label, name))
			}
			set[label] = of
		}
		if row[2] == "histogram" {
			name, set["le"] = name+"_bucket", nil
		}
		all[name] = set
	}
	return all
}

// quotedIn lists what a cell quotes; nil where that is nothing.
func quotedIn(cell string) (all []string) {
	for _, found := range quoted.FindAllStringSubmatch(cell, -1) {
		all = append(all, found[1])
	}
	return all
}

// TestThePageIsRead: what could be read wrongly would let a query ask for what there is not.
func TestThePageIsRead(t *testing.T) {
	for name, want := range map[string]labelSet{
		"arcane_leader":      {},
		"arcane_stream_jobs": {"namespace": nil, "stream_class": nil, "mode": modes, "phase": {"held", "active", "stopping", "succeeded", "failed"}},
		"arcane_stream_stop_duration_seconds_bucket": {"stream_class": nil, "end": {"graceful", "killed"}, "le": nil},
	} {
		if got, ok := operators[name]; !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: there: %t, labels %v, want %v", name, ok, got, want)
		}
	}
}
