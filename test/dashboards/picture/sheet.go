package picture

// This file is the paper: rectangles, lines and text in pixels from the upper left, drawn at twice their size.

import (
	"fmt"
	"image"
	"image/color"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"git.sr.ht/~sbinet/gg"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
)

const density = 2

var (
	paper = color.RGBA{0xf4, 0xf5, 0xf5, 0xff}
	white = color.RGBA{0xff, 0xff, 0xff, 0xff}
	edge  = color.RGBA{0xdd, 0xde, 0xe0, 0xff}
	grid  = color.RGBA{0xe9, 0xea, 0xec, 0xff}
	ink   = color.RGBA{0x24, 0x29, 0x2e, 0xff}
	faint = color.RGBA{0x6b, 0x72, 0x7d, 0xff}
)

type box struct{ x, y, w, h float64 }

type sheet struct {
	canvas *gg.Context
	fonts  map[bool]*opentype.Font
	faces  map[face]font.Face
}

type face struct {
	size float64
	bold bool
}

func newSheet(w, h float64) (*sheet, error) {
	s := &sheet{canvas: gg.NewContext(int(w*density), int(h*density)), fonts: map[bool]*opentype.Font{}, faces: map[face]font.Face{}}
	for bold, text := range map[bool][]byte{false: liberationsansregular.TTF, true: liberationsansbold.TTF} {
		parsed, err := opentype.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("read the font: %w", err)
		}
		s.fonts[bold] = parsed
	}
	s.fill(box{0, 0, w, h}, paper)
	return s, nil
}

func (s *sheet) image() image.Image { return s.canvas.Image() }

func (s *sheet) fill(b box, c color.Color) {
	s.canvas.SetColor(c)
	s.canvas.DrawRectangle(b.x*density, b.y*density, b.w*density, b.h*density)
	s.canvas.Fill()
}

// frame is the ground of a panel.
func (s *sheet) frame(b box) {
	s.canvas.DrawRoundedRectangle(b.x*density, b.y*density, b.w*density, b.h*density, 3*density)
	s.canvas.SetColor(white)
	s.canvas.FillPreserve()
	s.canvas.SetColor(edge)
	s.canvas.SetLineWidth(density)
	s.canvas.Stroke()
}

func (s *sheet) line(x1, y1, x2, y2, width float64, c color.Color) {
	s.path([][2]float64{{x1, y1}, {x2, y2}}, width, c)
}

func (s *sheet) path(points [][2]float64, width float64, c color.Color) {
	s.trace(points)
	s.canvas.SetColor(c)
	s.canvas.SetLineWidth(width * density)
	s.canvas.Stroke()
}

func (s *sheet) area(points [][2]float64, c color.Color) {
	s.trace(points)
	s.canvas.ClosePath()
	s.canvas.SetColor(c)
	s.canvas.Fill()
}

func (s *sheet) trace(points [][2]float64) {
	s.canvas.NewSubPath()
	for _, p := range points {
		s.canvas.LineTo(p[0]*density, p[1]*density)
	}
}

func (s *sheet) dot(x, y, radius float64, c color.Color) {
	s.canvas.DrawCircle(x*density, y*density, radius*density)
	s.canvas.SetColor(c)
	s.canvas.Fill()
}

// text writes from x on, with the middle of its small letters at y, and says how wide it was.
func (s *sheet) text(x, y, size float64, bold bool, c color.Color, text string) float64 {
	s.use(size, bold)
	s.canvas.SetColor(c)
	s.canvas.DrawString(text, x*density, (y+size*0.35)*density)
	return s.width(size, bold, text)
}

func (s *sheet) width(size float64, bold bool, text string) float64 {
	s.use(size, bold)
	w, _ := s.canvas.MeasureString(text)
	return w / density
}

// fit shortens a text that is too wide.
func (s *sheet) fit(size float64, bold bool, text string, room float64) string {
	if s.width(size, bold, text) <= room {
		return text
	}
	letters := []rune(text)
	for len(letters) > 0 && s.width(size, bold, string(letters)+"…") > room {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}

func (s *sheet) use(size float64, bold bool) {
	key := face{size, bold}
	f, ok := s.faces[key]
	if !ok {
		// Without hinting and at these sizes nothing can fail but a font that newSheet has parsed.
		f, _ = opentype.NewFace(s.fonts[bold], &opentype.FaceOptions{Size: size * density, DPI: 72, Hinting: font.HintingNone})
		s.faces[key] = f
	}
	s.canvas.SetFontFace(f)
}
