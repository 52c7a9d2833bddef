package picture

// This file draws values over time: lines, piled up areas, bars.

import (
	"image/color"
	"math"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
)

type chart struct {
	page     *sheet
	in       box
	from, to time.Time
	marks    []float64
}

func (c chart) x(at time.Time) float64 {
	return c.in.x + c.in.w*float64(at.Sub(c.from))/float64(c.to.Sub(c.from))
}

func (c chart) y(value float64) float64 {
	least, most := c.marks[0], c.marks[len(c.marks)-1]
	return c.in.y + c.in.h*(1-(value-least)/(most-least))
}

func drawSeries(page *sheet, in box, p board.Panel, answers []answer, w board.Window, step time.Duration) {
	used := drawLegend(page, in, p, answers)
	in.h -= used + 18
	custom := p.FieldConfig.Defaults.Custom
	stacked := custom.Stacking.Mode == "normal"
	bases := pile(answers, stacked)
	least, most := extent(p, answers, bases)
	unit := p.FieldConfig.Defaults.Unit
	if unit == "percentunit" {
		least, most = least*100, most*100
	}
	marks := valueMarks(least, most, max(2, int(in.h/45)), unit)
	if unit == "percentunit" {
		for i := range marks {
			marks[i] /= 100
		}
	}
	left := 0.0
	for _, m := range marks {
		left = math.Max(left, page.width(10.5, false, textOf(p, m)))
	}
	in.x, in.w, in.y, in.h = in.x+left+8, in.w-left-12, in.y+4, in.h-4
	c := chart{page, in, w.From, w.To, marks}
	c.axes(p)
	for i := len(answers) - 1; i >= 0; i-- {
		c.one(p, i, answers[i], bases[i], step)
	}
}

// pile says what each point of each series stands on: nothing, or the sum of the series before it at that moment.
func pile(answers []answer, stacked bool) [][]float64 {
	sums := map[int64]float64{}
	bases := make([][]float64, len(answers))
	for i, a := range answers {
		bases[i] = make([]float64, len(a.points))
		for j, p := range a.points {
			if stacked {
				bases[i][j] = sums[p.at.UnixMilli()]
				sums[p.at.UnixMilli()] += p.value
			}
		}
	}
	return bases
}

func extent(p board.Panel, answers []answer, bases [][]float64) (least, most float64) {
	for i, a := range answers {
		for j, point := range a.points {
			least, most = math.Min(least, point.value), math.Max(most, bases[i][j]+point.value)
		}
	}
	if p.FieldConfig.Defaults.Min != nil {
		least = *p.FieldConfig.Defaults.Min
	}
	if p.FieldConfig.Defaults.Max != nil {
		most = math.Max(*p.FieldConfig.Defaults.Max, least)
	}
	return least, most
}

func (c chart) axes(p board.Panel) {
	for _, m := range c.marks {
		text := textOf(p, m)
		c.page.line(c.in.x, c.y(m), c.in.x+c.in.w, c.y(m), 1, grid)
		c.page.text(c.in.x-6-c.page.width(10.5, false, text), c.y(m), 10.5, false, faint, text)
	}
	c.times()
}

// times are the marks below a chart.
func (c chart) times() {
	marks := timeMarks(c.from, c.to, int(c.in.w/70))
	for _, at := range marks {
		text := timeText(marks, at)
		x := c.x(at) - c.page.width(10.5, false, text)/2
		if x+c.page.width(10.5, false, text) > c.in.x+c.in.w+8 {
			continue
		}
		c.page.line(c.x(at), c.in.y, c.x(at), c.in.y+c.in.h, 1, grid)
		c.page.text(x, c.in.y+c.in.h+11, 10.5, false, faint, text)
	}
}

func (c chart) one(p board.Panel, i int, a answer, bases []float64, step time.Duration) {
	custom := p.FieldConfig.Defaults.Custom
	colour := colourOf(p, i, a.name, a.last())
	if custom.DrawStyle == "bars" {
		width := math.Max(1, c.in.w*float64(step)/float64(c.to.Sub(c.from))*0.8)
		for j, point := range a.points {
			top, foot := c.y(bases[j]+point.value), c.y(bases[j])
			x := math.Max(c.in.x, c.x(point.at)-width/2)
			c.page.fill(box{x, top, math.Min(width, c.in.x+c.in.w-x), foot - top}, colour)
		}
		return
	}
	for start := 0; start < len(a.points); {
		end := start + 1
		for end < len(a.points) && a.points[end].at.Sub(a.points[end-1].at) <= step*3/2 {
			end++
		}
		c.stretch(a.points[start:end], bases[start:end], colour, custom)
		start = end
	}
}

// stretch is a part of a series without a gap.
func (c chart) stretch(points []point, bases []float64, colour color.RGBA, custom board.Custom) {
	var upper, outline [][2]float64
	for j, p := range points {
		x := math.Max(c.in.x, c.x(p.at))
		upper = append(upper, [2]float64{x, c.y(bases[j] + p.value)})
		outline = append(outline, upper[j])
	}
	if len(points) == 1 {
		c.page.dot(upper[0][0], upper[0][1], 2, colour)
		return
	}
	for j := len(points) - 1; j >= 0; j-- {
		outline = append(outline, [2]float64{upper[j][0], c.y(bases[j])})
	}
	if custom.Stacking.Mode == "normal" {
		c.page.area(outline, over(colour, custom.FillOpacity/100))
	} else {
		see := colour
		see.A = uint8(custom.FillOpacity / 100 * 255)
		c.page.area(outline, color.NRGBA(see))
	}
	c.page.path(upper, 1.4, colour)
}

// drawLegend writes the names of the series at the lower end of a box, in as many lines as it takes up to a third of
// the room, and says how high it is.
func drawLegend(page *sheet, in box, p board.Panel, answers []answer) float64 {
	type entry struct {
		text   string
		colour color.RGBA
	}
	lines := [][]entry{nil}
	x := 0.0
	for i, a := range answers {
		text := page.fit(11, false, a.name, in.w-20)
		w := page.width(11, false, text) + 30
		if x+w > in.w+14 && len(lines[len(lines)-1]) > 0 {
			lines, x = append(lines, nil), 0
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], entry{text, colourOf(p, i, a.name, a.last())})
		x += w
	}
	const height = 16.0
	fit := max(1, int(in.h/3/height))
	if len(lines) > fit {
		lines = lines[:fit]
		lines[fit-1] = append(lines[fit-1][:max(1, len(lines[fit-1])-1)], entry{"…", white})
	}
	y := in.y + in.h - float64(len(lines))*height + height/2 + 2
	for _, line := range lines {
		x := in.x
		for _, e := range line {
			page.fill(box{x, y - 2, 12, 4}, e.colour)
			x += 16 + page.text(x+16, y, 11, false, ink, e.text) + 14
		}
		y += height
	}
	return float64(len(lines)) * height
}
