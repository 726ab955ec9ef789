package figure

import (
	"image/color"
	"math"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Sizes of text in points.
const (
	titleSize = 11
	panelSize = 9.5
	labelSize = 9
	tickSize  = 8
	cellSize  = 8
)

var (
	fonts   = font.NewCache(liberation.Collection())
	regular = font.Font{Typeface: "Liberation", Variant: "Sans"}
	bold    = font.Font{Typeface: "Liberation", Variant: "Sans", Weight: xfont.WeightBold}
)

// Where text stands relative to its point.
const (
	left   = 0.0
	center = 0.5
	right  = 1.0
)

// style is how a piece of text looks.
type style struct {
	font  font.Font
	size  float64
	color color.NRGBA
}

// run is a piece of text on one height.
type run struct {
	text string
	face font.Face
	rise float64
}

var raised = map[rune]rune{'⁰': '0', '¹': '1', '²': '2', '³': '3', '⁴': '4', '⁵': '5', '⁶': '6', '⁷': '7', '⁸': '8', '⁹': '9', '⁻': '−', '⁺': '+', 'ⁿ': 'n', 'ᵀ': 'T'}
var lowered = map[rune]rune{'₀': '0', '₁': '1', '₂': '2', '₃': '3', '₄': '4', '₅': '5', '₆': '6', '₇': '7', '₈': '8', '₉': '9', 'ₜ': 't', 'ᵢ': 'i', 'ⱼ': 'j', 'ₙ': 'n', 'ₘ': 'm'}

// runs splits text at superscript and subscript characters, for which the font has no
// signs of its own; they are set as small raised or lowered ones.
func (s style) runs(text string) []run {
	var out []run
	for _, r := range text {
		size, rise := s.size, 0.0
		if up, ok := raised[r]; ok {
			r, size, rise = up, 0.72*s.size, 0.36*s.size
		} else if down, ok := lowered[r]; ok {
			r, size, rise = down, 0.72*s.size, -0.14*s.size
		}
		if n := len(out); n > 0 && out[n-1].rise == rise {
			out[n-1].text += string(r)
			continue
		}
		out = append(out, run{text: string(r), face: fonts.Lookup(s.font, vg.Length(size)), rise: rise})
	}
	return out
}

func (s style) width(text string) float64 {
	w := 0.0
	for _, r := range s.runs(text) {
		w += r.face.Width(r.text).Points()
	}
	return w
}

// pen draws on a canvas in points with the origin at the top left, y downwards.
type pen struct {
	c draw.Canvas
	h float64 // height of the canvas
}

func (p pen) pt(x, y float64) vg.Point { return vg.Point{X: vg.Length(x), Y: vg.Length(p.h - y)} }

// text writes with its baseline at y; align says which part of it stands at x.
func (p pen) text(x, y float64, s style, align float64, text string) {
	if text == "" {
		return
	}
	x -= align * s.width(text)
	p.c.SetColor(s.color)
	for _, r := range s.runs(text) {
		p.c.FillString(r.face, p.pt(x, y-r.rise), r.text)
		x += r.face.Width(r.text).Points()
	}
}

// textMiddle writes with the middle of its capitals at y.
func (p pen) textMiddle(x, y float64, s style, align float64, text string) {
	p.text(x, y+0.36*s.size, s, align, text)
}

// textTurned writes turned left by angle (radians) about the point.
func (p pen) textTurned(x, y, angle float64, s style, align float64, text string) {
	p.c.Push()
	p.c.Translate(p.pt(x, y))
	p.c.Rotate(angle)
	pen{c: p.c, h: 0}.text(0, 0, s, align, text)
	p.c.Pop()
}

// point is a place on the page.
type point struct{ x, y float64 }

func (q point) drawable() bool { return !math.IsNaN(q.x+q.y) && !math.IsInf(q.x+q.y, 0) }

func (p pen) path(pts []point) vg.Path {
	var path vg.Path
	for i, q := range pts {
		if i == 0 {
			path.Move(p.pt(q.x, q.y))
		} else {
			path.Line(p.pt(q.x, q.y))
		}
	}
	return path
}

func (p pen) stroke(c color.NRGBA, width float64, dashes []vg.Length, pts ...point) {
	p.c.SetLineStyle(draw.LineStyle{Color: c, Width: vg.Length(width), Dashes: dashes})
	p.c.Stroke(p.path(pts))
}

func (p pen) fill(c color.NRGBA, pts ...point) {
	path := p.path(pts)
	path.Close()
	p.c.SetColor(c)
	p.c.Fill(path)
}

func (p pen) rect(c color.NRGBA, x0, y0, x1, y1 float64) {
	p.fill(c, point{x0, y0}, point{x1, y0}, point{x1, y1}, point{x0, y1})
}

func (p pen) disc(c color.NRGBA, at point, r float64) {
	var path vg.Path
	path.Move(p.pt(at.x+r, at.y))
	path.Arc(p.pt(at.x, at.y), vg.Length(r), 0, 2*math.Pi)
	path.Close()
	p.c.SetColor(c)
	p.c.Fill(path)
}

// marker draws a marker of the shape that belongs to the i-th series, so that series
// differ in more than their colour.
func (p pen) marker(i int, c color.NRGBA, hollow bool, at point, r float64) {
	polygon := func(r float64) []point {
		var corners []point
		turn, n, scale := 0.0, 0, 1.0
		switch i % 5 {
		case 1: // square
			n, turn, scale = 4, math.Pi/4, 1.25
		case 2: // triangle
			n, turn, scale = 3, -math.Pi/2, 1.35
		case 3: // diamond
			n, turn, scale = 4, 0, 1.3
		case 4: // triangle on its tip
			n, turn, scale = 3, math.Pi/2, 1.35
		}
		for k := range n {
			s, c := math.Sincos(turn + 2*math.Pi*float64(k)/float64(n))
			corners = append(corners, point{at.x + scale*r*c, at.y + scale*r*s})
		}
		return corners
	}
	shape := func(c color.NRGBA, r float64) {
		if i%5 == 0 {
			p.disc(c, at, r)
		} else {
			p.fill(c, polygon(r)...)
		}
	}
	shape(paper, r+1) // parts it from what lies below
	shape(c, r)
	if hollow {
		shape(paper, r-1.3)
	}
}
