package board

// This file asks what a dashboard asks as Grafana would: its variables filled in, its steps chosen.

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Window is what a dashboard looks at: its time, and the settings that Grafana's own variables come from.
type Window struct {
	From, To time.Time
	// Scrape is the scrape interval that the data source knows of.
	Scrape time.Duration
	// Points is how many values a panel can show beside each other.
	Points int
}

// roundSteps are the distances between values that Grafana rounds up to.
var roundSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// Step is the distance between two values of a panel: never less than the panel's own interval or a scrape.
func (w Window) Step(p Panel) time.Duration {
	least := w.Scrape
	if own, err := time.ParseDuration(p.Interval); err == nil {
		least = max(least, own)
	}
	points := max(w.Points, 1)
	if p.MaxDataPoints > 0 {
		points = p.MaxDataPoints
	}
	wanted := max(w.To.Sub(w.From)/time.Duration(points), least)
	for _, round := range roundSteps {
		if round >= wanted {
			return round
		}
	}
	return roundSteps[len(roundSteps)-1]
}

var reference = regexp.MustCompile(`\$\{(\w+)(?::[^}]*)?\}|\$(\w+)`)

// Ask puts the variables' values and Grafana's own ones into a query, as Grafana does.
func (w Window) Ask(expr string, step time.Duration, vars map[string]string) string {
	own := map[string]string{
		"__interval":      promDuration(step),
		"__rate_interval": promDuration(max(step+w.Scrape, 4*w.Scrape)),
		"__range":         promDuration(w.To.Sub(w.From)),
	}
	return reference.ReplaceAllStringFunc(expr, func(found string) string {
		parts := reference.FindStringSubmatch(found)
		name := parts[1] + parts[2]
		if value, ok := own[name]; ok {
			return value
		}
		if value, ok := vars[name]; ok {
			return value
		}
		return found
	})
}

// References are the names of the variables that a text uses, Grafana's own ones left out.
func References(text string) []string {
	var names []string
	for _, found := range reference.FindAllStringSubmatch(text, -1) {
		if name := found[1] + found[2]; !strings.HasPrefix(name, "__") {
			names = append(names, name)
		}
	}
	return names
}

func promDuration(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds()))) + "s"
}

var named = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// Legend is the name of a series: the labels put into the format.
func Legend(format string, labels map[string]string) string {
	return named.ReplaceAllStringFunc(format, func(found string) string {
		return labels[named.FindStringSubmatch(found)[1]]
	})
}

// LegendLabels are the labels that a legend names.
func LegendLabels(format string) []string {
	var names []string
	for _, found := range named.FindAllStringSubmatch(format, -1) {
		names = append(names, found[1])
	}
	return names
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// LabelValues takes apart the question of a variable: the series to look at and the label whose values are offered.
func (v Variable) LabelValues() (selector, label string, ok bool) {
	parts := labelValues.FindStringSubmatch(v.Definition)
	if parts == nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}
