// Package picture draws a dashboard with the answers of a real Prometheus, much as Grafana shows it.
package picture

import (
	"context"
	"fmt"
	"image"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
)

// The grid: Grafana's heights, on a page as wide as a documentation page bears.
const (
	pageWidth   = 1240.0
	margin      = 10.0
	gap         = 8.0
	cellHeight  = 30.0
	headerSpace = 44.0
)

// Render draws the dashboard as it is at the end of the window. vars are the values of its variables, as patterns where
// a variable allows several; what is not given is everything, or the first value that there is.
func Render(ctx context.Context, d board.Dashboard, prometheusURL string, vars map[string]string, from, to time.Time) (image.Image, error) {
	source, err := newSource(prometheusURL, board.Window{From: from, To: to})
	if err != nil {
		return nil, err
	}
	if err := source.choose(ctx, d, vars); err != nil {
		return nil, err
	}
	bottom := 0
	for _, p := range d.Panels {
		bottom = max(bottom, p.GridPos.Y+p.GridPos.H)
	}
	page, err := newSheet(pageWidth, headerSpace+float64(bottom)*(cellHeight+gap)+margin)
	if err != nil {
		return nil, err
	}
	source.heading(page, d)
	for _, p := range d.Panels {
		if err := source.panel(ctx, page, p); err != nil {
			return nil, fmt.Errorf("panel %q: %w", p.Title, err)
		}
	}
	return page.image(), nil
}

// heading is the dashboard's name with what was chosen.
func (s *source) heading(page *sheet, d board.Dashboard) {
	page.text(margin, 15, 15, true, ink, d.Title)
	x := margin
	for _, v := range d.Templating.List {
		value, chosen := s.vars[v.Name]
		if !chosen {
			continue
		}
		if value == v.AllValue {
			value = "All"
		}
		x += page.text(x, 34, 11, false, faint, v.Label+" ") + page.text(x+page.width(11, false, v.Label+" "), 34, 11, true, ink, value) + 14
	}
	end := "15:04 MST"
	if s.window.From.YearDay() != s.window.To.YearDay() {
		end = "2006-01-02 " + end
	}
	span := s.window.From.Format("2006-01-02 15:04") + " to " + s.window.To.Format(end)
	page.text(pageWidth-margin-page.width(11, false, span), 15, 11, false, faint, span)
}

func (s *source) panel(ctx context.Context, page *sheet, p board.Panel) error {
	column := (pageWidth - 2*margin + gap) / 24
	at := box{
		x: margin + float64(p.GridPos.X)*column, y: headerSpace + float64(p.GridPos.Y)*(cellHeight+gap),
		w: float64(p.GridPos.W)*column - gap, h: float64(p.GridPos.H)*(cellHeight+gap) - gap,
	}
	if p.Type == "row" {
		page.text(at.x+2, at.y+at.h/2+2, 14, true, ink, p.Title)
		return nil
	}
	page.frame(at)
	page.text(at.x+10, at.y+15, 12, true, ink, page.fit(12, true, p.Title, at.w-20))
	inner := box{at.x + 10, at.y + 28, at.w - 20, at.h - 36}
	answers, err := s.ask(ctx, p)
	if err != nil {
		return err
	}
	if len(answers) == 0 {
		nothing(page, inner, p)
		return nil
	}
	switch p.Type {
	case "timeseries":
		drawSeries(page, inner, p, answers, s.window, s.window.Step(p))
	case "state-timeline":
		drawTimeline(page, inner, p, answers, s.window, s.window.Step(p))
	case "stat":
		drawTiles(page, inner, p, answers)
	case "bargauge":
		drawGauges(page, inner, p, answers)
	case "table":
		drawTable(page, inner, p, answers)
	default:
		return fmt.Errorf("panels of the type %s cannot be drawn", p.Type)
	}
	return nil
}

func nothing(page *sheet, in box, p board.Panel) {
	text := p.FieldConfig.Defaults.NoValue
	if text == "" {
		text = "No data"
	}
	if p.Type == "stat" {
		large(page, in, text, faint)
		return
	}
	const size = 13
	page.text(in.x+(in.w-page.width(size, false, text))/2, in.y+in.h/2, size, false, faint, text)
}
