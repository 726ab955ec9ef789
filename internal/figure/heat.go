package figure

import (
	"image/color"
	"math"
)

// edges returns the borders of columns and rows: halfway between centres, the outermost
// as far out as the next one in. On a logarithmic axis halfway is the geometric mean.
func (h *Heat) edges(xlog, ylog bool) (x, y []float64) {
	return borders(h.X, len(h.Z[0]), xlog), borders(h.Y, len(h.Z), ylog)
}

func borders(centres []float64, n int, log bool) []float64 {
	at := func(i int) float64 {
		v := float64(i)
		if centres != nil {
			v = centres[i]
		}
		if log {
			v = math.Log(v)
		}
		return v
	}
	out := make([]float64, n+1)
	if n == 1 {
		out[0], out[1] = at(0)-0.5, at(0)+0.5
	} else {
		for i := 1; i < n; i++ {
			out[i] = (at(i-1) + at(i)) / 2
		}
		out[0], out[n] = 2*at(0)-out[1], 2*at(n-1)-out[n-1]
	}
	if log {
		for i, v := range out {
			out[i] = math.Exp(v)
		}
	}
	return out
}

// colors is the scale from values to places on the colour bar.
func (h *Heat) colors() scale {
	lo, hi := h.Min, h.Max
	if lo >= hi || h.Log && lo <= 0 {
		s := newSpan(h.Log)
		for _, row := range h.Z {
			s.add(row...)
		}
		lo, hi = (&Axis{Log: h.Log}).fit(s, 0)
		if h.Diverging && !h.Log {
			hi = math.Max(math.Abs(lo), math.Abs(hi))
			lo = -hi
		}
	}
	return scale{lo: lo, hi: hi, log: h.Log}
}

func (h *Heat) anchors() []color.NRGBA {
	if h.Diverging {
		return diverging
	}
	return viridis
}

// heat draws the cells and the colour bar. Neighbours of one colour are drawn as one
// rectangle, and each reaches a little below the next so that no seam shows.
func (d *data) heat(pl *panelLayout) {
	const levels, under = 255, 0.4
	h := pl.p.Heat
	xe, ye := h.edges(d.panel.X.Log, d.panel.Y.Log)
	anchors := h.anchors()
	level := func(v float64) int {
		f := pl.colors.fraction(v)
		if math.IsNaN(f) {
			return -1
		}
		return int(math.Round(levels * math.Min(math.Max(f, 0), 1)))
	}
	shade := func(k int) color.NRGBA {
		if k < 0 {
			return empty
		}
		return ramp(anchors, float64(k)/levels)
	}
	clampX := func(v float64) float64 { return d.x.at(math.Min(math.Max(v, d.x.lo), d.x.hi)) }
	clampY := func(v float64) float64 { return d.y.at(math.Min(math.Max(v, d.y.lo), d.y.hi)) }
	maxX, minY := d.x.to, math.Min(d.y.from, d.y.to)
	for i, row := range h.Z {
		for j := 0; j < len(row); {
			k, end := level(row[j]), j+1
			for end < len(row) && level(row[end]) == k {
				end++
			}
			x0, x1 := clampX(xe[j]), clampX(xe[end])
			y0, y1 := clampY(ye[i+1]), clampY(ye[i])
			if x1 > x0 && y0 != y1 {
				d.drawn = true
				d.rect(shade(k), x0, math.Max(math.Min(y0, y1)-under, minY), math.Min(x1+under, maxX), math.Max(y0, y1))
			}
			j = end
		}
	}
	for i, row := range h.Texts {
		for j, text := range row {
			style := style{font: regular, size: cellSize, color: onLight}
			if dark(shade(level(h.Z[i][j]))) {
				style.color = onDark
			}
			x0, x1 := clampX(xe[j]), clampX(xe[j+1])
			if fit := 0.92 * (x1 - x0) / style.width(text); fit < 1 {
				style.size *= fit
			}
			d.textMiddle((x0+x1)/2, (clampY(ye[i])+clampY(ye[i+1]))/2, style, center, text)
		}
	}
	if h.Bare {
		return
	}

	bar := pl.colors
	top := minY
	bar.from, bar.to = top+d.layout.h, top
	x0 := d.x.to + barGap
	const strips = 128
	for k := range strips {
		y1 := bar.from + (bar.to-bar.from)*float64(k)/strips
		y0 := bar.from + (bar.to-bar.from)*float64(k+1)/strips
		d.rect(ramp(anchors, (float64(k)+0.5)/strips), x0, math.Max(y0-under, bar.to), x0+barWidth, y1)
	}
	wide := 0.0
	for _, t := range pl.colorTicks {
		if !bar.holds(t.Value) {
			continue
		}
		at, length := bar.at(t.Value), tickLength
		if t.Label == "" {
			length *= 0.6
		}
		d.stroke(faint, 0.7, nil, point{x0 + barWidth, at}, point{x0 + barWidth + length, at})
		d.textMiddle(x0+barWidth+tickLength+3, at, tickStyle, left, t.Label)
		wide = math.Max(wide, tickStyle.width(t.Label))
	}
	d.textTurned(x0+barWidth+tickLength+3+wide+labelSize+2, (bar.from+bar.to)/2, math.Pi/2, labelStyle, center, h.Label)
}

// dark reports whether white is easier to read on a colour than black: whether its relative
// luminance (as WCAG 2 has it, roughly) is below that of equal contrast.
func dark(c color.NRGBA) bool {
	linear := func(v uint8) float64 { return math.Pow(float64(v)/255, 2.2) }
	return 0.2126*linear(c.R)+0.7152*linear(c.G)+0.0722*linear(c.B) < 0.18
}
