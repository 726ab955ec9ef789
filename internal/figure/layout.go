package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Distances in points.
const (
	outer      = 9.0  // around the figure
	tickLength = 3.0  //
	lineHeight = 11.5 // of names beside and above
	columnGap  = 16.0 // between the margins of neighbouring panels
	rowGap     = 12.0
)

var (
	titleStyle  = style{font: bold, size: titleSize, color: ink}
	panelStyle  = style{font: bold, size: panelSize, color: ink}
	labelStyle  = style{font: regular, size: labelSize, color: ink}
	tickStyle   = style{font: regular, size: tickSize, color: faint}
	nameStyle   = style{font: regular, size: labelSize - 0.5, color: ink}
	markedStyle = style{font: regular, size: tickSize, color: ink}
)

// series is what a name looks like in all panels.
type series struct {
	name                               string
	index                              int // chooses the marker
	color                              Color
	line, dashed, band, points, hollow bool
	bars, dots                         bool
}

// layout is a figure with every size and place decided.
type layout struct {
	f             *Figure
	series        []*series
	looks         []looks // by panel
	names         Names
	cols, rows    int
	w, h          float64 // of a data area
	panels        []*panelLayout
	legend        [][]*series // rows of names above
	width, height float64     // of the whole
}

// looks are the series of a panel's bars, lines and points, in their order.
type looks struct{ bars, lines, points []*series }

type panelLayout struct {
	p                        *Panel
	looks                    looks
	x, y                     scale
	xticks, yticks           []Tick
	slanted                  bool // labels on the x axis
	colors                   scale
	colorTicks               []Tick
	beside                   []beside
	left, right, top, bottom float64 // margins around the data area, shared within columns and rows
	ownLeft, ownTop, ownDown float64 // what this panel alone would need
}

// beside is a name or a guide's label to the right of the data.
type beside struct {
	text     string
	series   *series // nil for a guide
	want, at float64 // where its data ends, and where it stands
}

// look returns the series of that name. Series without a name are distinct.
func (l *layout) look(name string, c Color) *series {
	if name != "" {
		for _, s := range l.series {
			if s.name == name {
				if s.color == Auto {
					s.color = c
				}
				return s
			}
		}
	}
	s := &series{name: name, index: len(l.series), color: c}
	l.series = append(l.series, s)
	return s
}

// collect finds all series and gives those without a colour the first free ones.
func (l *layout) collect() {
	for i := range l.f.Panels {
		p := &l.f.Panels[i]
		var k looks
		for _, b := range p.Bars {
			s := l.look(b.Name, b.Color)
			s.bars = true
			k.bars = append(k.bars, s)
		}
		for _, ln := range p.Lines {
			s := l.look(ln.Name, ln.Color)
			s.line, s.dashed, s.band = true, s.dashed || ln.Dashed, s.band || ln.Lo != nil
			k.lines = append(k.lines, s)
		}
		for _, pt := range p.Points {
			s := l.look(pt.Name, pt.Color)
			s.points, s.hollow, s.dots = true, s.hollow || pt.Hollow, s.dots || pt.Dots
			k.points = append(k.points, s)
		}
		l.looks = append(l.looks, k)
	}
	used := map[Color]bool{}
	for _, s := range l.series {
		used[s.color] = true
	}
	next := Blue
	for _, s := range l.series {
		if s.color != Auto {
			continue
		}
		for next < Gray && used[next] {
			next++
		}
		if next >= Gray { // more series than colours: begin again
			used, next = map[Color]bool{}, Blue
		}
		s.color = next
		next++
	}
}

