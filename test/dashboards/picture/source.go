package picture

// This file asks Prometheus what a panel shows.

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	apiv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
)

// source is a Prometheus with what was chosen to look at.
type source struct {
	prometheus apiv1.API
	window     board.Window
	vars       map[string]string
}

// answer is one series of a panel.
type answer struct {
	query  int
	name   string
	labels map[string]string
	points []point
}

type point struct {
	at    time.Time
	value float64
}

func (a answer) last() float64 { return a.points[len(a.points)-1].value }

func newSource(url string, window board.Window) (*source, error) {
	client, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		return nil, fmt.Errorf("reach Prometheus: %w", err)
	}
	window.Scrape, window.Points = 15*time.Second, 400
	return &source{prometheus: apiv1.NewAPI(client), window: window}, nil
}

// choose gives every variable of the dashboard a value.
func (s *source) choose(ctx context.Context, d board.Dashboard, given map[string]string) error {
	s.vars = map[string]string{}
	for _, v := range d.Templating.List {
		selector, label, ok := v.LabelValues()
		if !ok {
			continue
		}
		if value, ok := given[v.Name]; ok {
			s.vars[v.Name] = value
			continue
		}
		if v.IncludeAll {
			s.vars[v.Name] = v.AllValue
			continue
		}
		series := s.window.Ask(selector, 0, s.vars)
		values, _, err := s.prometheus.LabelValues(ctx, label, []string{series}, s.window.From, s.window.To)
		if err != nil {
			return fmt.Errorf("values of the variable %s: %w", v.Name, err)
		}
		if len(values) == 0 {
			return fmt.Errorf("the variable %s has no value: %s", v.Name, series)
		}
		s.vars[v.Name] = string(values[0])
	}
	for name := range given {
		if _, ok := s.vars[name]; !ok {
			return fmt.Errorf("%s has no variable %s", d.Title, name)
		}
	}
	return nil
}

// ask runs all queries of a panel; series without a number are left out.
func (s *source) ask(ctx context.Context, p board.Panel) ([]answer, error) {
	step := s.window.Step(p)
	var all []answer
	for i, t := range p.Targets {
		expr := s.window.Ask(t.Expr, step, s.vars)
		var value model.Value
		var err error
		if t.Instant {
			value, _, err = s.prometheus.Query(ctx, expr, s.window.To)
		} else {
			// On whole steps, so that two runs over one window ask for the same moments.
			r := apiv1.Range{Start: s.window.From.Truncate(step), End: s.window.To, Step: step}
			value, _, err = s.prometheus.QueryRange(ctx, expr, r)
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", expr, err)
		}
		answers, err := read(value)
		if err != nil {
			return nil, err
		}
		for j := range answers {
			answers[j].query, answers[j].name = i, legend(t, answers[j].labels)
		}
		all = append(all, answers...)
	}
	return all, nil
}

func legend(t board.Target, labels map[string]string) string {
	name := board.Legend(t.LegendFormat, labels)
	if strings.Trim(name, " ,:") != "" {
		return name
	}
	return "(none)"
}

func read(value model.Value) ([]answer, error) {
	var answers []answer
	add := func(metric model.Metric, points []point) {
		points = slices.DeleteFunc(points, func(p point) bool { return math.IsNaN(p.value) || math.IsInf(p.value, 0) })
		if len(points) == 0 {
			return
		}
		labels := map[string]string{}
		for name, text := range maps.All(metric) {
			labels[string(name)] = string(text)
		}
		answers = append(answers, answer{labels: labels, points: points})
	}
	switch v := value.(type) {
	case model.Vector:
		for _, sample := range v {
			add(sample.Metric, []point{{sample.Timestamp.Time(), float64(sample.Value)}})
		}
	case model.Matrix:
		for _, stream := range v {
			points := make([]point, len(stream.Values))
			for i, pair := range stream.Values {
				points[i] = point{pair.Timestamp.Time(), float64(pair.Value)}
			}
			add(stream.Metric, points)
		}
	case *model.Scalar:
		add(nil, []point{{v.Timestamp.Time(), float64(v.Value)}})
	default:
		return nil, fmt.Errorf("an answer of the type %s", value.Type())
	}
	return answers, nil
}
