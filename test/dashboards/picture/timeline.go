package picture

// This file draws states over time, a line for each series.

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
)

func drawTimeline(page *sheet, in box, p board.Panel, answers []answer, w board.Window, step time.Duration) {
	const lowest, highest = 14.0, 60.0
	in.h -= stateLegend(page, in, p, answers) + 18
	fit := max(1, int(in.h/lowest))
	if len(answers) > fit {
		text := fmt.Sprintf("and %d more", len(answers)-fit)
		answers = answers[:fit]
		page.text(in.x+in.w-page.width(11, false, text), in.y+in.h+28, 11, false, faint, text)
	}
	left := 0.0
	for _, a := range answers {
		left = math.Max(left, page.width(10.5, false, page.fit(10.5, false, a.name, in.w/4)))
	}
	rows := box{in.x + left + 8, in.y, in.w - left - 12, math.Min(in.h, highest*float64(len(answers)))}
	c := chart{page: page, in: rows, from: w.From, to: w.To}
	c.times()
	height := rows.h / float64(len(answers))
	for i, a := range answers {
		line := box{rows.x, rows.y + float64(i)*height + height*0.1, rows.w, height * 0.8}
		name := page.fit(10.5, false, a.name, in.w/4)
		page.text(rows.x-6-page.width(10.5, false, name), line.y+line.h/2, 10.5, false, faint, name)
		c.states(p, i, a, line, step)
	}
}

// states are the stretches in which a series had one value; a value holds until the next one.
func (c chart) states(p board.Panel, i int, a answer, line box, step time.Duration) {
	for start := 0; start < len(a.points); {
		end := start + 1
		for end < len(a.points) && a.points[end].value == a.points[start].value && a.points[end].at.Sub(a.points[end-1].at) <= step*3/2 {
			end++
		}
		until := a.points[end-1].at.Add(step)
		if until.After(c.to) {
			until = c.to
		}
		x := math.Max(c.in.x, c.x(a.points[start].at))
		width := c.x(until) - x
		colour := colourOf(p, i, a.name, a.points[start].value)
		c.page.fill(box{x, line.y, width, line.h}, over(colour, 0.85))
		if text := textOf(p, a.points[start].value); line.h >= 13 && c.page.width(10, false, text)+8 < width {
			c.page.text(x+5, line.y+line.h/2, 10, false, readable(colour), text)
		}
		start = end
	}
}

// readable is the colour of a text on a ground.
func readable(ground color.RGBA) color.RGBA {
	if 0.3*float64(ground.R)+0.59*float64(ground.G)+0.11*float64(ground.B) > 165 {
		return ink
	}
	return white
}

// stateLegend names the states that occur.
func stateLegend(page *sheet, in box, p board.Panel, answers []answer) float64 {
	occurs := map[float64]bool{}
	for _, a := range answers {
		for _, point := range a.points {
			occurs[point.value] = true
		}
	}
	x, y := in.x, in.y+in.h-6
	for value := 0.0; len(p.FieldConfig.Defaults.Mappings) > 0 && value < 10; value++ {
		mapped, ok := p.FieldConfig.Defaults.Mappings[0].Options[strconv.Itoa(int(value))]
		if !ok || !occurs[value] {
			continue
		}
		page.fill(box{x, y - 2, 12, 4}, parse(mapped.Color))
		x += 16 + page.text(x+16, y, 11, false, ink, mapped.Text) + 14
	}
	return 16
}