func newLayout(f *Figure) *layout {
	l := &layout{f: f, names: f.Names, w: f.Width, h: f.Height}
	n := len(f.Panels)
	l.cols = f.Cols
	if l.cols <= 0 {
		l.cols = min(n, 3)
		if n == 4 {
			l.cols = 2
		}
	}
	l.cols = min(l.cols, n)
	l.rows = (n + l.cols - 1) / l.cols
	if l.w <= 0 {
		l.w = 250
		if n == 1 {
			l.w = 330
		}
	}
	if l.h <= 0 {
		l.h = 165
		if n == 1 {
			l.h = 210
		}
	}
	l.collect()
	l.chooseNames()
	for i := range f.Panels {
		l.panels = append(l.panels, l.panel(&f.Panels[i], l.looks[i]))
	}
	l.size()
	return l
}

func (l *layout) named() []*series {
	var out []*series
	for _, s := range l.series {
		if s.name != "" {
			out = append(out, s)
		}
	}
	return out
}

func (l *layout) chooseNames() {
	named := l.named()
	if l.names == NamesAuto {
		l.names = NamesAbove
		onlyLines := !slices.ContainsFunc(named, func(s *series) bool { return s.points || s.bars })
		if len(l.f.Panels) == 1 && onlyLines && float64(len(named))*lineHeight <= l.h {
			l.names = NamesBeside
		}
		if len(named) == 0 {
			l.names = NamesNone
		}
	}
}

// panel decides everything within one panel but its place.
func (l *layout) panel(p *Panel, k looks) *panelLayout {
	pl := &panelLayout{p: p, looks: k}
	xs, ys := newSpan(p.X.Log), newSpan(p.Y.Log)
	for _, ln := range p.Lines {
		for i := range ln.X {
			if v := ln.Y[i]; math.IsNaN(v) || math.IsInf(v, 0) || p.Y.Log && v <= 0 {
				continue // a gap needs no room
			}
			xs.add(ln.X[i])
		}
		ys.add(ln.Y...)
		ys.add(ln.Lo...)
		ys.add(ln.Hi...)
	}
	for _, s := range p.Points {
		for _, v := range [][]float64{s.X, s.XLo, s.XHi} {
			xs.add(v...)
		}
		for _, v := range [][]float64{s.Y, s.YLo, s.YHi} {
			ys.add(v...)
		}
	}
	xa, ya := p.X, p.Y
	mx, my := 0.0, 0.06
	for _, b := range p.Bars {
		values, axis := ys, &ya
		if len(p.Y.Categories) > 0 {
			values, axis, mx = xs, &xa, 0.06
		}
		for _, v := range [][]float64{b.Values, b.Lo, b.Hi} {
			values.add(v...)
		}
		axis.Include = append(slices.Clone(axis.Include), 0)
	}
	for _, g := range p.Guides {
		if g.Upright {
			xs.add(g.At)
		} else {
			ys.add(g.At)
		}
	}
	if len(p.Points) > 0 {
		mx, my = 0.07, 0.09
	}
	if p.Heat != nil {
		x, y := p.Heat.edges(p.X.Log, p.Y.Log)
		xs.add(x[0], x[len(x)-1])
		ys.add(y[0], y[len(y)-1])
		mx, my = 0, 0
		pl.colors = p.Heat.colors()
		pl.colors.from, pl.colors.to = l.h, 0
		pl.colorTicks = (&Axis{Log: p.Heat.Log}).ticks(pl.colors.lo, pl.colors.hi, l.h, 32)
	}
	pl.x.lo, pl.x.hi = xa.fit(xs, mx)
	pl.y.lo, pl.y.hi = ya.fit(ys, my)
	pl.x.log, pl.y.log = p.X.Log && len(p.X.Categories) == 0, p.Y.Log && len(p.Y.Categories) == 0
	pl.x.from, pl.x.to = 0, l.w
	pl.y.from, pl.y.to = l.h, 0
	if len(p.Y.Categories) > 0 {
		pl.y.from, pl.y.to = 0, l.h
	}
	pl.xticks = p.X.ticks(pl.x.lo, pl.x.hi, l.w, 50)
	pl.yticks = p.Y.ticks(pl.y.lo, pl.y.hi, l.h, 32)
	l.margins(pl)
	return pl
}

