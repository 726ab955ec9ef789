package figure

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

var dashes = []vg.Length{4.5, 2.5}

// draw draws the whole figure.
func (l *layout) draw(c draw.Canvas) {
	p := pen{c: c, h: l.height}
	y := outer
	if l.f.Title != "" {
		p.text(outer, y+titleSize-2, titleStyle, left, l.f.Title)
		y += titleSize + 5
	}
	for _, row := range l.legend {
		x := outer
		y += lineHeight + 1.5
		for _, s := range row {
			l.sample(p, s, x, y-5)
			p.textMiddle(x+sample+4, y-5, nameStyle, left, s.name)
			x += s.legendWidth()
		}
	}
	top := l.head()
	for r := range l.rows {
		x := outer
		var pl *panelLayout
		for c := range l.cols {
			if i := r*l.cols + c; i < len(l.panels) {
				pl = l.panels[i]
				l.drawPanel(p, pl, x+pl.left, top+pl.top)
				x += pl.left + l.w + pl.right + columnGap
			}
		}
		pl = l.panels[r*l.cols]
		top += pl.top + l.h + pl.bottom + rowGap
	}
}

// sample draws the entry of a series in the legend about the height y.
func (l *layout) sample(p pen, s *series, x, y float64) {
	c := s.color.rgb()
	mid := point{x + sample/2, y}
	switch {
	case s.bars:
		p.rect(c, mid.x-4, y-4, mid.x+4, y+4)
	case s.line:
		if s.band {
			p.rect(alpha(c, bandAlpha), x, y-3.5, x+sample, y+3.5)
		}
		var d []vg.Length
		if s.dashed {
			d = dashes
		}
		p.stroke(c, 1.8, d, point{x, y}, point{x + sample, y})
	}
	switch {
	case s.dots:
		p.disc(c, mid, dotRadius)
	case s.points:
		p.marker(s.index, c, s.hollow, mid, 3)
	}
}

const dotRadius = 1.6

const bandAlpha = 0.18

// drawPanel draws a panel whose data area has its top left corner at (x0, y0).
func (l *layout) drawPanel(p pen, pl *panelLayout, x0, y0 float64) {
	x, y := pl.x, pl.y
	x.from, x.to = x.from+x0, x.to+x0
	y.from, y.to = y.from+y0, y.to+y0
	d := &data{layout: l, pen: p, panel: pl.p, x: x, y: y}
	d.area = draw.Canvas{Canvas: p.c.Canvas, Rectangle: vg.Rectangle{Min: p.pt(x0, y0+l.h), Max: p.pt(x0+l.w, y0)}}

	if pl.p.Title != "" {
		p.text(x0, y0-pl.ownTop+panelSize-1, panelStyle, left, pl.p.Title)
	}
	if pl.p.Heat != nil {
		d.heat(pl)
	} else {
		for _, t := range pl.xticks {
			if t.Label != "" && x.holds(t.Value) && len(pl.p.X.Categories) == 0 {
				p.stroke(rule, 0.6, nil, point{x.at(t.Value), y0}, point{x.at(t.Value), y0 + l.h})
			}
		}
		for _, t := range pl.yticks {
			if t.Label != "" && y.holds(t.Value) {
				p.stroke(rule, 0.6, nil, point{x0, y.at(t.Value)}, point{x0 + l.w, y.at(t.Value)})
			}
		}
	}
	for _, g := range pl.p.Guides {
		switch {
		case g.Upright && x.holds(g.At):
			at := x.at(g.At)
			p.stroke(faint, 0.8, dashes, point{at, y0}, point{at, y0 + l.h})
			d.placed = append(d.placed, box{at - 0.5, y0, at + 0.5, y0 + l.h})
			p.text(at, y0-3, tickStyle, center, g.Label)
		case !g.Upright && y.holds(g.At):
			at := y.at(g.At)
			p.stroke(faint, 0.8, dashes, point{x0, at}, point{x0 + l.w, at})
			d.placed = append(d.placed, box{x0, at - 0.5, x0 + l.w, at + 0.5})
		}
	}
	for i, b := range pl.p.Bars {
		d.bars(b, i, pl.looks.bars[i].color.rgb())
	}
	for i, ln := range pl.p.Lines {
		d.band(ln, pl.looks.lines[i].color.rgb())
	}
	for i, ln := range pl.p.Lines {
		d.line(ln, pl.looks.lines[i].color.rgb())
	}
	for i, s := range pl.p.Points {
		d.errorBars(s, pl.looks.points[i].color.rgb())
	}
	for i, s := range pl.p.Points {
		d.points(s, pl.looks.points[i])
	}
	d.labels()
	l.axes(p, pl, d, x0, y0)
	for _, b := range pl.beside {
		at, want := y0+b.at, y0+b.want
		style := nameStyle
		if b.series == nil {
			style.color = faint
			p.stroke(rule, 0.8, nil, point{x0 + l.w + 1, want}, point{x0 + l.w + leader - 1, at})
		} else {
			var dash []vg.Length
			if b.series.dashed {
				dash = []vg.Length{2.5, 1.5}
			}
			p.stroke(b.series.color.rgb(), 1.6, dash, point{x0 + l.w + 1.5, want}, point{x0 + l.w + leader - 5, at}, point{x0 + l.w + leader, at})
		}
		p.textMiddle(x0+l.w+leader+3, at, style, left, b.text)
	}
	if !d.drawn {
		p.textMiddle(x0+l.w/2, y0+l.h/2, tickStyle, center, "no data")
	}
}

