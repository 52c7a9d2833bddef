package picture

// This file draws numbers of one moment: tiles and bars.

import (
	"image/color"
	"math"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
)

func drawTiles(page *sheet, in box, p board.Panel, answers []answer) {
	width := in.w / float64(len(answers))
	for i, a := range answers {
		at := box{in.x + float64(i)*width, in.y, width - 6, in.h}
		colour := colourOf(p, i, a.name, a.last())
		value, mode := textOf(p, a.last()), p.Options.TextMode
		if mode == "name" {
			value = a.name
		}
		if mode == "auto" && len(answers) > 1 {
			page.text(at.x, at.y+8, 11, false, faint, page.fit(11, false, a.name, at.w))
			at.y, at.h = at.y+16, at.h-16
		}
		large(page, at, value, colour)
	}
}

// large writes as large as the box bears.
func large(page *sheet, in box, text string, c color.RGBA) {
	size := math.Min(30, in.h*0.7)
	for size > 11 && page.width(size, true, text) > in.w {
		size--
	}
	text = page.fit(size, true, text, in.w)
	page.text(in.x, in.y+in.h/2, size, true, c, text)
}

func drawGauges(page *sheet, in box, p board.Panel, answers []answer) {
	most, left, right := 0.0, 0.0, 0.0
	for _, a := range answers {
		most = math.Max(most, a.last())
		left = math.Max(left, page.width(11, false, page.fit(11, false, a.name, in.w*0.4)))
		right = math.Max(right, page.width(11, true, textOf(p, a.last())))
	}
	if p.FieldConfig.Defaults.Max != nil {
		most = *p.FieldConfig.Defaults.Max
	}
	height := math.Min(30, in.h/float64(len(answers)))
	for i, a := range answers {
		y := in.y + float64(i)*height
		name := page.fit(11, false, a.name, in.w*0.4)
		page.text(in.x+left-page.width(11, false, name), y+height/2, 11, false, ink, name)
		bar := box{in.x + left + 8, y + height*0.15, in.w - left - right - 22, height * 0.7}
		page.fill(bar, grid)
		colour := colourOf(p, i, a.name, a.last())
		bar.w *= math.Max(0, math.Min(1, a.last()/math.Max(most, 1e-9)))
		page.fill(bar, over(colour, 0.85))
		page.text(in.x+in.w-right-6, y+height/2, 11, true, colour, textOf(p, a.last()))
	}
}