func (l *layout) margins(pl *panelLayout) {
	p := pl.p
	wide := 0.0
	for _, t := range pl.yticks {
		if pl.y.holds(t.Value) {
			wide = math.Max(wide, tickStyle.width(t.Label))
		}
	}
	pl.left = tickLength + 3 + wide
	if p.Y.Label != "" {
		pl.left += labelSize + 6
	}

	pl.bottom = tickLength + 3 + tickSize
	if n := len(p.X.Categories); n > 0 {
		for _, c := range p.X.Categories {
			if w := tickStyle.width(c); w > l.w/float64(n)-4 {
				pl.slanted = true
				pl.bottom = math.Max(pl.bottom, tickLength+4+w*math.Sin(slant)+tickSize*math.Cos(slant))
			}
		}
	}
	for i, t := range pl.xticks {
		over := tickStyle.width(t.Label) / 2
		at := pl.x.at(t.Value)
		if t.Label == "" || !pl.x.holds(t.Value) {
			continue
		}
		if pl.slanted {
			over = 0
			pl.left = math.Max(pl.left, tickStyle.width(pl.xticks[i].Label)*math.Cos(slant)-at)
		}
		pl.right = math.Max(pl.right, at+over-l.w)
		pl.left = math.Max(pl.left, over-at)
	}
	if p.X.Label != "" {
		pl.bottom += labelSize + 5
	}

	pl.top = 5
	if slices.ContainsFunc(p.Guides, func(g Guide) bool { return g.Upright && g.Label != "" }) {
		pl.top += tickSize + 3
	}
	if p.Title != "" {
		pl.top += panelSize + 4
	}

	pl.ownLeft, pl.ownTop, pl.ownDown = pl.left, pl.top, pl.bottom

	if p.Heat != nil && p.Heat.Bare {
		return
	}
	if p.Heat != nil {
		wide := 0.0
		for _, t := range pl.colorTicks {
			wide = math.Max(wide, tickStyle.width(t.Label))
		}
		bar := barGap + barWidth + tickLength + 3 + wide
		if p.Heat.Label != "" {
			bar += labelSize + 6
		}
		pl.right = math.Max(pl.right, bar)
		return
	}
	l.placeBeside(pl)
	for _, b := range pl.beside {
		pl.right = math.Max(pl.right, leader+3+nameStyle.width(b.text))
	}
}

const (
	slant    = 35 * math.Pi / 180
	barGap   = 8.0  // to the colour bar
	barWidth = 10.0 // of the colour bar
	leader   = 12.0 // from the end of the data to its name
)

// placeBeside puts the names of lines and guides next to where their data ends, moved as
// little as possible so that none covers another.
func (l *layout) placeBeside(pl *panelLayout) {
	if l.names == NamesBeside {
		seen := map[string]bool{}
		for k, ln := range pl.p.Lines {
			if ln.Name == "" || seen[ln.Name] {
				continue
			}
			for i := len(ln.X) - 1; i >= 0; i-- {
				at := point{pl.x.at(ln.X[i]), pl.y.at(ln.Y[i])}
				if at.drawable() {
					seen[ln.Name] = true
					pl.beside = append(pl.beside, beside{text: ln.Name, series: pl.looks.lines[k], want: math.Min(math.Max(at.y, 0), l.h)})
					break
				}
			}
		}
	}
	for _, g := range pl.p.Guides {
		if !g.Upright && g.Label != "" && pl.y.holds(g.At) {
			pl.beside = append(pl.beside, beside{text: g.Label, want: pl.y.at(g.At)})
		}
	}
	slices.SortStableFunc(pl.beside, func(a, b beside) int {
		switch {
		case a.want < b.want:
			return -1
		case a.want > b.want:
			return 1
		}
		return 0
	})
	want := make([]float64, len(pl.beside))
	for i, b := range pl.beside {
		want[i] = b.want
	}
	for i, at := range spread(want, lineHeight, 0, l.h) {
		pl.beside[i].at = at
	}
}