func (l *layout) axes(p pen, pl *panelLayout, d *data, x0, y0 float64) {
	base := y0 + l.h
	p.stroke(faint, 0.8, nil, point{x0, y0}, point{x0, base}, point{x0 + l.w, base})
	for _, t := range pl.xticks {
		if !d.x.holds(t.Value) {
			continue
		}
		at, length := d.x.at(t.Value), tickLength
		if t.Label == "" {
			length *= 0.6
		}
		p.stroke(faint, 0.7, nil, point{at, base}, point{at, base + length})
		if pl.slanted {
			p.textTurned(at+3, base+tickLength+7, slant, tickStyle, right, t.Label)
		} else {
			p.text(at, base+tickLength+2+tickSize, tickStyle, center, t.Label)
		}
	}
	for _, t := range pl.yticks {
		if !d.y.holds(t.Value) {
			continue
		}
		at, length := d.y.at(t.Value), tickLength
		if t.Label == "" {
			length *= 0.6
		}
		p.stroke(faint, 0.7, nil, point{x0 - length, at}, point{x0, at})
		p.textMiddle(x0-tickLength-3, at, tickStyle, right, t.Label)
	}
	p.text(x0+l.w/2, base+pl.ownDown-2, labelStyle, center, pl.p.X.Label)
	p.textTurned(x0-pl.ownLeft+labelSize, y0+l.h/2, math.Pi/2, labelStyle, center, pl.p.Y.Label)
}

// data draws the contents of one panel.
type data struct {
	*layout
	pen
	panel  *Panel
	x, y   scale
	area   draw.Canvas
	drawn  bool
	placed []box // markers and labels so far
	texts  []textAt
}

type textAt struct {
	at   point
	text string
}

type box struct{ x0, y0, x1, y1 float64 }

func (b box) overlap(o box) float64 {
	return math.Max(0, math.Min(b.x1, o.x1)-math.Max(b.x0, o.x0)) * math.Max(0, math.Min(b.y1, o.y1)-math.Max(b.y0, o.y0))
}

func (d *data) at(x, y float64) point { return point{d.x.at(x), d.y.at(y)} }

// stretches splits n places into runs where all of the given rows are drawable.
func stretches(n int, ok func(i int) bool) [][2]int {
	var out [][2]int
	start := -1
	for i := 0; i <= n; i++ {
		in := i < n && ok(i)
		if in && start < 0 {
			start = i
		}
		if !in && start >= 0 {
			out = append(out, [2]int{start, i})
			start = -1
		}
	}
	return out
}

func (d *data) band(ln Line, c color.NRGBA) {
	if ln.Lo == nil {
		return
	}
	for _, s := range stretches(len(ln.X), func(i int) bool {
		return d.at(ln.X[i], ln.Lo[i]).drawable() && d.at(ln.X[i], ln.Hi[i]).drawable()
	}) {
		var outline []vg.Point
		for i := s[0]; i < s[1]; i++ {
			q := d.at(ln.X[i], ln.Hi[i])
			outline = append(outline, d.pt(q.x, q.y))
		}
		for i := s[1] - 1; i >= s[0]; i-- {
			q := d.at(ln.X[i], ln.Lo[i])
			outline = append(outline, d.pt(q.x, q.y))
		}
		if s[1]-s[0] > 1 {
			d.area.FillPolygon(alpha(c, bandAlpha), d.area.ClipPolygonXY(outline))
		}
	}
}

func (d *data) line(ln Line, c color.NRGBA) {
	width := ln.Width
	if width <= 0 {
		width = 1.6
	}
	sty := draw.LineStyle{Color: c, Width: vg.Length(width)}
	if ln.Dashed {
		sty.Dashes = dashes
	}
	for _, s := range stretches(len(ln.X), func(i int) bool { return d.at(ln.X[i], ln.Y[i]).drawable() }) {
		d.drawn = true
		if s[1]-s[0] == 1 {
			if d.inside(ln.X[s[0]], ln.Y[s[0]]) {
				d.disc(c, d.at(ln.X[s[0]], ln.Y[s[0]]), width)
			}
			continue
		}
		var pts []vg.Point
		for i := s[0]; i < s[1]; i++ {
			q := d.at(ln.X[i], ln.Y[i])
			pts = append(pts, d.pt(q.x, q.y))
		}
		d.area.StrokeLines(sty, d.area.ClipLinesXY(pts)...)
	}
}

func (d *data) inside(x, y float64) bool { return d.x.holds(x) && d.y.holds(y) }

// whisker draws an error bar from a to b, which lie on one horizontal or vertical line.
func (d *data) whisker(style draw.LineStyle, a, b point) {
	if !a.drawable() || !b.drawable() {
		return
	}
	const cap = 2.5
	lines := [][]vg.Point{{d.pt(a.x, a.y), d.pt(b.x, b.y)}}
	for _, q := range []point{a, b} {
		if a.y == b.y {
			lines = append(lines, []vg.Point{d.pt(q.x, q.y-cap), d.pt(q.x, q.y+cap)})
		} else {
			lines = append(lines, []vg.Point{d.pt(q.x-cap, q.y), d.pt(q.x+cap, q.y)})
		}
	}
	d.area.StrokeLines(style, d.area.ClipLinesXY(lines...)...)
	d.placed = append(d.placed, box{math.Min(a.x, b.x) - 1, math.Min(a.y, b.y) - 1, math.Max(a.x, b.x) + 1, math.Max(a.y, b.y) + 1})
}

func (d *data) errorBars(s Points, c color.NRGBA) {
	sty := draw.LineStyle{Color: c, Width: 1.1}
	for i := range s.X {
		if !d.inside(s.X[i], s.Y[i]) {
			continue
		}
		if s.XLo != nil && s.XHi != nil {
			d.whisker(sty, d.at(s.XLo[i], s.Y[i]), d.at(s.XHi[i], s.Y[i]))
		}
		if s.YLo != nil && s.YHi != nil {
			d.whisker(sty, d.at(s.X[i], s.YLo[i]), d.at(s.X[i], s.YHi[i]))
		}
	}
}

func (d *data) points(s Points, look *series) {
	for i := range s.X {
		if !d.inside(s.X[i], s.Y[i]) {
			continue
		}
		d.drawn = true
		at := d.at(s.X[i], s.Y[i])
		r := 3.2
		if s.Dots {
			r = dotRadius
			d.disc(look.color.rgb(), at, r)
		} else {
			d.marker(look.index, look.color.rgb(), s.Hollow, at, r)
		}
		d.placed = append(d.placed, box{at.x - r, at.y - r, at.x + r, at.y + r})
		if s.Labels != nil && s.Labels[i] != "" {
			d.texts = append(d.texts, textAt{at: at, text: s.Labels[i]})
		}
	}
}

// labels writes beside each marker its label, at that of eight places where it covers
// least of the markers and labels and does not leave the panel.
func (d *data) labels() {
	for _, t := range d.texts {
		w, h := markedStyle.width(t.text), markedStyle.size
		var best box
		least := math.Inf(1)
		for k, q := range []point{{1, 0}, {-1, 0}, {0, -1}, {0, 1}, {1, -1}, {1, 1}, {-1, -1}, {-1, 1}} {
			gap := 5.5
			if q.x != 0 && q.y != 0 {
				gap = 3.5
			}
			cx, cy := t.at.x+q.x*(gap+w/2), t.at.y+q.y*(gap+h/2)
			b := box{cx - w/2, cy - h/2, cx + w/2, cy + h/2}
			cost := 0.02 * float64(k)
			for _, o := range d.placed {
				cost += b.overlap(o)
			}
			out := box{d.x.from, math.Min(d.y.from, d.y.to), d.x.to, math.Max(d.y.from, d.y.to)}
			cost += 3 * (w*h - b.overlap(out))
			if cost < least {
				least, best = cost, b
			}
		}
		d.textMiddle(best.x0, (best.y0+best.y1)/2, markedStyle, left, t.text)
		d.placed = append(d.placed, best)
	}
}

func (d *data) bars(b Bars, group int, c color.NRGBA) {
	upright := len(d.panel.X.Categories) > 0
	groups := float64(len(d.panel.Bars))
	const share = 0.76 // of a category's room
	width := share / groups
	values := d.x
	if upright {
		values = d.y
	}
	zero := math.Max(values.lo, math.Min(values.hi, 0))
	if values.log {
		zero = values.lo
	}
	sty := draw.LineStyle{Color: ink, Width: 0.9}
	for i, v := range b.Values {
		lo := float64(i) - share/2 + float64(group)*width
		mid, hi := lo+width/2, lo+width*0.94
		if math.IsNaN(values.at(v)) || math.IsInf(v, 0) {
			continue
		}
		d.drawn = true
		v = math.Max(values.lo, math.Min(values.hi, v))
		if upright {
			a, z := d.at(lo, v), d.at(hi, zero)
			d.rect(c, a.x, a.y, z.x, z.y)
		} else {
			a, z := d.at(zero, lo), d.at(v, hi)
			d.rect(c, a.x, a.y, z.x, z.y)
		}
		if b.Lo == nil || b.Hi == nil {
			continue
		}
		if upright {
			d.whisker(sty, d.at(mid, b.Lo[i]), d.at(mid, b.Hi[i]))
		} else {
			d.whisker(sty, d.at(b.Lo[i], mid), d.at(b.Hi[i], mid))
		}
	}
}