// spread moves ascending places apart by at least gap, with the least sum of squared
// moves, and into [lo, hi] where they fit. Measured from its rank times gap, each place
// may not be below the one before: that is isotonic regression, solved by pooling
// neighbours that are out of order.
func spread(want []float64, gap, lo, hi float64) []float64 {
	type pool struct {
		sum  float64
		size int
	}
	var pools []pool
	for i, w := range want {
		pools = append(pools, pool{w - float64(i)*gap, 1})
		for n := len(pools); n > 1; n = len(pools) {
			a, b := pools[n-2], pools[n-1]
			if a.sum/float64(a.size) <= b.sum/float64(b.size) {
				break
			}
			pools = append(pools[:n-2], pool{a.sum + b.sum, a.size + b.size})
		}
	}
	hi -= float64(len(want)-1) * gap
	var out []float64
	for _, p := range pools {
		at := math.Max(math.Min(p.sum/float64(p.size), hi), lo)
		for range p.size {
			out = append(out, at+float64(len(out))*gap)
		}
	}
	return out
}

// size adds up the panels: columns share their margins left and right, rows theirs above
// and below, so that data areas line up.
func (l *layout) size() {
	for i, pl := range l.panels {
		for j, other := range l.panels {
			if j%l.cols == i%l.cols {
				pl.left, pl.right = math.Max(pl.left, other.left), math.Max(pl.right, other.right)
			}
			if j/l.cols == i/l.cols {
				pl.top, pl.bottom = math.Max(pl.top, other.top), math.Max(pl.bottom, other.bottom)
			}
		}
	}
	l.width = 2*outer + float64(l.cols-1)*columnGap
	for c := range l.cols {
		l.width += l.panels[c].left + l.w + l.panels[c].right
	}
	if l.f.Title != "" {
		l.width = math.Max(l.width, 2*outer+titleStyle.width(l.f.Title))
	}
	if l.names == NamesAbove {
		l.fold()
	}
	l.height = l.head() + outer + float64(l.rows-1)*rowGap
	for r := range l.rows {
		pl := l.panels[r*l.cols]
		l.height += pl.top + l.h + pl.bottom
	}
	l.width, l.height = math.Ceil(l.width), math.Ceil(l.height)
}

const (
	sample  = 18.0 // width of a sample in the legend
	nameGap = 16.0
)

func (s *series) legendWidth() float64 { return sample + 4 + nameStyle.width(s.name) + nameGap }

// fold breaks the legend into rows that fit the width.
func (l *layout) fold() {
	room := l.width - 2*outer + nameGap
	used := math.Inf(1)
	for _, s := range l.named() {
		if used+s.legendWidth() > room {
			l.legend = append(l.legend, nil)
			used = 0
		}
		row := len(l.legend) - 1
		l.legend[row] = append(l.legend[row], s)
		used += s.legendWidth()
	}
}

// head is the height of what stands above the panels.
func (l *layout) head() float64 {
	h := outer
	if l.f.Title != "" {
		h += titleSize + 5
	}
	if len(l.legend) > 0 {
		h += float64(len(l.legend))*(lineHeight+1.5) + 8
	}
	return h
}

// alt is the text for those who cannot see the figure.
func (l *layout) alt() string {
	if l.f.Alt != "" {
		return l.f.Alt
	}
	var parts []string
	if l.f.Title != "" {
		parts = append(parts, l.f.Title)
	}
	for _, p := range l.f.Panels {
		var axes string
		if p.X.Label != "" && p.Y.Label != "" {
			axes = fmt.Sprintf("%s against %s", p.Y.Label, p.X.Label)
		}
		switch {
		case p.Title != "" && axes != "":
			parts = append(parts, p.Title+": "+axes)
		case p.Title+axes != "":
			parts = append(parts, p.Title+axes)
		}
	}
	var names []string
	for _, s := range l.named() {
		names = append(names, s.name)
	}
	if len(names) > 0 {
		parts = append(parts, "series: "+strings.Join(names, ", "))
	}
	return strings.Join(parts, ". ")
}
